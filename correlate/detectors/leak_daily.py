"""The daily cycle, where no request count tells it from growth: yesterday's same hours, and a wave beside the trend."""

from typing import Final

import numpy as np
from scipy.special import ndtr

from correlate.detectors.leak_series import Windows
from correlate.detectors.trend import F64, I64, inflation, levels, robust_line, unit

_DAY_TO_TELL_RATIO: Final = 0.8
_TWO_DAYS_RATIO: Final = 1.8
_YESTERDAY_PAIRS: Final = 6


def same_hour(floors: F64, windows: Windows, day_s: float) -> float | None:
    """How much higher the latest quarter of a day lies than the same hours of yesterday; None when it is not known."""
    times_s = windows.times_s
    now = np.flatnonzero(times_s >= times_s[-1] - day_s / 4)
    then = np.clip(np.searchsorted(times_s, times_s[now] - day_s - windows.length_s / 2), 0, times_s.size - 1)
    near = np.abs(times_s[then] - (times_s[now] - day_s)) <= windows.length_s
    near &= windows.strata[then] == windows.strata[now]
    if near.sum() < _YESTERDAY_PAIRS:
        return None
    return float(np.median(floors[now[near]] - floors[then[near]]))


def daily_wave(floors: F64, windows: Windows, day_s: float) -> F64:
    """The daily cycle, as two harmonics beside a trend; zeros before two days were seen, or when none is expected."""
    times_s = windows.times_s
    if day_s <= 0 or float(np.ptp(times_s)) < _TWO_DAYS_RATIO * day_s:
        return np.zeros(floors.size)
    angle = 2 * np.pi * times_s / day_s
    waves = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    design = np.column_stack([levels(windows.strata), unit(times_s), waves])
    result: F64 = waves @ robust_line(design, floors).coefficients[-4:]
    return result


def beside_daily_cycle(times_s: F64, floors: F64, strata: I64, day_s: float) -> float | None:
    """One-sided p of growth when a daily sine is allowed for; None before most of a day was seen."""
    if day_s <= 0 or float(np.ptp(times_s)) < _DAY_TO_TELL_RATIO * day_s:
        return None
    angle = 2 * np.pi * times_s / day_s
    design = np.column_stack([levels(strata), np.cos(angle), np.sin(angle), unit(times_s)])
    line = robust_line(design, floors)
    error = float(line.errors[-1]) * float(np.sqrt(inflation(floors - design @ line.coefficients)))
    return float(ndtr(-line.coefficients[-1] / error)) if error > 0 else 1.0
