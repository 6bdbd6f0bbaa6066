"""Is a series growing for good? Floors, load, trend and guards, for memory and for counts of goroutines alike."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import ndtr

from correlate.detectors import series_guards
from correlate.detectors.leak_forecast import Outlook, outlook
from correlate.detectors.leak_options import LeakOptions
from correlate.detectors.leak_series import Windows
from correlate.detectors.series_guards import Evidence
from correlate.detectors.trend import F64, I64, Z95, inflation, robust_line, trend
from correlate.model.verdicts import Guard, Tier

LEAST_WINDOWS: Final = 4
"""Fewer floors than this say nothing."""

_LOAD_MATTERS_SIGMA: Final = 3.0
_REACHES: Final = (1, 2, 4, 8)
_DAY_TO_TELL_RATIO: Final = 0.8
_TWO_DAYS_RATIO: Final = 1.8
_YESTERDAY_PAIRS: Final = 6


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
    first = _first_guards(evidence, options)
    if not all(guard.passed for guard in first):
        return Assessment(Tier.CLEAR, evidence, first)
    evidence = replace(evidence, outlook=_look_ahead(evidence, options))
    watch = (*first, series_guards.lasting(evidence, options))
    if not watch[-1].passed:
        return Assessment(Tier.CLEAR, evidence, watch)
    least_s = options.urgent_observed_s if 0 < urgent_s <= options.urgent_eta_s else options.page_observed_s
    page = (
        replace(series_guards.significance(evidence, options.page_p_ratio), name="page significance"),
        series_guards.forecast(evidence, options),
        series_guards.daily(evidence, options),
        replace(series_guards.observed(evidence, least_s), name="page observed"),
    )
    tier = Tier.PAGE if all(guard.passed for guard in page) else Tier.WATCH
    return Assessment(tier, evidence, (*watch, *page))


def _look_ahead(evidence: Evidence, options: LeakOptions) -> Outlook | None:
    return outlook(
        evidence.floors, evidence.strata, evidence.clocks, options.forecast_s, options.least_growth / 24
    )


def _first_guards(evidence: Evidence, options: LeakOptions) -> tuple[Guard, ...]:
    return (
        series_guards.observed(evidence, options.watch_observed_s),
        series_guards.coverage(evidence, options),
        series_guards.significance(evidence, options.watch_p_ratio),
        series_guards.size(evidence, options),
        series_guards.given_back(evidence, options),
        series_guards.load(evidence, options),
    )


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
        floors = floors - _daily_wave(floors, windows, options)
    recent = windows.times_s >= windows.times_s[-1] - options.lookback_s
    times_s, strata = windows.times_s[recent], windows.strata[recent]
    reach = _reach(times_s, floors[recent], strata)
    low = rolling_floor(floors[recent], strata, reach)
    beside = _beside_load(times_s, low, strata, None if load is None else _smooth(load[recent], reach))
    return Evidence(
        times_s=times_s,
        floors=beside.floors,
        raw_floors=low,
        strata=strata,
        trend=trend(times_s, beside.floors, strata),
        observed_s=float(times_s[-1] - times_s[0]) + windows.length_s,
        coverage_ratio=windows.times_s.size / max(windows.expected_count, 1),
        beside_load_p_ratio=beside.p_ratio,
        load_explains_ratio=beside.explains_ratio,
        load_along_ratio=beside.along_ratio,
        same_hour_growth=_same_hour(floors, windows, options),
        daily_p_ratio=_beside_daily_cycle(times_s, beside.floors, strata, options),
        clocks=(times_s,) if load is None else (times_s, _served(times_s, load[recent])),
        load=None if load is None else _smooth(load[recent], reach),
    )


def _served(times_s: F64, load: F64) -> F64:
    """Time as the requests count it: seconds of mean load served so far."""
    served = np.concatenate([[0.0], np.cumsum((load[1:] + load[:-1]) / 2 * np.diff(times_s))])
    result: F64 = served * (float(np.ptp(times_s)) / max(float(served[-1]), 1e-9))
    return result


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
        float(np.sqrt(reach)) * _roughness(times_s, rolling_floor(floors, strata, reach), strata)
        for reach in _REACHES
        if reach * LEAST_WINDOWS <= floors.size
    ]
    return _REACHES[int(np.argmin(costs))]


def _roughness(times_s: F64, floors: F64, strata: I64) -> float:
    """Deviation around a straight line, with a level for each stratum."""
    design = np.column_stack([_stratum_columns(strata), _unit(times_s)])
    left = floors - design @ np.linalg.lstsq(design, floors, rcond=None)[0]
    return float(np.sqrt(np.mean(left**2)))


def _smooth(load: F64, reach: int) -> F64:
    """The mean of each window and those before it, as far as floors reach."""
    sums = np.cumsum(np.concatenate([[0.0], load]))
    ends = np.arange(1, load.size + 1)
    begins = np.maximum(ends - reach, 0)
    result: F64 = (sums[ends] - sums[begins]) / (ends - begins)
    return result


def _stratum_columns(strata: I64) -> F64:
    """One column of ones per stratum: each has its own level."""
    result: F64 = (strata[:, None] == np.unique(strata)[None, :]).astype(np.float64)
    return result


@dataclass(frozen=True, slots=True)
class _Beside:
    """Floors freed from the load, p of growth beside it, part of the bends it explains, how it runs along with time."""

    floors: F64
    p_ratio: float | None = None
    explains_ratio: float = 0.0
    along_ratio: float = 0.0


def _beside_load(times_s: F64, floors: F64, strata: I64, load: F64 | None) -> _Beside:
    """Take out what the load explains beside a trend; floors stay as they are when it explains nothing.

    The p of growth is large when load and time run the same way: then nobody can tell what memory follows.
    """
    if load is None:
        return _Beside(floors)
    spread = float(np.ptp(load))
    if floors.size < 2 * LEAST_WINDOWS or spread <= 0:
        return _Beside(floors, 0.0 if spread <= 0 else 1.0)
    design = np.column_stack([_stratum_columns(strata), _unit(times_s), load / spread])
    line = robust_line(design, floors)
    left = floors - design @ line.coefficients
    growth, per_load = line.coefficients[-2:] / np.maximum(line.errors[-2:] * np.sqrt(inflation(left)), 1e-300)
    beside, along = float(ndtr(-growth)), _along(times_s, floors, strata, load)
    if per_load <= _LOAD_MATTERS_SIGMA:
        return _Beside(floors, beside, along_ratio=along)
    bends = _roughness(times_s, floors, strata)
    explains = 1.0 - float(np.mean(left**2)) / max(bends**2, 1e-300)
    freed = floors - line.coefficients[-1] * (load - np.median(load)) / spread
    return _Beside(freed, beside, explains, along)


def _along(times_s: F64, floors: F64, strata: I64, load: F64) -> float:
    """Which part of the load's changes is a rise with time; 0 when it rises too little to explain what memory does."""
    time = _unit(times_s)
    load_rise, rise = (
        float(np.polyfit(time, each, 1)[0]) / max(float(np.median(each)), 1e-9) for each in (load, floors)
    )
    changes = float(np.var(load))
    if load_rise < rise / 2 or changes <= 0:
        return 0.0
    return 1.0 - _roughness(times_s, load, strata) ** 2 / changes


