"""Conditions over columns."""

from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.traceql.bounds import bounds_of
from correlate.traceql.evaluate import matching
from correlate.traceql.operands import Rows, columns_of
from correlate.traceql.parse import parse
from correlate.traceql.plan import Plan
from correlate.traceql.relax import relaxed
from correlate.traceql.syntax import Condition, SpansWith
from tests.support.rows import T0
from tests.support.traceql import conditions, holds, rows, tables

SOME = st.lists(rows(), min_size=1, max_size=8)


def chosen(text: str, *given_rows: dict[str, Any]) -> list[int]:
    """The numbers of the spans that a query chooses, counted from 0."""
    stored = tables([{"span": n + 1, **row} for n, row in enumerate(given_rows)])
    query = parse(text)
    assert isinstance(query, SpansWith)
    return np.flatnonzero(matching(query.condition, Rows(stored.spans, stored.series))).tolist()


def values(*given_values: Any) -> list[dict[str, Any]]:
    """Spans with an attribute ``a``."""
    return [{"attributes": {"a": value}} for value in given_values]


@settings(max_examples=60)
@given(conditions(), SOME)
def test_columns_tell_what_a_look_at_each_span_tells(condition: Condition, given_rows: list[dict[str, Any]]) -> None:
    """Agreement with the slow twin, on all rows and on some of them."""
    stored = tables(given_rows)
    every = Rows(stored.spans, stored.series)
    expected = [holds(condition, row) for row in given_rows]
    assert matching(condition, every).tolist() == expected
    some = np.arange(len(given_rows))[::2]
    assert matching(condition, every.take(some)).tolist() == expected[::2]


@settings(max_examples=60)
@given(conditions(), SOME)
def test_only_the_named_columns_are_looked_at(condition: Condition, given_rows: list[dict[str, Any]]) -> None:
    """What is not read cannot be needed."""
    stored = tables(given_rows)
    narrow = stored.spans.select("trace_hi", *sorted(columns_of(condition)))
    found = matching(condition, Rows(narrow, stored.series))
    assert found.tolist() == matching(condition, Rows(stored.spans, stored.series)).tolist()


@settings(max_examples=60)
@given(conditions(), SOME, st.sets(st.sampled_from(["service", "name", "kind", "duration_ns", "series"])))
def test_a_relaxed_condition_loses_nothing(
    condition: Condition, given_rows: list[dict[str, Any]], columns: set[str]
) -> None:
    """It needs fewer columns and is true wherever the whole one is."""
    weaker = relaxed(condition, columns)
    assert columns_of(weaker) <= columns
    assert all(holds(weaker, row) for row in given_rows if holds(condition, row))


@settings(max_examples=60)
@given(conditions(), SOME)
def test_what_matches_lies_within_the_bounds(condition: Condition, given_rows: list[dict[str, Any]]) -> None:
    """The store may leave out whatever lies outside."""
    bounds = bounds_of(condition)
    for row in (row for row in given_rows if holds(condition, row)):
        assert not bounds.empty
        assert bounds.services is None or row["service"] in bounds.services
        assert bounds.names is None or row["name"] in bounds.names
        assert bounds.kinds is None or row["kind"] in bounds.kinds
        assert bounds.statuses is None or row["status"] in bounds.statuses
        assert bounds.shortest_ns <= row["duration_ns"] <= bounds.longest_ns


def test_types_do_not_mix_but_numbers_do() -> None:
    """An integer is no text; whole and decimal numbers are compared as numbers, large ones exactly."""
    spans = values(200, "200", 200.0, True, 2**53 + 1, None)
    assert chosen("{ .a = 200 }", *spans) == [0, 2]
    assert chosen('{ .a = "200" }', *spans) == [1]
    assert chosen("{ .a = true }", *spans) == [3]
    assert chosen("{ .a > 9007199254740992 }", *spans) == [4]
    assert chosen("{ .a > 199.5 }", *spans) == [0, 2, 4]


def test_a_missing_attribute_never_matches() -> None:
    """Not with ``!=`` either; only ``= nil`` and a negation find what lacks it."""
    spans = [*values("x", None), {}]
    assert chosen('{ .a != "y" }', *spans) == [0]
    assert chosen('{ .a !~ "y" }', *spans) == [0]
    assert chosen("{ .a = nil }", *spans) == [1, 2]
    assert chosen('{ !(.a = "x") }', *spans) == [1, 2]


