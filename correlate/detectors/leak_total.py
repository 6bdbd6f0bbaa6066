"""Memory leaks in the memory of a process: does it grow for good, how fast, and when is the limit reached?"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from correlate.detectors.leak_growth import Assessment, assess, gather, minimum_detectable, pace
from correlate.detectors.leak_options import HOUR_S, PRODUCTION, LeakOptions
from correlate.detectors.leak_series import MemorySeries, Windows, load_of, per_instance, windows
from correlate.detectors.series_guards import Evidence
from correlate.detectors.trend import F64, Slope
from correlate.model.verdicts import Guard, Tier, Verdict
from correlate.units import human

DETECTOR: Final = "memory-leak"


@dataclass(frozen=True, slots=True)
class TimeToLimit:
    """Hours until the limit is reached at the present slope, with the 95 % interval; infinite where it never is."""

    hours: float
    low_hours: float
    high_hours: float


def judge_total(series: MemorySeries, options: LeakOptions = PRODUCTION) -> Verdict | None:
    """Tell whether the memory of a process grows for good; None when there is nothing to say.

    Args:
        series: in-use heap or resident memory, any sampling interval, gaps allowed.
        options: the constants.
    """
    found = explain_total(series, options)
    if found.tier is Tier.CLEAR or found.evidence is None:
        return None
    return _verdict(series, found, found.evidence)


def explain_total(series: MemorySeries, options: LeakOptions = PRODUCTION) -> Assessment:
    """The same with every guard consulted, also when the answer is silence."""
    found = _look(series, options)
    if found.tier is not Tier.PAGE:
        return found
    earlier = _look(series.until(int(series.time_ns[-1]) - int(options.confirm_s * 1e9)), excused(options))
    ago = human(options.confirm_s * 1e9, "nanoseconds")
    return found.loudest(Tier.WATCH, Guard("confirmed", earlier.tier is Tier.PAGE, f"due {ago} ago already"))


def _look(series: MemorySeries, options: LeakOptions) -> Assessment:
    values = per_instance(series)
    evidence = evidence_of(series, values, windows(series, options, options.warm_up_s), options)
    urgent_s = 0.0
    if evidence is not None and series.limit_bytes is not None:
        urgent_s = time_to_limit(evidence.trend.slope, values, series.limit_bytes).hours * HOUR_S
    return assess(evidence, options, urgent_s)


def evidence_of(series: MemorySeries, values: F64, cut: Windows, options: LeakOptions) -> Evidence | None:
    """The evidence of one row of values that was measured at the times of a series."""
    if cut.heads.size == 0:
        return None
    return gather(cut.floors(values), load_of(series, cut), cut, options)


def excused(options: LeakOptions) -> LeakOptions:
    """For the look that stands `confirm_s` earlier: it has seen that much less."""
    return replace(
        options,
        watch_observed_s=options.watch_observed_s - options.confirm_s,
        page_observed_s=options.page_observed_s - options.confirm_s,
        urgent_observed_s=options.urgent_observed_s - options.confirm_s,
    )


def time_to_limit(slope: Slope, values: F64, limit_bytes: float) -> TimeToLimit:
    """When the usual peak of late reaches the limit, if memory goes on to grow at a slope."""
    known = values[np.isfinite(values)]
    left = limit_bytes - float(np.quantile(known[-max(known.size // 10, 1) :], 0.9))
    hours, low, high = (
        max(left, 0.0) / per_s / HOUR_S if per_s > 0 else float("inf")
        for per_s in (slope.per_s, slope.high_per_s, slope.low_per_s)
    )
    return TimeToLimit(hours, low, high)


def _verdict(series: MemorySeries, found: Assessment, evidence: Evidence) -> Verdict:
    slope = pace(evidence)
    figures = growth_figures(evidence, slope)
    headline = f"{series.instance or series.service} grows by {human(slope.per_s * HOUR_S, 'bytes')} per hour"
    if series.limit_bytes is not None:
        left = time_to_limit(slope, per_instance(series), series.limit_bytes)
        figures |= limit_figures(left, series.limit_bytes)
        headline += f" and reaches its limit of {human(series.limit_bytes, 'bytes')} in {left.hours:.3g} h"
    return Verdict(
        detector=DETECTOR,
        service=series.service,
        subject=series.instance,
        tier=found.tier,
        headline=headline,
        figures=figures,
        guards=found.guards,
        minimum_detectable=minimum_detectable(evidence) * HOUR_S,
    )


def growth_figures(evidence: Evidence, slope: Slope) -> dict[str, float]:
    """Slope with its interval, growth, level, significance and how long was observed."""
    return {
        "growth_bytes_per_hour": slope.per_s * HOUR_S,
        "growth_low_bytes_per_hour": slope.low_per_s * HOUR_S,
        "growth_high_bytes_per_hour": slope.high_per_s * HOUR_S,
        "growth_bytes": evidence.growth,
        "level_bytes": evidence.level,
        "observed_hours": evidence.observed_s / HOUR_S,
        "p_ratio": evidence.trend.p_ratio,
    }


def limit_figures(left: TimeToLimit, limit_bytes: float) -> dict[str, float]:
    """The limit and the hours left until it, with their interval."""
    return {
        "limit_bytes": limit_bytes,
        "limit_in_hours": left.hours,
        "limit_in_low_hours": left.low_hours,
        "limit_in_high_hours": left.high_hours,
    }
