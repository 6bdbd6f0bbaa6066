"""Cohorts: spans chosen by a query."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.errors import BadQuery
from correlate.model.queries import TimeRange
from correlate.services.cohorts import CHOSEN_COLUMNS, Cohorts, query_of_operation
from correlate.tables.schema import SPANS
from correlate.tables.tables import Tables
from correlate.traceql.syntax import Condition, SpansWith
from correlate.traceql.write import write
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, spans, with_series
from tests.support.traceql import conditions, holds, rows, sorted_ids, tables

WINDOW = TimeRange(T0 - SECOND, T0 + 10 * SECOND)
MS = 1_000_000

SHOP = with_series(
    spans(
        {"span": 1, "name": "GET /items", "duration_ns": 500 * MS},
        {"span": 2, "parent": 1, "name": "render", "kind": 1, "duration_ns": 100 * MS},
        {"span": 3, "parent": 1, "service": "cart", "kind": 3, "status": 2, "duration_ns": 300 * MS},
        {"span": 4, "parent": 3, "service": "db", "name": "SELECT", "duration_ns": 200 * MS},
        {"span": 5, "trace_lo": 12, "name": "GET /items", "duration_ns": 20 * MS, "start_ns": T0 + SECOND},
        {"span": 6, "trace_lo": 12, "parent": 99, "service": "db", "name": "SELECT", "start_ns": T0 + 3 * SECOND},
    )
)


def found(q: str, window: TimeRange = WINDOW, lake: FakeLake | None = None, **options: Any) -> list[int]:
    """The ids of the spans that a query chooses."""
    return sorted_ids(Cohorts(lake or FakeLake(SHOP), **options).choose(q, window).spans)


def test_the_chosen_spans_carry_what_the_joins_need() -> None:
    """Their columns, the services of all that match, and the query in its usual form."""
    chosen = Cohorts(FakeLake(SHOP)).choose('{resource.service.name="cart"||name="render"}', WINDOW)
    assert chosen.spans.schema == {name: SPANS[name] for name in CHOSEN_COLUMNS}
    assert (chosen.matched, chosen.cut, chosen.services) == (2, False, ("cart", "checkout"))
    assert chosen.query == '{ resource.service.name = "cart" || name = "render" }'
    assert chosen.window == WINDOW


def test_an_operation_is_a_cohort() -> None:
    """Whatever its name is made of."""
    odd = with_series(spans({"span": 1, "name": 'a "b" }\n'}, {"span": 2}))
    assert found(query_of_operation("checkout", 'a "b" }\n'), lake=FakeLake(odd)) == [1]


def test_spans_are_related_to_each_other() -> None:
    """Within their traces, also across spans that match nothing."""
    assert found('{ name = "GET /items" } > {}') == [2, 3]
    assert found('{ name = "GET /items" } >> { resource.service.name = "db" }') == [4]
    assert found('{ resource.service.name = "db" } << { kind = server && name = "GET /items" }') == [1]
    assert found('{ name = "render" } ~ {}') == [3]
    assert found('{ name = "GET /items" } && { status = error }') == [1, 3]
    assert found('{ status = error } || { name = "render" }') == [2, 3]


def test_a_span_whose_parent_is_not_stored_is_related_to_nothing() -> None:
    """Nor is it known to be unrelated; a span whose parent merely does not match is."""
    assert found('{ name = "none" } !> { name = "SELECT" }') == [4]
    assert found('{ status = error } !>> { name = "SELECT" }') == []


def test_a_span_can_be_chosen_by_its_trace() -> None:
    """By what the root is called and how long all of it took."""
    assert found('{ rootName = "GET /items" && resource.service.name = "db" }') == [4, 6]
    assert found('{ rootServiceName = "checkout" && kind = client }') == [3]
    assert found("{ traceDuration > 2s }") == [5, 6]
    orphan = FakeLake(with_series(spans({"span": 1, "parent": 9})))
    assert found('{ rootName = "x" || rootName != "x" }', lake=orphan) == []


def test_a_trace_counts_beyond_the_window() -> None:
    """The window is about the chosen spans only."""
    window = TimeRange(T0 + 3 * SECOND, T0 + 4 * SECOND)
    assert found("{}", window) == [6]
    assert found('{ rootName = "GET /items" && traceDuration > 2s }', window) == [6]


def test_a_window_without_spans_is_an_empty_cohort() -> None:
    """And so is a store without any."""
    assert found("{}", TimeRange(0, 1)) == []
    assert found("{} > {}", TimeRange(0, 1)) == []
    empty = Cohorts(FakeLake()).choose("{ .a = 1 }", WINDOW)
    assert (empty.matched, empty.services, empty.spans.columns) == (0, (), list(CHOSEN_COLUMNS))


def many(count: int) -> Tables:
    """Spans of all ages and lengths, one trace each."""
    rng = np.random.default_rng(1)
    lengths = rng.choice([1, SECOND, 3 * SECOND], count)
    return with_series(
        spans(
            *(
                {"span": n + 1, "trace_lo": n, "start_ns": T0 + n * 9 * SECOND // count, "duration_ns": int(lengths[n])}
                for n in range(count)
            )
        )
    )


def test_too_many_spans_are_sampled_without_bias() -> None:
    """The same ones each time, of all ages, and the count tells how many there are."""
    lake = FakeLake(many(2000))
    chosen = Cohorts(lake).choose("{}", WINDOW, limit=200)
    assert (chosen.matched, chosen.cut, len(chosen.spans)) == (2000, True, 200)
    assert abs(float(chosen.spans["span"].mean()) - 1000) < 150  # type: ignore[arg-type]
    again = Cohorts(lake, rows_at_once=100).choose("{}", WINDOW, limit=200)
    assert sorted_ids(again.spans) == sorted_ids(chosen.spans)


def test_the_same_spans_are_found_in_slices() -> None:
    """However the window is cut, each span is found once."""
    lake = FakeLake(many(300))
    window = TimeRange(T0 + 2 * SECOND, T0 + 5 * SECOND)
    whole = found("{ duration > 1ns }", window, lake)
    assert len(whole) > 50
    for rows_at_once in (1, 7, 100):
        sliced = Cohorts(lake, rows_at_once=rows_at_once).choose("{ duration > 1ns }", window)
        assert (sorted_ids(sliced.spans), sliced.matched) == (whole, len(whole))


def test_relations_are_found_across_slices() -> None:
    """Parent and child may come from different ones."""
    assert found('{ name = "GET /items" } >> { name = "SELECT" }', rows_at_once=1) == [4]


def test_relations_of_too_many_spans_are_refused() -> None:
    """Rather than taking all memory."""
    with pytest.raises(BadQuery, match="would relate more than 3 spans"):
        found("{} > {}", max_related=3)


def test_only_needed_columns_are_read() -> None:
    """Attributes above all: they are most of what is stored."""
    asked: list[tuple[str, ...]] = []

    class Watched(FakeLake):
        def spans_where(self, wanted: Any, columns: Any = ()) -> pl.DataFrame:
            asked.append(tuple(columns))
            return super().spans_where(wanted, columns)

    found("{ duration > 1s }", lake=Watched(SHOP))
    found("{ .a = 1 }", lake=Watched(SHOP))
    assert asked == [CHOSEN_COLUMNS, (*CHOSEN_COLUMNS, "attributes")]


@settings(max_examples=40)
@given(conditions(), st.lists(rows(), min_size=1, max_size=8, unique_by=lambda row: row["span"]))
def test_the_road_through_the_store_loses_nothing(condition: Condition, given_rows: list[dict[str, Any]]) -> None:
    """What the store is asked for holds all that matches."""
    expected = sorted(row["span"] for row in given_rows if holds(condition, row))
    assert found(write(SpansWith(condition)), lake=FakeLake(tables(given_rows))) == expected
