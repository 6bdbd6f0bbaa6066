"""What looks like a regression and is none: growth that went away, cost that was moved, everything growing alike.

FBDetect (Meta, SOSP 2024) reports that most of what a test finds is removed by such filters.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.detectors.regression_levels import Levels
from correlate.detectors.regression_options import RegressionOptions
from correlate.detectors.steps import Steps
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Guard

_NEARLY_ALL: Final = 0.9
"""A caller with this part of the service is its main loop: nothing moves out of it. A callee with this part of its
caller's growth explains it."""

_VANISHED: Final = 0.3
"""A function that keeps less than this of its cost was removed, one that had less than this is new."""

_TELLING: Final = 0.2
"""A step of which the covariates take more than the rest of this cannot be told from them."""

_LEAST_FUNCTIONS: Final = 8
"""Fewer functions have no usual one among them."""

_FASTER: Final = 1.2
"""A callee that grew by this much more than its caller, relative to itself, dilutes into the caller's growth."""

_CONTRIBUTES: Final = 0.2
"""Callees with less of the caller's growth are not worth a finding of their own."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of one service.

    Attributes:
        levels: what was looked at.
        steps: what was found.
        names: f functions.
        parents: f rows of usual callers, -1 where not known.
        options: the constants.
    """

    levels: Levels
    steps: Steps
    names: tuple[str, ...]
    parents: I64
    options: RegressionOptions

    def before(self, cut: int) -> F64:
        """Levels of all columns before a candidate cut (by its number)."""
        weights = self.levels.weights
        part = float(weights[int(self.steps.cuts[cut]) :].sum() / weights.sum())
        return np.asarray(np.maximum(self.steps.level - part * self.steps.rises[cut], 0.0))

    def common_growth(self, cut: int) -> float:
        """By how much the usual function grew: the weighted median of the growth of functions, as a ratio.

        When one function grows, every share of the others falls; when a host gets slow, every cost rises. The median
        function tells either, and a change is measured from there (as size factors are in DESeq, 2010).
        """
        own = slice(self.levels.first_own, self.levels.first_total)
        before = self.before(cut)[own]
        if before.size < _LEAST_FUNCTIONS or not before.any():
            return 0.0
        growth = self.steps.rises[cut, own] / np.maximum(before, 1e-12)
        order = np.argsort(growth, kind="stable")
        reached = np.cumsum(before[order])
        return float(growth[order[np.searchsorted(reached, reached[-1] / 2)]])

    def lasting(self, column: int) -> Guard:
        """Went away: the last third since the change must show it still, and so must the usual bucket."""
        cut, best = int(self.steps.cut[column]), int(self.steps.best[column])
        late = cut + (2 * (self.levels.weights.size - cut)) // 3
        seen, due = self.steps.cleaned[:, column], self.steps.shapes[:, best] * self.steps.rise[column]
        known, least = self.levels.weights > 0, _TELLING * float(self.steps.rise[column])
        ratios = []
        for begin, usual in ((late, False), (cut, True)):
            height = _contrast(due, known, begin, cut, usual)
            ratios.append(_contrast(seen, known, begin, cut, usual) / height if height > least else 0.0)
        passed = min(ratios) >= self.options.lasting_ratio
        return Guard("went away", passed, f"{ratios[0]:.0%} of the growth is there in the last third of the time since")

    def sudden(self, column: int) -> Guard:
        """Drift: a step is seen between the hours before and after it, what comes and goes with the day is not."""
        cut, side = int(self.steps.cut[column]), self.options.beside_blocks
        known = self.levels.weights > 0
        values = self.levels.values[:, column]
        before = values[max(cut - side, 0) : cut][known[max(cut - side, 0) : cut]]
        after = values[cut : cut + side][known[cut : cut + side]]
        jump = float(np.median(after) - np.median(before)) if before.size and after.size else 0.0
        ratio = jump / float(self.steps.rise[column])
        return Guard("sudden", ratio >= self.options.sudden_ratio, f"{ratio:.0%} of it came within hours")

    def alone(self, column: int) -> Guard:
        """Everything alike: a function counts when it grew beside the others."""
        best = int(self.steps.best[column])
        common = self.common_growth(best)
        before = float(self.before(best)[column])
        beside = float(self.steps.rise[column]) - common * before
        enough = beside >= 0.5 * float(self.steps.rise[column]) and beside >= self.options.least_growth_ratio * before
        return Guard("everything alike", enough, f"the usual function grew by {common:+.1%} at the same time")

    def moved(self, column: int) -> Guard:
        """Cost shift: a refactoring moves cost between functions and adds none."""
        levels, best = self.levels, int(self.steps.best[column])
        is_own = column < levels.first_total
        row = column - (levels.first_own if is_own else levels.first_total)
        before = self.before(best)
        change = self.steps.rises[best] - self.common_growth(best) * before
        own = change[levels.first_own : levels.first_total]
        total = change[levels.first_total : levels.first_operation]
        source = self._within_caller(row, float(change[column]), own, total, is_own=is_own)
        if source < 0:
            source = self._renamed(row, float(change[column]), own, before[levels.first_own : levels.first_total])
        if source < 0:
            return Guard("moved", True, "no neighbour lost what it gained")
        return Guard("moved", False, f"moved from {self.names[source]} to {self.names[row]}")

    def _within_caller(self, row: int, gained: float, own: F64, total: F64, *, is_own: bool) -> int:
        """The function that lost most below the nearest caller whose cost did not change; -1 when there is none."""
        for caller in ([row] if is_own else []) + ancestors(self.parents, row):
            usual = float(self.levels.usual[self.levels.first_total + caller])
            if usual >= _NEARLY_ALL * self.levels.whole:
                return -1
            if abs(total[caller]) > (1 - self.options.moved_ratio) * gained:
                continue
            below = np.array([caller == other or caller in ancestors(self.parents, other) for other in range(own.size)])
            lost = np.where(below, np.minimum(own, 0.0), 0.0)
            return int(np.argmin(lost)) if -float(lost.sum()) >= self.options.moved_ratio * gained else -1
        return -1

    def _renamed(self, row: int, gained: float, own: F64, before: F64) -> int:
        """A function that lost as much as was gained, when either it is gone now or the other one is new."""
        tolerance = (1 - self.options.moved_ratio) * gained
        rest = np.abs(own + gained)
        source = int(np.argmin(rest))
        if rest[source] > tolerance or source == row:
            return -1
        gone = before[source] + own[source] <= _VANISHED * before[source]
        new = before[row] <= _VANISHED * (before[row] + own[row])
        return source if gone or new else -1


