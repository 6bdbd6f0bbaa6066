"""The log of one Delta table: which files are active, and atomic commits.

Reading follows the log by itself, one small JSON file per commit, so that a reader sees a new version for the price of
one failed open when there is none; deltalake loads the first state and makes every commit. The log's format is the
Delta transaction protocol: https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final
from urllib.parse import unquote

import polars as pl
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from correlate.errors import StoreError
from correlate.storage.layout import Layout, hour_of, partition_values
from correlate.storage.location import Folder
from correlate.storage.parquet import WrittenFile

_FULL_CHECK_S: Final = 60.0
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_CONFIGURATION: Final = {
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
    "delta.checkpointInterval": "1000000",  # maintenance makes them, a commit somebody waits for does not
}


@dataclass(frozen=True, slots=True)
class DataFile:
    """An active file of a table.

    Attributes:
        path: relative to the table's folder.
        size_bytes: its size.
        hour: its partition, hours since the epoch.
        modified_ms: when it was committed, milliseconds since the epoch.
    """

    path: str
    size_bytes: int
    hour: int
    modified_ms: int

    @property
    def batch(self) -> tuple[str, int]:
        """The writer and the number of the batch it was written by, ``("", 0)`` for a merged file."""
        kind, _, rest = self.path.rpartition("/")[2].partition("-")
        writer, _, number = rest.partition("-")
        return (writer, int(number.partition("-")[0])) if kind == "batch" else ("", 0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A version of a table: its active files by path, and the last number of each application transaction seen."""

    version: int
    files: Mapping[str, DataFile]
    transactions: Mapping[str, int]


class DeltaLog:
    """Follows the versions of one table. Safe to use from many threads."""

    def __init__(self, folder: Folder, layout: Layout, *, poll_s: float) -> None:
        self.folder = folder
        self.layout = layout
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._create()
        self._snapshot = self._load()
        self._polled_s = self._checked_s = monotonic()

    def open_table(self) -> DeltaTable:
        """A deltalake handle at the newest version.

        Raises:
            StoreError: the table cannot be read.
        """
        try:
            return DeltaTable(self.folder.uri, storage_options=dict(self.folder.options))
        except (DeltaError, OSError) as error:
            raise StoreError(f"table {self.layout.name} cannot be opened: {error}") from error

    def snapshot(self, *, newest: bool = False) -> Snapshot:
        """The current version: at most `poll_s` old, and never older than this process's own last commit.

        Raises:
            StoreError: the log cannot be read.
        """
        if newest or monotonic() - self._polled_s >= self._poll_s:
            self._refresh()
        return self._snapshot

    def checkpoint(self) -> None:
        """Sum up the log in a checkpoint, and drop entries that are older than an hour and no longer needed.

        Raises:
            StoreError: it could not be written.
        """
        table = self.open_table()
        try:
            table.create_checkpoint()
            table.cleanup_metadata()
        except (DeltaError, OSError) as error:
            raise StoreError(f"table {self.layout.name} could not be checkpointed: {error}") from error

    def transaction(self, application: str) -> int:
        """The last number an application committed, -1 for none."""
        known = self._snapshot.transactions.get(application)
        if known is None:
            found = self.open_table().transaction_version(application)
            known = -1 if found is None else int(found)
            self._remember(application, known)
        return known

    def _remember(self, application: str, number: int) -> None:
        with self._lock:
            now = self._snapshot
            self._snapshot = Snapshot(now.version, now.files, {application: number, **now.transactions})

    def _refresh(self) -> None:
        with self._lock:
            self._polled_s = monotonic()
            entries = self._read_tail(self._snapshot.version)
            if entries:
                self._snapshot = _apply(self._snapshot, entries)
            elif self._polled_s - self._checked_s > _FULL_CHECK_S:
                self._full_check()

    def _full_check(self) -> None:
        """Entries this process never read may have been cleaned up; then only the checkpoint knows."""
        self._checked_s = self._polled_s
        if self.open_table().version() > self._snapshot.version:
            self._snapshot = self._load()

    def _read_tail(self, version: int) -> list[bytes]:
        entries: list[bytes] = []
        while (entry := self.folder.read(log_entry(version + 1 + len(entries)))) is not None:
            entries.append(entry)
        return entries

    def _create(self) -> None:
        try:
            DeltaTable.create(
                self.folder.uri,
                Schema.from_arrow(self.layout.table_schema()),
                mode="ignore",
                partition_by=self.layout.partition_by,
                name=self.layout.name,
                configuration=_CONFIGURATION,
                storage_options=dict(self.folder.options),
            )
        except (DeltaError, OSError) as error:
            raise StoreError(f"table {self.layout.name} cannot be created in {self.folder.uri}: {error}") from error

    def _load(self) -> Snapshot:
        table = self.open_table()
        actions = pl.DataFrame(table.get_add_actions(flatten=True))
        hours = [""] * len(actions), [None] * len(actions)
        if self.layout.time_column and len(actions):
            hours = actions["partition.date"].to_list(), actions["partition.hour"].to_list()
        columns = (actions[name].to_list() for name in ("path", "size_bytes", "modification_time"))
        files = (
            DataFile(unquote(path), size, hour_of({"date": date or None, "hour": hour}), modified)
            for path, size, modified, date, hour in zip(*columns, *hours, strict=True)
        )
        return Snapshot(table.version(), {file.path: file for file in files}, {})


