"""Work ahead in bounded memory, and remember in bounded memory."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
    """The results of some work in the order of its items, done by a pool ahead of whoever takes them.

    Items are drawn in the caller's thread. What is not begun when the caller stops, or something fails, is dropped.

    Args:
        pool: the threads.
        work: done for each item.
        items: may be endless.
        depth: most items being worked on or waiting to be taken.

    Raises:
        Exception: what `work` or `items` raise, in the place of the result.
    """
    running: deque[Future[R]] = deque()
    try:
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) >= depth:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()


class Seen:
    """Remembers the last so many keys."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._keys: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, key: bytes) -> bool:
        """Whether a key is not among those asked about lately; it is from now on."""
        is_new = key not in self._keys
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > self._count:
            self._keys.popitem(last=False)
        return is_new
