"""Step functions of time, one per group: how many intervals are open at a time, and their time in a window.

A sweep line: every interval adds its weight at its start and takes it away at its end. Groups (a process, a thread of
a process) and times are packed into one sorted key, so that one binary search answers for all groups at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

BLOCK = 1 << 20
"""How many questions are answered at once, so that memory does not grow with their number."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Dense codes of some values, and of values met later."""

    values: I64

    @classmethod
    def of(cls, column: I64) -> "Codes":
        """Number the distinct values of a column."""
        return cls(np.unique(column))

    def code(self, column: I64) -> I64:
        """The code of each value, -1 for one that is not among those numbered."""
        if not len(self.values):
            return np.full(len(column), -1)
        at = np.minimum(np.searchsorted(self.values, column), len(self.values) - 1)
        return np.where(self.values[at] == column, at, -1)


@dataclass(frozen=True, slots=True)
class Breaks:
    """The times at which something begins or ends, in order of group and time.

    Attributes:
        groups: the group of each break.
        times: its time, nanoseconds.
        order: which event each break is: the start of interval i is event i, its end is event n + i.
    """

    groups: I64
    times: I64
    order: I64
    _packing: "_Packing"
    _keys: I64

    @classmethod
    def of(cls, group: I64, start_ns: I64, end_ns: I64) -> "Breaks":
        """Sort the ends of half-open intervals. Groups are small non-negative numbers: codes."""
        groups, times = np.concatenate([group, group]), np.concatenate([start_ns, end_ns])
        packing = _Packing.of(groups, times)
        keys = packing.keys(groups, times)
        order = np.argsort(keys)
        return cls(groups[order], times[order], order, packing, keys[order])

    def running(self, weight: I64) -> I64:
        """What is open from each break to the next: the sum of the weights of the open intervals."""
        if not len(self.order):
            return weight[:0]
        return np.cumsum(np.concatenate([weight, -weight])[self.order])

    def locate(self, group: I64, time_ns: I64) -> I64:
        """The last break of a group at or before a time, -1 where there is none. Groups below 0 have none."""
        at = np.full(len(group), -1)
        if len(self._keys):
            for block in blocks(len(group)):
                at[block] = self._located(group[block], time_ns[block])
        return at

    def _located(self, group: I64, time_ns: I64) -> I64:
        known = np.where(group <= self.groups[-1], group, -1)
        at = _searched(self._keys, self._packing.keys(known, time_ns), known) - 1
        return np.where((at >= 0) & (self.groups[at] == group), at, -1)


def blocks(count: int, width: int = 1) -> Iterator[slice]:
    """Cut 0 … count into pieces of at most BLOCK numbers, if each of them stands for `width` numbers."""
    size = max(1, BLOCK // width)
    for first in range(0, count, size):
        yield slice(first, min(count, first + size))


@dataclass(frozen=True, slots=True)
class _Packing:
    """How a group and a time become one number that keeps their order.

    Attributes:
        first_ns: the first time.
        last_ns: the last.
        ranks: all times, sorted, where group and time do not fit into 62 bits together; empty where they do.
    """

    first_ns: int
    last_ns: int
    ranks: I64

    @classmethod
    def of(cls, groups: I64, times: I64) -> "_Packing":
        if not len(times):
            return cls(0, 0, times)
        first, last = int(times.min()), int(times.max())
        fits = (int(groups.max()) + 1) * (last - first + 2) < 1 << 62
        return cls(first, last, np.zeros(0, np.int64) if fits else np.unique(times))

    def keys(self, groups: I64, times: I64) -> I64:
        """Times before the first count as one nanosecond before it, those after the last as the last."""
        if len(self.ranks):
            return groups * (len(self.ranks) + 1) + np.searchsorted(self.ranks, times, side="right")
        before = self.first_ns - 1
        return groups * (self.last_ns - before + 1) + (np.clip(times, before, self.last_ns) - before)


def _searched(keys: I64, wanted: I64, group: I64) -> I64:
    """Where each wanted key would stand among the sorted keys, behind its equals.

    Questions come by time, and each group has its own stretch of keys: taken group by group they walk through the
    keys in order, which is several times as fast as jumping about. 16-bit numbers are sorted by radix.
    """
    if not len(wanted) or int(group.max()) >= 1 << 15 or int(group.min()) < -1:
        return np.searchsorted(keys, wanted, side="right")
    order = np.argsort(group.astype(np.int16), kind="stable")
    found = np.empty(len(wanted), np.int64)
    found[order] = np.searchsorted(keys, wanted[order], side="right")
    return found


@dataclass(frozen=True, slots=True)
class Steps:
    """A step function of time for each group.

    Attributes:
        breaks: where it changes.
        level: its value from each break to the next.
        area: its integral up to each break, from the beginning of the group.
    """

    breaks: Breaks
    level: I64
    area: I64

    @classmethod
    def of(cls, group: I64, start_ns: I64, end_ns: I64, weight: I64 | None = None) -> "Steps":
        """Count open intervals.

        Args:
            group: a code per interval, not negative.
            start_ns: when each opens.
            end_ns: when each closes, not before it opens.
            weight: what each counts for, whole numbers, so that sums are exact; None: one.
        """
        breaks = Breaks.of(group, start_ns, end_ns)
        level = breaks.running(np.ones(len(group), np.int64) if weight is None else weight)
        return cls(breaks, level, _area(breaks, level))

    def at(self, group: I64, time_ns: I64) -> I64:
        """The value of each group's function at a time."""
        at = self.breaks.locate(group, time_ns)
        return np.where(at >= 0, self.level[at], 0) if len(self.level) else np.zeros(len(at), np.int64)

    def integral(self, group: I64, start_ns: I64, end_ns: I64) -> I64:
        """The integral over windows [start, end), value times nanoseconds."""
        return self._until(group, end_ns) - self._until(group, start_ns)

    def _until(self, group: I64, time_ns: I64) -> I64:
        at = self.breaks.locate(group, time_ns)
        if not len(self.level):
            return np.zeros(len(at), np.int64)
        since = (time_ns - self.breaks.times[at]) * self.level[at]
        return np.where(at >= 0, self.area[at] + since, 0)


def _area(breaks: Breaks, level: I64) -> I64:
    """The integral up to each break; every group begins at 0, so that numbers stay small."""
    if not len(level):
        return level
    same = breaks.groups[1:] == breaks.groups[:-1]
    piece = np.where(same, np.diff(breaks.times) * level[:-1], 0)
    whole = np.concatenate([np.zeros(1, np.int64), np.cumsum(piece)])
    first = np.flatnonzero(np.concatenate([[True], ~same]))
    base: I64 = np.repeat(whole[first], np.diff(np.append(first, len(level))))
    return whole - base
