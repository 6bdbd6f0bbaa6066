"""Samples that name their span, for many spans at once."""

import polars as pl

from correlate.joins import exact, scope
from correlate.model.answers import Method, Scope
from correlate.model.ids import TraceId
from tests.support.rows import TRACE, profile, spans

MS = 1_000_000
ROOT, CHILD = 0x11, 0x12
ROOT_TEXT = f"{ROOT:016x}"


def of_many(samples: pl.DataFrame, rows: pl.DataFrame) -> dict[int, int]:
    """Value by the span it was given to."""
    found = exact.attribute_many(samples, rows, Method.AUTO)
    return {} if found is None else dict(found.rows.group_by("span").agg(pl.col("value").sum()).rows())


def test_a_sample_goes_to_the_span_it_names_and_not_to_another_that_refers_to_it_too() -> None:
    """A child whose profile.id is that of its root does not get the root's samples a second time."""
    rows = spans({"span": ROOT, "profile_ref": ROOT_TEXT}, {"span": CHILD, "parent": ROOT, "profile_ref": ROOT_TEXT})
    for ids in ({"span": ROOT, "trace": TRACE}, {"span": ROOT}):
        samples = profile([{"value": 10 * MS, **ids}]).samples
        assert of_many(samples, rows) == {ROOT: 10 * MS}


def test_two_spans_that_refer_to_the_same_samples_share_them_with_nobody_twice() -> None:
    """One of them gets them, always the same."""
    rows = spans(
        {"span": CHILD, "profile_ref": ROOT_TEXT}, {"span": CHILD + 1, "profile_ref": ROOT_TEXT, "start_ns": 5}
    )
    samples = profile([{"value": 10 * MS, "span": ROOT, "trace": TRACE}]).samples
    assert of_many(samples, rows) == of_many(samples, rows[::-1]) == {CHILD: 10 * MS}


def test_a_sample_without_a_trace_is_nobodys_where_two_traces_have_that_span() -> None:
    """On doubt it stays unattributed."""
    rows = spans({"span": ROOT}, {"span": ROOT, "trace_lo": 99})
    assert of_many(profile([{"value": 10 * MS, "span": ROOT}]).samples, rows) == {}


def test_a_span_stored_by_both_sides_of_a_call_gets_its_samples_once() -> None:
    """Client and server may share an id."""
    rows = spans({"span": ROOT, "kind": 3}, {"span": ROOT, "kind": 2, "service": "payment"})
    for ids in ({"span": ROOT, "trace": TRACE}, {"span": ROOT}):
        assert of_many(profile([{"value": 10 * MS, **ids}]).samples, rows) == {ROOT: 10 * MS}


def test_what_a_span_refers_to_is_not_looked_for_in_other_traces() -> None:
    """Ids are unique within a trace only."""
    rows = spans({"span": CHILD, "profile_ref": ROOT_TEXT})
    samples = profile([{"value": 10 * MS, "span": ROOT, "trace": (9, 9)}]).samples
    asked = scope.in_scope(TraceId(*TRACE), rows, CHILD, Scope.SPAN)
    assert exact.attribute(samples, asked, [], Method.AUTO) is None
    assert of_many(samples, rows) == {}
