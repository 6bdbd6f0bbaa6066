"""What the doctor reads of a service, and how much of it at most."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from correlate.doctor.measure import SAMPLE_COLUMNS, SPAN_COLUMNS
from correlate.model.queries import SampleFilter, SpanFilter, TimeRange
from correlate.ports import Lake
from correlate.tables.hashing import hash_one
from correlate.tables.schema import SPANS

LOOK_NS: Final = 900_000_000_000
"""The newest quarter of an hour with data: long enough for a hundred uploads, short enough to be of now."""

SETTLE_NS: Final = 30_000_000_000
"""Spans this young may be on their way: exporters send every 5 s, and retry."""

NEAR_NS: Final = 60_000_000_000
"""Spans are looked for that overlap the time of the samples that name them, or a minute to both sides of it."""

FAR_NS: Final = 15 * 3_600_000_000_000
"""Those not found are looked for this far away: local times sent as UTC are up to 14 hours off."""

MAX_SPANS: Final = 10_000
"""Spans of a service that are looked at, by its usual rate."""

MAX_STRAYS: Final = 2_000
"""Spans and traces that are looked for one more time."""

FEW_STRAYS: Final = 0.01
"""Share of spans below which those that are not near are not looked for elsewhere: no complaint would follow."""

MAX_SERIES: Final = 5_000
"""Series of a service whose labels are looked at."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a service is read.

    Attributes:
        now_ns: the time of the examination.
        sample_rows: samples at most; at least one profile is read.
    """

    now_ns: int
    sample_rows: int

    @property
    def cutoff_ns(self) -> int:
        """What is newer may still be on its way."""
        return self.now_ns - SETTLE_NS


def wide(window: TimeRange, by_ns: int) -> TimeRange:
    """A window with so much more on both sides."""
    return TimeRange(max(0, window.start_ns - by_ns), window.end_ns + by_ns)


def profiles(lake: Lake, service: str, last_ns: int) -> pl.DataFrame:
    """PROFILES rows of the newest quarter of an hour of a service, the newest first."""
    columns = ("type", "time_ns", "duration_ns", "sample_rows", "total", "received_ns")
    window = TimeRange(max(0, last_ns - LOOK_NS), last_ns + 1)
    return lake.profiles((service,), window, columns).sort("time_ns", descending=True)


def sample_window(rows: pl.DataFrame, budget: Budget) -> TimeRange:
    """The newest stretch of some profiles (the newest first) whose samples are within the budget."""
    before = rows["sample_rows"].cum_sum() - rows["sample_rows"]
    kept = rows.filter(before < budget.sample_rows)
    starts, ends = kept["time_ns"].to_numpy(), (kept["time_ns"] + kept["duration_ns"]).to_numpy()
    return TimeRange(int(starts.min()), int(ends.max()) + 1)


def samples(lake: Lake, service: str, profile_type: str, window: TimeRange) -> pl.DataFrame:
    """SAMPLES rows of a service and type in a window."""
    wanted = SampleFilter((hash_one(service),), (hash_one(profile_type),), window.start_ns, window.end_ns)
    return lake.samples(wanted, SAMPLE_COLUMNS)


def spans(lake: Lake, service: str, operations: pl.DataFrame) -> pl.DataFrame:
    """SPANS rows of the newest quarter of an hour of a service; less where its usual rate promises too many."""
    first, last = int(operations["first_ns"].to_numpy().min()), int(operations["last_ns"].to_numpy().max())
    usual_ns = (last - first) * MAX_SPANS // max(1, int(operations["span_count"].sum()))
    start_ns = last - min(LOOK_NS, max(usual_ns, 1))
    return lake.spans_where(SpanFilter(max(0, start_ns), last + 1, (service,)), SPAN_COLUMNS)


def series(lake: Lake, *columns: pl.Series) -> pl.DataFrame:
    """SERIES rows of the series in some columns."""
    ids = pl.concat([column.unique() for column in columns]).unique().head(MAX_SERIES)
    return lake.series(ids.to_list())


def stored(lake: Lake, spans: pl.DataFrame, window: TimeRange) -> pl.DataFrame:
    """Columns trace_hi, trace_lo, span, service, start_ns of stored spans with some ids (column span).

    Those that are not near the window, if they are not few, are looked for far away too: all of them if some are there.
    """
    ids = spans["span"].unique()
    near = lake.span_keys(ids, wide(window, NEAR_NS))
    strays = ids.filter(~ids.is_in(near["span"].implode()))
    wanted = strays.head(MAX_STRAYS if len(strays) >= FEW_STRAYS * len(ids) else 0)
    found = _far(lake, wanted, window)
    if len(strays) > MAX_STRAYS and len(found):
        found = _far(lake, strays, window)
    return pl.concat([near, found]).select("trace_hi", "trace_lo", "span", "service", "start_ns").unique()


def _far(lake: Lake, ids: pl.Series, window: TimeRange) -> pl.DataFrame:
    return lake.span_keys(ids, wide(window, FAR_NS))


def relatives(lake: Lake, missing: pl.DataFrame, window: TimeRange) -> pl.DataFrame:
    """Columns trace_hi, trace_lo, parent of the stored spans of some of the traces that missing spans are named in."""
    return _of_traces(lake, _some(missing), wide(window, NEAR_NS), ("trace_hi", "trace_lo", "parent"))


def times(lake: Lake, named: pl.DataFrame) -> pl.DataFrame:
    """Times of the spans of some traces of stored spans: columns trace_hi, trace_lo, span, start_ns, duration_ns."""
    starts = named["start_ns"].to_numpy()
    window = TimeRange(int(starts.min(initial=1 << 62)), int(starts.max(initial=0)) + 1)
    return _of_traces(lake, _some(named), window, ("trace_hi", "trace_lo", "span", "start_ns", "duration_ns"))


def _of_traces(lake: Lake, traces: pl.DataFrame, window: TimeRange, columns: tuple[str, ...]) -> pl.DataFrame:
    if traces.is_empty():  # the usual case, and no reason to read anything
        return pl.DataFrame(schema={name: SPANS[name] for name in columns})
    return lake.spans_of_traces(traces, window, columns)


def _some(spans: pl.DataFrame) -> pl.DataFrame:
    """A random part of the traces of spans, the same each time; a span without a trace has none."""
    traces = spans.select("trace_hi", "trace_lo").unique().sort("trace_hi", "trace_lo")
    traces = traces.filter((pl.col("trace_hi") != 0) | (pl.col("trace_lo") != 0))
    return traces.sample(min(len(traces), MAX_STRAYS), seed=0)
