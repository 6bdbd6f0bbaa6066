"""What runs beside ingest: merging small files, dropping what is too old, and deleting what nobody reads any more."""

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from correlate.errors import StoreError
from correlate.ports import Clock
from correlate.storage.delta_log import DataFile, DeltaLog, DeltaWriter
from correlate.storage.layout import HOUR_NS, NO_HOUR
from correlate.storage.merge import merge_files
from correlate.storage.vacuum import Vacuum
from correlate.storage.visibility import abandoned, reached

_LOG: Final = logging.getLogger(__name__)
_NS_PER_S: Final = 1_000_000_000
_SMALLEST_BYTES: Final = 256 << 10
_GROWTH: Final = 8
_COUNTED: Final = ("spans", "samples", "profiles", "observations")


@dataclass(frozen=True, slots=True)
class MaintenanceOptions:
    """How the lake is kept in shape.

    Attributes:
        interval_s: pause between two rounds, seconds.
        small_files: how many files of similar size a partition may have before they are merged.
        closing_s: how long after the end of an hour, and after its last late arrival, all its files are merged.
        run_bytes: files this large are never merged again.
        retention_s: how long rows are kept, seconds.
        max_bytes: how much the partitioned tables may hold; the oldest hours go first; None: no cap.
        grace_s: how long files that left a table stay for readers in flight, and how old a batch without its counting
            commit must be to count as left behind by a crash.
        checkpoint_every: versions between two checkpoints of a log.
    """

    interval_s: float = 5.0
    small_files: int = 16
    closing_s: float = 600.0
    run_bytes: int = 1 << 30
    retention_s: float = 30 * 86_400.0
    max_bytes: int | None = None
    grace_s: float = 600.0
    checkpoint_every: int = 50


@dataclass(frozen=True, slots=True)
class Round:
    """What one round did: files merged, files dropped by retention, files swept after a crash, files deleted."""

    merged: int = 0
    expired: int = 0
    swept: int = 0
    deleted: int = 0


@dataclass
class _Progress:
    checkpointed: dict[str, int] = field(default_factory=dict)
    vacuumed_s: float = 0.0