def _contrast(values: F64, known: npt.NDArray[np.bool_], begin: int, cut: int, usual: bool) -> float:
    """Level from `begin` on, against that before the cut: of means, or of medians."""
    late, early = values[begin:][known[begin:]], values[:cut][known[:cut]]
    if not late.size or not early.size:
        return 0.0
    return float(np.median(late) - np.median(early)) if usual else float(late.mean() - early.mean())


def ancestors(parents: I64, row: int) -> list[int]:
    """Usual callers of a function, nearest first; a circle ends it."""
    found: list[int] = []
    while row < parents.size and (row := int(parents[row])) >= 0 and row not in found:
        found.append(row)
    return found


def causes(callers: I64, growth: F64, ratio: F64, explained_ratio: float) -> list[int]:
    """Which of the functions that grew to blame: of a chain of callers only the one where it begins.

    A callee is to blame when it has nearly all of the growth, or when it and its siblings have most of it and grew
    faster than their caller, which only dilutes it. Where all callees grew alike, the caller calls them more often,
    and is to blame.

    Args:
        callers: f rows of the nearest caller that grew too, -1 where there is none.
        growth: f growths, 0 for functions that did not grow.
        ratio: the same, relative to what they were.
        explained_ratio: part of the growth that callees must have.
    """
    found: list[int] = []
    open_rows = np.flatnonzero((growth > 0) & (callers < 0)).tolist()
    seen = set(open_rows)
    while open_rows:
        row = open_rows.pop()
        faster = (ratio > _FASTER * ratio[row]) | (growth >= _NEARLY_ALL * growth[row])
        below = np.flatnonzero((callers == row) & (growth > 0) & faster)
        below = below[growth[below] >= _CONTRIBUTES * growth[row]]
        if growth[below].sum() < explained_ratio * growth[row]:
            found.append(row)
            continue
        fresh = [each for each in below.tolist() if each not in seen]
        seen.update(fresh)
        open_rows += fresh
    return found
