"""Could a difference have been seen at all? Minimum detectable differences, and how much evidence is missing."""

from typing import Final

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

POWER_QUANTILE: Final = 0.8416
"""The standard normal quantile of a power of 80 %."""

WORTH_RATIO: Final = 0.2
"""A change of this part of a frame's value is worth knowing about, however small the observed one is."""


_MOST_FACTOR: Final = 1e6
"""Whoever would need more than a million times the evidence should not wait for it."""


def detectable(error: F64, critical: float) -> F64:
    """The smallest difference that is found in 80 of 100 such comparisons.

    Args:
        error: standard error of each column's difference.
        critical: how many standard errors a difference must have to be significant.
    """
    return error * (critical + POWER_QUANTILE)


def sought(difference: F64, value: F64) -> F64:
    """The difference to look for: the observed one, or 20 % of the value where that is more."""
    return np.maximum(np.abs(difference), WORTH_RATIO * np.abs(value))


def missing(least: F64, wanted: F64, have: int) -> npt.NDArray[np.int64]:
    """How many more samples, in both cohorts together, would make the wanted difference detectable; 0 for none.

    Standard errors shrink with the square root of the evidence, spans and samples growing alike.

    Args:
        least: the smallest difference that is detectable now.
        wanted: the difference to look for.
        have: samples in both cohorts.
    """
    known = (wanted > 0) & np.isfinite(least)
    factor = np.where(known, (np.nan_to_num(least) / np.where(known, wanted, 1.0)) ** 2 - 1, 0.0)
    return np.asarray(np.ceil(np.clip(factor, 0, _MOST_FACTOR) * max(have, 1)), np.int64)