class Maintenance:
    """One round at a time, by hand (`run_once`) or by a thread (`start`, `stop`)."""

    def __init__(self, logs: Mapping[str, DeltaLog], options: MaintenanceOptions, clock: Clock) -> None:
        self._logs = logs
        self._options = options
        self._clock = clock
        self._writers = {name: DeltaWriter(log, fence="maintenance") for name, log in logs.items()}
        self._vacuums = [Vacuum(log, int(options.grace_s * _NS_PER_S)) for log in logs.values()]
        self._progress = _Progress()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.last_problem: str | None = None

    def start(self) -> None:
        """Run rounds in a thread until `stop`."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the step under way and return; rounds can be run by hand, or started, again."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._stopping.clear()

    def run_once(self) -> Round:
        """Do whatever is due now.

        Raises:
            StoreError: a table could not be read or written.
        """
        expired = self._expire()
        swept = self._sweep()
        merged = self.compact().merged
        return Round(merged, expired, swept, self._vacuum())

    def compact(self) -> Round:
        """Merge files and write checkpoints. Not at the same time as `expire` or another `compact` of this object.

        Raises:
            StoreError: a table could not be read or written.
        """
        merged = sum(self._merge_table(name) for name in self._logs)
        for name in self._logs:
            self._checkpoint(name)
        return Round(merged=merged)

    def expire(self) -> Round:
        """Drop what is too old, sweep what a crash left behind, delete files that nobody reads any more.

        Raises:
            StoreError: a table could not be read or written.
        """
        expired = self._expire()
        swept = self._sweep()
        return Round(expired=expired, swept=swept, deleted=self._vacuum())

    def _run(self) -> None:
        while not self._stopping.wait(self._options.interval_s):
            try:
                self.run_once()
                self.last_problem = None
            except (StoreError, OSError) as error:
                self.last_problem = str(error)
                _LOG.warning("maintenance failed and will be tried again: %s", error)

    def _sweep(self) -> int:
        before_ms = (self._clock.now_ns() - int(self._options.grace_s * _NS_PER_S)) // 1_000_000
        self._writers["profiles"].begin()
        files = abandoned(self._logs["profiles"], self._logs["samples"], before_ms)
        return self._remove("profiles", files)

    def _expire(self) -> int:
        oldest = (self._clock.now_ns() - int(self._options.retention_s * _NS_PER_S)) // HOUR_NS
        if self._options.max_bytes is not None:
            every = [file for name in _COUNTED for file in self._logs[name].snapshot().files.values()]
            oldest = max(oldest, first_hour_within(every, self._options.max_bytes))
        removed = 0
        for name in _COUNTED:
            files = self._writers[name].begin().files.values()
            removed += self._remove(name, [file for file in files if file.hour < oldest])
        return removed

    def _remove(self, name: str, files: list[DataFile]) -> int:
        if not files or not self._writers[name].commit([], self._now_ms(), removes=files):
            return 0
        return len(files)

    def _merge_table(self, name: str) -> int:
        return sum(self._merge(name, hour) for hour in self._hours(name) if not self._stopping.is_set())

    def _hours(self, name: str) -> list[int]:
        counts: dict[int, int] = defaultdict(int)
        for file in self._logs[name].snapshot().files.values():
            counts[file.hour] += 1
        return sorted((hour for hour, count in counts.items() if count > 1), reverse=True)

    def _merge(self, name: str, hour: int) -> int:
        """Merge some files of a partition. Losing a race costs only the work."""
        files = [file for file in self._writers[name].begin().files.values() if file.hour == hour]
        if name == "profiles":
            files = [file for file in files if reached(file, self._logs["samples"])]
        chosen = self._choose(files)
        if len(chosen) < 2:
            return 0
        try:
            merged = merge_files(self._logs[name], chosen)
        except FileNotFoundError:
            return 0
        done = self._writers[name].commit([merged], self._now_ms(), removes=chosen, data_change=False)
        return len(chosen) if done else 0

    def _choose(self, files: list[DataFile]) -> list[DataFile]:
        candidates = [file for file in files if file.size_bytes < self._options.run_bytes]
        if candidates and self._closed(candidates):
            return candidates
        return crowded_tier(candidates, self._options.small_files)

    def _closed(self, files: list[DataFile]) -> bool:
        quiet_since_ms = self._now_ms() - int(self._options.closing_s * 1000)
        over = files[0].hour != NO_HOUR and (files[0].hour + 1) * HOUR_NS // 1_000_000 < quiet_since_ms
        return over and all(file.modified_ms < quiet_since_ms for file in files)

    def _checkpoint(self, name: str) -> None:
        version = self._logs[name].snapshot().version
        if version - self._progress.checkpointed.setdefault(name, 0) < self._options.checkpoint_every:
            return
        self._logs[name].checkpoint()
        self._progress.checkpointed[name] = version

    def _vacuum(self) -> int:
        """Listing a folder is slow on an object store, so not in every round."""
        if monotonic() - self._progress.vacuumed_s < min(self._options.grace_s / 4, 300.0):
            return 0
        self._progress.vacuumed_s = monotonic()
        return sum(vacuum.run(self._clock.now_ns()) for vacuum in self._vacuums)

    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000


def crowded_tier(files: list[DataFile], limit: int) -> list[DataFile]:
    """The smallest files of similar size that are more than `limit`, none when no size class is crowded.

    Size classes grow by a factor of eight, so a row is rewritten only a few times in its life.
    """
    tiers: dict[int, list[DataFile]] = defaultdict(list)
    for file in files:
        tiers[_tier(file.size_bytes)].append(file)
    crowded = [tier for tier, members in tiers.items() if len(members) > limit]
    if not crowded:
        return []
    return [file for tier, members in tiers.items() if tier <= min(crowded) for file in members]


def first_hour_within(files: Iterable[DataFile], max_bytes: int) -> int:
    """The oldest hour that can stay when everything from it on may hold `max_bytes`."""
    by_hour: dict[int, int] = defaultdict(int)
    for file in files:
        by_hour[file.hour] += file.size_bytes
    held = 0
    for hour in sorted(by_hour, reverse=True):
        held += by_hour[hour]
        if held > max_bytes:
            return hour + 1
    return NO_HOUR


def _tier(size_bytes: int) -> int:
    tier = 0
    while size_bytes > _SMALLEST_BYTES * _GROWTH**tier:
        tier += 1
    return tier
