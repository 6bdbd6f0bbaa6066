"""What happened between two pprof profiles of counters that run since the process started (allocs, mutex, block).

Go counts allocations, lock waits and blocking from the start of the process, and never forgets a call stack. So the
difference of two profiles of the same process is what happened in between, and counters that got smaller tell that it
is another process.
"""

from collections import OrderedDict
from typing import Final

import numpy as np

from correlate.formats.pprof_counters import I64, Counted, Counters, read_counters

CUMULATIVE: Final = ("alloc_objects", "alloc_space", "contentions", "delay")
"""Sample types that count since the process started; in a profile the counts come before what they weigh."""

# Go scales what it samples by floating point, and ticks to nanoseconds by a rate it keeps estimating: counters of a
# living process may shrink by a rounding error.
_ROUNDING_SHARE: Final = 0.01


def delta(previous: bytes, current: bytes) -> bytes | None:
    """The second profile with its cumulative types reduced to what was added since the first one.

    Types that say how things are at the moment (``inuse_space``) stay as they are in the second profile. The result
    spans the time between the two. Samples in which nothing is left are left out.

    After a restart all that the second profile counts happened since, so it is the difference. That a process restarted
    shows in a smaller total; one that has already counted more than the process before it cannot be told from that.

    Returns:
        The difference as gzip-compressed pprof; None when the two cannot be compared: their types differ, the second
        is not younger, or counters shrank though their sum grew (a rate of sampling was changed, or a restart).

    Raises:
        Malformed: one of them is broken.
        UnknownFormat: one of them is of another format.
        TooLarge: one of them exceeds a limit.
    """
    added = _added(read_counters(previous).counters, read_counters(current))
    return None if added is None else added.write()


def gauges(current: bytes) -> bytes | None:
    """A profile without what its cumulative types count: for the first profile of a process, and after a doubt.

    Returns:
        gzip-compressed pprof; None when all types are cumulative, so nothing is left.

    Raises:
        Malformed: it is broken.
        UnknownFormat: it is of another format.
        TooLarge: it exceeds a limit.
    """
    return _written(_without_counters(read_counters(current)))


class Baselines:
    """The last counters of each target, to turn what comes next into differences. For one thread at a time.

    Args:
        limit_count: targets remembered; the one not heard of for longest is forgotten first, and begins anew.
    """

    def __init__(self, limit_count: int = 10_000) -> None:
        self._limit_count = limit_count
        self._last: OrderedDict[str, Counters] = OrderedDict()

    def advance(self, target: str, body: bytes) -> bytes | None:
        """What a profile of a target adds to the one before; of the first only what is no counter.

        Returns:
            gzip-compressed pprof, None when there is nothing to store.

        Raises:
            Malformed: it is broken; the one before stays in force, as for the errors below.
            UnknownFormat: it is of another format.
            TooLarge: it exceeds a limit.
        """
        current = read_counters(body)
        previous = self._last.get(target)
        added = None if previous is None else _added(previous, current)
        self._last[target] = current.counters
        self._last.move_to_end(target)
        if len(self._last) > self._limit_count:
            self._last.popitem(last=False)
        return _written(_without_counters(current) if added is None else added)


def _written(profile: Counted) -> bytes | None:
    return None if profile.is_empty else profile.write()


def _columns(types: tuple[str, ...]) -> list[int]:
    return [index for index, name in enumerate(types) if name in CUMULATIVE]


def _without_counters(profile: Counted) -> Counted:
    values = profile.counters.values.copy()
    values[:, _columns(profile.counters.types)] = 0
    return profile.with_values(values)


def _added(before: Counters, current: Counted) -> Counted | None:
    after = current.counters
    if after.types != before.types or after.time_ns <= before.time_ns:
        return None
    columns = _columns(after.types)
    if not columns:
        return current
    values = _subtracted(before, after, columns)
    if values is None:
        return None
    return current.with_values(values).spanning(before.time_ns, after.time_ns - before.time_ns)


def _subtracted(before: Counters, after: Counters, columns: list[int]) -> I64 | None:
    """The later values, their cumulative columns reduced by the earlier ones; whole after a restart."""
    counter = columns[0]
    earlier = before.at(after.keys)
    total = int(before.values[:, counter].sum())
    values = after.values.copy()
    if int(values[:, counter].sum()) < total:
        return values
    lost = total - int(np.minimum(earlier[:, counter], values[:, counter]).sum())
    if lost > _ROUNDING_SHARE * total:
        return None
    values[:, columns] = np.maximum(values[:, columns] - earlier[:, columns], 0)
    return values
