"""Time cut into steps and chunks for pulls that can be repeated. No I/O.

A step is aligned to the clock, so whoever pulls it, and whenever, asks the same question. Servers take both ends of a
query in, to the millisecond: a step ends one millisecond before the next begins, or profiles would be counted twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from correlate.model.queries import TimeRange

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Steps:
    """Some steps in a row.

    Attributes:
        first_ms: first millisecond of the first step.
        count: how many.
        step_ms: length of each.
    """

    first_ms: int
    count: int
    step_ms: int

    @property
    def end_ms(self) -> int:
        """Last millisecond of the last step."""
        return self.first_ms + self.count * self.step_ms - 1

    @property
    def first_end_ms(self) -> int:
        """Last millisecond of the first step."""
        return self.first_ms + self.step_ms - 1

    def chunks(self, longest_ms: int) -> Iterator["Steps"]:
        """The same steps in pieces that are no longer than a limit, but hold one step at least."""
        size = max(1, longest_ms // self.step_ms)
        for begin in range(0, self.count, size):
            yield Steps(self.first_ms + begin * self.step_ms, min(size, self.count - begin), self.step_ms)


def whole_steps(window: TimeRange, step_ms: int, oldest_ns: int = 0) -> Steps:
    """The steps that end within a window: the first may begin before it, so windows in a row miss none.

    Args:
        window: which time is wanted.
        step_ms: length of a step.
        oldest_ns: steps that begin before this are left out.
    """
    step_ns = step_ms * NS_PER_MS
    first = max(window.start_ns // step_ns, -(-oldest_ns // step_ns))
    last = window.end_ns // step_ns
    return Steps(first * step_ms, max(0, last - first), step_ms)
