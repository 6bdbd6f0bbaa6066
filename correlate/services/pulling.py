"""What pulling needs to know and to write down: plans, reports, books."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from correlate.errors import CorrelateError, SourceTooSlow
from correlate.model.payload import RawPayload
from correlate.model.queries import TimeRange
from correlate.ports import (
    DeadLetters,
    Lease,
    Leases,
    Part,
    Receipt,
    Source,
    SourceStatus,
    SourceStatuses,
    Watermarks,
)

_NS_PER_S: Final = 1_000_000_000
_LONGEST_PAUSE_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A source and how it is pulled.

    Attributes:
        source: what is pulled.
        kind: what it is, for instance ``tempo``.
        place: its address, without credentials.
        every_s: how often to look whether something is due.
        step_s: the longest window to fetch at once; None: one window up to now, for sources without a past.
        backfill_s: how far back to begin when nothing was pulled yet.
        follow: for a source that delivers by itself: gives payloads to a function, from any thread, until an event is
            set. Such a source has no windows and stays with one process.
        parts: how the parts of the source are now.
    """

    source: Source
    kind: str = ""
    place: str = ""
    every_s: float = 30.0
    step_s: float | None = 300.0
    backfill_s: float = 3600.0
    follow: Callable[[Callable[[RawPayload], object], threading.Event], None] | None = None
    parts: Callable[[], Sequence[Part]] = tuple

    @property
    def name(self) -> str:
        """What the configuration calls the source."""
        return self.source.name

    def next_window(self, mark_ns: int | None, settled_ns: int) -> TimeRange | None:
        """What to fetch after a watermark; None when nothing is due."""
        start_ns = settled_ns - int(self.backfill_s * _NS_PER_S) if mark_ns is None else mark_ns
        end_ns = settled_ns if self.step_s is None else min(settled_ns, start_ns + int(self.step_s * _NS_PER_S))
        return TimeRange(start_ns, end_ns) if end_ns > start_ns else None


class Outcome(StrEnum):
    """How a pull ended."""

    DONE = "done"
    HELD = "held"  # somebody else pulls this source
    WAITING = "waiting"  # it failed lately, and it is too early to try again
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class PullReport:
    """What a pull did.

    Attributes:
        outcome: how it ended.
        windows: windows that were stored completely.
        payloads: payloads fetched.
        spans: span rows stored.
        profiles: profiles stored.
        samples: sample rows stored.
        duplicates: spans, payloads and profiles that were there already.
        rejects: parts of payloads that were refused.
        dead: payloads that became dead letters.
        behind: whether more is due right now.
        error: why it failed.
        held_by: who else pulls the source.
    """

    outcome: Outcome = Outcome.DONE
    windows: int = 0
    payloads: int = 0
    spans: int = 0
    profiles: int = 0
    samples: int = 0
    duplicates: int = 0
    rejects: int = 0
    dead: int = 0
    behind: bool = False
    error: str = ""
    held_by: str | None = None

    def stored(self, receipt: Receipt, known_spans: int) -> "PullReport":
        """With what one commit did."""
        return replace(
            self,
            spans=self.spans + receipt.spans,
            profiles=self.profiles + receipt.profiles,
            samples=self.samples + receipt.samples,
            duplicates=self.duplicates + receipt.duplicates + known_spans,
        )


@dataclass(frozen=True, slots=True)
class Books:
    """Where pulling writes down what it did."""

    watermarks: Watermarks
    leases: Leases
    statuses: SourceStatuses
    letters: DeadLetters


class PullEnded(Exception):
    """A pull ends before its time and nothing is wrong. It goes no further than the one who began the pull."""

    outcome = Outcome.HELD


class LostLease(PullEnded):
    """Somebody else pulls this source now."""


class Stopping(PullEnded):
    """The process comes to its end."""

    outcome = Outcome.WAITING


def after(status: SourceStatus, report: PullReport, now_ns: int, parts: Sequence[Part]) -> SourceStatus:
    """The status of a source after a pull that succeeded."""
    return replace(
        _summed(status, report),
        last_ok_ns=now_ns,
        retry_at_ns=0,
        failures_in_a_row=0,
        pulls=status.pulls + 1,
        parts=tuple(parts),
    )


def after_failure(
    status: SourceStatus, report: PullReport, error: Exception, now_ns: int, pause_s: float
) -> SourceStatus:
    """The status of a source after a pull that failed; the next is not before a pause that grows.

    Args:
        status: how it was.
        report: what was stored nevertheless.
        error: why it failed.
        now_ns: now.
        pause_s: after the first failure; it doubles with each further one, up to five minutes.
    """
    pause_s = min(pause_s * 2.0 ** min(status.failures_in_a_row, 16), _LONGEST_PAUSE_S)
    if isinstance(error, SourceTooSlow) and error.retry_after_s is not None:
        pause_s = max(pause_s, error.retry_after_s)
    return replace(
        _summed(status, report),
        last_error=report.error,
        last_error_ns=now_ns,
        retry_at_ns=now_ns + int(pause_s * _NS_PER_S),
        failures_in_a_row=status.failures_in_a_row + 1,
        failures=status.failures + 1,
    )


def _summed(status: SourceStatus, report: PullReport) -> SourceStatus:
    names = ("payloads", "spans", "profiles", "samples", "duplicates", "rejects", "dead")
    sums = {name: getattr(status, name) + getattr(report, name) for name in names}
    return replace(status, **sums)


class HeldLease:
    """A lease that is renewed in the background."""

    def __init__(self, leases: Leases, lease: Lease, ttl_s: float) -> None:
        self.lease = lease
        self._leases = leases
        self._ttl_s = ttl_s
        self._lost = threading.Event()

    def check(self) -> None:
        """Whether it is still held.

        Raises:
            LostLease: it is not.
            StoreError: the state database cannot be asked.
        """
        if self._lost.is_set() or not self._leases.renew(self.lease, self._ttl_s):
            raise LostLease(f"{self.lease.name} was taken over by another process")

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew it until the block is left."""
        stop = threading.Event()
        thread = threading.Thread(target=self._renew, args=(stop,), name=f"lease-{self.lease.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(self._ttl_s / 3):
            try:
                if not self._leases.renew(self.lease, self._ttl_s):
                    self._lost.set()
                    return
            except CorrelateError:
                continue  # asked again in time; if the database stays away the lease expires, and `check` tells
