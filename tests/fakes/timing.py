"""Time that passes only when somebody sleeps."""

from dataclasses import dataclass, field

from connectors.http import Timing
from connectors.retry import Backoff


@dataclass
class FakeTime:
    """A clock that sleeping moves.

    Attributes:
        at_s: now.
        slept_s: all pauses, oldest first.
        luck: what the dice show.
    """

    at_s: float = 1000.0
    slept_s: list[float] = field(default_factory=list)
    luck: float = 0.5

    def sleep(self, seconds_s: float) -> None:
        """Let time pass."""
        self.slept_s.append(seconds_s)
        self.at_s += seconds_s

    def now_ns(self) -> int:
        """As a `Clock`."""
        return int(self.at_s * 1e9)

    def timing(self) -> Timing:
        """For an `HttpSource`."""
        return Timing(lambda: self.at_s, self.sleep, lambda: self.luck, Backoff(base_s=1.0, cap_s=4.0))
