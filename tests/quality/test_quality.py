"""The scoring itself: distances, tables, and scores that must come out as they do whatever the joins are."""

import sys

import numpy as np
import pytest

from correlate.joins.given import Given, Refused
from tests.quality import __main__ as command
from tests.quality import labels
from tests.quality.answers import Answer, share_error_of
from tests.quality.measures import share_error
from tests.quality.report import Row, at_most, markdown, within
from tests.quality.scenes import Case, case
from tests.quality.seeds import SCORED, TUNED
from tests.truth.world import World

SMALL = World(duration_s=10.0, labels="every", processes=2)


@pytest.fixture(scope="module")
def observed() -> Case:
    """A small world."""
    return case(SMALL)


def test_seeds_for_scoring_are_not_those_for_tuning() -> None:
    """The two sets have nothing in common."""
    assert not set(SCORED) & set(TUNED)


def test_the_share_error_is_the_part_in_the_wrong_place() -> None:
    """Equal shares have none, disjoint ones have all, whatever the amounts."""
    assert share_error(np.array([1.0, 3.0]), np.array([10.0, 30.0])) == 0
    assert share_error(np.array([5.0, 0.0]), np.array([0.0, 2.0])) == 1
    assert share_error(np.array([3.0, 1.0]), np.array([2.0, 2.0])) == pytest.approx(0.25)
    assert share_error(np.zeros(2), np.array([1.0, 2.0])) == 1


def test_a_budget_is_met_up_to_its_edge() -> None:
    """At most means at most, within means both ends."""
    assert [at_most("a", "b", figure, 0.15).met for figure in (0.1, 0.15, 0.16, np.nan)] == [True, True, False, False]
    assert [within("a", "b", figure, 0.93, 0.97).met for figure in (0.92, 0.93, 0.98)] == [False, True, False]


def test_the_table_can_go_into_the_docs() -> None:
    """One line for each row, and a column never more."""
    lines = markdown([Row("a", "x|y", "1"), at_most("a", "b", 0.5, 0.2)]).splitlines()
    assert lines[2:] == ["| a | x/y | 1 |  |  |", "| a | b | 0.500 | ≤ 0.2 | NO |"]


def test_a_case_knows_processes_as_the_product_tells_them_apart(observed: Case) -> None:
    """The codes differ exactly where the simulated instances do."""
    for rows, true in (
        (observed.samples, observed.scene.sample_process),
        (observed.spans, observed.scene.spans["process"]),
    ):
        pairs = set(
            zip(rows["process"].to_list(), true.tolist() if isinstance(true, np.ndarray) else true, strict=True)
        )
        assert len(pairs) == 2


def test_spans_know_their_operation_and_root(observed: Case) -> None:
    """By the samples: what a sample's span is said to serve is what the simulator meant."""
    kept = observed.owner >= 0
    owner = observed.owner[kept]
    assert (observed.operation_of_span[owner] == observed.truth.operation[kept]).all()
    assert (observed.kind_of_span[owner] == observed.truth.kind[kept]).all()
    assert (observed.root_of_span[owner] == observed.truth.root[kept]).all()


def test_an_answer_is_judged_by_the_truth(observed: Case) -> None:
    """All samples given to one operation: its own are right, the others wrong, and a bound is held or not."""
    chosen = observed.operation_of_span == 0
    every = Given(np.ones(len(observed.samples)), np.full(len(observed.samples), -1), 0.5, "")
    answer = Answer.of(observed, chosen, every)
    assert answer.given_ns == observed.value.sum()
    assert answer.right_ns == answer.true_ns == observed.true_ns(chosen) > 0
    assert answer.held == (answer.wrong <= 0.5)
    assert Answer.of(observed, chosen, Refused("no")).refused


def test_refusals_do_not_count_as_errors() -> None:
    """The share error is over what was answered."""
    told = [Answer(1.0, 1.0, 2.0), Answer(3.0, 3.0, 6.0), Answer(0.0, 0.0, 9.0, refused=True)]
    assert share_error_of(told) == 0
    assert np.isnan(share_error_of(told[2:]))


def test_a_part_of_a_case_keeps_its_owners(observed: Case) -> None:
    """Samples of spans that were left out belong to nobody."""
    rows = np.flatnonzero(observed.operation_of_span == 1)
    part = observed.cut(rows, np.arange(len(observed.samples)))
    assert part.true_ns(np.ones(len(rows), bool)) == observed.true_ns(observed.operation_of_span == 1)


def test_label_joins_are_exact_on_a_seed_for_tuning() -> None:
    """No sample missed, none wrong, whatever is labelled."""
    rows = list(labels.score([TUNED[4]]))
    assert len(rows) == len(labels.CONDITIONS) + 1
    assert [row.met for row in rows] == [True] * len(rows)


def test_a_missed_budget_is_an_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """1 when any budget is missed, 0 when all are met; the machine comes first, then the table."""
    for met in (True, False):
        monkeypatch.setattr(command, "_scored", lambda name, seeds, met=met: [Row(name, "c", "f", "b", met)])
        monkeypatch.setattr(sys, "argv", ["tests.quality", "--rows", "labels", "--markdown"])
        assert command.main() == int(not met)
    assert "| labels | c | f | b | NO |" in capsys.readouterr().out


def test_an_unknown_row_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the names of those there are."""
    monkeypatch.setattr(sys, "argv", ["tests.quality", "--rows", "nonsense"])
    with pytest.raises(SystemExit):
        command.main()
    assert "labels" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["window", "thread-time", "inherited", "unmixed"])
def test_every_score_comes_out_on_a_seed_for_tuning(name: str) -> None:
    """All conditions of the inferred joins are scored, whatever the figures are."""
    rows = list(command._scored(name, [TUNED[1]]))
    assert len(rows) >= 5
    assert all(row.figure for row in rows)
