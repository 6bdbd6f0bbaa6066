"""Spans by what they are: the lake answers as the obvious filter does."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from correlate.model.queries import SpanFilter, TimeRange
from correlate.services.cohorts import Cohorts
from correlate.storage.lake import LakeOptions, LakeStore, open_lake
from correlate.storage.queries import SPAN_KEY
from correlate.tables.tables import Tables
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, with_series
from tests.support.store import FixedClock, many_spans
from tests.support.traceql import sorted_ids

HOUR = 3600 * SECOND
ALL = TimeRange(0, 1 << 62)


def some_spans() -> Tables:
    """Spans of several services, names, kinds and statuses over two hours, and some of them once more."""
    rng = np.random.default_rng(3)
    spans = many_spans(4000, 3).with_columns(
        service=pl.Series(rng.choice(["checkout", "cart", "db"], 4000)),
        name=pl.Series(rng.choice(["GET /a", "GET /b", "SELECT"], 4000)),
        kind=pl.Series(rng.integers(0, 6, 4000), dtype=pl.Int8),
        status=pl.Series(rng.integers(0, 3, 4000), dtype=pl.Int8),
    )
    before, even = pl.col("span").shift(1), pl.int_range(pl.len()) % 2 == 0  # a tree with siblings in every trace
    parent = pl.when(even).then(before).otherwise(pl.col("span").shift(2)).fill_null(0)
    spans = spans.with_columns(parent=parent.over("trace_hi", "trace_lo"))
    again = spans.head(500).with_columns(payload=pl.lit(77, pl.Int64))
    return with_series(pl.concat([spans, again]))


SPANS = some_spans()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LakeStore]:
    """A lake with the spans in several files, some of which are large enough to be scanned."""
    folder: Path = tmp_path_factory.mktemp("lake")
    with open_lake(str(folder), options=LakeOptions(linger_s=0.0), clock=FixedClock(T0)) as store:
        for payload in SPANS.spans.partition_by("payload"):
            store.submit(Tables(spans=payload, series=SPANS.series)).result(30)
        yield store


def keys(rows: pl.DataFrame) -> list[tuple[object, ...]]:
    """What identifies the rows, sorted."""
    return sorted(rows.select(SPAN_KEY).rows())


FILTERS = [
    SpanFilter(0, 1 << 62),
    SpanFilter(T0 + HOUR, T0 + HOUR + 60 * SECOND),
    SpanFilter(T0 + HOUR, T0 + HOUR),
    SpanFilter(0, 1 << 62, services=("cart",)),
    SpanFilter(0, 1 << 62, services=("cart", "db"), names=("SELECT",)),
    SpanFilter(0, 1 << 62, min_duration_ns=2),
    SpanFilter(0, 1 << 62, min_duration_ns=SECOND, max_duration_ns=SECOND),
    SpanFilter(0, 1 << 62, max_duration_ns=1),
    SpanFilter(0, 1 << 62, min_duration_ns=10**18),
    SpanFilter(0, 1 << 62, kinds=(2,), statuses=(0, 2)),
    SpanFilter(T0, T0 + 1800 * SECOND, ("checkout",), ("GET /a",), 1, 10**12, (1, 2, 3), (1,)),
]


@pytest.mark.parametrize("wanted", FILTERS)
def test_a_filter_selects_what_it_says(lake: LakeStore, wanted: SpanFilter) -> None:
    """Each span once, with all its columns or with some."""
    expected = FakeLake(SPANS).spans_where(wanted)
    assert keys(lake.spans_where(wanted)) == keys(expected)
    some = lake.spans_where(wanted, ("name", "span"))
    assert some.columns == ["name", "span"]
    assert sorted(some.rows()) == sorted(expected.select("name", "span").rows())


@pytest.mark.parametrize("window", [ALL, TimeRange(T0, T0 + 600 * SECOND)])
@pytest.mark.parametrize("count", [0, 1, 12])
def test_whole_traces_are_found(lake: LakeStore, window: TimeRange, count: int) -> None:
    """All spans of some traces that overlap a window, each once."""
    traces = SPANS.spans.select("trace_hi", "trace_lo").unique(maintain_order=True).head(count)
    expected = FakeLake(SPANS).spans_of_traces(traces, window)
    assert keys(lake.spans_of_traces(traces, window)) == keys(expected)
    some = lake.spans_of_traces(traces, window, ("span",))
    assert some.columns == ["span"]
    assert sorted_ids(some) == sorted_ids(expected)


@pytest.mark.parametrize(
    "q",
    [
        "{}",
        '{ resource.service.name = "cart" && name =~ "GET.*" && duration > 1s }',
        "{ status = error || kind = consumer }",
        '{ rootServiceName = "db" && traceDuration > 10m }',
        '{ name = "SELECT" } >> { status = error && kind = server }',
        '{ resource.service.name = "db" && status = ok } ~ { kind = client }',
    ],
)
def test_cohorts_are_the_same_from_any_store(lake: LakeStore, q: str) -> None:
    """Whatever the query asks for."""
    window = TimeRange(T0 + 600 * SECOND, T0 + 5000 * SECOND)
    expected = Cohorts(FakeLake(SPANS)).choose(q, window)
    found = Cohorts(lake, rows_at_once=1000).choose(q, window)
    assert found.matched == expected.matched > 0
    assert sorted_ids(found.spans) == sorted_ids(expected.spans)
