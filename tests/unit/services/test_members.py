"""What ran beneath the spans of a cohort."""

import polars as pl

from correlate.model.answers import Scope
from correlate.model.queries import TimeRange
from correlate.services.cohorts import CHOSEN_COLUMNS, Chosen
from correlate.services.members import Members, members
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, spans, with_series

MS = 1_000_000


def found(rows: pl.DataFrame, *chosen: int) -> Members:
    """Members of a cohort of some of the spans, with everything beneath them."""
    stored = with_series(rows)
    picked = stored.spans.filter(pl.col("span").is_in(chosen)).select(CHOSEN_COLUMNS)
    window = TimeRange(T0, T0 + SECOND)
    return members(FakeLake(stored), Chosen("{}", window, picked, len(picked), ("checkout",)), Scope.SUBTREE)


def accounts(of: Members) -> dict[int, int]:
    """The chosen span that each member counts for."""
    chosen = of.spans.filter(pl.col("span") < 10).select("cluster", chosen="span")
    return dict(of.spans.join(chosen, on="cluster").select("span", "chosen").rows())


def test_a_span_counts_for_the_nearest_chosen_one_above_it() -> None:
    """Of nested chosen spans the inner one takes its own work, and nothing is counted twice."""
    rows = spans({"span": 1}, {"span": 2, "parent": 1}, {"span": 12, "parent": 2}, {"span": 11, "parent": 1})
    assert accounts(found(rows, 1, 2)) == {1: 1, 11: 1, 2: 2, 12: 2}


def test_however_deep_it_is() -> None:
    """A recursion two hundred calls deep is beneath its first call."""
    rows = spans({"span": 1}, *({"span": 10 + at, "parent": 9 + at if at else 1} for at in range(200)))
    assert len(accounts(found(rows, 1))) == 201


def test_spans_that_are_their_own_ancestors_end() -> None:
    """They are beneath nobody."""
    rows = spans({"span": 1}, {"span": 11, "parent": 12}, {"span": 12, "parent": 11})
    assert accounts(found(rows, 1)) == {1: 1}


def test_work_that_goes_on_after_its_request_is_beneath_it() -> None:
    """As for a single span, though it began when the last request of the cohort was over."""
    rows = spans({"span": 1}, {"span": 11, "parent": 1, "start_ns": T0 + 3 * SECOND})
    assert accounts(found(rows, 1)) == {1: 1, 11: 1}


def test_the_same_ids_in_two_traces_are_two_spans() -> None:
    """Each with its own beneath it."""
    rows = spans(
        {"span": 1}, {"span": 11, "parent": 1}, {"span": 1, "trace_lo": 99}, {"span": 11, "parent": 1, "trace_lo": 99}
    )
    both = found(rows, 1)
    assert both.count == 2
    assert both.spans.group_by("trace_lo").agg(pl.col("cluster").n_unique())["cluster"].to_list() == [1, 1]
    assert both.spans["cluster"].n_unique() == 2
