"""The dictionary of an OTLP profiles request: its tables linked to frames, stacks, attributes and links.

Source: opentelemetry-proto ``profiles/v1development/profiles.proto`` (1.8 to 1.11 number the dictionary alike) and the
specification's ``profiles/mappings.md``. Row 0 of every table stands for "not set"; an empty table is read as if it had
that row. Stacks are leaf first on the wire, and within a location the last line is the caller into which the others
were inlined.

A reference beyond its table does not raise here: rows that hold one get a fault, the fault spreads to the rows that
refer to them, and the profiles that use such rows are refused, alone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.errors import TooLarge
from correlate.formats import otlp_faults as faults
from correlate.formats.arrow import Ragged, integers, ragged
from correlate.formats.limits import MAX_INLINED_FRAMES, MAX_PROFILE_FRAMES, MAX_STACK_FRAMES
from correlate.formats.otlp_attributes import value_texts
from correlate.formats.otlp_ids import ids
from correlate.formats.text import utf8

I64 = npt.NDArray[np.int64]

_BUILD_IDS: Final = tuple(f"process.executable.build_id.{kind}" for kind in ("gnu", "go", "htlhash", "profiling"))
"""Attributes of a mapping that hold its build id, the best first."""

_FRAME_TYPE: Final = "profile.frame.type"

_NOT_OF_SAMPLES: Final = r"^(?:profile\.frame|process\.executable\.build_id|pprof\.(?:mapping|location|profile))\."


@dataclass(frozen=True, slots=True)
class AttributeTable:
    """The attribute table: rows of key, value and kind, their faults, and whether mappings or locations own them."""

    rows: pl.DataFrame
    faults: faults.Faults
    owned: npt.NDArray[np.bool_]

    def having(self, lists: Ragged, key: str) -> I64:
        """For each list of attribute indices the first row that has the key, -1 where none has."""
        wanted = np.append((self.rows["key"] == key).to_numpy(), False)
        index = integers(lists.values)
        at = np.flatnonzero(wanted[np.where(faults.beyond(index, len(self.rows), 1), -1, index)])
        owner = np.searchsorted(lists.offsets, at, side="right") - 1
        found = np.full(len(lists.offsets) - 1, -1, np.int64)
        found[owner[::-1]] = index[at[::-1]]
        return found

    def values(self, rows: I64) -> pl.Series:
        """The texts of some rows; "" for row -1."""
        return texts(self.rows["value"], rows)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A request's dictionary.

    Attributes:
        strings: the string table.
        attributes: the attribute table.
        frames: FRAMES columns without ``service`` and ``frame``.
        stack_offsets: where each stack's frames start in `stack_frames`, plus the end.
        stack_frames: rows in `frames`, root first.
        stack_faults: one for each stack.
        links: trace id (two halves) and span id of each link, shape (n, 3); 0 where an id is missing.
    """

    strings: pl.Series
    attributes: AttributeTable
    frames: pl.DataFrame
    stack_offsets: I64
    stack_frames: I64
    stack_faults: faults.Faults
    links: I64


def link(dictionary: pa.StructArray) -> Dictionary:
    """Link the tables of a dictionary, given as a column of one row.

    Raises:
        TooLarge: the stacks have more frames than one request may hold.
    """
    tables = _Tables(dictionary)
    strings = utf8(tables["string_table"])
    strings = strings if len(strings) else pl.Series([""])
    attributes = _attributes(tables, strings)
    frames, frame_offsets, location_faults = _frames(tables, strings, attributes)
    stack_offsets, stack_frames, stack_faults = _stacks(tables["stack_table"], frame_offsets, location_faults)
    links = tables["link_table"]
    trace = ids(links.field("trace_id"), 16)
    span = ids(links.field("span_id"), 8)
    halves = np.hstack([trace, span]) if len(links) else np.zeros((1, 3), np.int64)
    return Dictionary(strings, attributes, frames, stack_offsets, stack_frames, stack_faults, halves)


