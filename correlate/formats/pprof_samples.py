"""Stored samples written as a pprof profile, for ``go tool pprof`` and everything else that reads the format."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.formats.pprof_write import PprofProfile, write
from correlate.model.profile_type import ProfileType
from correlate.tables.hashing import sequence_hashes
from correlate.tables.hexadecimal import to_hex, trace_to_hex
from correlate.tables.symbols import Symbols

I64 = npt.NDArray[np.int64]

_KEYS: Final = ["stack", "span", "trace_hi", "trace_lo"]


def write_samples(
    symbols: Symbols, rows: pl.DataFrame, profile_type: ProfileType, time_ns: int, duration_ns: int, period: int
) -> bytes:
    """Write samples as pprof, gzip-compressed.

    Inlined frames join the location they are inlined into. Samples that name a span or a trace carry the labels
    ``span_id`` and ``trace_id``; samples that agree in stack and ids become one.

    Args:
        symbols: stacks and frames of the samples' service; unknown stacks show as ``[unknown]``.
        rows: columns stack and value, and if there are any weight, span, trace_hi, trace_lo, as in SAMPLES. Where
            values are times, weights become a sample type ``samples/count`` before them.
        profile_type: what the values are.
        time_ns: start of the profile, nanoseconds since the Unix epoch.
        duration_ns: length of the profile.
        period: between two samples, in the unit of the period type; 0: unknown.
    """
    timed = profile_type.sample_unit == "nanoseconds"  # of bytes or objects, the number of hits says nothing
    merged = _merged(rows if timed else rows.drop("weight", strict=False))
    places = _locations(symbols, merged["stack"].to_numpy())
    tables = _Tables()
    symbol_tables = _symbol_tables(tables, symbols.frames, places)
    period_type = tables.positions(pl.Series([profile_type.period_type, profile_type.period_unit]))
    profile = PprofProfile(
        sample_types=_sample_types(tables, profile_type, "weight" in merged.columns),
        samples=_samples(tables, merged, places),
        mappings=symbol_tables.mappings,
        locations=symbol_tables.locations,
        functions=symbol_tables.functions,
        period_type=(int(period_type[0]), int(period_type[1])),
        period=period,
        time_ns=time_ns,
        duration_ns=duration_ns,
        strings=tables.strings(),
    )
    return write(profile)


class _Locations(NamedTuple):
    """Locations made of frames again.

    Attributes:
        frames: rows of frames of each distinct location one after the other, outermost call first.
        starts: where each location starts in `frames`, plus the end.
        stack_locations: locations of each sample one after the other, leaf first.
        stack_starts: where each sample starts in `stack_locations`, plus the end.
    """

    frames: I64
    starts: I64
    stack_locations: I64
    stack_starts: I64


class _Tables:
    """The string table while it grows; columns of text get positions in it."""

    def __init__(self) -> None:
        self._parts = [pl.Series([""])]
        self._count = 1

    def positions(self, column: pl.Series) -> I64:
        """Where the texts of a column are; each distinct one is added once, the empty one is always at 0."""
        distinct = column.filter(column != "").unique(maintain_order=True)
        known = pl.DataFrame({"text": distinct, "at": np.arange(len(distinct)) + self._count})
        self._parts.append(distinct)
        self._count += len(distinct)
        at = column.alias("text").to_frame().join(known, on="text", how="left", maintain_order="left")["at"]
        return at.fill_null(0).to_numpy()

    def strings(self) -> pl.Series:
        """The table so far, as bytes."""
        return pl.concat([part.cast(pl.String).rename("strings") for part in self._parts]).cast(pl.Binary)


def _merged(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per stack and ids, with sums."""
    keys = [name for name in _KEYS if name in rows.columns]
    sums = [name for name in ("weight", "value") if name in rows.columns]
    merged = rows.group_by(keys, maintain_order=True).agg(pl.col(name).cast(pl.Int64).sum() for name in sums)
    return merged.with_columns(pl.lit(0, pl.Int64).alias(name) for name in _KEYS if name not in keys)


def _locations(symbols: Symbols, stacks: I64) -> _Locations:
    """Join the frames of stacks to locations: one begins at every frame that is not inlined, and at a stack's root."""
    row = symbols.rows_of(stacks)
    unknown = len(symbols.offsets) - 1  # a stack of the one unknown frame, put after the others
    offsets = np.append(symbols.offsets, symbols.offsets[-1] + 1)
    items = np.append(symbols.items, 0)
    row = np.where(row < 0, unknown, row)
    lengths = np.where(stacks == 0, 0, np.diff(offsets)[row])
    bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    flat = np.repeat(offsets[:-1][row] - bounds[:-1], lengths) + np.arange(bounds[-1])
    frames = items[flat].astype(np.int64)
    begins = ~symbols.frames["inlined"].to_numpy()[frames]
    begins[bounds[:-1][lengths > 0]] = True
    starts = np.append(np.flatnonzero(begins), len(frames))
    ids = sequence_hashes(frames, starts)
    _, first, index = np.unique(ids, return_index=True, return_inverse=True)
    counts = np.diff(starts)[first]
    ends = np.cumsum(counts)
    taken = np.repeat(starts[:-1][first] - (ends - counts), counts) + np.arange(len(np.repeat(first, counts)))
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(begins)])[bounds]
    return _Locations(
        frames[taken],
        np.concatenate([np.zeros(1, np.int64), ends]),
        index[_reversed_within(before)],
        before,
    )


