"""From columns to figures, against slow twins that go row by row."""

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.doctor import measure
from correlate.doctor.clocks import TOLERATED_NS
from correlate.tables.schema import ATTRIBUTES, EVIDENCE_AMBIGUOUS, SAMPLES, SERIES
from tests.support.rows import SECOND, T0, spans

PARTS = ("attributed", "orphaned", "misnamed", "trace_only", "unreadable", "ambiguous", "unlabelled", "pending")
CUTOFF = T0 + 100 * SECOND


def samples(*rows: dict[str, int]) -> pl.DataFrame:
    """SAMPLES rows; what a row does not say is 0, value and weight 1, series 1."""
    usual = dict.fromkeys(SAMPLES, 0) | {"value": 1, "weight": 1, "series": 1, "time_ns": T0, "stack": 5}
    return pl.DataFrame([usual | row for row in rows], schema=SAMPLES, orient="row")


def series(**labels: dict[str, str]) -> pl.DataFrame:
    """SERIES rows by number."""
    lists = [[{"key": key, "value": value, "kind": 1} for key, value in each.items()] for each in labels.values()]
    ids = [int(name.removeprefix("s")) for name in labels]
    usual = {"service_id": 0, "service": "shop", "type_id": 0, "type": "cpu"}
    return pl.DataFrame(
        {"series": ids, **{key: [value] * len(ids) for key, value in usual.items()}}
        | {"labels": pl.Series(lists, dtype=ATTRIBUTES)},
        schema=SERIES,
    )


def slow_part(row: dict[str, Any], last_ns: int, stored: set[tuple[int, int]], parents: set[tuple[int, int]]) -> str:
    """Which part a sample belongs to, by the sentence in the documents."""
    trace, span = row["trace_lo"], row["span"]
    traces = {trace for trace, _ in stored}
    if row["evidence"] == EVIDENCE_AMBIGUOUS:
        return "ambiguous"
    if not span:
        return "trace_only" if trace else "unreadable" if row["series"] == 2 else "unlabelled"
    if (trace, span) in stored or (not trace and span in {each for _, each in stored}):
        return "attributed"
    if last_ns > CUTOFF:
        return "pending"
    return "misnamed" if trace in traces and (trace, span) not in parents else "orphaned"


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "span": st.integers(0, 6),
            "trace_lo": st.integers(0, 3),
            "evidence": st.sampled_from([0, 1, 1, 1, EVIDENCE_AMBIGUOUS]),
            "value": st.integers(1, 9),
            "weight": st.integers(1, 3),
            "series": st.sampled_from([1, 2]),
            "time_ns": st.sampled_from([T0, CUTOFF + 1]),
        }
    ),
    min_size=1,
    max_size=30,
)
STORED = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(0, 6)), max_size=8)


@given(ROWS, STORED)
def test_every_sample_is_in_the_part_it_belongs_to(
    rows: list[dict[str, int]], known: list[tuple[int, int, int]]
) -> None:
    """As the slow twin says, and the parts add up to the total."""
    columns = dict.fromkeys(("trace_hi", "trace_lo", "span", "parent"), pl.Int64)
    frame = pl.DataFrame([(0, *each) for each in known], schema=columns, orient="row")
    marked = measure.marks(series(s1={}, s2={"spanId": "x"}))
    sums = measure.named(measure.with_marks(samples(*rows), marked), CUTOFF)
    found = measure.matched(sums, frame.with_columns(service=pl.lit("shop")), "shop")
    figures = measure.labels(found, frame, "cpu", "ns")

    stored, parents = {each[:2] for each in known}, {(trace, parent) for trace, _, parent in known}
    expected: Counter[str] = Counter()
    for row in rows:
        alike = [each for each in rows if (each["span"], each["trace_lo"]) == (row["span"], row["trace_lo"])]
        expected[slow_part(row, max(each["time_ns"] for each in alike), stored, parents)] += row["value"]
    assert {part: getattr(figures, part) for part in PARTS} == {part: expected[part] for part in PARTS}
    assert figures.total == sum(expected.values())
    assert figures.hits == sum(row["weight"] for row in rows)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(-40, 40), st.sampled_from([0, 10]), st.integers(1, 5)),
        min_size=1,
        max_size=20,
    )
)
def test_skew_as_the_slow_twin_sees_it(rows: list[tuple[int, int, int, int]]) -> None:
    """Hits outside, and the median distance of the middles."""
    length = 4 * SECOND
    known = spans(*({"span": span, "trace_lo": span, "duration_ns": length} for span in (1, 2, 3)))
    frame = samples(
        *(
            {"span": span, "time_ns": T0 + at * SECOND, "duration_ns": long * SECOND, "weight": weight}
            for span, at, long, weight in rows
        )
    )
    figures = measure.skew(frame, known)
    outside = [at * SECOND > length + TOLERATED_NS or (at + long) * SECOND < -TOLERATED_NS for _, at, long, _ in rows]
    middles = [(at + long / 2) * SECOND - length / 2 for _, at, long, _ in rows]
    assert figures is not None
    assert figures.hits == sum(weight for *_, weight in rows)
    assert figures.outside_hits == sum(row[3] for row, out in zip(rows, outside, strict=True) if out)
    assert figures.offset_ns == pytest.approx(np.median(middles), abs=1)


