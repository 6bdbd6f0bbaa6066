"""Spans by what they are: service, name, duration, kind, status, or the traces they belong to."""

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from correlate.model.queries import SpanFilter, TimeRange
from correlate.storage.index import Index, Mask
from correlate.storage.queries import SPAN_KEY, overlap
from correlate.storage.reader import Condition, TableReader
from correlate.storage.span_lists import holding

_ALWAYS: Final = ("start_ns", "duration_ns")
_TRACE: Final = ("trace_hi", "trace_lo")


def spans_where(spans: TableReader, wanted: SpanFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
    """SPANS rows that a filter selects, each once; with `columns`, only those."""
    window = TimeRange(wanted.start_ns, wanted.end_ns)
    chosen, needed = _conditions(wanted)

    def pick(index: Index) -> Mask:
        able = index.high["duration_ns"] >= wanted.min_duration_ns
        return able if wanted.max_duration_ns is None else able & (index.low["duration_ns"] <= wanted.max_duration_ns)

    return _once(spans, window, pick, Condition(chosen, tuple(needed)), columns)


def spans_of_traces(
    spans: TableReader, traces: pl.DataFrame, window: TimeRange, columns: Sequence[str] = ()
) -> pl.DataFrame:
    """SPANS rows of some traces (columns trace_hi, trace_lo) that overlap a window, each once."""
    high = traces["trace_hi"].unique().to_numpy()
    low = pl.col("trace_lo").is_in(traces["trace_lo"].unique().implode())
    found = _once(
        spans,
        window,
        lambda index: holding(index.low["trace_hi"], index.high["trace_hi"], high),
        Condition(low, ("trace_lo",), low, ("trace_lo",)),
        tuple(dict.fromkeys((*columns, *_TRACE))) if columns else (),
    )
    found = found.join(traces.select(_TRACE), on=_TRACE, how="semi")
    return found.select(columns) if columns else found


def _once(
    spans: TableReader,
    window: TimeRange,
    pick: Callable[[Index], Mask],
    chosen: Condition,
    columns: Sequence[str],
) -> pl.DataFrame:
    """The rows that satisfy a condition and overlap a window, each once."""
    inside = (pl.col("start_ns") < window.end_ns) & (pl.col("duration_ns") >= window.start_ns - pl.col("start_ns"))
    found = spans.read(
        lambda index: pick(index) & overlap(index, "start_ns", window.start_ns, window.end_ns - 1),
        Condition(inside & chosen.rows, (*_ALWAYS, *chosen.columns), chosen.first, chosen.first_columns),
        tuple(dict.fromkeys((*SPAN_KEY, *columns))) if columns else (),
    )
    once = _without_repeats(found)
    return once.select(columns) if columns else once


def _without_repeats(found: pl.DataFrame) -> pl.DataFrame:
    """Each span once. Span ids are random, so the few that occur twice are all that has to be looked at closely."""
    twice = found["span"].is_duplicated()
    if not twice.any():
        return found
    return pl.concat([found.filter(~twice), found.filter(twice).unique(SPAN_KEY, keep="any")])


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
            rows &= pl.col(column) == values[0] if len(values) == 1 else pl.col(column).is_in(list(values))
            columns.append(column)
    if wanted.min_duration_ns > 0:
        rows &= pl.col("duration_ns") >= wanted.min_duration_ns
    if wanted.max_duration_ns is not None:
        rows &= pl.col("duration_ns") <= wanted.max_duration_ns
    return rows, columns