def _reversed_within(starts: I64) -> I64:
    """Positions that turn each sequence around, given where the sequences start, plus the end."""
    ends = np.repeat(starts[:-1] + starts[1:] - 1, np.diff(starts))
    return ends - np.arange(len(ends))


def _sample_types(tables: _Tables, profile_type: ProfileType, counted: bool) -> pl.DataFrame:
    count_type = "contentions" if profile_type.sample_type == "delay" else "samples"
    names = [(count_type, "count")] * counted + [(profile_type.sample_type, profile_type.sample_unit)]
    types = tables.positions(pl.Series([name for name, _ in names]))
    return pl.DataFrame({"type": types, "unit": tables.positions(pl.Series([unit for _, unit in names]))})


def _samples(tables: _Tables, rows: pl.DataFrame, places: _Locations) -> pl.DataFrame:
    values = [name for name in ("weight", "value") if name in rows.columns]
    location_ids = pl.Series((places.stack_locations + 1).astype(np.uint64))
    return pl.DataFrame(
        [
            _lists("location_id", location_ids, places.stack_starts),
            rows.select(pl.concat_list(values).alias("value")).to_series(),
            _labels(tables, rows),
        ]
    )


def _labels(tables: _Tables, rows: pl.DataFrame) -> pl.Series:
    """Labels span_id and trace_id of the samples that have such ids."""
    span = rows["span"].to_numpy()
    hi, lo = rows["trace_hi"].to_numpy(), rows["trace_lo"].to_numpy()
    sample = np.concatenate([np.flatnonzero(span), np.flatnonzero((hi != 0) | (lo != 0))])
    spans = int(np.count_nonzero(span))
    text = pl.concat([to_hex(span[sample[:spans]]), trace_to_hex(hi[sample[spans:]], lo[sample[spans:]])])
    keys = pl.Series(["span_id"] * spans + ["trace_id"] * (len(sample) - spans), dtype=pl.String)
    order = np.argsort(sample, kind="stable")
    zeros = np.zeros(len(sample), np.int64)
    items = pl.DataFrame(
        {
            "key": tables.positions(keys)[order],
            "str": tables.positions(text)[order],
            "num": zeros,
            "num_unit": zeros,
        }
    )
    return _lists("label", items.to_struct(), np.searchsorted(sample[order], np.arange(len(rows) + 1)))


class _SymbolTables(NamedTuple):
    mappings: pl.DataFrame
    locations: pl.DataFrame
    functions: pl.DataFrame


def _symbol_tables(tables: _Tables, frames: pl.DataFrame, places: _Locations) -> _SymbolTables:
    """The mapping, location and function tables of some locations."""
    rows = frames[places.frames].with_columns(pl.col("line", "column", "start_line", "address").fill_null(0))
    functions, function = _numbered(rows.select("function", "system_name", "file", "start_line"))
    outer = rows[places.starts[:-1]]
    mappings, mapping = _numbered(outer.select("mapping", "build_id"))
    named = (rows["function"] != "").to_numpy()
    inward = _reversed_within(places.starts)  # lines are innermost first
    kept = named[inward]
    lines = pl.DataFrame(
        {
            "function_id": function[inward][kept].astype(np.uint64),
            "line": rows["line"].to_numpy()[inward][kept],
            "column": rows["column"].to_numpy()[inward][kept],
        }
    )
    line_starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])[places.starts]
    locations = [
        pl.Series("id", np.arange(1, len(outer) + 1, dtype=np.uint64)),
        pl.Series("mapping_id", mapping.astype(np.uint64)),
        pl.Series("address", outer["address"].to_numpy().view(np.uint64)),
        _lists("line", lines.to_struct(), line_starts),
        pl.repeat(value=False, n=len(outer), eager=True).alias("is_folded"),
    ]
    return _SymbolTables(_mapping_table(tables, mappings), pl.DataFrame(locations), _function_table(tables, functions))


def _numbered(rows: pl.DataFrame) -> tuple[pl.DataFrame, I64]:
    """Distinct rows, and for each row the id (from 1) of its distinct one."""
    distinct = rows.unique(maintain_order=True).with_row_index("id", offset=1)
    ids = rows.join(distinct, on=rows.columns, how="left", maintain_order="left", nulls_equal=True)["id"]
    return distinct, ids.cast(pl.Int64).to_numpy()


def _mapping_table(tables: _Tables, rows: pl.DataFrame) -> pl.DataFrame:
    # Said to have its symbols, so that readers do not go looking for the binary.
    zeros = {name: np.zeros(len(rows), np.uint64) for name in ("memory_start", "memory_limit", "file_offset")}
    flags = ("has_functions", "has_filenames", "has_line_numbers", "has_inline_frames")
    return pl.DataFrame(
        {
            "id": rows["id"].cast(pl.UInt64),
            **zeros,
            "filename": tables.positions(rows["mapping"]),
            "build_id": tables.positions(rows["build_id"]),
            **{name: np.ones(len(rows), bool) for name in flags},
        }
    )


def _function_table(tables: _Tables, rows: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": rows["id"].cast(pl.UInt64),
            "name": tables.positions(rows["function"]),
            "system_name": tables.positions(rows["system_name"]),
            "filename": tables.positions(rows["file"]),
            "start_line": rows["start_line"].cast(pl.Int64),
        }
    )


def _lists(name: str, items: pl.Series, starts: I64) -> pl.Series:
    """A list column of items laid end to end."""
    array = pa.LargeListArray.from_arrays(pa.array(starts.astype(np.int64)), items.to_arrow())
    return pl.Series(name, pl.from_arrow(array))