def texts(column: pl.Series, rows: I64) -> pl.Series:
    """The texts at some rows of a column; "" where a row is beyond it."""
    inside = (rows >= 0) & (rows < len(column))
    return pl.concat([column, pl.Series([""])])[np.where(inside, rows, len(column))]


class _Tables:
    """The tables of a dictionary by name, each with at least row 0 where rows are structs of numbers."""

    def __init__(self, dictionary: pa.StructArray) -> None:
        self._dictionary = dictionary

    def __getitem__(self, name: str) -> pa.Array:
        return ragged(self._dictionary.field(name)).values


def _attributes(tables: _Tables, strings: pl.Series) -> AttributeTable:
    table = tables["attribute_table"]
    key = integers(table.field("key_strindex"))
    value, kind = value_texts(table.field("value"), strings)
    rows = pl.DataFrame({"key": texts(strings, key), "value": value, "kind": kind})
    problems = faults.beyond(key, len(strings), faults.STRING)
    if not len(rows):
        rows, problems = pl.DataFrame({"key": [""], "value": [""], "kind": [0]}, rows.schema), np.zeros(1, np.int8)
    owned = rows["key"].str.contains(_NOT_OF_SAMPLES).to_numpy().copy()
    for name in ("mapping_table", "location_table"):
        index = integers(ragged(tables[name].field("attribute_indices")).values)
        owned[index[(index > 0) & (index < len(rows))]] = True
    return AttributeTable(rows, problems, owned)


def _frames(tables: _Tables, strings: pl.Series, attributes: AttributeTable) -> tuple[pl.DataFrame, I64, faults.Faults]:
    """One frame for each line, and one for each location without lines: frames, each location's first, its fault."""
    table = tables["location_table"]
    lines = ragged(table.field("lines"))
    frame_offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.maximum(lines.lengths, 1))])
    location = np.repeat(np.arange(len(table)), np.diff(frame_offsets))
    depth = np.arange(len(location)) - frame_offsets[location]
    has_line = lines.lengths[location] > 0
    line = np.where(has_line, lines.offsets[location] + depth, -1)
    mapping_index = integers(table.field("mapping_index"))
    mappings, mapping_faults = _mappings(tables, strings, attributes)
    functions, function_faults = _functions(tables, strings)
    function = _or_zero(integers(lines.values.field("function_index")))[line]
    # Interpreters have no mapping, and what they write as the address is no address of the machine.
    has_address = (mapping_index[location] != 0) | ~has_line
    frames = pl.concat(
        [
            _rows(functions, function),
            pl.DataFrame(
                {
                    "line": _or_zero(integers(lines.values.field("line")))[line],
                    "column": _or_zero(integers(lines.values.field("column")))[line],
                    "address": np.where(has_address, integers(table.field("address"))[location], 0),
                    "inlined": has_line & (depth < lines.lengths[location] - 1),
                }
            ),
            _rows(mappings, mapping_index[location]),
            _frame_kinds(table, attributes, location),
        ],
        how="horizontal",
    )
    line_faults = faults.follow(integers(lines.values.field("function_index")), function_faults, faults.FUNCTION)
    location_faults = faults.highest(
        [
            faults.gather(line_faults, lines),
            faults.follow(mapping_index, mapping_faults, faults.MAPPING),
            _attribute_faults(table, attributes),
            np.where(lines.lengths > MAX_INLINED_FRAMES, faults.LOCATION, 0).astype(np.int8),
        ]
    )
    return frames, frame_offsets, location_faults


def _frame_kinds(table: pa.StructArray, attributes: AttributeTable, location: I64) -> pl.DataFrame:
    kinds = attributes.values(attributes.having(ragged(table.field("attribute_indices")), _FRAME_TYPE))
    return pl.DataFrame({"kind": kinds[location]})


