"""When spans were at work themselves."""

import numpy as np
import polars as pl
from hypothesis import given

from correlate.joins import activity
from tests.unit.joins.scenes import Row, is_open, parent_of, spans, traces


@given(traces())
def test_a_span_is_at_work_while_it_is_open_and_no_child_of_it_is(rows: list[Row]) -> None:
    """Slow twin: ask for every nanosecond."""
    found = {
        (row, time) for row, start, end in activity.self_intervals(spans(*rows)).rows() for time in range(start, end)
    }
    expected = {
        (row, time)
        for row, own in enumerate(rows)
        for time in range(30)
        if is_open(own, time)
        and not any(parent_of(child, rows) == row and is_open(other, time) for child, other in enumerate(rows))
    }
    assert found == expected


@given(traces())
def test_pieces_are_sorted_and_not_empty(rows: list[Row]) -> None:
    """By row and start, as the columns say."""
    pieces = activity.self_intervals(spans(*rows))
    assert pieces.schema == {"row": pl.UInt32, "start_ns": pl.Int64, "end_ns": pl.Int64}
    assert pieces.equals(pieces.sort("row", "start_ns"))
    assert (pieces["end_ns"] > pieces["start_ns"]).all()


@given(traces())
def test_parents_are_found_within_the_trace(rows: list[Row]) -> None:
    """Equal ids of another trace are strangers."""
    expected = [-1 if (at := parent_of(row, rows)) is None else at for row in range(len(rows))]
    assert activity.parent_rows(spans(*rows)).tolist() == expected


def test_a_span_is_not_its_own_parent() -> None:
    """Nor does a cycle of parents keep the search for an ancestor busy."""
    rows = spans({"span": 1, "parent": 1}, {"span": 2, "parent": 3}, {"span": 3, "parent": 2})
    up = activity.parent_rows(rows)
    assert up.tolist() == [-1, 2, 1]
    assert activity.ancestor_rows(up, lambda mine, above: np.zeros(len(mine), bool)).tolist() == [-1, -1, -1]


def test_the_nearest_ancestor_that_will_do_is_found() -> None:
    """Those that will not do are passed over."""
    up = np.array([-1, 0, 1, 2])
    assert activity.ancestor_rows(up, lambda mine, above: above % 2 == 0).tolist() == [-1, 0, 0, 2]
