"""Guards of the growth detectors: each knows one harmless shape that looks like a leak, and says what it saw.

A trend test finds every leak, and every cache that fills: what makes a detector usable is what it does not report.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from correlate.detectors.leak_forecast import Outlook
from correlate.detectors.leak_options import HOUR_S, LeakOptions
from correlate.detectors.trend import F64, I64, Trend, inflation, robust_line, sen, trend
from correlate.model.verdicts import Guard
from correlate.units import human

_DAY_OF_LOAD_RATIO: Final = 0.75
"""How much of a day tells what the load does to memory."""

_LOAD_EXPLAINS_RATIO: Final = 0.95

_LOAD_ALONG_RATIO: Final = 0.9
"""A load that is a rising line to this part cannot be told from time, whatever its noise suggests."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What guards look at: the floors of one series, freed from the load, and their trend.

    Attributes:
        times_s: n window middles in seconds.
        floors: n floors, with the part that the load explains taken out.
        strata: n numbers of stretches between starts.
        trend: the trend of the floors.
        observed_s: how long was observed after warm-up.
        coverage_ratio: part of the windows with data.
        raw_floors: the same before the load was taken out.
        beside_load_p_ratio: probability of the growth beside the load; None without request counts.
        load_explains_ratio: part of what deviates from a straight line that the load explains.
        load_along_ratio: part of the load's changes that is a rise with time, when it rises like memory does.
        same_hour_growth: floors against those of the same hour yesterday, median; None before there are enough.
        daily_p_ratio: probability of the growth when a daily cycle is allowed for; None when that cannot be told.
    """

    times_s: F64
    floors: F64
    raw_floors: F64
    strata: I64
    trend: Trend
    observed_s: float
    coverage_ratio: float
    beside_load_p_ratio: float | None
    load_explains_ratio: float
    load_along_ratio: float
    same_hour_growth: float | None
    daily_p_ratio: float | None
    clocks: tuple[F64, ...] = ()
    load: F64 | None = None
    outlook: Outlook | None = None

    @property
    def growth(self) -> float:
        """Growth over what was observed, by the slope."""
        return self.trend.slope.per_s * float(self.times_s[-1] - self.times_s[0]) if self.times_s.size else 0.0

    @property
    def level(self) -> float:
        """The usual floor."""
        return float(np.median(self.floors)) if self.floors.size else 0.0


def coverage(evidence: Evidence, options: LeakOptions) -> Guard:
    """Missing data: what was not measured may have been anything."""
    passed = evidence.coverage_ratio >= options.coverage_ratio
    return Guard("coverage", passed, f"{evidence.coverage_ratio:.0%} of the windows hold data")


def significance(evidence: Evidence, p_ratio: float) -> Guard:
    """Chance: autocorrelated noise wanders."""
    passed = evidence.trend.p_ratio < p_ratio and evidence.trend.slope.per_s > 0
    return Guard("significance", passed, f"so much growth by chance: p = {evidence.trend.p_ratio:.2g}")


def size(evidence: Evidence, options: LeakOptions) -> Guard:
    """Trifles: growth that is real and of no importance."""
    least = max(options.least_growth, options.least_growth_ratio * evidence.level)
    return Guard("size", evidence.growth >= least, f"grew {evidence.growth:.4g}, the least that counts is {least:.4g}")


def plateau(evidence: Evidence, options: LeakOptions) -> Guard:
    """Warm-up and cache fill: growth that has stopped, or is about to; each third must go on like what was before."""
    middle, late = (_slope_of_third(evidence, which) for which in (1, 2))
    before = max(evidence.trend.slope.per_s, middle)
    ratio = late / before if before > 0 else 0.0
    return Guard(
        "plateau", ratio >= options.still_growing_ratio, f"the last third grows at {ratio:.0%} of the slope before"
    )


def pace(evidence: Evidence, options: LeakOptions) -> Guard:
    """Creep: fragmentation and tables of distinct keys never quite stop; below this pace nobody need get up."""
    per_day = min(evidence.trend.slope.per_s, _slope_of_third(evidence, 2)) * 24 * HOUR_S
    return Guard("pace", per_day >= options.page_growth_per_day, f"{per_day:.4g} a day at the pace of late")


def bend(evidence: Evidence, options: LeakOptions) -> Guard:
    """Growth with the root or the logarithm of time: a curve that bends down for sure, and is slower than it was."""
    time = evidence.times_s / max(float(evidence.times_s[-1]), 1e-9)
    levels = (evidence.strata[:, None] == np.unique(evidence.strata)[None, :]).astype(np.float64)
    design = np.column_stack([levels, time, (time - time.mean()) ** 2])
    line = robust_line(design, evidence.floors)
    wider = float(np.sqrt(inflation(evidence.floors - design @ line.coefficients)))
    sigma = float(line.coefficients[-1] / max(float(line.errors[-1]) * wider, 1e-300))
    ratio = _slope_of_third(evidence, 2) / max(evidence.trend.slope.per_s, 1e-300)
    passed = sigma > -options.bend_sigma or ratio >= options.steady_ratio
    return Guard("bend", passed, f"bends by {sigma:.1f} sigma, the last third grows at {ratio:.0%} of the whole slope")


def lasting(evidence: Evidence, options: LeakOptions) -> Guard:
    """Warm-up, caches, steps: growth that is over, or soon will be. It must be as likely as not to go on tomorrow."""
    found = evidence.outlook
    if found is None:
        return plateau(evidence, options)
    least = max(options.least_growth, options.lasting_ratio * evidence.trend.slope.per_s * options.forecast_s)
    reason = f"{found.likely_growth:.4g} more by then is likely ({found.curve}), the least that counts is {least:.4g}"
    return Guard("lasting", found.likely_growth >= least, reason)


def forecast(evidence: Evidence, options: LeakOptions) -> Guard:
    """Whatever slows down: the least growth that fits what was seen must still be worth getting up for."""
    found = evidence.outlook
    if found is None:
        return Guard("forecast", False, "too few points to look ahead")
    line = evidence.trend.slope.per_s * options.forecast_s
    least = max(options.page_growth, options.lasting_ratio * line)
    reason = (
        f"{found.sure_growth:.4g} more by then is sure, {found.likely_growth:.4g} likely ({found.curve}); "
        f"the least that counts is {least:.4g}"
    )
    return Guard("forecast", found.sure_growth >= least, reason)


def pace_interval(evidence: Evidence) -> tuple[float, float]:
    """Between what the slope lies, per second: its 95 % interval, widened to what single thirds of the time show.

    The interval of the slope knows noise only; that a cache filled meanwhile, or the leak varied, shows in the thirds.
    """
    thirds = [_slope_of_third(evidence, which) for which in (1, 2)]
    slope = evidence.trend.slope
    return min(slope.low_per_s, *thirds), max(slope.high_per_s, *thirds)


def _slope_of_third(evidence: Evidence, which: int) -> float:
    span = float(evidence.times_s[-1] - evidence.times_s[0]) / 3
    begin = float(evidence.times_s[0]) + which * span
    part = (evidence.times_s >= begin - 1e-6) & (evidence.times_s <= begin + span + 1e-6)
    return sen(evidence.times_s[part], evidence.floors[part], evidence.strata[part])


def step(evidence: Evidence) -> Guard:
    """One step: a feature switched on, a table loaded; growth that happened once fits two levels better than a line."""
    line = _without_levels(evidence.floors - evidence.trend.slope.per_s * evidence.times_s, evidence.strata)
    line_cost = float(((line - line.mean()) ** 2).sum())
    step_cost = _two_levels(_without_levels(evidence.floors, evidence.strata))
    return Guard(
        "step", line_cost < step_cost, f"misfit of a line is {line_cost / max(step_cost, 1e-300):.2g} of a step's"
    )


def given_back(evidence: Evidence, options: LeakOptions) -> Guard:
    """Saw-tooth: what is given back was not lost. Growth counts that no later floor went below."""
    if evidence.floors.size < 4:
        return Guard("saw-tooth", True, "too few points for a saw-tooth")
    retained = np.minimum.accumulate(_joined(evidence)[::-1])[::-1]
    cut = max(1, (3 * retained.size) // 4)
    kept = float(retained[cut] - retained[0])
    due = evidence.trend.slope.per_s * float(evidence.times_s[cut] - evidence.times_s[0])
    ratio = kept / due if due > 0 else 0.0
    return Guard("saw-tooth", ratio >= options.retained_ratio, f"{ratio:.0%} of the growth was never given back")


def load(evidence: Evidence, options: LeakOptions) -> Guard:
    """Load that only rises, or bends like memory does: growth must be told from it, and survive without its help."""
    if evidence.beside_load_p_ratio is None:
        return Guard("load", True, "no request count")
    apart = evidence.beside_load_p_ratio < options.watch_p_ratio and evidence.load_along_ratio < _LOAD_ALONG_RATIO
    helped = not np.array_equal(evidence.floors, evidence.raw_floors)
    enough = not helped or _load_is_the_cause(evidence, options) or _grows_as_it_is(evidence, options)
    reason = f"beside the load: p = {evidence.beside_load_p_ratio:.2g}"
    return Guard("load", apart and enough, reason if enough else f"{reason}, but it is not sure that load bends it")


def _load_is_the_cause(evidence: Evidence, options: LeakOptions) -> bool:
    """Whether most of a day was seen and the load explains most of it: else it may have straightened a cache's bend."""
    seen = evidence.observed_s >= _DAY_OF_LOAD_RATIO * options.day_s
    return seen and evidence.load_explains_ratio >= _LOAD_EXPLAINS_RATIO


