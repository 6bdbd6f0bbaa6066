"""Writing the rows of one group commit to their tables, in the order that makes them visible at once."""

from collections.abc import Iterable, Sequence
from typing import Final
from uuid import uuid4

import polars as pl

from correlate.errors import StoreError
from correlate.ports import Clock, Receipt
from correlate.storage.delta_log import DataFile, DeltaLog, DeltaWriter
from correlate.storage.known import I64, IdSet, PartitionedIds
from correlate.storage.layout import folder_of
from correlate.storage.ledger import Fresh, fresh_profiles, fresh_spans
from correlate.storage.parquet import WrittenFile, write_file
from correlate.storage.rowgroups import read_columns
from correlate.storage.visibility import visible
from correlate.tables import hashing
from correlate.tables.tables import Tables

_SYMBOLS: Final = {"series": ("series",), "frames": ("service", "frame"), "stacks": ("service", "stack")}
"""Tables that are written before anything counts, in this order, and what identifies their rows."""

_MAX_ATTEMPTS: Final = 8
_MAX_SYMBOLS: Final = 1 << 23  # 64 MiB of ids for each table; then forget, writing a symbol twice is harmless
_KNOWN_BYTES: Final = 64 << 20


class BatchWriter:
    """Writes groups of submissions. Used by one thread.

    Attributes:
        writer: the name this writer's batches carry; a new one after every failure, so that a batch that did not
            reach ``samples`` can never become visible by a later one.
    """

    def __init__(self, logs: dict[str, DeltaLog], clock: Clock, *, fsync: bool) -> None:
        self._logs = logs
        self._clock = clock
        self._writers = {name: DeltaWriter(log, fence="ingest", fsync=fsync) for name, log in logs.items()}
        self._symbols: dict[str, IdSet | None] = dict.fromkeys(_SYMBOLS)
        self._known_spans = PartitionedIds(self._span_files, self._payloads, _KNOWN_BYTES)
        self._known_profiles = PartitionedIds(self._profile_files, self._profiles, _KNOWN_BYTES)
        self._batch = 0
        self.writer = uuid4().hex

    def write(self, submissions: Sequence[Tables]) -> list[Receipt]:
        """Store what is new of some submissions; one receipt for each. All or nothing is acknowledged.

        Raises:
            StoreError: something could not be written; some rows may be stored nevertheless, and will be recognised.
        """
        try:
            self._write_symbols(submissions)
            spans = self._write_spans([tables.spans for tables in submissions])
            profiles = self._write_profiles([(tables.profiles, tables.samples) for tables in submissions])
        except OSError as error:
            self._renew()
            raise StoreError(f"the store could not write: {error}") from error
        except BaseException:
            self._renew()
            raise
        return [
            Receipt(spans=span[0], samples=profile[1], profiles=profile[0], duplicates=span[-1] + profile[-1])
            for span, profile in zip(spans, profiles, strict=True)
        ]

    def _renew(self) -> None:
        self.writer = uuid4().hex
        self._batch = 0

    def _write_symbols(self, submissions: Sequence[Tables]) -> None:
        for table, key in _SYMBOLS.items():
            rows = _concat([tables.frame(table) for tables in submissions])
            if not len(rows):
                continue
            known = self._known_symbols(table, key)
            ids = _ids(rows, key)
            new = ~known.contains(ids) & pl.Series(ids).is_first_distinct().to_numpy()
            if new.any():
                self._batch += 1
                self._commit(table, self._write_files(table, rows.filter(pl.Series(new))))
                known.add(ids[new])

    def _known_symbols(self, table: str, key: tuple[str, ...]) -> IdSet:
        known = self._symbols[table]
        if known is None or len(known) > _MAX_SYMBOLS:
            full = known is not None
            known = self._symbols[table] = IdSet()
            paths = [] if full else list(self._writers[table].begin().files)
            for path in paths:
                known.add(_ids(read_columns(self._logs[table].folder, [path], key), key))
        return known

    def _write_spans(self, submissions: list[pl.DataFrame]) -> list[tuple[int, ...]]:
        """Stored spans and repeated payloads of each submission."""
        if not any(len(spans) for spans in submissions):
            return [(0, 0)] * len(submissions)
        for _ in range(_MAX_ATTEMPTS):
            self._writers["spans"].begin()
            fresh = fresh_spans(submissions, self._known_spans)
            rows = _concat([frames[0] for frames in fresh.frames])
            if self._count(rows, {}, "spans", fresh, self._known_spans):
                return _counts(fresh)
        raise StoreError("other writers kept committing spans first; send again")

    def _write_profiles(self, submissions: list[tuple[pl.DataFrame, pl.DataFrame]]) -> list[tuple[int, ...]]:
        """Stored profiles, stored samples and repeated profiles of each submission."""
        if not any(len(profiles) + len(samples) for profiles, samples in submissions):
            return [(0, 0, 0)] * len(submissions)
        for _ in range(_MAX_ATTEMPTS):
            self._writers["samples"].begin()
            self._writers["profiles"].begin()
            fresh = fresh_profiles(submissions, self._known_profiles)
            profiles = _concat([frames[0] for frames in fresh.frames])
            samples = _concat([frames[1] for frames in fresh.frames])
            if self._count(samples, {"profiles": profiles}, "samples", fresh, self._known_profiles):
                return _counts(fresh)
            self._renew()  # the batch in ``profiles`` must stay invisible for ever
        raise StoreError("other writers kept committing samples first; send again")

    def _count(
        self, rows: pl.DataFrame, before: dict[str, pl.DataFrame], table: str, fresh: Fresh, known: PartitionedIds
    ) -> bool:
        """Write one batch, the commit that counts last. False when another writer was first."""
        if not len(rows) and not any(len(frame) for frame in before.values()):
            return True
        self._batch += 1
        unit_table, unit_rows = next(iter(before.items()), (table, rows))
        files = self._write_files(table, rows)
        units = files if unit_table == table else self._write_files(unit_table, unit_rows)
        if unit_table != table:
            self._commit(unit_table, units)
            self._check_present(unit_table, units)
        if not self._commit_counting(table, files):
            return False
        known.add(fresh.hours, fresh.ids, [file.path for file in units])
        return True

    def _commit(self, table: str, files: list[WrittenFile]) -> None:
        """Commit to a table where nothing has to be decided again when another writer was first."""
        for _ in range(_MAX_ATTEMPTS):
            self._writers[table].begin()
            if self._writers[table].commit(files, self._now_ms()):
                return
        raise StoreError(f"other writers kept committing to table {table} first; send again")

    def _check_present(self, table: str, files: list[WrittenFile]) -> None:
        """A writer that slept for longer than the grace period may find its batch swept as abandoned."""
        present = self._logs[table].snapshot(newest=True).files
        if not all(file.path in present for file in files):
            raise StoreError(f"the batch in table {table} was swept before it was complete; send again")

    def _commit_counting(self, table: str, files: list[WrittenFile]) -> bool:
        """Commit with the number of the batch; after an error look whether it was committed nevertheless."""
        batch = {self.writer: self._batch}
        try:
            return self._writers[table].commit(files, self._now_ms(), transactions=batch)
        except StoreError:
            self._writers[table].begin()
            if self._logs[table].transaction(self.writer) < self._batch:
                raise
            return True

    def _write_files(self, table: str, rows: pl.DataFrame) -> list[WrittenFile]:
        layout, folder = self._logs[table].layout, self._logs[table].folder
        name = f"batch-{self.writer}-{self._batch}"
        return [
            write_file(folder, layout, f"{folder_of(hour)}{name}-{part}.parquet", hour, chunk)
            for part, (hour, chunk) in enumerate(layout.by_hour(rows))
        ]

    def _span_files(self, hour: int) -> list[str]:
        return _paths(self._logs["spans"].snapshot().files.values(), hour)

    def _profile_files(self, hour: int) -> list[str]:
        return _paths(visible(self._logs["profiles"], self._logs["samples"]).values(), hour)

    def _payloads(self, paths: list[str]) -> I64:
        return read_columns(self._logs["spans"].folder, paths, ("payload",))["payload"].unique().to_numpy()

    def _profiles(self, paths: list[str]) -> I64:
        return read_columns(self._logs["profiles"].folder, paths, ("profile",))["profile"].unique().to_numpy()

    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000


def _concat(frames: list[pl.DataFrame]) -> pl.DataFrame:
    filled = [frame for frame in frames if len(frame)]
    return pl.concat(filled) if filled else frames[0]


def _counts(fresh: Fresh) -> list[tuple[int, ...]]:
    """Rows stored for each submission, frame by frame, and its duplicates last."""
    return [
        (*(len(frame) for frame in frames), duplicates)
        for frames, duplicates in zip(fresh.frames, fresh.duplicates, strict=True)
    ]


def _ids(rows: pl.DataFrame, key: tuple[str, ...]) -> I64:
    columns = [rows[name].to_numpy() for name in key]
    return columns[0] if len(columns) == 1 else hashing.combine(columns)


def _paths(files: Iterable[DataFile], hour: int) -> list[str]:
    return [file.path for file in files if file.hour == hour]