def _unit(times_s: F64) -> F64:
    result: F64 = times_s / max(float(np.ptp(times_s)), 1e-9)
    return result


def _same_hour(floors: F64, windows: Windows, options: LeakOptions) -> float | None:
    """How much higher the latest quarter of a day lies than the same hours of yesterday; None when it is not known."""
    times_s = windows.times_s
    now = np.flatnonzero(times_s >= times_s[-1] - options.day_s / 4)
    then = np.clip(np.searchsorted(times_s, times_s[now] - options.day_s - windows.length_s / 2), 0, times_s.size - 1)
    near = np.abs(times_s[then] - (times_s[now] - options.day_s)) <= windows.length_s
    near &= windows.strata[then] == windows.strata[now]
    if near.sum() < _YESTERDAY_PAIRS:
        return None
    return float(np.median(floors[now[near]] - floors[then[near]]))


def _daily_wave(floors: F64, windows: Windows, options: LeakOptions) -> F64:
    """The daily cycle, as two harmonics beside a trend; zeros before two days were seen, or when none is expected."""
    times_s = windows.times_s
    if options.day_s <= 0 or float(np.ptp(times_s)) < _TWO_DAYS_RATIO * options.day_s:
        return np.zeros(floors.size)
    angle = 2 * np.pi * times_s / options.day_s
    waves = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    design = np.column_stack([_stratum_columns(windows.strata), _unit(times_s), waves])
    result: F64 = waves @ robust_line(design, floors).coefficients[-4:]
    return result


def _beside_daily_cycle(times_s: F64, floors: F64, strata: I64, options: LeakOptions) -> float | None:
    """One-sided p of growth when a daily sine is allowed for; None before most of a day was seen."""
    if options.day_s <= 0 or float(np.ptp(times_s)) < _DAY_TO_TELL_RATIO * options.day_s:
        return None
    angle = 2 * np.pi * times_s / options.day_s
    design = np.column_stack([_stratum_columns(strata), np.cos(angle), np.sin(angle), _unit(times_s)])
    line = robust_line(design, floors)
    error = float(line.errors[-1]) * float(np.sqrt(inflation(floors - design @ line.coefficients)))
    return float(ndtr(-line.coefficients[-1] / error)) if error > 0 else 1.0


def minimum_detectable(evidence: Evidence) -> float:
    """The slope per second that the noise of these floors would just have let through."""
    half = (evidence.trend.slope.high_per_s - evidence.trend.slope.low_per_s) / 2
    return 3.1 / Z95 * half
