"""Whole pprof profiles as columns, read and written without loss: what ``parse`` reads, ``write`` writes again."""

from dataclasses import dataclass, field, fields
from typing import Final

import polars as pl
import pyarrow as pa

from correlate.errors import BadInput
from correlate.formats import wire
from correlate.formats.inflate import gunzip, gzip
from correlate.formats.pprof import check_profile, explained
from correlate.formats.proto.pprof_pb2 import Profile

_TABLES: Final = {
    "sample_type": "sample_types",
    "sample": "samples",
    "mapping": "mappings",
    "location": "locations",
    "function": "functions",
}


@dataclass(frozen=True, slots=True, eq=False)
class PprofProfile:
    """One pprof profile as it is on the wire: ids are ids, strings are positions in `strings`, stacks are leaf first.

    Attributes:
        sample_types: type, unit.
        samples: location_id (list), value (list), label (list of key, str, num, num_unit).
        mappings: id, memory_start, memory_limit, file_offset, filename, build_id, has_functions, has_filenames,
            has_line_numbers, has_inline_frames.
        locations: id, mapping_id, address, line (list of function_id, line, column; innermost first), is_folded.
        functions: id, name, system_name, filename, start_line.
        strings: Binary; the first is empty.
        period_type: type and unit, None when the profile has none.
        period: in the unit of the period type.
        time_ns: start, nanoseconds since the Unix epoch.
        duration_ns: length.
        comments: positions in `strings`.
        drop_frames: regular expression of functions to leave out, a position in `strings`.
        keep_frames: exception from `drop_frames`, a position in `strings`.
        default_sample_type: the type to show first, a position in `strings`.
        doc_url: a position in `strings`.
    """

    sample_types: pl.DataFrame
    samples: pl.DataFrame
    mappings: pl.DataFrame
    locations: pl.DataFrame
    functions: pl.DataFrame
    strings: pl.Series = field(default_factory=lambda: pl.Series([b""]))
    period_type: tuple[int, int] | None = None
    period: int = 0
    time_ns: int = 0
    duration_ns: int = 0
    comments: tuple[int, ...] = ()
    drop_frames: int = 0
    keep_frames: int = 0
    default_sample_type: int = 0
    doc_url: int = 0

    def __eq__(self, other: object) -> bool:
        """Equal in every column and number."""
        if not isinstance(other, PprofProfile):
            return NotImplemented
        return all(_same(getattr(self, part.name), getattr(other, part.name)) for part in fields(self))

    __hash__ = None  # type: ignore[assignment]  # holds frames, which cannot be hashed

    def text(self, position: int) -> str:
        """A string by position; bytes that are not UTF-8 show as U+FFFD."""
        raw: bytes = self.strings[position]
        return raw.decode("utf-8", "replace")


def parse(body: bytes) -> PprofProfile:
    """Read one profile, gzip or plain.

    Raises:
        Malformed: it is broken; the message says where.
        UnknownFormat: it is of another format, which is named if known.
        TooLarge: it exceeds a limit.
    """
    raw = gunzip(body)
    try:
        batch = wire.decode(Profile, [raw])
        check_profile(batch)
    except BadInput as error:
        raise explained(error, raw) from error
    return _from_row(batch)


def write(profile: PprofProfile) -> bytes:
    """Write a profile, gzip-compressed; equal profiles give equal bytes."""
    return gzip(wire.encode(Profile, _to_row(profile))[0])


def _from_row(batch: pa.RecordBatch) -> PprofProfile:
    row = {name: batch.column(name) for name in batch.schema.names}
    scalar = {name: column[0].as_py() for name, column in row.items() if not pa.types.is_large_list(column.type)}
    period_type = scalar["period_type"]
    return PprofProfile(
        sample_types=_table(row["sample_type"]),
        samples=_table(row["sample"]),
        mappings=_table(row["mapping"]),
        locations=_table(row["location"]),
        functions=_table(row["function"]),
        strings=pl.Series("strings", pl.from_arrow(row["string_table"].values)),
        period_type=None if period_type is None else (period_type["type"], period_type["unit"]),
        period=scalar["period"],
        time_ns=scalar["time_nanos"],
        duration_ns=scalar["duration_nanos"],
        comments=tuple(row["comment"][0].as_py()),
        drop_frames=scalar["drop_frames"],
        keep_frames=scalar["keep_frames"],
        default_sample_type=scalar["default_sample_type"],
        doc_url=scalar["doc_url"],
    )


def _to_row(profile: PprofProfile) -> pa.RecordBatch:
    period = profile.period_type
    values: dict[str, object] = {
        "time_nanos": profile.time_ns,
        "duration_nanos": profile.duration_ns,
        "period_type": None if period is None else {"type": period[0], "unit": period[1]},
        "comment": list(profile.comments),
        **{
            name: getattr(profile, name)
            for name in ("period", "drop_frames", "keep_frames", "default_sample_type", "doc_url")
        },
    }
    items: dict[str, pl.Series] = {"string_table": profile.strings}
    items |= {theirs: getattr(profile, ours).to_struct() for theirs, ours in _TABLES.items()}
    schema = wire.schema(Profile)
    columns = [
        _one_list(items[part.name], part.type) if part.name in items else pa.array([values[part.name]], part.type)
        for part in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _table(column: pa.Array) -> pl.DataFrame:
    """The items of a list of messages, which has one row, as a frame."""
    return pl.DataFrame(pl.from_arrow(pa.Table.from_struct_array(column.values)))


def _one_list(items: pl.Series, kind: pa.DataType) -> pa.Array:
    """A column of one row: the list of all items."""
    values = items.to_arrow(compat_level=pl.CompatLevel.oldest())
    nullable = pa.LargeListArray.from_arrays(pa.array([0, len(values)], pa.int64()), values)
    return nullable.cast(kind)


def _same(one: object, other: object) -> bool:
    if isinstance(one, pl.DataFrame | pl.Series):
        return type(one) is type(other) and one.equals(other)  # type: ignore[arg-type]
    return bool(one == other)
