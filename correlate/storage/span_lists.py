"""The newest or the slowest spans of a service, without reading more of the table than needed."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from correlate.model.queries import TimeRange
from correlate.storage.layout import HOUR_NS
from correlate.storage.queries import SPAN_KEY, overlap
from correlate.storage.reader import Condition, TableReader

_KEYS: Final = (*SPAN_KEY, "duration_ns")
_GROWTH: Final = 4


def spans_of_service(
    spans: TableReader, service: str, operation: str | None, window: TimeRange, *, limit: int, slowest: bool
) -> pl.DataFrame:
    """SPANS rows of a service, or of one operation of it, that overlap a window: the newest or the slowest first.

    The newest are looked for from the end of the stored time backwards, in growing steps; the slowest may be anywhere.
    Only the columns that decide are read of all candidates, the others of the few that are returned.
    """
    steps = [window] if slowest else _backwards(spans, window)
    order = "duration_ns" if slowest else "start_ns"
    found = pl.DataFrame(schema=dict.fromkeys(_KEYS, pl.Int64))
    for step in steps:
        found = _keys(spans, service, operation, step)
        if len(found) >= limit:
            break
    found = found.sort(order, descending=True).head(limit)
    return _whole(spans, found).sort(order, descending=True) if len(found) else found_nothing(spans)


def found_nothing(spans: TableReader) -> pl.DataFrame:
    """No SPANS rows."""
    return spans.read(lambda index: np.zeros(len(index.rows), bool), Condition(pl.lit(True), ("span",)))


def _backwards(spans: TableReader, window: TimeRange) -> Iterator[TimeRange]:
    """Ever longer ends of a window, as far as spans are stored."""
    index = spans.index()
    if not len(index.rows):
        return
    first = max(window.start_ns, int(index.low["start_ns"].min()))
    last = min(window.end_ns, int(index.high["start_ns"].max()) + 1)
    length = HOUR_NS
    while last - length > first:
        yield TimeRange(last - length, window.end_ns)
        length *= _GROWTH
    yield window


def _keys(spans: TableReader, service: str, operation: str | None, window: TimeRange) -> pl.DataFrame:
    rows = (pl.col("service") == service) & (pl.col("start_ns") < window.end_ns)
    rows &= pl.col("duration_ns") >= window.start_ns - pl.col("start_ns")
    columns: tuple[str, ...] = ("service", "start_ns", "duration_ns")
    if operation is not None:
        rows &= pl.col("name") == operation
        columns = (*columns, "name")
    found = spans.read(
        lambda index: overlap(index, "start_ns", window.start_ns, window.end_ns - 1), Condition(rows, columns), _KEYS
    )
    return found.unique(SPAN_KEY, keep="any")


def _whole(spans: TableReader, keys: pl.DataFrame) -> pl.DataFrame:
    """All columns of some spans, found again by their traces."""
    traces = keys["trace_hi"].unique().to_numpy()
    starts = keys["start_ns"].to_numpy()
    found = spans.read(
        lambda index: (
            holding(index.low["trace_hi"], index.high["trace_hi"], traces)
            & holding(index.low["start_ns"], index.high["start_ns"], starts)
        ),
        Condition(pl.col("span").is_in(keys["span"].unique().implode()), ("span",)),
    )
    return found.join(keys, on=SPAN_KEY, how="semi").unique(SPAN_KEY, keep="any")


def holding(
    low: np.ndarray[tuple[int], np.dtype[np.int64]],
    high: np.ndarray[tuple[int], np.dtype[np.int64]],
    values: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which ranges hold at least one of some values, by counting the values up to each end."""
    ordered = np.sort(values)
    return np.searchsorted(ordered, high, side="right") > np.searchsorted(ordered, low, side="left")
