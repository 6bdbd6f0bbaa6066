"""How each table is laid out on disk: partitions, order of rows, and what its row groups are pruned by."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl
import pyarrow as pa

from correlate.storage.ordering import by_service_and_trace
from correlate.tables.schema import DERIVED, TABLES, Schema

HOUR_NS: Final = 3_600_000_000_000
NO_HOUR: Final = -(1 << 40)
"""The hour of a file in a table without partitions."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The physical side of a table.

    Attributes:
        name: the table.
        schema: its columns.
        time_column: whose UTC hour decides the partition (columns ``date`` and ``hour``); None: no partitions.
        sort: brings rows into the order of a file.
        slice_column: rows are merged in slices of this column, so that a merge needs little memory.
        prune: integer columns whose minimum and maximum per row group are kept in memory.
        key: columns that identify a row where repeats are harmless and dropped when files are merged.
        group_rows: rows of a row group, which is what a query for one span or trace reads at least.
        unit: columns of what is written as a whole: of several writings only the latest (column ``written_ns``) counts.
        plain: columns written without a dictionary: values hardly repeat, or only in runs, which zstd sees by itself.
    """

    name: str
    time_column: str | None
    sort: Callable[[pl.DataFrame], pl.DataFrame]
    slice_column: str
    prune: tuple[str, ...]
    key: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    group_rows: int = 16_384
    unit: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """The columns, as the rest of the program sees them."""
        return (TABLES | DERIVED)[self.name]

    @property
    def partition_by(self) -> list[str]:
        """The partition columns."""
        return ["date", "hour"] if self.time_column else []

    def file_schema(self) -> pa.Schema:
        """The columns inside the Parquet files."""
        fields = pl.DataFrame(schema=self.schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
        return pa.schema([pa.field(field.name, _delta_type(field.type)) for field in fields])

    def table_schema(self) -> pa.Schema:
        """The columns of the Delta table: those of the files, and the partitions."""
        partitions = [pa.field("date", pa.string()), pa.field("hour", pa.int8())]
        return pa.schema([*self.file_schema(), *(partitions if self.time_column else [])])

    def current(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows without what was written again, and without what may be stored several times."""
        if self.unit:
            frame = frame.filter(pl.col("written_ns") == pl.col("written_ns").max().over(self.unit))
        return frame.unique(self.key, keep="any") if self.key else frame

    def by_hour(self, frame: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
        """Split rows by partition: hours since the epoch, and their rows."""
        if self.time_column is None:
            return [(NO_HOUR, frame)] if len(frame) else []
        hours = frame[self.time_column] // HOUR_NS
        if len(frame) and hours.min() == hours.max():
            return [(int(hours[0]), frame)]
        groups = frame.with_columns(_hour=hours).partition_by("_hour", as_dict=True, include_key=False)
        return [(int(hour), rows) for (hour,), rows in sorted(groups.items())]


def partition_values(hour: int) -> dict[str, str | None]:
    """What Delta calls the partition of an hour since the epoch."""
    if hour == NO_HOUR:
        return {}
    start = datetime.fromtimestamp(hour * 3600, UTC)
    return {"date": start.strftime("%Y-%m-%d"), "hour": str(start.hour)}


def hour_of(values: dict[str, str | None]) -> int:
    """The hour since the epoch of a Delta partition."""
    date, hour = values.get("date"), values.get("hour")
    if date is None or hour is None:
        return NO_HOUR
    day = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC)
    return int(day.timestamp()) // 3600 + int(hour)


def folder_of(hour: int) -> str:
    """The folder of an hour's files, ending in a slash; empty without partitions."""
    return "".join(f"{key}={value}/" for key, value in partition_values(hour).items())


def _delta_type(kind: pa.DataType) -> pa.DataType:
    """The Arrow type that Delta knows for one that Polars exports: no large strings, no large lists."""
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(_delta_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _delta_type(field.type)) for field in kind])
    return kind


def _sorted_by(*columns: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda frame: frame.sort(columns)


LAYOUTS: Final[dict[str, Layout]] = {
    layout.name: layout
    for layout in (
        Layout(
            "spans",
            "start_ns",
            _sorted_by("trace_hi", "trace_lo", "start_ns"),
            "trace_hi",
            prune=("trace_hi", "start_ns", "duration_ns"),
            group_rows=8192,  # many columns, some nested, and a trace is in one of them
            plain=("trace_hi", "trace_lo", "span", "parent", "start_ns", "duration_ns", "thread", "payload"),
        ),
        Layout(
            "samples",
            "time_ns",
            by_service_and_trace,
            "time_ns",
            prune=("service", "type", "time_ns", "duration_ns"),
            plain=("trace_hi", "trace_lo", "span", "thread", "time_ns"),
        ),
        Layout(
            "profiles",
            "time_ns",
            _sorted_by("service", "time_ns"),
            "time_ns",
            prune=("time_ns", "duration_ns"),
            plain=("profile", "profile_hi", "profile_lo"),
        ),
        Layout(
            "stacks", None, _sorted_by("service", "stack"), "service", ("service",), ("service", "stack"), ("stack",)
        ),
        Layout(
            "frames", None, _sorted_by("service", "frame"), "service", ("service",), ("service", "frame"), ("frame",)
        ),
        Layout("series", None, _sorted_by("series"), "series", ("series",), ("series",), ("series",)),
        Layout(
            "observations",
            "time_ns",
            _sorted_by("duration_ns", "service_id", "type", "kind", "instance", "key", "time_ns"),
            "time_ns",
            prune=("service_id", "time_ns", "duration_ns"),
            group_rows=8192,
            unit=("service_id", "type", "time_ns", "duration_ns"),
        ),
    )
}
"""Every table of `tables.schema`."""
