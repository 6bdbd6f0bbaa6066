"""The bounded queue between those who submit rows and the one thread that commits them."""

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic

from correlate.errors import Overloaded
from correlate.ports import Receipt
from correlate.tables.tables import Tables


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows that wait for their commit, and the future their sender holds."""

    tables: Tables
    size_bytes: int
    future: "Future[Receipt]"


class CommitQueue:
    """First in, first out; full by bytes or by count."""

    def __init__(self, *, max_bytes: int, max_count: int) -> None:
        self._max_bytes = max_bytes
        self._max_count = max_count
        self._items: deque[Waiting] = deque()
        self._size_bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def size_bytes(self) -> int:
        """Estimated bytes waiting, or taken and not yet committed."""
        return self._size_bytes

    @property
    def fullness(self) -> float:
        """The share of the limit that is used, 0 to 1."""
        return max(self._size_bytes / self._max_bytes, len(self._items) / self._max_count)

    def put(self, tables: Tables) -> "Future[Receipt]":
        """Append rows. Rows larger than the whole queue are taken only when it is empty.

        Raises:
            Overloaded: no room, or closed.
        """
        size = tables.estimated_bytes()
        with self._changed:
            if self._closed:
                raise Overloaded("the store is shutting down; send again in a moment")
            full = self._size_bytes > 0 and self._size_bytes + size > self._max_bytes
            if full or len(self._items) >= self._max_count:
                raise Overloaded(f"{self._size_bytes >> 20} MiB wait to be committed; send again in a second")
            waiting = Waiting(tables, size, Future())
            self._items.append(waiting)
            self._size_bytes += size
            self._changed.notify_all()
        return waiting.future

    def take(self, *, linger_s: float, enough_bytes: int, max_bytes: int) -> list[Waiting]:
        """Wait for rows, then a little for more, and take what fits in one commit. Empty when closed and drained.

        Args:
            linger_s: how long to wait for more, seconds.
            enough_bytes: do not wait when this much is there.
            max_bytes: take no more than this, but at least one.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            deadline = monotonic() + linger_s
            while not self._closed and self._size_bytes < enough_bytes and (left := deadline - monotonic()) > 0:
                self._changed.wait(left)
            return self._take(max_bytes)

    def done(self, group: list[Waiting]) -> None:
        """The memory of a taken group is free again."""
        with self._changed:
            self._size_bytes -= sum(item.size_bytes for item in group)

    def close(self) -> None:
        """Take no more; those who wait in `take` go on at once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, max_bytes: int) -> list[Waiting]:
        group: list[Waiting] = []
        taken = 0
        while self._items and (not group or taken + self._items[0].size_bytes <= max_bytes):
            group.append(self._items.popleft())
            taken += group[-1].size_bytes
        return group
