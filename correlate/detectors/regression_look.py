"""One look at a service for regressions: every column tested, and what each of the tests could have seen."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtri

from correlate.detectors.fdr import step_up
from correlate.detectors.regression_filters import Filters
from correlate.detectors.regression_levels import Levels, levels_of
from correlate.detectors.regression_options import RegressionOptions
from correlate.detectors.shares import FunctionSeries, OperationSeries, blocks, operation_blocks
from correlate.detectors.steps import Steps, find_steps
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Guard, Tier

_POWER_80: Final = 0.8416
"""The standard normal quantile of a power of 80 %."""

_MOST_FACTOR: Final = 1e6
"""Whoever would need more than a million times the evidence should not wait for it."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was tested, and how it came out.

    Attributes:
        series: what was looked at: blocks, without waiting frames.
        operations: the same of the operations; None without traces.
        levels: costs per request, or shares.
        steps: the best step of each column.
        filters: what is asked before a step is reported.
        q: of each column, adjusted for their number.
        options: the constants.
    """

    series: FunctionSeries
    operations: OperationSeries | None
    levels: Levels
    steps: Steps
    filters: Filters
    q: F64
    options: RegressionOptions

    @property
    def before(self) -> F64:
        """The level of each column before its step."""
        after = np.cumsum(self.levels.weights[::-1])[::-1][self.steps.cut] / self.levels.weights.sum()
        return np.asarray(np.maximum(self.steps.level - after * self.steps.rise, 0.0))

    @property
    def growth(self) -> F64:
        """The step of each column, relative to its level before; infinite for what is new."""
        before = self.before
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = np.where(self.steps.rise > 0, self.steps.rise / before, 0.0)
        return np.asarray(grown, dtype=np.float64)

    @property
    def detectable(self) -> F64:
        """The smallest relative growth of each column that 80 of 100 such looks would have found."""
        tests = max(self.q.size * self.steps.cuts.size // 4, 1)
        critical = -float(ndtri(self.options.watch_fdr_ratio / tests))
        return np.asarray((critical + _POWER_80) * self.steps.error / np.maximum(self.before, 1e-300))

    @property
    def missing_hits(self) -> F64:
        """How many more samples of the profiler make the least growth that counts detectable; 0 for none."""
        factor = np.minimum(self.detectable / self.options.least_growth_ratio, _MOST_FACTOR) ** 2 - 1
        return np.asarray(np.ceil(np.clip(factor, 0.0, _MOST_FACTOR) * max(float(self.series.hits.sum()), 1.0)))

    def least(self) -> F64:
        """The least rise of each column that counts."""
        return _least(self.levels, self.options, self.before)

    def tier(self, column: int) -> tuple[Tier, tuple[Guard, ...]]:
        """How loudly one column may speak, and why."""
        guards = [self._significance(column), self._size(column), self.filters.lasting(column)]
        if column >= self.levels.first_own:
            guards.append(self.filters.alone(column))
        if self.levels.first_own <= column < self.levels.first_operation:
            guards.append(self.filters.moved(column))
        if not all(guard.passed for guard in guards):
            return Tier.CLEAR, tuple(guards)
        confirming = (self._certain(column), self._confirmed(column), self.filters.sudden(column), self._cycle())
        tier = Tier.PAGE if all(guard.passed for guard in confirming) else Tier.WATCH
        return tier, (*guards, *confirming)

    def since_ns(self, column: int) -> int:
        """When the new level began."""
        return int(self.series.time_ns[int(self.steps.cut[column])])

    def _significance(self, column: int) -> Guard:
        q = float(self.q[column])
        return Guard("significance", q < self.options.watch_fdr_ratio, f"chance among all that was tested: q = {q:.2g}")

    def _size(self, column: int) -> Guard:
        rise, least = float(self.steps.rise[column]), float(self.least()[column])
        share = rise / max(self.levels.whole, 1e-300)
        return Guard("size", rise >= least, f"grew by {self.growth[column]:.1%}, which is {share:.1%} of the service")

    def _certain(self, column: int) -> Guard:
        q = float(self.q[column])
        return Guard("certainty", q < self.options.page_fdr_ratio, f"a page needs q < {self.options.page_fdr_ratio:g}")

    def _confirmed(self, column: int) -> Guard:
        end = int(self.series.time_ns[-1]) + self.series.bucket_ns
        lasted_s = (end - self.since_ns(column)) / 1e9
        return Guard("confirmed", lasted_s >= self.options.page_after_s, f"it has lasted {lasted_s / 3600:.3g} h")

    def _cycle(self) -> Guard:
        """Without a daily cycle that is known, or a load beside it, a page would come every morning."""
        passed = self.levels.cycle_known
        return Guard("daily cycle", passed, "allowed for" if passed else "too little data to tell the time of day")


def look(series: FunctionSeries, operations: OperationSeries | None, options: RegressionOptions) -> Look | None:
    """Test everything; None when there is too little to compare."""
    begin = int(np.searchsorted(series.time_ns, series.time_ns[-1:] - int(options.lookback_s * 1e9)).sum())
    end = series.time_ns.size
    whole = blocks(series.between(begin, end).busy()) if end else series
    joined = None if operations is None else operation_blocks(operations.between(begin, end))
    levels = levels_of(whole, joined, options) if end else None
    if levels is None:
        return None
    steps = find_steps(
        levels.values,
        levels.weights,
        levels.covariates,
        levels.cuts,
        levels.noise,
        _least(levels, options, levels.usual) / 2,
    )
    filters = Filters(levels, steps, whole.names, _parents(whole), options)
    return Look(whole, joined, levels, steps, filters, step_up(steps.p_ratio), options)


def _parents(series: FunctionSeries) -> I64:
    return series.parents if series.parents.size else np.full(len(series.sites), -1, dtype=np.int64)


def _least(levels: Levels, options: RegressionOptions, before: F64) -> F64:
    least = options.least_growth_ratio * before
    functions = slice(levels.first_own, levels.first_operation)
    least[functions] = np.maximum(least[functions], options.least_share_ratio * levels.whole)
    least[0] = options.least_service_ratio * before[0]
    return least
