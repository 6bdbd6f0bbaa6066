"""An `Ingest` that stores nothing and does what a test tells it to."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from correlate.model.payload import RawPayload
from correlate.ports import Receipt
from correlate.services.ingest import Accepted
from correlate.tables.tables import Reject

STORED = Receipt(spans=1, samples=1, profiles=1, duplicates=0)
NOTHING = Receipt(spans=0, samples=0, profiles=0, duplicates=0)


class FakeClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self.now = now_ns

    def now_ns(self) -> int:
        return self.now


class FakeIngest:
    """Keeps the payloads it is given.

    Attributes:
        payloads: what arrived.
        errors: raised by the next calls, one each.
        rejects: what every call says was refused.
        receipt: what every commit says.
        commit: makes the future of a commit; replace it to delay or fail.
        work_s: how long reading takes.
        most_at_once: how many calls ran at the same time, at most.
    """

    def __init__(self) -> None:
        self.payloads: list[RawPayload] = []
        self.errors: list[Exception] = []
        self.rejects: tuple[Reject, ...] = ()
        self.receipt = STORED
        self.commit: Callable[[Receipt], Future[Receipt]] = committed
        self.work_s = 0.0
        self.most_at_once = 0
        self._running = 0
        self._lock = threading.Lock()

    def accept(self, payload: RawPayload) -> Accepted:
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            self.payloads.append(payload)
            error = self.errors.pop(0) if self.errors else None
        time.sleep(self.work_s)
        with self._lock:
            self._running -= 1
        if error is not None:
            raise error
        return Accepted(self.commit(self.receipt), self.rejects)


def committed(receipt: Receipt) -> Future[Receipt]:
    """A commit that is done."""
    future: Future[Receipt] = Future()
    future.set_result(receipt)
    return future


def failed(error: Exception) -> Callable[[Receipt], Future[Receipt]]:
    """Commits that fail."""

    def commit(_receipt: Receipt) -> Future[Receipt]:
        future: Future[Receipt] = Future()
        future.set_exception(error)
        return future

    return commit


def never(_receipt: Receipt) -> Future[Receipt]:
    """A commit that does not end."""
    return Future()
