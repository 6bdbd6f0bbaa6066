"""Mixtures of a line and a curve, all fitted to floors beside levels, steps and load, each with its weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from correlate.detectors.leak_curves import Curves, curves
from correlate.detectors.leak_steps import effective_count, rising_steps
from correlate.detectors.trend import F64, I64, levels, unit

Names = npt.NDArray[np.str_]
Flags = npt.NDArray[np.bool_]

LEAST_POINTS: Final = 8
"""Fewer floors than this allow no fit."""

_HALVINGS: Final = 40
_NO_WEIGHT: Final = 1e-9
"""Mixtures with less than this do not count."""

_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Growth:
    """A series that seems to grow.

    Attributes:
        floors: n floors.
        strata: n stratum numbers, ascending; each stratum has a level of its own, and begins at age 0.
        clocks: clocks in seconds at mean speed, each n readings: the time itself, and what was served.
        grain: deviations smaller than this are never told apart.
        beside: n x j columns of what else moves the floors, by factors that are found too; None for nothing else.
    """

    floors: F64
    strata: I64
    clocks: Sequence[F64]
    grain: float
    beside: F64 | None = None


@dataclass(frozen=True, slots=True)
class _Fits:
    """Fits to one clock: m mixtures, of which each has a straight part, a curve, or both.

    Attributes:
        names: m kinds of curve; ``line`` where there is none.
        per_s: m straight parts.
        factor: m factors of curves.
        misfit: m sums of squares of what is left.
        covariance: m x 3 for a deviation of 1: variance of the straight part, of the factor, their covariance.
        ahead: m rises of the curves within the horizon.
        parts: m numbers of parts (1 or 2).
        sensible: m flags: the curve rises, if it has to.
        time: n readings of the clock without levels and steps.
        shapes: n x m curves, the same.
    """

    names: Names
    per_s: F64
    factor: F64
    misfit: F64
    covariance: F64
    ahead: F64
    parts: F64
    sensible: Flags
    time: F64
    shapes: F64


@dataclass(frozen=True, slots=True)
class Mixtures:
    """All fits to all clocks in one row each, and what they leave.

    Attributes:
        names, per_s, factor, misfit, covariance, ahead, parts: see `_Fits`; misfit is infinite where not sensible.
        independent: number of independent points.
        scale: variance of one of them.
        steps_count: steps that were found.
    """

    names: Names
    per_s: F64
    factor: F64
    misfit: F64
    covariance: F64
    ahead: F64
    parts: F64
    independent: float
    scale: float
    steps_count: int

    @property
    def straight(self) -> Flags:
        """Fits with a straight part."""
        result: Flags = (self.parts == 2) | (self.names == "line")
        return result


def mixtures(growth: Growth, horizon_s: float) -> Mixtures | None:
    """Fit the line, each curve, and both, to each clock; None with too few points."""
    floors, strata, clock = growth.floors, growth.strata, growth.clocks[0]
    if floors.size < LEAST_POINTS:
        return None
    known = levels(strata) if growth.beside is None else np.column_stack([levels(strata), growth.beside])
    cuts = rising_steps(np.column_stack([known, unit(clock)]), floors, strata, growth.grain)
    steps = (np.arange(floors.size)[:, None] >= cuts[None, :]).astype(np.float64)
    basis = np.linalg.qr(np.column_stack([known, steps]))[0]
    left = _without(floors, basis)
    fits = [_fit(left, each, curves(_ages(each, strata), horizon_s), basis, growth.grain) for each in growth.clocks]
    return _joined(left, fits, cuts.size)


def _joined(left: F64, fits: Sequence[_Fits], steps_count: int) -> Mixtures:
    names, per_s, factor, covariance, ahead, parts = (
        np.concatenate([getattr(each, name) for each in fits])
        for name in ("names", "per_s", "factor", "covariance", "ahead", "parts")
    )
    misfit = np.concatenate([np.where(each.sensible, each.misfit, np.inf) for each in fits])
    independent = effective_count(_rest(left, fits, int(np.argmin(misfit))))
    scale = float(misfit.min()) / independent
    return Mixtures(names, per_s, factor, misfit, covariance, ahead, parts, independent, scale, steps_count)


def _without(columns: F64, basis: F64) -> F64:
    result: F64 = columns - basis @ (basis.T @ columns)
    return result


def _ages(clock: F64, strata: I64) -> F64:
    heads = np.flatnonzero(np.diff(strata, prepend=strata[0] - 1))
    result: F64 = clock - np.repeat(clock[heads], np.diff(np.append(heads, clock.size)))
    return result


def _fit(left: F64, clock: F64, known: Curves, basis: F64, grain: float) -> _Fits:
    """The line, each curve beside the line, each curve alone; in closed form."""
    time, shapes = _without(clock, basis), _without(known.values, basis)
    tt, ty, yy = float(time @ time) + _TINY, float(time @ left), float(left @ left) + grain**2 * left.size
    gg, gt, gy = (shapes**2).sum(axis=0) + 1e-12, shapes.T @ time, shapes.T @ left
    det = np.maximum(gg * tt - gt**2, 1e-9 * gg * tt)
    per_s, factor = (gg * ty - gt * gy) / det, (tt * gy - gt * ty) / det
    none, size = np.zeros(gg.size), gg.size
    return _Fits(
        names=np.array(["line", *known.names, *known.names]),
        per_s=np.concatenate([[ty / tt], per_s, none]),
        factor=np.concatenate([[0.0], factor, gy / gg]),
        misfit=np.concatenate([[yy - ty**2 / tt], yy - per_s * ty - factor * gy, yy - gy**2 / gg]),
        covariance=np.column_stack(
            [
                np.concatenate([[1 / tt], gg / det, none]),
                np.concatenate([[0.0], tt / det, 1 / gg]),
                np.concatenate([[0.0], -gt / det, none]),
            ]
        ),
        ahead=np.concatenate([[0.0], known.ahead, known.ahead]),
        parts=np.repeat([1.0, 2.0, 1.0], [1, size, size]),
        sensible=np.concatenate([[True], ~known.rising | (factor >= 0), ~known.rising | (gy >= 0)]),
        time=time,
        shapes=np.column_stack([np.zeros(time.size), shapes, shapes]),
    )


def _rest(left: F64, fits: Sequence[_Fits], at: int) -> F64:
    """What the best mixture leaves."""
    size = fits[0].per_s.size
    best, row = fits[at // size], at % size
    result: F64 = left - best.per_s[row] * best.time - best.factor[row] * best.shapes[:, row]
    return result


def weights(told: Mixtures, independent: float) -> F64:
    """Priors, equal among kinds and among the curves of a kind, times the likelihood that BIC stands for."""
    _, code, count = np.unique(told.names, return_inverse=True, return_counts=True)
    fit = -0.5 * independent * np.log(told.misfit / told.misfit.min()) - 0.5 * np.log(independent) * told.parts
    weight = np.exp(fit - fit.max()) / count[code]
    result: F64 = weight / weight.sum()
    return result


def quantile(means: F64, deviations: F64, weight: F64, part: float) -> float:
    """Of a mixture of normal distributions, by bisection."""
    counted = weight > _NO_WEIGHT
    means, weight = means[counted], weight[counted]
    least = max(float(np.abs(means).max()) * 1e-12, _TINY)  # of a perfect fit; less would overflow beneath
    deviations = np.maximum(deviations[counted], least)
    low, high = float((means - 6 * deviations).min()), float((means + 6 * deviations).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = float(weight @ ndtr((middle - means) / deviations)) < part
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2
