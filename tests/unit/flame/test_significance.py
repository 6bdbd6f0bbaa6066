"""Comparing cohorts: equal ones, planted differences, order, power, the recorded service, and odd input."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from correlate.demo import traffic
from correlate.errors import BadInput
from correlate.flame import permutation
from correlate.flame.hypotheses import step_up
from correlate.flame.significance import Comparison, compare, intervals
from correlate.flame.spent import by_function
from tests.quality import significance as quality
from tests.support.cohorts import NORMAL, SCHEMA, SLOW, STACKS, cohort
from tests.support.recordings import cpu_ns, only_label, truth
from tests.support.trees import symbols


def by_name(found: Comparison, name: str) -> dict[str, float]:
    """The figures of one function."""
    return found.frames.filter(pl.col("name") == name).row(0, named=True)


def test_the_cause_comes_before_its_callers_and_callees() -> None:
    """`rank` is what the slow ones do differently: not `main` or `handle`, and not the helper that others call too."""
    found = compare(cohort(STACKS, NORMAL), cohort(STACKS, SLOW))
    names = found.frames["name"].to_list()
    assert names[:2] in (["rank", "sort"], ["sort", "rank"])
    assert set(names[:5]) == {"rank", "sort", "until", "handle", "main"}
    assert found.frames["significant"].to_list()[:5] == [True] * 5
    assert not found.frames["significant"][5:].any()


def test_figures_of_a_frame() -> None:
    """Cost, share, difference with limits, ratio, spans and samples, each from both sides."""
    found = compare(cohort(STACKS, NORMAL), cohort(STACKS, SLOW))
    row = by_name(found, "until")
    assert (row["left_cost"], row["right_cost"]) == pytest.approx((2.5, 2.5 + 32.85))
    assert row["cost_low"] < row["cost_difference"] < row["cost_high"]
    assert row["ratio"] == pytest.approx(row["right_cost"] / row["left_cost"])
    assert (row["left_spans"], row["right_spans"], row["left_samples"]) == (60, 20, 150)
    assert by_name(found, "rank")["ratio"] is None
    assert found.right.cost - found.left.cost == pytest.approx(found.difference)
    assert found.frames["further"].drop_nulls().sum() == pytest.approx(found.difference)


def test_by_share_the_rest_shrinks() -> None:
    """The same function is a smaller part of slow spans, which is a difference by share and none by cost."""
    by_cost = compare(cohort(STACKS, NORMAL), cohort(STACKS, SLOW))
    by_share = compare(cohort(STACKS, NORMAL), cohort(STACKS, SLOW), basis="share")
    assert not by_name(by_cost, "read")["significant"]
    assert by_name(by_share, "read")["significant"]
    assert by_name(by_share, "read")["share_difference"] < 0


def test_the_same_seed_gives_the_same_answer() -> None:
    """And only the random deals depend on it."""
    left, right = cohort(STACKS, NORMAL), cohort(STACKS, SLOW)
    assert compare(left, right, seed=3).frames.equals(compare(left, right, seed=3).frames)
    sure = compare(left, right, seed=4).frames["cost_low"]
    assert sure.equals(compare(left, right, seed=3).frames["cost_low"])


def test_cohorts_that_are_the_same_do_not_differ() -> None:
    """Every difference is zero, every probability one."""
    found = compare(cohort(STACKS, NORMAL), cohort(STACKS, NORMAL))
    assert found.p_any == 1
    assert found.frames["cost_difference"].to_list() == [0.0] * len(found.frames)
    assert not found.frames["significant"].any()


@pytest.mark.parametrize(("left", "right"), [(0, 5), (5, 0)])
def test_a_cohort_without_spans_cannot_be_compared(left: int, right: int) -> None:
    """The error says which, and what to do."""
    with pytest.raises(BadInput, match=f"the {'right' if left else 'left'} cohort has no spans"):
        compare(cohort(STACKS, [{1: 1}] * left), cohort(STACKS, [{1: 1}] * right))


@pytest.mark.parametrize(
    ("left", "right"),
    [([{}] * 5, [{}] * 7), ([{}] * 5, [{1: 3}] * 5), ([{}], [{}]), ([{1: 1}], [{2: 1}]), ([{1: 2}] * 2, [{1: 2}] * 9)],
)
def test_next_to_nothing_is_compared_all_the_same(left: list[dict[int, int]], right: list[dict[int, int]]) -> None:
    """No samples, one span, no variance: figures where there are any, and never a number that is not one."""
    found = compare(cohort(STACKS, left), cohort(STACKS, right))
    assert not any(
        found.frames[name].is_nan().any()
        for name in found.frames.columns
        if "name" not in name and found.frames[name].dtype.is_float()
    )
    assert found.left.spans == len(left)


def test_one_span_against_its_operation() -> None:
    """Limits are unknown, but a span unlike all others is noticed."""
    found = compare(cohort(STACKS, NORMAL * 5), cohort(STACKS, [{1: 5, 2: 300, 3: 2}]))
    rank = by_name(found, "rank")
    assert rank["cost_low"] is None
    assert rank["significant"]
    assert not compare(cohort(STACKS, NORMAL * 5), cohort(STACKS, NORMAL[7:8])).frames["significant"].any()


def test_too_little_evidence_says_how_much_is_missing() -> None:
    """A difference that is there but cannot be told from chance: more evidence is asked for."""
    found = compare(*(cohort(STACKS, [{1: n + more} for n in (2, 9, 14, 30, 7, 11)]) for more in (0, 3)))
    row = by_name(found, "read")
    assert not row["significant"]
    assert row["under_powered"]
    assert row["needs_samples"] > 0
    assert row["detectable"] > abs(row["cost_difference"])


def test_enough_evidence_of_nothing_is_not_under_powered() -> None:
    """Two large, even cohorts: a change of 20 % would have been seen."""
    found = compare(cohort(STACKS, NORMAL * 10), cohort(STACKS, NORMAL * 10))
    assert not found.frames["under_powered"].any()
    assert found.frames["needs_samples"].sum() == 0


def test_equal_cohorts_seldom_show_anything() -> None:
    """Of comparisons of cohorts of one kind, hardly any reports a frame."""
    found = [quality.equal(seed, 80, 60, 5.0) for seed in range(50)]
    assert np.mean([one.frames["significant"].any() for one in found]) <= 0.1
    assert np.mean([one.p_any <= 0.5 for one in found]) == pytest.approx(0.5, abs=0.2)


def test_a_frame_that_takes_twice_as_long_comes_first() -> None:
    """Among thirty functions and spans as uneven as real ones."""
    found = [quality.planted(seed, 600, 600, 5.0) for seed in range(10)]
    assert [one.frames["name"][0] for one in found] == [quality.PLANTED] * 10


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_step_up_is_the_textbook_procedure(p: list[float]) -> None:
    """Rejecting adjusted values up to a level is rejecting all up to the last below its line."""
    adjusted = step_up(np.array(p))
    for level in (0.05, 0.3):
        passed = [rank for rank, value in enumerate(sorted(p), 1) if value * len(p) / rank <= level]
        assert (adjusted <= level).sum() == max(passed, default=0)


def test_columns_that_were_not_tested_do_not_count() -> None:
    """They stay unknown, and the others are adjusted as if they were not there."""
    assert np.array_equal(step_up(np.array([0.01, np.nan, 0.04])), [0.02, np.nan, 0.04], equal_nan=True)


def test_statistics_are_those_of_single_columns() -> None:
    """Studentised differences of costs and shares, recomputed span by span."""
    rng = np.random.default_rng(2)
    values = rng.poisson(3, (40, 5)) * rng.integers(0, 2, (40, 5))
    total = values.sum(axis=1).astype(float)
    matrix = sparse.csr_array(values.astype(float))
    table = permutation.Table(matrix, sparse.csr_array(np.eye(5)), matrix, total, 15)
    share, cost = permutation.deal(table, seed=0).observed
    left, right = values[:15], values[15:]
    for column in range(5):
        pooled = values[:, column].var(ddof=1) * (1 / 15 + 1 / 25)
        own = left[:, column].var(ddof=1) / 15 + right[:, column].var(ddof=1) / 25
        apart = right[:, column].mean() - left[:, column].mean()
        assert cost[column] == pytest.approx(apart / np.sqrt(max(pooled, own)))
        sums = (total[:15].sum(), total[15:].sum())
        parts = (left[:, column].sum() / sums[0], right[:, column].sum() / sums[1])
        whole = values[:, column].sum() / total.sum()
        pooled = ((values[:, column] - whole * total) ** 2).sum() / total.sum() * (1 / sums[0] + 1 / sums[1])
        own = sum(
            ((side[:, column] - part * rows) ** 2).sum() / rows.sum() ** 2 * len(rows) / (len(rows) - 1)
            for side, part, rows in ((left, parts[0], total[:15]), (right, parts[1], total[15:]))
        )
        assert share[column] == pytest.approx((parts[1] - parts[0]) / np.sqrt(max(pooled, own)))


def test_intervals_have_a_row_for_each_function() -> None:
    """Share and cost with limits, spans and samples."""
    found = intervals(cohort(STACKS, NORMAL))
    row = found.filter(pl.col("name") == "read").row(0, named=True)
    assert row["share_low"] < row["share"] < row["share_high"]
    assert row["cost_low"] < row["cost"] == 5 < row["cost_high"]
    assert (row["spans"], row["samples"]) == (60, 300)


@pytest.mark.parametrize("recording", ["checkout", "checkout-varying"])
def test_slow_requests_of_the_recorded_service_rank_items(shared_data: Path, recording: str) -> None:
    """Requests that missed the cache, and simply the slowest twentieth: both differ first in `rank_items`."""
    known = truth(traffic.read(shared_data / f"recorded-clients/{recording}.jsonl.gz"))
    spans = [span for span in known.spans.values() if span.name == "GET /items"]
    row_of = {span.span: row for row, span in enumerate(spans)}
    found = [(row_of.get(only_label(sample, "span_id"), -1), sample) for sample in known.cpu_samples]
    stacks = sorted({sample.stack for row, sample in found if row >= 0})
    id_of = {stack: number for number, stack in enumerate(stacks, 1)}
    duration_ns = np.array([span.end_ns - span.start_ns for span in spans])
    missed = np.array([span.attributes.get("cache.hit") is False for span in spans])
    for slow in (missed, duration_ns >= np.quantile(duration_ns, 0.95)):
        sides = []
        for chosen in (~slow, slow):
            number = np.cumsum(chosen) - 1
            rows = [(id_of[s.stack], cpu_ns(s), 1, number[row]) for row, s in found if row >= 0 and chosen[row]]
            table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
            sides.append(by_function(table, int(chosen.sum()), symbols(stacks)))
        result = compare(*sides).frames
        assert (result["name"][0], result["significant"][0]) == ("rank_items", True)
