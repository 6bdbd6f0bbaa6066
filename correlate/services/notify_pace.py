"""How fast a receiver is told things, and how long to wait when it does not take them. Arithmetic only."""

import threading
from dataclasses import dataclass
from typing import Final

_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Pauses:
    """Pauses between attempts: they grow by half with each, jittered by half up and down (as Alertmanager's do).

    Attributes:
        base_s: the first.
        factor: from one to the next.
        cap_s: the longest, in the first hour.
        later_cap_s: the longest after it.
        later_after_s: what the first hour is.
    """

    base_s: float = 0.5
    factor: float = 1.5
    cap_s: float = 60.0
    later_cap_s: float = 300.0
    later_after_s: float = 3600.0

    def pause_s(self, attempts: int, luck: float, waited_s: float, asked_s: float | None = None) -> float:
        """How long to wait after an attempt.

        Args:
            attempts: how many there were, at least 1.
            luck: a random number in [0, 1).
            waited_s: how long it has been waiting in all.
            asked_s: what the receiver asked for; it is never asked earlier.
        """
        cap_s = self.cap_s if waited_s < self.later_after_s else self.later_cap_s
        grown_s = min(cap_s, self.base_s * self.factor ** min(max(attempts - 1, 0), 60))
        return max(grown_s * (0.5 + luck), (asked_s or 0.0) + luck * self.base_s)


class Pace:
    """A token bucket: so many in a second in the long run, so many at once after a quiet time."""

    def __init__(self, rate_per_s: float, burst: int, now_ns: int) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at_ns = now_ns
        self._lock = threading.Lock()

    def room(self, now_ns: int) -> int:
        """How many may go now."""
        with self._lock:
            grown = max(0, now_ns - self._at_ns) / _NS_PER_S * self._rate_per_s
            self._tokens = min(self._burst, self._tokens + grown)
            self._at_ns = now_ns
            return int(self._tokens)

    def take(self, count: int) -> None:
        """So many went."""
        with self._lock:
            self._tokens -= count
