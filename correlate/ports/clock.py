"""The time of day."""

from typing import Protocol


class Clock(Protocol):
    """The time of day."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        ...