def _grows_as_it_is(evidence: Evidence, options: LeakOptions) -> bool:
    """Whether the floors would pass without the load taken out."""
    found = trend(evidence.times_s, evidence.raw_floors, evidence.strata)
    plain = replace(evidence, floors=evidence.raw_floors, trend=found)
    return all(guard.passed for guard in (plateau(plain, options), given_back(plain, options), step(plain)))


def daily(evidence: Evidence, options: LeakOptions) -> Guard:
    """The daily cycle: half of every day grows. Needs the load, or a whole day, or the same hour of yesterday."""
    if options.day_s <= 0:
        return Guard("daily", True, "no daily cycle is expected")
    if evidence.same_hour_growth is not None:
        day_growth = evidence.trend.slope.per_s * options.day_s
        passed = evidence.same_hour_growth >= options.retained_ratio * day_growth
        return Guard("daily", passed, f"{evidence.same_hour_growth:.4g} more than at the same hours yesterday")
    if evidence.beside_load_p_ratio is not None:
        return Guard("daily", True, "freed from the load by the request count")
    if evidence.daily_p_ratio is None:
        passed = evidence.growth > evidence.level
        return Guard("daily", passed, "no request count, and less than a day to tell the daily cycle from growth")
    return Guard(
        "daily",
        evidence.daily_p_ratio < options.watch_p_ratio,
        f"beside a daily cycle: p = {evidence.daily_p_ratio:.2g}",
    )