def _mappings(tables: _Tables, strings: pl.Series, attributes: AttributeTable) -> tuple[pl.DataFrame, faults.Faults]:
    table = tables["mapping_table"]
    file = integers(table.field("filename_strindex"))
    lists = ragged(table.field("attribute_indices"))
    build_id = np.full(len(table), -1, np.int64)
    for key in _BUILD_IDS:
        build_id = np.where(build_id < 0, attributes.having(lists, key), build_id)
    rows = pl.DataFrame({"mapping": texts(strings, file), "build_id": attributes.values(build_id)})
    problems = np.maximum(faults.beyond(file, len(strings), faults.STRING), _attribute_faults(table, attributes))
    return rows, _with_row_0(problems)


def _functions(tables: _Tables, strings: pl.Series) -> tuple[pl.DataFrame, faults.Faults]:
    table = tables["function_table"]
    named = {"function": "name_strindex", "system_name": "system_name_strindex", "file": "filename_strindex"}
    index = {column: integers(table.field(name)) for column, name in named.items()}
    rows = pl.DataFrame({column: texts(strings, at) for column, at in index.items()}).with_columns(
        start_line=integers(table.field("start_line"))
    )
    problems = [faults.beyond(at, len(strings), faults.STRING) for at in index.values()]
    return rows, _with_row_0(faults.highest(problems))


def _attribute_faults(table: pa.StructArray, attributes: AttributeTable) -> faults.Faults:
    lists = ragged(table.field("attribute_indices"))
    return faults.gather(faults.follow(integers(lists.values), attributes.faults, faults.ATTRIBUTE), lists)


def _stacks(
    table: pa.StructArray, frame_offsets: I64, location_faults: faults.Faults
) -> tuple[I64, I64, faults.Faults]:
    """Stacks as frames, root first: offsets, frames, and the fault of each stack (row 0 is there in any case)."""
    lists = ragged(table.field("location_indices"))
    location = integers(lists.values)
    item_faults = faults.follow(location, _with_row_0(location_faults), faults.LOCATION)
    stack_faults = faults.gather(item_faults, lists)
    sizes = np.append(np.diff(frame_offsets), 0)[np.where(item_faults, -1, location)]
    sizes = _clipped(sizes, lists)
    total = int(sizes.sum())
    if total > MAX_PROFILE_FRAMES:
        raise TooLarge(f"the stacks of the request have {total:,} frames (limit {MAX_PROFILE_FRAMES:,})")
    owner = np.repeat(lists.owners(), sizes)
    ends = np.cumsum(sizes)
    frame = np.arange(total) + np.repeat(frame_offsets[np.where(item_faults, 0, location)] - (ends - sizes), sizes)
    lengths = np.bincount(owner, minlength=max(len(table), 1)).astype(np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    # Root first: the n-th frame from a stack's start takes the place n from its end.
    root_first = frame[(offsets[owner] + offsets[owner + 1] - 1) - np.arange(total)]
    return offsets, root_first, _with_row_0(stack_faults)


def _clipped(sizes: I64, lists: Ragged) -> I64:
    """Frames of each location in a stack, none for those too far from the leaf."""
    before = np.cumsum(sizes) - sizes
    start = np.append(before, 0)[np.repeat(lists.offsets[:-1], lists.lengths)]
    return np.where(before - start < MAX_STACK_FRAMES, sizes, 0)


def _rows(frame: pl.DataFrame, index: I64) -> pl.DataFrame:
    """Rows of a frame by position; blank where there is no such row."""
    blank = pl.DataFrame([[""] if kind == pl.String else [0] for kind in frame.dtypes], frame.schema)
    inside = (index >= 0) & (index < len(frame))
    return pl.concat([frame, blank])[np.where(inside, index, len(frame))]


def _or_zero(values: I64) -> I64:
    """Values with a 0 behind them, for the index -1."""
    return np.append(values, 0)


def _with_row_0(problems: faults.Faults) -> faults.Faults:
    return problems if len(problems) else np.zeros(1, np.int8)
