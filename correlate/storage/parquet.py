"""Writing the Parquet files of a table: row groups, encodings, and small aggregates in the footer."""

import base64
import json
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from correlate.storage import aggregates
from correlate.storage.layout import Layout
from correlate.storage.location import Folder

FAST_LEVEL, SMALL_LEVEL = 1, 6
"""Levels of zstd: for a commit somebody waits for, and for a merge nobody waits for."""

AGGREGATE_KEY: Final = b"correlate.aggregate"


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A Parquet file that is complete but not yet part of a table version.

    Attributes:
        path: relative to the table's folder.
        hour: its partition, hours since the epoch.
        size_bytes: its size.
        row_count: its rows.
        stats: JSON as Delta wants it: row count, minimum and maximum of the pruning columns.
    """

    path: str
    hour: int
    size_bytes: int
    row_count: int
    stats: str


class FileWriter:
    """Writes one file, frame by frame, each frame in the order of the table. A context manager."""

    def __init__(self, folder: Folder, layout: Layout, path: str, hour: int, *, level: int = FAST_LEVEL) -> None:
        self._layout = layout
        self._path = path
        self._hour = hour
        self._level = level
        self._schema = layout.file_schema()
        self._stream = folder.open_output(path)
        self._writer: pq.ParquetWriter | None = None
        self._aggregate: list[pl.DataFrame] = []
        self._low: list[pl.DataFrame] = []
        self._high: list[pl.DataFrame] = []
        self._row_count = 0
        self._size_bytes = 0

    def write(self, frame: pl.DataFrame) -> None:
        """Append rows, already sorted, as one or more row groups."""
        if not len(frame):
            return
        if self._writer is None:
            self._writer = self._open()
        table = pa.table(frame.to_arrow(compat_level=pl.CompatLevel.oldest())).cast(self._schema)
        self._writer.write_table(table, row_group_size=self._layout.group_rows)
        self._aggregate.append(aggregates.partial(self._layout.name, frame))
        self._low.append(frame.select(self._layout.prune).min())
        self._high.append(frame.select(self._layout.prune).max())
        self._row_count += len(frame)

    def finished(self) -> WrittenFile:
        """What was written; call it after the context is left."""
        low = pl.concat(self._low).min().row(0, named=True)
        high = pl.concat(self._high).max().row(0, named=True)
        stats = json.dumps({"numRecords": self._row_count, "minValues": low, "maxValues": high})
        return WrittenFile(self._path, self._hour, self._size_bytes, self._row_count, stats)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._writer is not None and error is None:
                self._writer.add_key_value_metadata(_footer(self._layout.name, self._aggregate))
            if self._writer is not None:
                self._writer.close()
            self._size_bytes = self._stream.tell()
        finally:
            self._stream.close()

    def _open(self) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            self._stream,
            self._schema,
            compression="zstd",
            compression_level=self._level,
            use_dictionary=[path for path in _leaf_paths(self._schema) if path not in self._layout.plain],
            write_statistics=[*self._layout.prune],
            store_schema=False,
        )


def write_file(folder: Folder, layout: Layout, path: str, hour: int, frame: pl.DataFrame) -> WrittenFile:
    """Write rows, in any order, as one file."""
    with FileWriter(folder, layout, path, hour) as writer:
        writer.write(layout.sort(frame))
    return writer.finished()


def aggregate_of(metadata: pq.FileMetaData, table: str) -> pl.DataFrame | None:
    """The aggregate that a file's footer carries, None when it has none."""
    encoded = (metadata.metadata or {}).get(AGGREGATE_KEY)
    if encoded is None:
        return None
    return pl.read_ipc_stream(base64.b64decode(encoded)).pipe(aggregates.combine, table)


def _footer(table: str, parts: list[pl.DataFrame]) -> dict[str, str]:
    combined = aggregates.combine(pl.concat(parts), table)
    if not combined.width or len(combined) > aggregates.MAX_ROWS:
        return {}
    raw = combined.write_ipc_stream(None, compression="zstd").getvalue()
    return {AGGREGATE_KEY.decode(): base64.b64encode(raw).decode()}


def _leaf_paths(schema: pa.Schema) -> list[str]:
    return [path for field in schema for path in _leaves(field.name, field.type)]


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    if pa.types.is_list(kind):
        return _leaves(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(f"{path}.{field.name}", field.type)]
    return [path]
