"""Steps in a series that may grow besides: features switched on, tables loaded, another cache begun."""

from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.detectors.trend import F64, I64

_STEP: Final = 14.0
"""Twice the gain in log-likelihood that a step must bring: one is looked for at every point, so it must be much."""

_MOST_STEPS: Final = 4
_LEAST_INDEPENDENT: Final = 4.0
_LEAST_POWER: Final = 0.3
"""Steps whose column is this near to what is known already (squared length) cannot be told from it."""


def effective_count(left: F64) -> float:
    """How many independent points residuals are worth: by the sum of their autocorrelations, weighted by Bartlett."""
    power, size = float(left @ left), left.size
    if power <= 0:
        return float(size)
    lags = np.arange(1, size // 3 + 1)
    along = np.correlate(left, left, "full")[size : size + lags.size] / power
    factor = 1 + 2 * float(((1 - lags / (lags.size + 1)) * along).sum())
    return float(np.clip(size / max(factor, 1e-9), min(_LEAST_INDEPENDENT, size), size))


def rising_steps(base: F64, floors: F64, strata: I64, grain: float) -> I64:
    """Positions before which the level rises at once; at most four, found one after the other.

    Args:
        base: n x k columns of what else moves the floors: levels of strata, time.
        floors: n floors.
        strata: n stratum numbers; a step is within a stratum.
        grain: deviations smaller than this are never told apart.
    """
    rows = np.arange(floors.size)
    columns = (rows[:, None] >= rows[None, 1:]).astype(np.float64)
    within = strata[1:] == strata[:-1]
    cuts: list[int] = []
    misfits, left = [], floors
    for _ in range(_MOST_STEPS + 1):
        basis = np.linalg.qr(np.column_stack([base, columns[:, cuts]]))[0]
        left = floors - basis @ (basis.T @ floors)
        misfits.append(float(left @ left) + grain**2 * floors.size)
        cuts.append(_best(columns - basis @ (basis.T @ columns), left, within))
    ratios = effective_count(left) * np.log(np.array(misfits[:-1]) / np.array(misfits[1:]))
    last = np.flatnonzero(ratios >= _STEP)
    return np.array(cuts[: int(last[-1]) + 1 if last.size else 0], dtype=np.int64) + 1


def _best(free: F64, left: F64, within: npt.NDArray[np.bool_]) -> int:
    """The column that explains most of what is left, of those that rise."""
    power, along = (free**2).sum(axis=0), free.T @ left
    known = within & (along > 0) & (power > _LEAST_POWER)
    return int(np.argmax(np.where(known, along**2 / np.maximum(power, _LEAST_POWER), 0.0)))