def test_skew_without_evidence_is_unknown() -> None:
    """No labels, no spans, or an id that two traces use."""
    known = spans({"span": 1, "trace_lo": 1}, {"span": 1, "trace_lo": 2})
    assert measure.skew(samples({"span": 0}), known) is None
    assert measure.skew(samples({"span": 1}), known.clear()) is None
    assert measure.skew(samples({"span": 1}), known) is None


def test_an_id_shared_by_both_sides_of_a_call_is_the_own_services() -> None:
    """Zipkin's propagation gives the client's and the server's span one id."""
    stored = pl.DataFrame(
        {"trace_hi": [0, 0], "trace_lo": [1, 1], "span": [9, 9], "service": ["bank", "shop"]},
        schema={"trace_hi": pl.Int64, "trace_lo": pl.Int64, "span": pl.Int64, "service": pl.String},
    )
    sums = measure.named(measure.with_marks(samples({"span": 9, "trace_lo": 1}), measure.marks(series())), CUTOFF)
    assert measure.matched(sums, stored, "shop")["owner"].to_list() == ["shop"]
    assert measure.matched(sums, stored, "bank")["owner"].to_list() == ["bank"]


def test_work_enters_a_service_where_the_parent_is_not_its_own() -> None:
    """Roots and callees of other services; their medians and parts of the time."""
    rows = spans(
        {"span": 1, "name": "root", "duration_ns": 30},
        {"span": 2, "parent": 1, "name": "inner", "duration_ns": 20},
        {"span": 3, "parent": 77, "name": "called", "duration_ns": 10},
    )
    found = measure.operations(rows)
    assert [(each.name, each.span_count, each.median_duration_ns, each.time_ratio) for each in found] == [
        ("root", 1, 30, 0.75),
        ("called", 1, 10, 0.25),
    ]


def test_children_without_parents() -> None:
    """Only of spans that ended a while ago: the parent of a younger one may still run."""
    rows = spans(
        {"span": 1},
        {"span": 2, "parent": 1},
        {"span": 3, "parent": 77},
        {"span": 4, "parent": 78, "start_ns": CUTOFF},
    )
    children = measure.parents(rows, CUTOFF)
    figures = measure.traces(children, rows)
    assert (figures.child_count, figures.parentless_count) == (2, 1)


def test_what_labels_tell_processes_apart() -> None:
    """Instances and pods by themselves, process ids with their host only; a host alone is shared."""
    rows = series(
        s1={"service.instance.id": "a", "host.name": "node-1", "env": "prod"},
        s2={"host.name": "node-1", "process.pid": "12"},
        s3={"process.pid": "13"},
    )
    assert measure.identity(rows) == {"service.instance.id=a", "host=node-1 pid=12"}
    assert measure.identity(series(s1={})) == frozenset()
    assert measure.identity(series()) == frozenset()


@pytest.mark.parametrize("key", ["spanId", "span.id", "SpanID", "span_id", "trace-id", "profile.id"])
def test_labels_that_look_like_ids(key: str) -> None:
    """An id that was read is no label any more: what is left under such a key was not."""
    assert measure.marks(series(s1={"env": "prod", key: "x"}))["key"].to_list() == [key]
    assert measure.marks(series(s1={"span_name": "x"}))["key"].to_list() == [""]


def test_what_was_sampled_out() -> None:
    """Value by the mark or by the lack of a stack, and profiles that are only a total."""
    marked = measure.marks(series(s1={}, s2={"__sampled__": "true"}, s3={"__sampled__": "false"}))
    rows = samples({"value": 5}, {"value": 3, "series": 2}, {"value": 2, "series": 3}, {"value": 1, "stack": 0})
    profiles = pl.DataFrame({"sample_rows": [0, 0, 4], "total": [10, 0, 10]})
    figures = measure.sampled_out(measure.with_marks(rows, marked), profiles)
    assert (figures.total, figures.marked, figures.stackless) == (11, 3, 4)
    assert (figures.profile_count, figures.bare_profile_count) == (3, 1)


def test_nothing_at_all_is_measured_too() -> None:
    """Empty frames give zeros."""
    none = measure.with_marks(samples().clear() if samples().width else samples(), measure.marks(series()))
    sums = measure.matched(
        measure.named(none, CUTOFF),
        pl.DataFrame(schema={"trace_hi": pl.Int64, "trace_lo": pl.Int64, "span": pl.Int64, "service": pl.String}),
        "shop",
    )
    figures = measure.labels(sums, spans({"span": 1}).clear(), "cpu", "ns")
    assert (figures.total, figures.hits, figures.share(0)) == (0, 0, 0.0)
    assert measure.operations(spans({"span": 1}).clear()) == ()
