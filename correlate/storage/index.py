"""The row groups of a table's active files, with the ranges of their pruning columns, as arrays in memory.

A query compares arrays to find the few row groups that can matter, and only those are read. Files never change, so a
footer is read once; the index is brought up to date by the difference between two versions.
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from correlate.errors import StoreError
from correlate.storage.delta_log import DataFile
from correlate.storage.layout import Layout
from correlate.storage.location import Folder

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says about itself: its path in the table's folder, and its Parquet metadata."""

    path: str
    metadata: pq.FileMetaData


@dataclass(frozen=True, slots=True)
class Index:
    """Row groups, one entry each in every array.

    Attributes:
        footers: the files, by a number that is never used again.
        numbers: which file a row group is in.
        groups: which row group of its file it is.
        rows: how many rows it has.
        low: minimum of each pruning column.
        high: maximum of each pruning column.
    """

    footers: Mapping[int, Footer]
    numbers: I64
    groups: I64
    rows: I64
    low: Mapping[str, I64]
    high: Mapping[str, I64]

    def pick(self, chosen: Mask) -> list[tuple[Footer, list[int]]]:
        """The files that hold some row groups, with the row groups in each."""
        numbers, groups = self.numbers[chosen], self.groups[chosen]
        return [(self.footers[n], groups[numbers == n].tolist()) for n in dict.fromkeys(numbers.tolist())]


class IndexKeeper:
    """Keeps the index of one table up to date. Safe to use from many threads."""

    def __init__(self, folder: Folder, layout: Layout) -> None:
        self._folder = folder
        self._layout = layout
        self._lock = threading.Lock()
        self._numbers: dict[str, int] = {}
        self._next = 0
        self._files: Mapping[str, DataFile] = {}
        self._index = _join(layout, {}, [])

    def current(self, files: Mapping[str, DataFile]) -> Index:
        """The index of exactly these files.

        Raises:
            FileNotFoundError: one of them is gone.
            StoreError: one of them cannot be read.
        """
        with self._lock:
            if files is not self._files and files.keys() != self._numbers.keys():
                self._update(files)
            self._files = files
            return self._index

    def _update(self, files: Mapping[str, DataFile]) -> None:
        added = [path for path in files if path not in self._numbers]
        footers = [read_footer(self._folder, path) for path in added]
        gone = [self._numbers[path] for path in self._numbers.keys() - files.keys()]
        kept = _without(self._index, gone)
        fresh = {self._next + i: footer for i, footer in enumerate(footers)}
        parts = [kept, *(_row_groups(self._layout, number, footer) for number, footer in fresh.items())]
        self._index = _join(self._layout, {**kept.footers, **fresh}, parts)
        self._next += len(added)
        self._numbers = {footer.path: number for number, footer in self._index.footers.items()}


def read_footer(folder: Folder, path: str) -> Footer:
    """Read the footer of a Parquet file.

    Raises:
        FileNotFoundError: it is gone.
        StoreError: it is damaged.
    """
    try:
        with folder.open_input(path) as source:
            return Footer(path, pq.read_metadata(source))
    except pa.ArrowInvalid as error:
        raise StoreError(f"{folder.uri}/{path} is damaged: {error}") from error


def index_of(layout: Layout, footers: Iterable[Footer]) -> Index:
    """The index of some files, for once."""
    numbered = dict(enumerate(footers))
    return _join(layout, numbered, [_row_groups(layout, number, footer) for number, footer in numbered.items()])


def _row_groups(layout: Layout, number: int, footer: Footer) -> Index:
    metadata = footer.metadata
    count = metadata.num_row_groups
    column_of = {metadata.schema.column(i).path: i for i in range(metadata.num_columns)}
    groups = [metadata.row_group(i) for i in range(count)]  # each of thousands of rows
    ranges = {name: [group.column(column_of[name]).statistics for group in groups] for name in layout.prune}
    return Index(
        {number: footer},
        np.full(count, number, np.int64),
        np.arange(count, dtype=np.int64),
        np.array([group.num_rows for group in groups], np.int64),
        {name: np.array([s.min for s in stats], np.int64) for name, stats in ranges.items()},
        {name: np.array([s.max for s in stats], np.int64) for name, stats in ranges.items()},
    )


def _without(index: Index, gone: list[int]) -> Index:
    if not gone:
        return index
    kept = ~np.isin(index.numbers, gone)
    footers = {number: footer for number, footer in index.footers.items() if number not in set(gone)}
    low = {name: values[kept] for name, values in index.low.items()}
    high = {name: values[kept] for name, values in index.high.items()}
    return Index(footers, index.numbers[kept], index.groups[kept], index.rows[kept], low, high)


def _join(layout: Layout, footers: Mapping[int, Footer], parts: list[Index]) -> Index:
    def joined(arrays: list[I64]) -> I64:
        return np.concatenate([np.empty(0, np.int64), *arrays])

    return Index(
        footers,
        joined([part.numbers for part in parts]),
        joined([part.groups for part in parts]),
        joined([part.rows for part in parts]),
        {name: joined([part.low[name] for part in parts]) for name in layout.prune},
        {name: joined([part.high[name] for part in parts]) for name in layout.prune},
    )
