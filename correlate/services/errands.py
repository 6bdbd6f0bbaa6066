"""Work that questions wait for: for the same thing once at a time, and not again soon after."""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

Job = Callable[[], list[str]]
"""Does something; gives sentences on what went wrong."""

_THREADS: Final = 4
_UNDER_WAY: Final = 64
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class _Errand:
    done: "Future[list[str]]"
    forget_s: float

    def is_over(self, now_s: float) -> bool:
        """Whether it may be run again: it ended some time ago, or broke."""
        if not self.done.done():
            return False
        return now_s >= self.forget_s or self.done.cancelled() or self.done.exception() is not None


class Errands:
    """Runs jobs by key in a few threads of its own; bounded in threads, in waiting jobs and in what is remembered."""

    def __init__(self, *, remember_s: float, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Begin without any.

        Args:
            remember_s: for how long after its beginning a job is not run again.
            monotonic_s: seconds since any moment, never going back.
        """
        self._remember_s = remember_s
        self._monotonic_s = monotonic_s
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="on-demand")
        self._lock = threading.Lock()
        self._errands: dict[Hashable, _Errand] = {}
        self._closed = False

    def run(self, key: Hashable, job: Job, wait_s: float) -> list[str]:
        """Run a job, or wait for the same one that runs already, or take what it said a short time ago.

        Args:
            key: what the job is about.
            job: what to do.
            wait_s: how long to wait for it; it goes on afterwards.

        Raises:
            Exception: what the job raised; that is not remembered.
        """
        done = self._begun(key, job)
        if done is None:
            return ["too many questions wait for the sources: ask again shortly"]
        try:
            return done.result(max(0.0, wait_s))
        except (TimeoutError, CancelledError):
            return ["the sources are still being asked: ask again shortly"]

    def close(self) -> None:
        """Wait for the jobs that run, and run no more."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(cancel_futures=True)

    def _begun(self, key: Hashable, job: Job) -> "Future[list[str]] | None":
        with self._lock:
            now_s = self._monotonic_s()
            errand = self._errands.get(key)
            if errand and not errand.is_over(now_s):
                return errand.done
            self._forget(now_s)
            if self._closed or sum(not each.done.done() for each in self._errands.values()) >= _UNDER_WAY:
                return None
            done = self._pool.submit(job)
            self._errands[key] = _Errand(done, now_s + self._remember_s)
            return done

    def _forget(self, now_s: float) -> None:
        """Drop what is over and old, and of the rest the oldest, so that there is room."""
        over = [key for key, each in self._errands.items() if each.done.done()]
        excess = len(self._errands) - _REMEMBERED
        for number, key in enumerate(over):
            if number <= excess or self._errands[key].is_over(now_s):
                del self._errands[key]
