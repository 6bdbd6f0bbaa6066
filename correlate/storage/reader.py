"""Reading rows: pick row groups by the index, look at a few columns, then read the rest of what matched.

Reading a single column of a single row group costs some 60 microseconds whatever is in it. So where many row groups of
a file are needed, the file is scanned by Polars instead, with all conditions: it prunes by the same ranges, and reads
the other columns only where the conditions hold.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from correlate.errors import StoreError
from correlate.storage.delta_log import DataFile, DeltaLog
from correlate.storage.file_cache import FileCache
from correlate.storage.fingerprints import Fingerprints
from correlate.storage.index import Footer, Index, IndexKeeper, Mask
from correlate.storage.location import Folder
from correlate.storage.rowgroups import Rows, collect, read_row_groups, read_table, scan, to_frame

_T = TypeVar("_T")
_SCAN_GROUPS: Final = 32
_SCAN_GROUPS_LOOKING: Final = 96  # where a look at one column tells which row groups have to be read
_BATCH_GROUPS: Final = 64


@dataclass(frozen=True, slots=True)
class Condition:
    """Which rows are wanted.

    Attributes:
        rows: the condition; alone it decides, whatever row groups are looked at.
        columns: the columns it needs.
        first: a cheaper condition that every wanted row satisfies; None: there is no point in looking twice.
        first_columns: the few columns that one needs; they alone are read where nothing matches.
        fingerprint: the value that every wanted row has in the column of the reader's fingerprints; None: any.
    """

    rows: pl.Expr
    columns: tuple[str, ...]
    first: pl.Expr | None = None
    first_columns: tuple[str, ...] = ()
    fingerprint: int | None = None


class TableReader:
    """Reads one table. Safe to use from many threads.

    Args:
        log: the table.
        files: which of its files count now; called for every read.
        fingerprints: tell row groups with an id from those without.
        scan_groups: a file of which this many row groups are needed is scanned, where it is on a local disk; None: as
            many as measurements say.
    """

    def __init__(
        self,
        log: DeltaLog,
        files: Callable[[], Mapping[str, DataFile]] | None = None,
        fingerprints: Fingerprints | None = None,
        *,
        scan_groups: int | None = None,
    ) -> None:
        self._scan_groups = scan_groups
        self._fingerprints = fingerprints
        self._log = log
        self._files = files or (lambda: log.snapshot().files)
        self._keeper = IndexKeeper(log.folder, log.layout)

    def index(self) -> Index:
        """The row groups that count now.

        Raises:
            StoreError: a file cannot be read.
        """
        return self._retried(lambda: self._keeper.current(self._files()))

    def read(
        self,
        pick: Callable[[Index], Mask],
        condition: Condition,
        columns: Sequence[str] = (),
        whole: Callable[[Index], Mask] | None = None,
    ) -> pl.DataFrame:
        """Read the rows that satisfy a condition.

        Args:
            pick: which row groups can hold such rows; only to save work.
            condition: which rows are wanted.
            columns: which columns to return, empty: all.
            whole: which row groups hold such rows only, as far as their ranges say; no condition is evaluated there.

        Raises:
            StoreError: a file cannot be read.
        """
        schema = self._log.layout.schema
        wanted = pl.Schema({name: schema[name] for name in columns or schema})
        parts = self._parts(pick, condition, list(wanted), whole, collect)
        frames = [part.cast(wanted) for part in parts if len(part)]
        return pl.concat(frames) if frames else pl.DataFrame(schema=wanted)

    def whole_files(self, pick: Callable[[Index], Mask], columns: Sequence[str], kept: FileCache) -> list[pl.DataFrame]:
        """Some columns of all rows of the files that have a row group of those picked, from memory where they are kept.

        Raises:
            StoreError: a file cannot be read.
        """
        schema = pl.Schema({name: self._log.layout.schema[name] for name in columns})

        def attempt() -> list[pl.DataFrame]:
            index = self._keeper.current(self._files())
            return [kept.get(footer.path, partial(whole, footer)) for footer, _ in index.pick(pick(index))]

        def whole(footer: Footer) -> pl.DataFrame:
            groups = list(range(footer.metadata.num_row_groups))
            return read_row_groups(self._log.folder, footer, groups, columns).cast(schema)

        return self._retried(attempt)

    def fold(
        self,
        pick: Callable[[Index], Mask],
        condition: Condition,
        columns: Sequence[str],
        part: Callable[[pl.LazyFrame], pl.LazyFrame],
        whole: Callable[[Index], Mask] | None = None,
    ) -> list[pl.DataFrame]:
        """What becomes of the rows that satisfy a condition, part by part: the rows are never all in memory.

        Args:
            pick: as for `read`.
            condition: as for `read`.
            columns: which columns `part` needs.
            part: makes some of the rows smaller.
            whole: as for `read`.

        Raises:
            StoreError: a file cannot be read.
        """
        return self._parts(pick, condition, list(columns), whole, lambda rows: collect(part(rows.lazy())))

    def _parts(
        self,
        pick: Callable[[Index], Mask],
        condition: Condition,
        columns: list[str],
        whole: Callable[[Index], Mask] | None,
        finish: Callable[[Rows], pl.DataFrame],
    ) -> list[pl.DataFrame]:
        def attempt() -> list[pl.DataFrame]:
            index = self._keeper.current(self._files())
            chosen = pick(index)
            entire = chosen & whole(index) if whole else np.zeros(len(chosen), bool)
            return [finish(rows) for rows in self._rows(index, chosen, entire, condition, columns)]

        return self._retried(attempt)

    def _rows(
        self, index: Index, chosen: Mask, entire: Mask, condition: Condition, columns: list[str]
    ) -> Iterator[Rows]:
        """The wanted rows: files of which much is needed in one scan, single row groups of the others."""
        folder = self._log.folder
        scanned = self._scanned(index, chosen, condition)
        near = self._near(index, scanned)
        for footer, _ in index.pick(scanned):
            yield scan(folder, footer.path).filter(near & condition.rows).select(columns)
        for footer, groups in index.pick(chosen & ~scanned & ~entire):
            for some in _batched(self._holding(footer, groups, condition)):
                table = _matching(folder, footer, some, condition, columns)
                if table is not None:
                    yield to_frame(table)
        for footer, groups in index.pick(entire & ~scanned):
            for some in _batched(groups):
                yield to_frame(read_table(folder, footer, some, columns))

    def _scanned(self, index: Index, chosen: Mask, condition: Condition) -> Mask:
        """The row groups of files that are scanned; none where fingerprints leave few, or there is no local path."""
        if condition.fingerprint is not None or not self._log.folder.local:
            return np.zeros(len(chosen), bool)
        enough = self._scan_groups or (_SCAN_GROUPS if condition.first is None else _SCAN_GROUPS_LOOKING)
        numbers, counts = np.unique(index.numbers[chosen], return_counts=True)
        return np.asarray(chosen & np.isin(index.numbers, numbers[counts >= enough]))

    def _near(self, index: Index, chosen: Mask) -> pl.Expr:
        """What the ranges of chosen row groups say about their rows' times, in a form that Polars prunes by."""
        time = self._log.layout.time_column
        if time is None or not chosen.any():
            return pl.lit(True)
        return pl.col(time).is_between(int(index.low[time][chosen].min()), int(index.high[time][chosen].max()))

    def _holding(self, footer: Footer, groups: list[int], condition: Condition) -> list[int]:
        if condition.fingerprint is None or self._fingerprints is None:
            return groups
        return self._fingerprints.holding(footer, groups, condition.fingerprint)

    def _retried(self, attempt: Callable[[], _T]) -> _T:
        """Try once more when a file was merged and vacuumed away between looking and reading."""
        try:
            try:
                return attempt()
            except FileNotFoundError:
                self._log.snapshot(newest=True)
                return attempt()
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"table {self._log.layout.name} could not be read: {error}") from error


