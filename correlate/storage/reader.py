"""Reading rows: pick row groups by the index, look at a few columns, then read the rest of what matched."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from correlate.errors import StoreError
from correlate.storage.delta_log import DataFile, DeltaLog
from correlate.storage.fingerprints import Fingerprints
from correlate.storage.index import Footer, Index, IndexKeeper, Mask
from correlate.storage.location import Folder
from correlate.storage.rowgroups import read_row_groups, read_table, to_frame

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Condition:
    """Which rows are wanted.

    Attributes:
        rows: the condition.
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
    """

    def __init__(
        self,
        log: DeltaLog,
        files: Callable[[], Mapping[str, DataFile]] | None = None,
        fingerprints: Fingerprints | None = None,
    ) -> None:
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
            pick: which row groups can hold such rows.
            condition: which rows are wanted.
            columns: which columns to return, empty: all.
            whole: which row groups hold such rows only, as far as their ranges say; no condition is evaluated there.

        Raises:
            StoreError: a file cannot be read.
        """
        schema = self._log.layout.schema
        wanted = pl.Schema({name: schema[name] for name in columns or schema})

        def attempt() -> pl.DataFrame:
            index = self._keeper.current(self._files())
            chosen = pick(index)
            entire = chosen & whole(index) if whole else np.zeros(len(chosen), bool)
            tables = [
                _matching(self._log.folder, footer, self._holding(footer, groups, condition), condition, list(wanted))
                for footer, groups in index.pick(chosen & ~entire)
            ]
            tables += [read_table(self._log.folder, *picked, list(wanted)) for picked in index.pick(entire)]
            frames = [to_frame(table).cast(wanted) for table in tables if table is not None and len(table)]
            return pl.concat(frames) if frames else pl.DataFrame(schema=wanted)

        return self._retried(attempt)

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
