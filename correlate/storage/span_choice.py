"""Spans by what they are: service, name, duration, kind, status, or the traces they belong to."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from correlate.model.queries import SpanFilter, TimeRange
from correlate.storage.queries import SPAN_KEY, overlap
from correlate.storage.reader import Condition, TableReader

_ALWAYS: Final = ("start_ns", "duration_ns")


def spans_where(spans: TableReader, wanted: SpanFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
    """SPANS rows that a filter selects, each once; with `columns`, only those."""
    return _once(spans, TimeRange(wanted.start_ns, wanted.end_ns), *_conditions(wanted), columns)


def spans_of_traces(
    spans: TableReader, traces: pl.DataFrame, window: TimeRange, columns: Sequence[str] = ()
) -> pl.DataFrame:
    """SPANS rows of some traces (columns trace_hi, trace_lo) that overlap a window, each once."""
    low = pl.col("trace_lo").is_in(traces["trace_lo"].unique().implode())
    both = ("trace_hi", "trace_lo")
    found = _once(spans, window, low, ("trace_lo",), tuple(dict.fromkeys((*columns, *both))) if columns else ())
    found = found.join(traces.select(both), on=both, how="semi")
    return found.select(columns) if columns else found


def _once(
    spans: TableReader, window: TimeRange, chosen: pl.Expr, needed: Sequence[str], columns: Sequence[str]
) -> pl.DataFrame:
    inside = (pl.col("start_ns") < window.end_ns) & (pl.col("duration_ns") >= window.start_ns - pl.col("start_ns"))
    found = spans.read(
        lambda index: overlap(index, "start_ns", window.start_ns, window.end_ns - 1),
        Condition(inside & chosen, tuple(dict.fromkeys((*_ALWAYS, *needed)))),
        tuple(dict.fromkeys((*SPAN_KEY, *columns))) if columns else (),
    )
    once = found.unique(SPAN_KEY, keep="any")
    return once.select(columns) if columns else once


def _conditions(wanted: SpanFilter) -> tuple[pl.Expr, list[str]]:
    """What the rows must be, and the columns that tell."""
    rows, columns = pl.lit(True), []
    for column, values in (
        ("service", wanted.services),
        ("name", wanted.names),
        ("kind", wanted.kinds),
        ("status", wanted.statuses),
    ):
        if values:
            rows &= pl.col(column).is_in(list(values))
            columns.append(column)
    if wanted.min_duration_ns > 0:
        rows &= pl.col("duration_ns") >= wanted.min_duration_ns
    if wanted.max_duration_ns is not None:
        rows &= pl.col("duration_ns") <= wanted.max_duration_ns
    return rows, columns