def _batched(groups: list[int]) -> Iterator[list[int]]:
    """At most so many row groups at a time, so that what they hold fits into memory."""
    return (groups[at : at + _BATCH_GROUPS] for at in range(0, len(groups), _BATCH_GROUPS))


def _matching(
    folder: Folder, footer: Footer, groups: list[int], condition: Condition, wanted: list[str]
) -> pa.Table | None:
    """The wanted columns of the rows of some row groups that satisfy a condition."""
    if condition.first is not None and groups:
        groups = _promising(folder, footer, groups, condition.first, condition.first_columns)
    if not groups:
        return None
    table = read_table(folder, footer, groups, [*dict.fromkeys([*wanted, *condition.columns])])
    matched = to_frame(table.select(condition.columns)).select(condition.rows).to_series()
    table = table.select(wanted)
    # Filtered before it becomes a frame: strings of rows nobody wants need not be converted.
    return table if matched.all() else table.filter(matched.to_arrow())


def _promising(
    folder: Folder, footer: Footer, groups: list[int], first: pl.Expr, columns: tuple[str, ...]
) -> list[int]:
    """The row groups with at least one row that satisfies the first condition."""
    matched = read_row_groups(folder, footer, groups, columns).select(first).to_series().to_numpy()
    rows = np.array([footer.metadata.row_group(group).num_rows for group in groups])
    group_of = np.repeat(np.arange(len(groups)), rows)
    return [groups[i] for i in np.unique(group_of[matched])]