def test_regular_expressions_match_whole_texts() -> None:
    """As in Tempo: anchored at both ends, and a dot is any character."""
    spans = [{"name": name} for name in ("GET /a", "GET /a/b", "POST /a\nb", "get /a")]
    assert chosen('{ name =~ "GET" }', *spans) == []
    assert chosen('{ name =~ "GET /[ab]" }', *spans) == [0]
    assert chosen('{ name =~ "GET.*|POST.*" }', *spans) == [0, 1, 2]
    assert chosen('{ name =~ "(?i)get /a" }', *spans) == [0, 3]
    assert chosen('{ name !~ "GET.*" }', *spans) == [2, 3]


def test_one_member_of_an_array_is_enough() -> None:
    """With ``!=`` it takes all of them; nothing matches an empty one."""
    spans = values(["x", 'q"\\'], ["y"], [], [1, 2], "x")
    assert chosen('{ .a = "x" }', *spans) == [0, 4]
    assert chosen('{ .a = "q\\"\\\\" }', *spans) == [0]
    assert chosen('{ .a != "x" }', *spans) == [1]
    assert chosen('{ .a =~ "x|y" }', *spans) == [0, 1, 4]
    assert chosen("{ .a > 1 }", *spans) == [3]


def test_an_attribute_of_the_span_goes_before_one_of_its_resource() -> None:
    """Unless the scope says otherwise."""
    spans = [
        {"attributes": {"a": "own"}, "resource": {"a": "shared"}},
        {"resource": {"a": "shared"}},
        {"attributes": {"a": "own"}},
    ]
    assert chosen('{ .a = "own" }', *spans) == [0, 2]
    assert chosen('{ .a = "shared" }', *spans) == [1]
    assert chosen('{ resource.a = "shared" }', *spans) == [0, 1]
    assert chosen("{ span.a != nil }", *spans) == [0, 2]


def test_ids_are_compared_as_numbers_of_16_or_32_digits() -> None:
    """Short and upper-case ones are understood."""
    spans = [{"span": 0xAB, "parent": 0}, {"span": 2, "parent": 0xAB}]
    assert chosen('{ span:id = "AB" }', *spans) == [0]
    assert chosen('{ span:parentID = "00000000000000ab" }', *spans) == [1]
    assert chosen('{ span:id =~ "0+ab" }', *spans) == [0]
    assert chosen('{ trace:id = "7000000000000000b" }', *spans) == [0, 1]


def test_rows_without_their_series_lack_its_attributes() -> None:
    """A series that is not stored is no error."""
    stored = tables([{"span": 1, "resource": {"a": "x"}}])
    condition = Plan.of(parse('{ resource.a = "x" }')).conditions[0]
    assert matching(condition, Rows(stored.spans, stored.series.head(0))).tolist() == [False]


def test_no_rows_are_no_problem() -> None:
    """Every kind of condition copes with an empty table."""
    stored = tables([{"span": 1}])
    none = Rows(stored.spans.head(0), stored.series)
    text = '{ .a = "x" && .b > 1 || resource.c = true && .d =~ "x" || name = "x" && 1 = 1 || span:id = "1" }'
    assert matching(Plan.of(parse(text)).conditions[0], none).tolist() == []


def operations(*rows_: tuple[str, str, int]) -> pl.DataFrame:
    """What the lake says of operations: ten spans of each, in the hour after `T0`."""
    frame = pl.DataFrame(rows_, schema={"service": pl.String, "name": pl.String, "kind": pl.Int8}, orient="row")
    return frame.with_columns(
        span_count=pl.lit(10, pl.Int64),
        error_count=pl.lit(1, pl.Int64),
        first_ns=pl.lit(T0, pl.Int64),
        last_ns=pl.lit(T0 + 3600, pl.Int64),
    )


def test_operations_narrow_down_where_to_look() -> None:
    """A regular expression becomes names; what no operation can match is not looked for at all."""
    known = operations(("checkout", "GET /a", 2), ("checkout", "GET /b", 2), ("cart", "PUT", 3))
    reach = Plan.of(parse('{ name =~ "GET.*" && duration > 1s && .a = 1 }')).reach(known)
    assert reach is not None
    assert (reach.bounds.names, reach.bounds.services) == ({"GET /a", "GET /b"}, {"checkout"})
    assert (reach.bounds.shortest_ns, reach.span_count) == (10**9, 20)
    assert Plan.of(parse('{ name = "DELETE" }')).reach(known) is None
    assert Plan.of(parse('{ name = "PUT" && name = "GET /a" }')).reach(known) is None
    failed = Plan.of(parse("{ status = error }")).reach(known)
    assert failed is not None
    assert failed.span_count == 3
    everywhere = Plan.of(parse("{ .a = 1 }")).reach(known)
    assert everywhere is not None
    assert (everywhere.bounds.names, everywhere.span_count) == (None, 30)
