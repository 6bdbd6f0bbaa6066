"""Merging files of a partition into one sorted run, in slices, so that memory does not grow with the partition."""

from collections.abc import Iterator
from typing import Final
from uuid import uuid4

import numpy as np
import polars as pl
import pyarrow as pa

from correlate.storage.delta_log import DataFile, DeltaLog
from correlate.storage.index import I64, Footer, Index, index_of, read_footer
from correlate.storage.layout import Layout, folder_of
from correlate.storage.location import Folder
from correlate.storage.parquet import SMALL_LEVEL, FileWriter, WrittenFile
from correlate.storage.rowgroups import read_table, to_frame

SLICE_BYTES: Final = 16 << 20
"""Rows of so much Arrow data are in work at a time; sorting and writing them takes a few times as much."""

_LOOKED_AT: Final = 4
_GRID_COUNT: Final = 512
_LARGEST: Final = float(2**63 - 1024)  # the largest 64-bit integer that is a float


def merge_files(log: DeltaLog, files: list[DataFile], *, slice_bytes: int = SLICE_BYTES) -> WrittenFile:
    """Write the rows of some files of one partition as one new file, which is not committed yet.

    Raises:
        FileNotFoundError: one of the files is gone.
        StoreError: one of them is damaged.
    """
    index = index_of(log.layout, [read_footer(log.folder, file.path) for file in files])
    slice_rows = max(1, slice_bytes // _row_bytes(log.folder, log.layout, index))
    hour = files[0].hour
    path = f"{folder_of(hour)}merged-{uuid4().hex}.parquet"
    with FileWriter(log.folder, log.layout, path, hour, level=SMALL_LEVEL) as writer:
        for frame in _slices(log.folder, log.layout, index, slice_rows):
            writer.write(frame)
    pa.default_memory_pool().release_unused()
    return writer.finished()


def cuts(low: I64, high: I64, rows: I64, slice_rows: int) -> list[int]:
    """Values that cut row groups into slices of about `slice_rows` rows, if rows are spread evenly inside each group.

    Args:
        low: the smallest value of each row group.
        high: the largest value of each row group.
        rows: the number of rows of each row group.
        slice_rows: rows wanted per slice.

    Returns:
        The inner cuts, ascending; a slice begins at a cut and ends before the next.
    """
    count = -(-int(rows.sum()) // slice_rows)
    if count < 2:
        return []
    ends = np.unique(np.concatenate([low, high]))
    grid = np.unique(np.append(ends[:: max(1, len(ends) // _GRID_COUNT)], ends[-1]))
    width = np.maximum(high.astype(float) - low, 1.0)
    share = np.clip((grid.astype(float)[:, None] - low) / width, 0.0, 1.0)
    at = np.interp(np.arange(1, count) / count * rows.sum(), share @ rows.astype(float), grid.astype(float))
    return [int(cut) for cut in np.unique(np.clip(at, -_LARGEST, _LARGEST).astype(np.int64))]


def _row_bytes(folder: Folder, layout: Layout, index: Index) -> int:
    """About how many bytes of Arrow data a row takes.

    Footers count text that repeats once, but in memory it is there for every row: so a few row groups are looked at.
    """
    footers = list(index.footers.values())
    groups = [footer.metadata.row_group(i) for footer in footers for i in range(footer.metadata.num_row_groups)]
    estimates = [sum(group.total_byte_size for group in groups) / max(1, int(index.rows.sum()))]
    for footer in footers[:: -(-len(footers) // _LOOKED_AT)]:
        if footer.metadata.num_row_groups:
            table = read_table(folder, footer, [0], list(layout.schema))
            estimates.append(table.nbytes / max(1, len(table)))
    return int(max(estimates)) + 1


def _slices(folder: Folder, layout: Layout, index: Index, slice_rows: int) -> Iterator[pl.DataFrame]:
    column = layout.slice_column
    low, high = index.low[column], index.high[column]
    inner = cuts(low, high, index.rows, slice_rows)
    for start, end in zip([None, *inner], [*inner, None], strict=True):
        chosen = np.ones(len(low), bool)
        chosen &= (high >= start) if start is not None else True
        chosen &= (low < end) if end is not None else True
        parts = [_slice(folder, layout, picked, start, end) for picked in index.pick(chosen)]
        if parts:
            yield _merged(layout, parts)


def _slice(
    folder: Folder, layout: Layout, picked: tuple[Footer, list[int]], start: int | None, end: int | None
) -> pa.Table:
    """Rows of one file; copied out of its row groups, which a filtered frame would keep in memory whole."""
    footer, groups = picked
    table = read_table(folder, footer, groups, list(layout.schema))
    values = table[layout.slice_column].to_numpy()
    inside = np.ones(len(table), bool)
    inside &= (values >= start) if start is not None else True
    inside &= (values < end) if end is not None else True
    return table.filter(pa.array(inside))


def _merged(layout: Layout, parts: list[pa.Table]) -> pl.DataFrame:
    rows = to_frame(pa.concat_tables(parts)).select(list(layout.schema)).cast(pl.Schema(layout.schema))
    return layout.sort(layout.current(rows))
