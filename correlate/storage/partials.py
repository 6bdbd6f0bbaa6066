"""Sums over a whole table from sums per file: a new file costs one look at its footer, a known one nothing."""

import threading
from collections.abc import Mapping

import polars as pl

from correlate.storage import aggregates
from correlate.storage.index import Footer
from correlate.storage.location import Folder
from correlate.storage.parquet import aggregate_of
from correlate.storage.reader import TableReader
from correlate.storage.rowgroups import read_columns


class Partials:
    """The combined aggregate of one table. Safe to use from many threads."""

    def __init__(self, reader: TableReader, folder: Folder, table: str) -> None:
        self._reader = reader
        self._folder = folder
        self._table = table
        self._lock = threading.Lock()
        self._by_file: dict[int, pl.DataFrame] = {}
        self._combined = aggregates.empty(table)
        self._answer = aggregates.answer(table, self._combined)

    def answer(self) -> pl.DataFrame:
        """What the lake says about all files that count now; worked out again only when they change.

        Raises:
            StoreError: a file cannot be read.
        """
        with self._lock:
            footers = self._reader.index().footers
            if footers.keys() != self._by_file.keys():
                self._update(footers)
            return self._answer

    def _update(self, footers: Mapping[int, Footer]) -> None:
        kept = {number: part for number, part in self._by_file.items() if number in footers}
        added = {number: self._partial(footers[number]) for number in footers.keys() - kept.keys()}
        # Nothing left: only the new parts are put together, not all of them.
        base = [self._combined] if len(kept) == len(self._by_file) else list(kept.values())
        self._by_file = kept | added
        self._combined = aggregates.combine(
            pl.concat([aggregates.empty(self._table), *base, *added.values()]), self._table
        )
        self._answer = aggregates.answer(self._table, self._combined)

    def _partial(self, footer: Footer) -> pl.DataFrame:
        stored = aggregate_of(footer.metadata, self._table)
        if stored is not None:
            return stored
        frame = read_columns(self._folder, [footer.path], aggregates.COLUMNS[self._table])
        return aggregates.partial(self._table, frame)
