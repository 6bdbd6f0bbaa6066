"""Decoded pprof payloads, linked: ids and string positions become row numbers, locations become frames.

Facts of the format (google/pprof, proto/profile.proto): stacks are leaf first; a location with several lines stands for
inlined calls, the innermost first and the function that was really called last; position 0 of the string table is the
empty string. Here stacks are root first, and every line is a frame.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.errors import Malformed, TooLarge
from correlate.formats.arrow import Ragged, integers, ragged
from correlate.formats.faults import Faults, refuse
from correlate.formats.limits import MAX_INLINED_FRAMES, MAX_PROFILE_FRAMES, MAX_STACK_FRAMES
from correlate.formats.pprof_ids import IdTable
from correlate.formats.pprof_strings import Strings
from correlate.tables.build import hash_frames
from correlate.tables.distinct import number_sequences, number_values
from correlate.tables.hashing import hash_text
from correlate.tables.ragged import offsets_of, positions_of

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stacks:
    """The stacks of samples.

    Attributes:
        of_sample: the stack of each sample.
        offsets: where each stack starts in `frames_of_stacks`, plus the end.
        frames_of_stacks: rows in `frames`, root first.
        frames: the frames of all locations, columns as in `Linked.frames`.
        frame_ids: their lasting ids.
    """

    of_sample: I64
    offsets: I64
    frames_of_stacks: I64
    frames: pl.DataFrame
    frame_ids: I64


class _Frames(NamedTuple):
    """Frames of all locations.

    The outermost call of location n is row n. Calls inlined into it, if any, are `extra` further rows from `inner` on,
    outer before inner: most locations have none, and then locations and frames are the same rows.
    """

    inner: I64
    extra: I64
    table: pl.DataFrame
    ids: I64


def owners(column: Ragged) -> I64:
    """The payload of each item of a list column with one list per payload; 0-dimensional for a single payload.

    A number that NumPy broadcasts spares a gather over every item in the most frequent case, one payload.
    """
    return column.owners() if len(column.offsets) != 2 else np.zeros((), np.int64)


def link_stacks(batch: pa.RecordBatch, strings: Strings, sample: Ragged) -> Stacks:
    """Turn the samples' locations into stacks of frames, root first.

    Reversing all stacks at once turns leaf first into root first for free. Of a stack deeper than MAX_STACK_FRAMES the
    frames nearest to the leaf are kept.

    Args:
        batch: decoded profiles, one row per payload.
        strings: their strings.
        sample: the column ``sample`` of the batch.

    Raises:
        Faults: a payload names rows it does not have, or holds more frames than the limits allow.
    """
    locations = ragged(batch.column("location"))
    owner = owners(locations)
    table = IdTable.build("location", integers(locations.values.field("id")), locations.offsets, owner)
    frames = _frames(batch, strings, locations, owner)
    named = _named(sample)
    ref_owner = named.owner if named.owner.ndim == 0 else np.repeat(named.owner, np.diff(named.offsets))[::-1]
    rows = table.required_rows(named.locations[::-1], ref_owner, "sample")
    rows, offsets = _within_depth(rows, len(rows) - named.offsets[::-1], frames.extra + 1, named.owner)
    flat, offsets = _expand(rows, offsets, frames)
    return Stacks(len(offsets) - 2 - named.of_sample, offsets, flat, frames.table, frames.ids)


class _Named(NamedTuple):
    """Stacks as the wire has them, leaf first: ids of locations, where each stack starts, plus the end; its payload.

    `of_sample` is the stack of each sample.
    """

    locations: I64
    offsets: I64
    owner: I64
    of_sample: I64


def _named(sample: Ragged) -> _Named:
    """The stacks that samples name.

    Writers merge samples of the same stack unless their labels differ, so equal stacks are looked for where there are
    labels: samples of spans repeat few stacks often.
    """
    stacks = ragged(sample.values.field("location_id"))
    locations, owner = integers(stacks.values), owners(sample)
    if not len(ragged(sample.values.field("label")).values):
        return _Named(locations, stacks.offsets, owner, np.arange(len(stacks.lengths)))
    first, index = number_sequences(locations, stacks.offsets)
    if owner.ndim:
        first, index = number_values(owner * len(first) + index)
    taken, lengths = positions_of(stacks.offsets, first)
    return _Named(locations[taken], offsets_of(lengths), owner if owner.ndim == 0 else owner[first], index)


def _within_depth(rows: I64, offsets: I64, frame_counts: I64, sample_owner: I64) -> tuple[I64, I64]:
    """Cut the locations off that lie more than MAX_STACK_FRAMES frames from the leaf (rows are root first)."""
    widest = int(frame_counts.max(initial=1))
    lengths = np.diff(offsets)
    if len(rows) * widest <= MAX_PROFILE_FRAMES and int(lengths.max(initial=0)) * widest <= MAX_STACK_FRAMES:
        return rows, offsets
    reached = np.concatenate([np.zeros(1, np.int64), np.cumsum(frame_counts[rows])])
    kept = np.repeat(reached[offsets[1:]], lengths) - reached[:-1] <= MAX_STACK_FRAMES
    owner = np.repeat(np.broadcast_to(sample_owner, lengths.shape)[::-1], lengths)[kept]
    _refuse_too_many_frames(owner, frame_counts[rows[kept]])
    counted = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    return rows[kept], counted[offsets]


def _refuse_too_many_frames(owner: I64, frame_counts: I64) -> None:
    """Refuse the payload with the most frames when all of them together have too many."""
    total = int(frame_counts.sum())
    if total > MAX_PROFILE_FRAMES:
        largest = int(np.argmax(np.bincount(owner, weights=frame_counts)))
        message = f"the stacks have {total:,} frames (limit {MAX_PROFILE_FRAMES:,} in one request)"
        raise Faults({largest: TooLarge(message)})


def _expand(rows: I64, offsets: I64, frames: _Frames) -> tuple[I64, I64]:
    """Put the inlined frames of each location after its own (rows are root first)."""
    inlines = (frames.extra > 0)[rows]
    at = np.flatnonzero(inlines)
    if not len(at):
        return rows, offsets
    extra = frames.extra[rows[at]]
    ends = np.cumsum(extra)
    items = np.repeat(frames.inner[rows[at]] - (ends - extra), extra) + np.arange(ends[-1])
    before = np.concatenate([np.zeros(1, np.int64), ends])[np.searchsorted(at, offsets)]
    return np.insert(rows, np.repeat(at + 1, extra), items), offsets + before


def _frames(batch: pa.RecordBatch, strings: Strings, locations: Ragged, owner: I64) -> _Frames:
    lines = ragged(locations.values.field("line"))
    refuse(
        lines.lengths > MAX_INLINED_FRAMES,
        owner,
        lambda at: TooLarge(f"a location has {lines.lengths[at]:,} lines (limit {MAX_INLINED_FRAMES:,})"),
    )
    location, line, inner, extra = _lay_out(lines)
    line_owner = owner if owner.ndim == 0 else np.repeat(owner, lines.lengths)
    texts, start_line = _functions(batch, strings, lines, line_owner, line)
    texts |= _mappings(batch, strings, locations, owner, location)
    texts["kind"] = np.full(len(location), strings.empty)
    numbers = {
        "line": _pick(integers(lines.values.field("line")), line),
        "column": _pick(integers(lines.values.field("column")), line),
        "start_line": start_line,
        "address": integers(locations.values.field("address"))[location],
        "inlined": (np.arange(len(location)) >= len(lines.lengths)).astype(np.int64),
    }
    # A string is hashed once, however many frames name it.
    hashed = hash_text(strings.text)
    ids = hash_frames({name: hashed[row] for name, row in texts.items()}, numbers)
    table = pl.DataFrame({name: strings.text[row] for name, row in texts.items()} | numbers)
    return _Frames(inner, extra, table.with_columns(pl.col("inlined").cast(pl.Boolean)), ids)


def _lay_out(lines: Ragged) -> tuple[I64, I64, I64, I64]:
    """Of each frame its location and its line (-1: none); of each location where its inlined frames are, and how many.

    On the wire the last line of a location is the outermost call.
    """
    count = len(lines.lengths)
    extra = np.maximum(lines.lengths - 1, 0)
    ends = np.cumsum(extra)
    inner = count + ends - extra
    within = np.repeat(np.arange(count), extra)
    last = np.where(lines.lengths > 0, lines.offsets[1:] - 1, -1)
    inward = np.arange(len(within)) - (inner - count)[within] + 1
    return np.append(np.arange(count), within), np.append(last, last[within] - inward), inner, extra


def _functions(
    batch: pa.RecordBatch, strings: Strings, lines: Ragged, line_owner: I64, line: I64
) -> tuple[dict[str, I64], I64]:
    """The functions of frames: rows of their texts, and their start lines.

    `line` is each frame's row in the lines, -1: it has none.
    """
    functions = ragged(batch.column("function"))
    owner = owners(functions)
    table = IdTable.build("function", integers(functions.values.field("id")), functions.offsets, owner)
    row = _pick(table.optional_rows(integers(lines.values.field("function_id")), line_owner, "location"), line, -1)
    texts = {
        name: _text_rows(strings, functions, owner, field, "function", row)
        for name, field in (("function", "name"), ("system_name", "system_name"), ("file", "filename"))
    }
    return texts, _pick(integers(functions.values.field("start_line")), row)


def _mappings(
    batch: pa.RecordBatch, strings: Strings, locations: Ragged, location_owner: I64, location: I64
) -> dict[str, I64]:
    """The mappings of frames: rows of their texts."""
    mappings = ragged(batch.column("mapping"))
    owner = owners(mappings)
    table = IdTable.build("mapping", integers(mappings.values.field("id")), mappings.offsets, owner)
    row = table.optional_rows(integers(locations.values.field("mapping_id")), location_owner, "location")[location]
    return {
        "mapping": _text_rows(strings, mappings, owner, "filename", "mapping", row),
        "build_id": _text_rows(strings, mappings, owner, "build_id", "mapping", row),
    }


def _text_rows(strings: Strings, table: Ragged, owner: I64, field: str, what: str, row: I64) -> I64:
    """The rows in `strings.text` of a field of some table rows; -1 is no row and has the empty string."""
    return _pick(strings.rows(table.values.field(field), owner, what), row, strings.empty)


def _pick(values: I64, rows: I64, missing: int = 0) -> I64:
    """Values by row; `missing` where the row is -1."""
    return np.append(values, missing)[rows]


def check_values(sample: Ragged, values: Ragged, type_counts: I64) -> None:
    """Check that every sample has one value per sample type.

    Raises:
        Faults: with the numbers of the first sample that has not.
    """
    owner = owners(sample)
    wanted = np.broadcast_to(type_counts[owner], values.lengths.shape)
    starts = np.broadcast_to(sample.offsets[:-1][owner], values.lengths.shape)
    refuse(
        values.lengths != wanted,
        owner,
        lambda at: Malformed(
            f"sample {at - int(starts[at]) + 1} has {int(values.lengths[at])} values, "
            f"the profile declares {int(wanted[at])} sample types"
        ),
    )