def observed(evidence: Evidence, least_s: float) -> Guard:
    """Haste: caches fill for hours."""
    seen, least = human(evidence.observed_s * 1e9, "nanoseconds"), human(least_s * 1e9, "nanoseconds")
    return Guard("observed", evidence.observed_s >= least_s, f"{seen} after warm-up, {least} are needed")


def _without_levels(values: F64, strata: I64) -> F64:
    """Values minus the mean of their stratum."""
    heads = np.flatnonzero(np.diff(strata, prepend=strata[0] - 1))
    levels = [float(part.mean()) for part in np.split(values, heads[1:])]  # a handful of strata
    result: F64 = values - np.repeat(levels, np.diff(np.append(heads, values.size)))
    return result


def _joined(evidence: Evidence) -> F64:
    """Floors with the drops at restarts undone, so that strata follow each other without a gap."""
    rises = np.diff(evidence.floors, prepend=evidence.floors[0])
    rises[np.flatnonzero(np.diff(evidence.strata)) + 1] = 0.0
    return np.cumsum(rises)


def _two_levels(values: F64) -> float:
    """The least sum of squared misfits of two levels with one change between them."""
    cuts = np.arange(1, values.size)
    below, below_squares = np.cumsum(values)[:-1], np.cumsum(values**2)[:-1]
    above, above_squares = values.sum() - below, (values**2).sum() - below_squares
    costs = below_squares - below**2 / cuts + above_squares - above**2 / (values.size - cuts)
    return float(costs.min(initial=np.inf))
