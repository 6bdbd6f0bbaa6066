"""Customers: operations at random times, at rates that change every few seconds."""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random

from shop import sessions

RATE_HOLDS_FOR_S = 5.0
SWEEP_EVERY_S = 0.5


class Workers:
    """A fixed set of threads that run operations from one queue, so that spans of several kinds are open at once."""

    def __init__(self, count: int, make_operations: Callable[[int], Mapping[str, Callable[[], None]]]) -> None:
        self._waiting: queue.Queue[str | None] = queue.Queue(maxsize=4 * count)
        self._threads = [
            threading.Thread(target=self._work, args=(make_operations(number),), name=f"worker-{number}")
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, operation: str) -> None:
        """Queue an operation; a full queue sends the customer away, as a busy shop does."""
        try:
            self._waiting.put_nowait(operation)
        except queue.Full:
            return

    def close(self) -> None:
        """Finish what is queued and end the threads."""
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self, operations: Mapping[str, Callable[[], None]]) -> None:
        while (operation := self._waiting.get()) is not None:
            operations[operation]()


def arrivals(
    rates_per_s: Mapping[str, float], seconds: float, random: Random, spread: Sequence[float] = (0.2, 0.6, 1.0, 1.9)
) -> list[tuple[float, str]]:
    """Draw when each operation starts: Poisson arrivals whose rate is redrawn every few seconds.

    Args:
        rates_per_s: mean rate of each operation.
        seconds: how long customers keep coming.
        random: the source of chance.
        spread: factors on the mean rate, one drawn for each operation and period.

    Returns:
        (seconds after the beginning, operation), earliest first.
    """
    drawn = []
    for operation, mean_per_s in rates_per_s.items():
        period_s = 0.0
        while period_s < seconds:
            rate_per_s = mean_per_s * random.choice(spread)
            drawn += [(at, operation) for at in _poisson(period_s, rate_per_s, random) if at < seconds]
            period_s += RATE_HOLDS_FOR_S
    return sorted(drawn)


def drive(workers: Workers, plan: Sequence[tuple[float, str]]) -> None:
    """Submit each operation at its time, sweeping the sessions now and then (work that belongs to no span)."""
    begun, swept_s = time.monotonic(), 0.0
    for at_s, operation in plan:
        time.sleep(max(0.0, begun + at_s - time.monotonic()))
        workers.submit(operation)
        if at_s - swept_s > SWEEP_EVERY_S:
            swept_s = at_s
            sessions.count_expired()


def _poisson(start_s: float, rate_per_s: float, random: Random) -> list[float]:
    at_s, drawn = start_s, []
    while (at_s := at_s + random.expovariate(rate_per_s)) < start_s + RATE_HOLDS_FOR_S:
        drawn.append(at_s)
    return drawn
