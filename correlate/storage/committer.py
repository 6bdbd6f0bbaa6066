"""The one thread that turns submitted rows into commits."""

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from correlate.errors import CorrelateError, StoreError
from correlate.ports import Receipt
from correlate.storage.batch import BatchWriter
from correlate.storage.queueing import CommitQueue, Waiting
from correlate.tables.tables import Tables

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommitCounters:
    """What the committer did since it started.

    Attributes:
        queue_bytes: estimated bytes waiting or being committed now.
        commits: group commits that succeeded.
        failures: group commits that failed.
        submissions: submissions acknowledged.
        spans: span rows stored.
        samples: sample rows stored.
        profiles: profiles stored.
        duplicates: payloads and profiles recognised as already stored.
        refused: submissions refused because the queue was full.
        commit_s: time spent committing, seconds.
    """

    queue_bytes: int = 0
    commits: int = 0
    failures: int = 0
    submissions: int = 0
    spans: int = 0
    samples: int = 0
    profiles: int = 0
    duplicates: int = 0
    refused: int = 0
    commit_s: float = 0.0


class Committer:
    """Owns the queue and the thread. `submit` may be called from any thread."""

    def __init__(
        self, batches: BatchWriter, queue: CommitQueue, *, linger_s: float, enough_bytes: int, group_bytes: int
    ) -> None:
        self._batches = batches
        self._queue = queue
        self._linger_s = linger_s
        self._enough_bytes = enough_bytes
        self._group_bytes = group_bytes
        self._counters = CommitCounters()
        self._refused = 0
        self._last_problem: str | None = None
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def stop(self) -> None:
        """Take nothing more, commit what waits, and return."""
        self._queue.close()
        self._thread.join()

    def submit(self, tables: Tables) -> "Future[Receipt]":
        """Queue rows for the next group commit.

        Raises:
            Overloaded: the queue is full.
        """
        try:
            return self._queue.put(tables)
        except CorrelateError:
            self._refused += 1
            raise

    @property
    def counters(self) -> CommitCounters:
        """What was done so far."""
        return replace(self._counters, queue_bytes=self._queue.size_bytes, refused=self._refused)

    @property
    def last_problem(self) -> str | None:
        """Why the newest group commit failed, None when it did not."""
        return self._last_problem

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while group := self._queue.take(
            linger_s=self._linger_s, enough_bytes=self._enough_bytes, max_bytes=self._group_bytes
        ):
            self._commit([item for item in group if item.future.set_running_or_notify_cancel()])
            self._queue.done(group)

    def _commit(self, group: list[Waiting]) -> None:
        if not group:
            return
        started = perf_counter()
        try:
            receipts = self._batches.write([item.tables for item in group])
        except BaseException as error:  # noqa: BLE001  a panic inside deltalake is a BaseException; the thread must live
            self._fail(group, error)
            return
        self._count(receipts, perf_counter() - started)
        for item, receipt in zip(group, receipts, strict=True):
            item.future.set_result(receipt)

    def _fail(self, group: list[Waiting], error: BaseException) -> None:
        if not isinstance(error, CorrelateError):
            _LOG.error("group commit failed", exc_info=error)
            error = StoreError(f"the store failed: {error}")
        self._last_problem = str(error)
        self._counters = replace(self._counters, failures=self._counters.failures + 1)
        for item in group:
            item.future.set_exception(error)

    def _count(self, receipts: list[Receipt], elapsed_s: float) -> None:
        self._last_problem = None
        was = self._counters
        self._counters = CommitCounters(
            commits=was.commits + 1,
            failures=was.failures,
            submissions=was.submissions + len(receipts),
            spans=was.spans + sum(receipt.spans for receipt in receipts),
            samples=was.samples + sum(receipt.samples for receipt in receipts),
            profiles=was.profiles + sum(receipt.profiles for receipt in receipts),
            duplicates=was.duplicates + sum(receipt.duplicates for receipt in receipts),
            commit_s=was.commit_s + elapsed_s,
        )