class DeltaWriter:
    """Commits to one table on behalf of one thread.

    What a caller decides between `begin` and `commit` (which rows are new, which files to merge) is protected by a
    fence: when another writer with the same fence commits in between, the commit is refused.
    """

    def __init__(self, log: DeltaLog, *, fence: str, fsync: bool = False) -> None:
        self._log = log
        self._fence = fence
        self._fsync = fsync
        self._schema = Schema.from_arrow(log.layout.table_schema())
        self._table = log.open_table()

    def begin(self) -> Snapshot:
        """The newest version, on which the next commit is based.

        Raises:
            StoreError: the table cannot be read.
        """
        try:
            self._table.update_incremental()
        except (DeltaError, OSError) as error:
            raise StoreError(f"table {self._log.layout.name} cannot be read: {error}") from error
        return self._log.snapshot(newest=True)

    def commit(
        self,
        adds: Iterable[WrittenFile],
        now_ms: int,
        *,
        removes: Iterable[DataFile] = (),
        data_change: bool = True,
        transactions: Mapping[str, int] | None = None,
    ) -> bool:
        """Make files part of the table, and others not, in one new version.

        Args:
            adds: complete files.
            now_ms: milliseconds since the epoch.
            removes: active files that leave the table.
            data_change: False when the rows stay the same, as in a merge.
            transactions: application transactions that become visible with it.

        Returns:
            False when another writer behind the same fence committed since `begin`; then nothing was changed.

        Raises:
            StoreError: the commit failed.
        """
        written = list(adds)
        actions: list[AddAction | RemoveAction] = [_add(file, now_ms, data_change) for file in written]
        actions += [_remove(file, now_ms, data_change) for file in removes]
        numbers = {self._fence: self._table.version() + 1, **(transactions or {})}
        self._sync([file.path for file in written])
        try:
            self._table.create_write_transaction(
                actions,
                mode="append",
                schema=self._schema,
                partition_by=self._log.layout.partition_by,
                commit_properties=CommitProperties(
                    max_commit_retries=50, app_transactions=[Transaction(app, n) for app, n in numbers.items()]
                ),
                post_commithook_properties=_NO_HOOKS,
            )
        except (DeltaError, OSError) as error:
            if isinstance(error, CommitFailedError) and "concurrent" in str(error).lower():
                return False
            raise StoreError(f"commit to table {self._log.layout.name} failed: {error}") from error
        newest = self._log.snapshot(newest=True).version
        self._sync([log_entry(version) for version in range(self._table.version() + 1, newest + 1)])
        return True

    def _sync(self, paths: list[str]) -> None:
        if not self._fsync:
            return
        try:
            self._log.folder.sync(paths)
        except OSError as error:
            raise StoreError(f"table {self._log.layout.name} could not be flushed to disk: {error}") from error


def log_entry(version: int) -> str:
    """Where the log keeps a version."""
    return f"_delta_log/{version:020d}.json"


def _apply(snapshot: Snapshot, entries: list[bytes]) -> Snapshot:
    files, transactions = dict(snapshot.files), dict(snapshot.transactions)
    for action in (json.loads(line) for entry in entries for line in entry.splitlines()):
        if added := action.get("add"):
            path = unquote(added["path"])
            hour = hour_of(added["partitionValues"])
            files[path] = DataFile(path, added["size"], hour, added["modificationTime"])
        elif removed := action.get("remove"):
            files.pop(unquote(removed["path"]), None)
        elif txn := action.get("txn"):
            transactions[txn["appId"]] = txn["version"]
    return Snapshot(snapshot.version + len(entries), files, transactions)


def _add(file: WrittenFile, now_ms: int, data_change: bool) -> AddAction:
    return AddAction(file.path, file.size_bytes, partition_values(file.hour), now_ms, data_change, file.stats)


def _remove(file: DataFile, now_ms: int, data_change: bool) -> RemoveAction:
    return RemoveAction(file.path, data_change, now_ms, file.size_bytes, partition_values(file.hour))
