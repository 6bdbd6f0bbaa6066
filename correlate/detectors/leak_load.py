"""What the load does to memory, and time as the requests count it."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from correlate.detectors.trend import F64, I64, inflation, levels, robust_line, roughness, unit

_MATTERS_SIGMA: Final = 3.0
_LEAST_POINTS: Final = 8


@dataclass(frozen=True, slots=True)
class Freed:
    """Floors without what the load explains beside a trend; as they were where it explains nothing.

    Attributes:
        floors: n floors.
        along_ratio: part of the load's changes that is a rise with time, when it rises like memory does.
    """

    floors: F64
    along_ratio: float = 0.0


def without_load(times_s: F64, floors: F64, strata: I64, load: F64 | None) -> Freed:
    """Take out what the load explains beside a trend, if it explains anything.

    Args:
        times_s: n times in seconds.
        floors: n floors.
        strata: n stratum numbers.
        load: n mean request counts, or None.
    """
    if load is None or floors.size < _LEAST_POINTS or float(np.ptp(load)) <= 0:
        return Freed(floors)
    share = load / float(np.ptp(load))
    design = np.column_stack([levels(strata), unit(times_s), share])
    line = robust_line(design, floors)
    error = float(line.errors[-1] * np.sqrt(inflation(floors - design @ line.coefficients)))
    per_load = float(line.coefficients[-1])
    along = _along(times_s, floors, strata, load)
    if per_load <= _MATTERS_SIGMA * error:
        return Freed(floors, along)
    return Freed(floors - per_load * (share - float(np.median(share))), along)


def _along(times_s: F64, floors: F64, strata: I64, load: F64) -> float:
    """0 when the load rises too little to explain what memory does."""
    load_rise, rise = (
        float(np.polyfit(unit(times_s), each, 1)[0]) / max(float(np.median(each)), 1e-9) for each in (load, floors)
    )
    changes = float(np.var(load))
    if load_rise < rise / 2 or changes <= 0:
        return 0.0
    return 1.0 - roughness(times_s, load, strata) ** 2 / changes


def served(times_s: F64, load: F64) -> F64:
    """Time as the requests count it: seconds of mean load that were served since the first point."""
    sums = np.concatenate([[0.0], np.cumsum((load[1:] + load[:-1]) / 2 * np.diff(times_s))])
    result: F64 = sums * (float(np.ptp(times_s)) / max(float(sums[-1]), 1e-9))
    return result


def smoothed(load: F64, reach: int) -> F64:
    """The mean of each window and those before it, as far as floors reach."""
    sums = np.cumsum(np.concatenate([[0.0], load]))
    ends = np.arange(1, load.size + 1)
    begins = np.maximum(ends - reach, 0)
    result: F64 = (sums[ends] - sums[begins]) / (ends - begins)
    return result
