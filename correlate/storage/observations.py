"""The table of observations: written by whoever watches, read by detectors."""

import threading
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

import numpy as np
import polars as pl

from correlate.errors import StoreError
from correlate.model.queries import TimeRange
from correlate.ports import Clock
from correlate.storage.delta_log import DeltaLog, DeltaWriter
from correlate.storage.index import I64, Index, Mask
from correlate.storage.layout import folder_of
from correlate.storage.parquet import WrittenFile, write_file
from correlate.storage.reader import Condition, TableReader
from correlate.tables.hashing import hash_one

_MAX_ATTEMPTS: Final = 8


class ObservationStore:
    """`ports.Observations` over the lake's table. Safe to use from many threads."""

    def __init__(self, log: DeltaLog, reader: TableReader, clock: Clock, *, fsync: bool) -> None:
        self._log = log
        self._reader = reader
        self._clock = clock
        self._writer = DeltaWriter(log, fence="observe", fsync=fsync)
        self._lock = threading.Lock()

    def append(self, rows: pl.DataFrame) -> None:
        """See `ports.Observations.append`."""
        if rows.is_empty():
            return
        try:
            with self._lock:
                self._commit(self._written(rows))
        except OSError as error:
            raise StoreError(f"observations could not be written: {error}") from error

    def read(
        self, services: Sequence[str], window: TimeRange, duration_ns: int, *, types: Sequence[str] = ()
    ) -> pl.DataFrame:
        """See `ports.Observations.read`."""
        ids = pl.Series([hash_one(name) for name in services], dtype=pl.Int64)
        wanted = pl.col("service_id").is_in(ids.implode()) & (pl.col("duration_ns") == duration_ns)
        wanted &= (pl.col("time_ns") >= window.start_ns) & (pl.col("time_ns") < window.end_ns)
        columns = ["service_id", "time_ns", "duration_ns"]
        if types:
            wanted &= pl.col("type").is_in(list(types))
            columns.append("type")
        found = self._reader.read(
            lambda index: _groups(index, ids.to_numpy(), window, duration_ns), Condition(wanted, tuple(columns))
        )
        return self._log.layout.current(found)

    def _written(self, rows: pl.DataFrame) -> list[WrittenFile]:
        layout = self._log.layout
        ordered = rows.select(pl.col(name).cast(kind) for name, kind in layout.schema.items())
        name = f"observed-{uuid4().hex}"
        return [
            write_file(self._log.folder, layout, f"{folder_of(hour)}{name}.parquet", hour, part)
            for hour, part in layout.by_hour(ordered)
        ]

    def _commit(self, files: list[WrittenFile]) -> None:
        """Add files; what another process committed meanwhile does not matter."""
        for _ in range(_MAX_ATTEMPTS):
            self._writer.begin()
            if self._writer.commit(files, self._clock.now_ns() // 1_000_000):
                return
        raise StoreError("other writers kept committing observations first; it will be tried again")


def _groups(index: Index, service_ids: I64, window: TimeRange, duration_ns: int) -> Mask:
    """Row groups that can hold rows of some services in a window."""
    low, high = index.low, index.high
    chosen = ((low["service_id"][:, None] <= service_ids) & (high["service_id"][:, None] >= service_ids)).any(axis=1)
    chosen &= (low["time_ns"] < window.end_ns) & (high["time_ns"] >= window.start_ns)
    return np.asarray(chosen & (low["duration_ns"] <= duration_ns) & (high["duration_ns"] >= duration_ns))
