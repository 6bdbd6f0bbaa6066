"""The profile of some operations as it was unmixed, and how sure its parts are."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from correlate.joins.given import F64, I64

_NONE_SEEN: Final = 3.7
"""Hits that may well be expected of what was never hit: the upper end of the 95 % interval of a count of none."""


class Shares(NamedTuple):
    """Shares of a profile, 0 to 1, with intervals that hold the true share 95 times of 100.

    Attributes:
        share: as estimated.
        low: lower end.
        high: upper end.
    """

    share: F64
    low: F64
    high: F64


@dataclass(frozen=True)
class Estimate:
    """What some operations, together, cost by stack.

    Attributes:
        operations: their codes.
        value: by stack of the `Unmixed`, in the profile type's unit.
        hits: how many hits of the profiler that stands for.
        error_bound: what part of the profile, 0 to 1, is expected to be in the wrong place (half the L1 distance of
            the shares of stacks), on the safe side.
        windows: how many windows it rests on.
        reason: one sentence on what it rests on, with its figures.
        draws: value by bootstrap draw and atom.
        atom: for each stack its atom; the last one is that of all stacks that are not looked at one by one.
        reach: how many standard deviations of the draws intervals reach to either side.
    """

    operations: I64
    value: F64
    hits: float
    error_bound: float
    windows: int
    reason: str
    draws: F64
    atom: I64
    reach: float

    @property
    def total(self) -> float:
        """Value of all stacks."""
        return float(self.value.sum())

    def shares(self, stack: I64, group: I64, count: int) -> Shares:
        """The shares of some groups of stacks, such as frames, with intervals.

        Args:
            stack: rows of stacks.
            group: the group each of them is in, the same length; a stack may be in several groups, in each once.
            count: how many groups there are.
        """
        atoms = self.draws.shape[1]
        whole = np.bincount(self.atom, self.value, atoms)
        seen = np.bincount(self.atom, minlength=atoms)
        per_stack = np.divide(self.value, whole[self.atom], out=1.0 / seen[self.atom], where=whole[self.atom] > 0)
        places = group * atoms + self.atom[stack]
        member = np.bincount(places, per_stack[stack], count * atoms).reshape(count, atoms)
        share = np.bincount(group, self.value[stack], count) / self.total
        drawn = (self.draws / np.maximum(self.draws.sum(axis=1, keepdims=True), 1e-300)) @ member.T
        variance = ((drawn - share) ** 2).mean(axis=0)
        # What is in the last atom was not looked at stack by stack: at least it varies as counts do.
        variance += member[:, -1] * (1 - member[:, -1]) * whole[-1] / self.total / self.hits
        away = self.reach * np.sqrt(variance)
        high = np.maximum(share + away, _NONE_SEEN / self.hits)
        return Shares(share, np.maximum(share - away, 0.0), np.minimum(high, 1.0))
