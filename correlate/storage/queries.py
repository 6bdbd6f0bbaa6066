"""The questions of `ports.Lake`, as conditions on row groups and rows."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import polars as pl

from correlate.model.ids import TraceId
from correlate.model.queries import SampleFilter, TimeRange
from correlate.storage.file_cache import FileCache
from correlate.storage.index import Index, Mask
from correlate.storage.reader import Condition, TableReader
from correlate.tables.schema import PROFILES, SPANS

_SUMS: Final = {"stack": pl.Int64, "value": pl.Int64, "weight": pl.Int64}
_NAMED: Final = ("trace_hi", "trace_lo", "span")
_SPAN_SUMS: Final = dict.fromkeys((*_NAMED, "value", "weight"), pl.Int64)

KEPT_OF_PROFILES: Final = frozenset(PROFILES) - {"format", "sender", "received_ns", "sample_rows", "sample_count"}
_KEPT_SCHEMA: Final = {name: PROFILES[name] for name in sorted(KEPT_OF_PROFILES)}

SPAN_KEY = ["trace_hi", "trace_lo", "span", "service", "kind", "start_ns"]
"""A span stored twice, because it came in two requests that were cut differently, is one span."""


def spans_of_trace(spans: TableReader, trace: TraceId, columns: Sequence[str] = ()) -> pl.DataFrame:
    """SPANS rows of a trace by start time, each once; with `columns`, only those."""
    found = spans.read(
        lambda index: (index.low["trace_hi"] <= trace.hi) & (index.high["trace_hi"] >= trace.hi),
        _of_trace(trace),
        tuple(dict.fromkeys((*SPAN_KEY, *columns))) if columns else (),
    )
    once = found.unique(SPAN_KEY, keep="first", maintain_order=True).sort("start_ns", maintain_order=True)
    return once.select(columns) if columns else once


def spans_named(spans: TableReader, ids: Sequence[int], window: TimeRange) -> pl.DataFrame:
    """Columns span, trace_hi, trace_lo of stored spans with some ids that overlap a window."""
    return span_columns(spans, pl.Series(ids, dtype=pl.Int64), window, ("span", "trace_hi", "trace_lo"))


def span_columns(spans: TableReader, ids: pl.Series, window: TimeRange, columns: tuple[str, ...]) -> pl.DataFrame:
    """Some columns of stored spans with some ids that overlap a window, each row once."""
    if ids.is_empty():
        return pl.DataFrame(schema={name: SPANS[name] for name in columns})
    named = pl.col("span") == ids[0] if len(ids) == 1 else pl.col("span").is_in(ids.implode())
    overlaps = (pl.col("start_ns") < window.end_ns) & _not_over("start_ns", window.start_ns)
    return spans.read(
        lambda index: overlap(index, "start_ns", window.start_ns, window.end_ns - 1),
        Condition(overlaps & named, ("span", "start_ns", "duration_ns"), named, ("span",)),
        columns=columns,
    ).unique()


def samples(table: TableReader, wanted: SampleFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
    """SAMPLES rows that a filter selects; with `columns`, only those."""
    return table.read(lambda index: _sample_groups(index, wanted), _sample_condition(wanted), columns, _whole(wanted))


def stack_sums(table: TableReader, wanted: SampleFilter) -> pl.DataFrame:
    """Columns stack, value, weight: the samples that a filter selects, added up by stack."""
    parts = table.fold(
        lambda index: _sample_groups(index, wanted), _sample_condition(wanted), tuple(_SUMS), _by_stack, _whole(wanted)
    )
    return _by_stack(pl.concat([pl.DataFrame(schema=_SUMS), *parts]).lazy()).collect()


def _by_stack(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.group_by("stack").agg(pl.col("value", "weight").cast(pl.Int64).sum())


def span_sums(table: TableReader, wanted: SampleFilter, stacks: pl.Series) -> pl.DataFrame:
    """Columns trace_hi, trace_lo, span, value, weight: selected samples with one of some stacks, by what they name."""
    chosen = pl.col("stack").is_in(stacks.implode())
    parts = table.fold(
        lambda index: _sample_groups(index, wanted),
        _sample_condition(wanted),
        ("stack", *_SPAN_SUMS),
        lambda rows: _by_span(rows.filter(chosen)),
        _whole(wanted),
    )
    return _by_span(pl.concat([pl.DataFrame(schema=_SPAN_SUMS), *parts]).lazy()).collect()


def _by_span(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.group_by(_NAMED).agg(pl.col("value", "weight").cast(pl.Int64).sum())


def _whole(wanted: SampleFilter) -> Callable[[Index], Mask] | None:
    named = bool(wanted.spans or wanted.profiles or wanted.trace is not None)
    return None if named else lambda index: _whole_groups(index, wanted)


def profiles(
    table: TableReader, kept: FileCache, services: Sequence[str], window: TimeRange, columns: Sequence[str] = ()
) -> pl.DataFrame:
    """PROFILES rows of some services (empty: all) whose interval overlaps a window; with `columns`, only those.

    Files are small here, and every question about a span needs the same few columns of them: those are kept in memory.
    """
    keep = (pl.col("time_ns") < window.end_ns) & _not_over("time_ns", window.start_ns)
    if services:
        keep &= pl.col("service").is_in(list(services))

    def pick(index: Index) -> Mask:
        return overlap(index, "time_ns", window.start_ns, window.end_ns - 1)

    if not columns or not KEPT_OF_PROFILES.issuperset(columns):
        condition = Condition(keep, ("service", "time_ns", "duration_ns"))
        found = table.read(pick, condition, tuple(dict.fromkeys(("profile", *columns))) if columns else ())
    else:
        parts = [part.filter(keep) for part in table.whole_files(pick, sorted(KEPT_OF_PROFILES), kept)]
        found = pl.concat([pl.DataFrame(schema=_KEPT_SCHEMA), *parts])
    return found.unique("profile", keep="any").select(columns or found.columns)


def series(table: TableReader, ids: Sequence[int]) -> pl.DataFrame:
    """SERIES rows by id, each once."""
    array = np.array(ids, np.int64)
    low, high = (int(array.min()), int(array.max())) if len(array) else (1, 0)
    found = table.read(
        lambda index: (index.low["series"] <= high) & (index.high["series"] >= low),
        Condition(pl.col("series").is_in(pl.Series(array).implode()), ("series",)),
    )
    return found.unique("series", keep="any")


def of_services(table: TableReader, service_ids: Sequence[int]) -> pl.DataFrame:
    """STACKS or FRAMES rows of some services."""
    wanted = Condition(pl.col("service").is_in(pl.Series(service_ids, dtype=pl.Int64).implode()), ("service",))
    return table.read(lambda index: groups_of_services(index, service_ids), wanted)


def groups_of_services(index: Index, service_ids: Sequence[int]) -> Mask:
    """Row groups of STACKS or FRAMES that can hold rows of some services."""
    ids = np.array(service_ids, np.int64)
    inside = (index.low["service"][:, None] <= ids) & (index.high["service"][:, None] >= ids)
    return np.asarray(inside.any(axis=1))


def _sample_groups(index: Index, wanted: SampleFilter) -> Mask:
    chosen = overlap(index, "time_ns", wanted.start_ns, wanted.end_ns)
    for column, ids in (("service", wanted.service_ids), ("type", wanted.type_ids)):
        if ids:
            inside = [(index.low[column] <= i) & (index.high[column] >= i) for i in ids]
            chosen &= np.logical_or.reduce(inside)
    return chosen


def _whole_groups(index: Index, wanted: SampleFilter) -> Mask:
    """Row groups of samples that lie inside the window and are of a wanted service and type throughout."""
    inside = (index.low["time_ns"] >= wanted.start_ns) & (index.high["time_ns"] <= wanted.end_ns)
    inside &= index.low["duration_ns"] >= 0
    for column, ids in (("service", wanted.service_ids), ("type", wanted.type_ids)):
        if ids:
            inside &= (index.low[column] == index.high[column]) & np.isin(index.low[column], ids)
    return inside


def _sample_condition(wanted: SampleFilter) -> Condition:
    rows = (pl.col("time_ns") <= wanted.end_ns) & _not_over("time_ns", wanted.start_ns)
    columns = ["time_ns", "duration_ns"]
    for column, ids in (("service", wanted.service_ids), ("type", wanted.type_ids)):
        if ids:
            rows &= _any_of(column, ids)
            columns.append(column)
    naming = _naming(wanted)
    if not naming:
        return Condition(rows, tuple(columns))
    named = functools.reduce(operator.or_, (condition.rows for condition in naming))
    names = tuple(name for condition in naming for name in condition.columns)
    return Condition(rows & named, (*columns, *names), named, names)


def _naming(wanted: SampleFilter) -> list[Condition]:
    """The ways in which a sample may be named: by its span, its trace, or its profile."""
    named = [("span", wanted.spans), ("profile", wanted.profiles)]
    conditions = [Condition(_any_of(column, ids), (column,)) for column, ids in named if ids]
    return conditions if wanted.trace is None else [*conditions, _of_trace(wanted.trace)]


def _of_trace(trace: TraceId) -> Condition:
    low = pl.col("trace_lo") == trace.lo
    return Condition((pl.col("trace_hi") == trace.hi) & low, ("trace_hi", "trace_lo"), low, ("trace_lo",), trace.lo)


def _any_of(column: str, ids: tuple[int, ...]) -> pl.Expr:
    return pl.col(column) == ids[0] if len(ids) == 1 else pl.col(column).is_in(pl.Series(ids, dtype=pl.Int64).implode())


def overlap(index: Index, start: str, first_ns: int, last_ns: int) -> Mask:
    """Row groups with rows that may overlap the closed interval of times."""
    not_over = index.high["duration_ns"] >= first_ns - index.high[start]
    return np.asarray((index.low[start] <= last_ns) & not_over)


def _not_over(start: str, first_ns: int) -> pl.Expr:
    """The row's own interval ends at or after a time; a sum could overflow on absurd durations."""
    return pl.col("duration_ns") >= first_ns - pl.col(start)
