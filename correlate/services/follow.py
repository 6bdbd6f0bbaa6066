"""Sources without a past that deliver by themselves, for instance scrapes: followed in a thread for as long as it goes.

What such a source gives cannot be asked for again, so it waits here until it is stored; when the store fails for long,
the source is slowed down by a queue that is full.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from correlate.errors import CorrelateError
from correlate.model.payload import RawPayload
from correlate.services.deltas import Deltas
from correlate.services.pull_run import Means, PullRun
from correlate.services.pulling import HeldLease, Outcome, Plan, PullEnded, PullReport, after, after_failure

_LOG: Final = logging.getLogger(__name__)
_WAITING_COUNT: Final = 256
_LINGER_S: Final = 1.0
_STATUS_S: Final = 2.0


class Follower:
    """Follows one source under a lease until it is stopped, loses the lease, or the source gives up."""

    def __init__(self, means: Means, plan: Plan, held: HeldLease) -> None:
        self._means = means
        self._plan = plan
        self._held = held
        self._inbox: queue.Queue[RawPayload] = queue.Queue(_WAITING_COUNT)
        self._stopping = threading.Event()
        self._run = PullRun(means, plan, held, Deltas(), threading.Event())
        self._told_s = 0.0
        self._thread = threading.Thread(target=self._guarded, name=f"follow-{plan.name}", daemon=True)
        self._problem: Exception | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still follows."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ask it to end; what arrived is stored first."""
        self._stopping.set()

    def join(self, timeout_s: float) -> None:
        """Wait for its end."""
        self._thread.join(timeout_s)

    def _guarded(self) -> None:
        try:
            with self._held.renewed():
                self._follow()
        except PullEnded as exc:
            _LOG.info("following %s ends: %s", self._plan.name, exc)
        except Exception as exc:  # noqa: BLE001  whatever it is must show in the status of the source
            self._tell(exc)
        finally:
            self._stopping.set()
            self._means.books.leases.release(self._held.lease)

    def _follow(self) -> None:
        source = threading.Thread(target=self._feed, name=f"source-{self._plan.name}", daemon=True)
        source.start()
        while not self._stopping.is_set() and source.is_alive():
            self._collect()
            self._attempt(self._run.flush)
            self._held.check()
        self._run.flush()
        if self._problem is not None:
            raise self._problem
        self._tell(None)

    def _collect(self) -> None:
        """Read what comes within a second."""
        ends_s = time.monotonic() + _LINGER_S
        while (left_s := ends_s - time.monotonic()) > 0 and not self._stopping.is_set() and not self._run.full:
            try:
                self._run.read(self._inbox.get(timeout=min(left_s, 0.2)))
            except queue.Empty:
                continue

    def _attempt(self, store: Callable[[], None]) -> None:
        """Store what was read, or say why not and keep it."""
        try:
            store()
        except CorrelateError as exc:
            self._tell(exc)
            self._stopping.wait(_LINGER_S)
        else:
            if time.monotonic() - self._told_s > _STATUS_S:
                self._tell(None)

    def _feed(self) -> None:
        if self._plan.follow is None:
            return
        try:
            self._plan.follow(self._deliver, self._stopping)
        except Exception as exc:  # noqa: BLE001  raised where it is told
            self._problem = exc

    def _deliver(self, payload: RawPayload) -> None:
        while not self._stopping.is_set():
            try:
                return self._inbox.put(payload, timeout=0.5)
            except queue.Full:
                continue
        return None

    def _tell(self, error: Exception | None) -> None:
        """Write down how it goes, with what was stored since the last time."""
        report, self._run.report = self._run.report, PullReport()
        books, now_ns, self._told_s = self._means.books, self._means.clock.now_ns(), time.monotonic()
        status = replace(books.statuses.get(self._plan.name), last_pull_seconds=0.0)
        if error is None:
            books.watermarks.advance(self._plan.name, "", books.watermarks.until_ns(self._plan.name), now_ns)
            books.statuses.put(after(status, report, now_ns, self._plan.parts()))
            return
        _LOG.warning("following %s: %s", self._plan.name, error)
        failed = replace(report, outcome=Outcome.FAILED, error=str(error))
        books.statuses.put(after_failure(status, failed, error, now_ns, self._plan.every_s))
