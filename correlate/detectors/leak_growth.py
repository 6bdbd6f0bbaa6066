"""Is a series growing for good? Floors, load, trend, outlook and guards, for memory and for counts alike."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from correlate.detectors import series_guards
from correlate.detectors.leak_daily import beside_daily_cycle, daily_wave, same_hour
from correlate.detectors.leak_forecast import Outlook, outlook, straight_part
from correlate.detectors.leak_load import served, smoothed, without_load
from correlate.detectors.leak_mixtures import Growth
from correlate.detectors.leak_options import LeakOptions
from correlate.detectors.leak_series import Windows
from correlate.detectors.series_guards import Evidence
from correlate.detectors.trend import F64, I64, Z95, Slope, roughness, trend
from correlate.model.verdicts import Guard, Tier

LEAST_WINDOWS: Final = 4
"""Fewer floors than this say nothing."""

_REACHES: Final = (1, 2, 4, 8)
_GRAIN_RATIO: Final = 1 / 24
"""Deviations smaller than this part of the least growth that counts are never told apart."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """How loudly a series speaks, and all that was consulted.

    Attributes:
        tier: clear, watch, or page (not yet confirmed by an earlier look).
        evidence: what was looked at; None with too little data.
        guards: every check, in order.
    """

    tier: Tier
    evidence: Evidence | None
    guards: tuple[Guard, ...]

    def loudest(self, tier: Tier, guard: Guard) -> "Assessment":
        """The same with one more guard; when it did not pass, no louder than `tier`."""
        quieter = self.tier if guard.passed or self.tier.rank <= tier.rank else tier
        return replace(self, tier=quieter, guards=(*self.guards, guard))


def assess(evidence: Evidence | None, options: LeakOptions, urgent_s: float = 0.0) -> Assessment:
    """Judge one series by its evidence.

    Args:
        evidence: see `gather`.
        options: the constants.
        urgent_s: a limit that is reached within this time lowers what must be observed before a page; 0: no limit.
    """
    if evidence is None:
        return Assessment(Tier.CLEAR, None, (Guard("observed", False, "too few windows with data"),))
    first = _cheap_guards(evidence, options)
    if not all(guard.passed for guard in first):
        return Assessment(Tier.CLEAR, evidence, first)
    evidence = replace(evidence, outlook=_look_ahead(evidence, options))
    watch = (*first, series_guards.lasting(evidence, options))
    if not watch[-1].passed:
        return Assessment(Tier.CLEAR, evidence, watch)
    page = _page_guards(evidence, options, urgent_s)
    tier = Tier.PAGE if all(guard.passed for guard in page) else Tier.WATCH
    return Assessment(tier, evidence, (*watch, *page))


def _cheap_guards(evidence: Evidence, options: LeakOptions) -> tuple[Guard, ...]:
    return (
        series_guards.observed(evidence, options.watch_observed_s),
        series_guards.coverage(evidence, options),
        series_guards.significance(evidence, options.watch_p_ratio),
        series_guards.size(evidence, options),
        series_guards.given_back(evidence, options),
    )


def _page_guards(evidence: Evidence, options: LeakOptions, urgent_s: float) -> tuple[Guard, ...]:
    least_s = options.urgent_observed_s if 0 < urgent_s <= options.urgent_eta_s else options.page_observed_s
    cheap = (
        replace(series_guards.significance(evidence, options.page_p_ratio), name="page significance"),
        series_guards.forecast(evidence, options),
        series_guards.daily(evidence, options),
        replace(series_guards.observed(evidence, least_s), name="page observed"),
    )
    if not all(guard.passed for guard in cheap):
        return cheap
    return (*cheap, series_guards.load(evidence, *_looks_at_load(evidence, options), options))


def _looks_at_load(evidence: Evidence, options: LeakOptions) -> tuple[Outlook | None, Outlook | None]:
    """The outlook of the floors as they were measured, and beside a load of which nobody knows how much it does."""
    if evidence.load is None or np.array_equal(evidence.floors, evidence.raw_floors):
        return evidence.outlook, evidence.outlook
    beside = _load_columns(evidence)
    measured, free = (
        outlook(_growth(evidence, evidence.raw_floors, each), options.forecast_s) for each in (None, beside)
    )
    return measured, free


def _look_ahead(evidence: Evidence, options: LeakOptions) -> Outlook | None:
    return outlook(_growth(evidence, evidence.floors), options.forecast_s)


def _growth(evidence: Evidence, floors: F64, beside: F64 | None = None) -> Growth:
    return Growth(floors, evidence.strata, evidence.clocks, evidence.grain, beside)


def _load_columns(evidence: Evidence) -> F64 | None:
    """The load and its change from window to window: floors are lowest at one edge of a window when load moves."""
    load = evidence.load
    if load is None or float(np.ptp(load)) <= 0:
        return None
    changes = np.gradient(load)
    return np.column_stack([load / float(np.ptp(load)), changes / max(float(np.ptp(changes)), 1e-9)])


def gather(floors: F64, load: F64 | None, windows: Windows, options: LeakOptions) -> Evidence | None:
    """Free floors from the load and find their trend; None with too little data.

    Args:
        floors: n floors, see `Windows.floors`.
        load: n mean request counts, or None.
        windows: where the floors come from; may reach a day further back than is judged.
        options: the constants.
    """
    if floors.size < LEAST_WINDOWS:
        return None
    if load is None:
        floors = floors - daily_wave(floors, windows, options.day_s)
    recent = windows.times_s >= windows.times_s[-1] - options.lookback_s
    times_s, strata = windows.times_s[recent], windows.strata[recent]
    reach = _reach(times_s, floors[recent], strata)
    low = rolling_floor(floors[recent], strata, reach)
    during = None if load is None else smoothed(load[recent], reach)
    freed = without_load(times_s, low, strata, during)
    return Evidence(
        times_s=times_s,
        floors=freed.floors,
        raw_floors=low,
        strata=strata,
        clocks=(times_s,) if load is None else (times_s, served(times_s, load[recent])),
        load=during,
        load_along_ratio=freed.along_ratio,
        trend=trend(times_s, freed.floors, strata),
        observed_s=float(times_s[-1] - times_s[0]) + windows.length_s,
        coverage_ratio=windows.times_s.size / max(windows.expected_count, 1),
        same_hour_growth=same_hour(floors, windows, options.day_s),
        daily_p_ratio=beside_daily_cycle(times_s, freed.floors, strata, options.day_s),
        grain=options.least_growth * _GRAIN_RATIO,
    )


def rolling_floor(floors: F64, strata: I64, reach: int) -> F64:
    """The minimum of each window and the `reach` - 1 before it in the same stratum."""
    result = floors.copy()
    for back in range(1, min(reach, floors.size)):  # at most a handful
        same = strata[back:] == strata[:-back]
        result[back:] = np.where(same, np.minimum(result[back:], floors[:-back]), result[back:])
    return result


def _reach(times_s: F64, floors: F64, strata: I64) -> int:
    """Over how many windows to take floors: more than one where that calms them much more than noise would calm.

    The minimum of k noisy values is somewhat calmer than one; beneath a saw-tooth shorter than k it is calm at once.
    """
    costs = [
        float(np.sqrt(reach)) * roughness(times_s, rolling_floor(floors, strata, reach), strata)
        for reach in _REACHES
        if reach * LEAST_WINDOWS <= floors.size
    ]
    return _REACHES[int(np.argmin(costs))]


def pace(evidence: Evidence) -> Slope:
    """How fast it leaks: the straight part of the growth, beside steps, curves and load, with its 95 % interval.

    With too few points for that, or where nothing of the kind is left, it is Sen's slope, whose interval knows noise
    only.
    """
    found = straight_part(_growth(evidence, evidence.raw_floors, _load_columns(evidence)))
    return found if found is not None and found.per_s > 0 else evidence.trend.slope


def minimum_detectable(evidence: Evidence) -> float:
    """The slope per second that the noise of these floors would just have let through."""
    half = (evidence.trend.slope.high_per_s - evidence.trend.slope.low_per_s) / 2
    return 3.1 / Z95 * half
