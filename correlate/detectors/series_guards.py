"""Guards of the growth detectors: each knows one harmless shape that looks like a leak, and says what it saw.

A trend test finds every leak, and every cache that fills: what makes a detector usable is what it does not report.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from correlate.detectors.leak_forecast import Outlook
from correlate.detectors.leak_options import LeakOptions
from correlate.detectors.trend import F64, I64, Trend, sen
from correlate.model.verdicts import Guard
from correlate.units import human

_LOAD_ALONG_RATIO: Final = 0.95
"""A load that is a rising line to this part cannot be told from time, whatever its noise suggests."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What guards look at: the floors of one series, freed from the load, and their trend.

    Attributes:
        times_s: n window middles in seconds.
        floors: n floors, with the part that the load explains taken out.
        raw_floors: the same before the load was taken out.
        strata: n numbers of stretches between starts.
        clocks: the time, and what was served where request counts are known; each n readings.
        load: n mean request counts; None where they are not known.
        load_along_ratio: part of the load's changes that is a rise with time, when it rises like memory does.
        trend: the trend of the floors.
        observed_s: how long was observed after warm-up.
        coverage_ratio: part of the windows with data.
        same_hour_growth: floors against those of the same hour yesterday, median; None before there are enough.
        daily_p_ratio: probability of the growth when a daily cycle is allowed for; None when that cannot be told.
        grain: deviations smaller than this are never told apart.
        outlook: how it will go on; None before that was asked, or with too few points.
    """

    times_s: F64
    floors: F64
    raw_floors: F64
    strata: I64
    clocks: tuple[F64, ...]
    load: F64 | None
    load_along_ratio: float
    trend: Trend
    observed_s: float
    coverage_ratio: float
    same_hour_growth: float | None
    daily_p_ratio: float | None
    grain: float
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


def _slope_of_third(evidence: Evidence, which: int) -> float:
    span = float(evidence.times_s[-1] - evidence.times_s[0]) / 3
    begin = float(evidence.times_s[0]) + which * span
    part = (evidence.times_s >= begin - 1e-6) & (evidence.times_s <= begin + span + 1e-6)
    return sen(evidence.times_s[part], evidence.floors[part], evidence.strata[part])


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


def load(evidence: Evidence, measured: Outlook | None, free: Outlook | None, options: LeakOptions) -> Guard:
    """Load that only rises, or bends like memory does: taking it out must not be what makes a leak of it.

    Growth must be likely in the floors as they were measured, or sure whatever the load's factor may be.
    """
    if evidence.load is None or measured is None or free is None:
        return Guard("load", evidence.load is None, "no request count" if evidence.load is None else "too few points")
    apart = evidence.load_along_ratio < _LOAD_ALONG_RATIO
    enough = max(measured.likely_growth, free.sure_growth) >= options.page_growth
    reason = (
        f"{evidence.load_along_ratio:.0%} of the load's changes are a rise with time; "
        f"{measured.likely_growth:.4g} more likely as measured, {free.sure_growth:.4g} sure beside the load"
    )
    return Guard("load", apart and enough, reason)


def daily(evidence: Evidence, options: LeakOptions) -> Guard:
    """The daily cycle: half of every day grows. Needs the load, or a whole day, or the same hour of yesterday."""
    if options.day_s <= 0:
        return Guard("daily", True, "no daily cycle is expected")
    if evidence.same_hour_growth is not None:
        day_growth = evidence.trend.slope.per_s * options.day_s
        passed = evidence.same_hour_growth >= options.retained_ratio * day_growth
        return Guard("daily", passed, f"{evidence.same_hour_growth:.4g} more than at the same hours yesterday")
    if evidence.load is not None:
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


def _joined(evidence: Evidence) -> F64:
    """Floors with the drops at restarts undone, so that strata follow each other without a gap."""
    rises = np.diff(evidence.floors, prepend=evidence.floors[0])
    rises[np.flatnonzero(np.diff(evidence.strata)) + 1] = 0.0
    return np.cumsum(rises)
