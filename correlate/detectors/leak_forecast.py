"""How will it go on? Growth without end against growth that ends, all fitted, and what they expect of tomorrow.

Floors are taken for a straight line, or one curve that slows down (a cache that fills, fragmentation, a move of
customers), or both, beside a few steps; time is that of the clock, or what was served. No mixture is chosen: each
counts as much as it fits (Bayesian model averaging, with the weights of BIC, Schwarz 1978, for as many independent
points as the autocorrelation of what is left allows for). What 90 % of that weight expects can be relied on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from correlate.detectors.leak_curves import Curves, curves
from correlate.detectors.leak_steps import effective_count, rising_steps
from correlate.detectors.trend import F64, I64, Slope, levels, unit

NAMES = npt.NDArray[np.str_]
BOOL = npt.NDArray[np.bool_]

LEAST_POINTS: Final = 8
"""Fewer floors than this allow no fit."""

_DOUBT_RATIO: Final = 0.1
"""What is called sure may be wrong this often."""

_INTERVAL: Final = (0.025, 0.5, 0.975)
_WIDENING: Final = 2.5
"""How many of the independent points an interval is worth one: what was chosen beforehand (floors, steps, one factor
for the load) is not free of doubt. Found on simulated leaks of known rate, see docs/quality.md."""

_HALVINGS: Final = 40
_NO_WEIGHT: Final = 1e-9
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
class Outlook:
    """What is to be expected.

    Attributes:
        sure_growth: growth within the horizon is more than this with a probability of 90 %.
        likely_growth: as likely more as less.
        curve: the kind of curve that has most weight; ``line`` for none.
        steps_count: steps that were found, and are expected not to come again.
    """

    sure_growth: float
    likely_growth: float
    curve: str
    steps_count: int


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

    names: NAMES
    per_s: F64
    factor: F64
    misfit: F64
    covariance: F64
    ahead: F64
    parts: F64
    sensible: BOOL
    time: F64
    shapes: F64


def outlook(growth: Growth, horizon_s: float) -> Outlook | None:
    """Fit and look `horizon_s` ahead; None with too few points."""
    told = _told(growth, horizon_s)
    if told is None:
        return None
    ahead = horizon_s * told.per_s + told.ahead * told.factor
    terms = np.column_stack([np.full(ahead.size, horizon_s**2), told.ahead**2, 2 * horizon_s * told.ahead])
    variance = np.maximum((told.covariance * terms).sum(axis=1), 0) * told.scale
    weight = _weights(told, told.independent)
    kinds = {str(name): float(weight[told.names == name].sum()) for name in np.unique(told.names)}
    return Outlook(
        sure_growth=_quantile(ahead, np.sqrt(variance), weight, _DOUBT_RATIO),
        likely_growth=_quantile(ahead, np.sqrt(variance), weight, 0.5),
        curve=max(kinds, key=lambda name: kinds[name]),
        steps_count=told.steps_count,
    )


def straight_part(growth: Growth) -> Slope | None:
    """The slope of what goes on without end, given that something does, with its 95 % interval; None as above."""
    told = _told(growth, 0.0)
    if told is None:
        return None
    weight = np.where(told.straight, _weights(told, max(told.independent / _WIDENING, 1.0)), 0.0)
    deviation = np.sqrt(told.covariance[:, 0] * told.scale * _WIDENING)
    low, middle, high = (_quantile(told.per_s, deviation, weight / weight.sum(), part) for part in _INTERVAL)
    return Slope(middle, max(low, 0.0), high)


@dataclass(frozen=True, slots=True)
class _Told:
    """All fits to all clocks in one row each, and what they leave.

    Attributes:
        names, per_s, factor, misfit, covariance, ahead, parts: see `_Fits`; misfit is infinite where not sensible.
        independent: number of independent points.
        scale: variance of one of them.
        steps_count: steps that were found.
    """

    names: NAMES
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
    def straight(self) -> BOOL:
        """Fits with a straight part."""
        result: BOOL = (self.parts == 2) | (self.names == "line")
        return result


def _told(growth: Growth, horizon_s: float) -> _Told | None:
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


def _joined(left: F64, fits: Sequence[_Fits], steps_count: int) -> _Told:
    names, per_s, factor, covariance, ahead, parts = (
        np.concatenate([getattr(each, name) for each in fits])
        for name in ("names", "per_s", "factor", "covariance", "ahead", "parts")
    )
    misfit = np.concatenate([np.where(each.sensible, each.misfit, np.inf) for each in fits])
    independent = effective_count(_rest(left, fits, int(np.argmin(misfit))))
    scale = float(misfit.min()) / independent
    return _Told(names, per_s, factor, misfit, covariance, ahead, parts, independent, scale, steps_count)


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


def _weights(told: _Told, independent: float) -> F64:
    """Priors, equal among kinds and among the curves of a kind, times the likelihood that BIC stands for."""
    _, code, count = np.unique(told.names, return_inverse=True, return_counts=True)
    fit = -0.5 * independent * np.log(told.misfit / told.misfit.min()) - 0.5 * np.log(independent) * told.parts
    weight = np.exp(fit - fit.max()) / count[code]
    result: F64 = weight / weight.sum()
    return result


def _quantile(means: F64, deviations: F64, weight: F64, part: float) -> float:
    """Of a mixture of normal distributions, by bisection."""
    counted = weight > 1e-9
    means, weight = means[counted], weight[counted]
    least = max(float(np.abs(means).max()) * 1e-12, _TINY)  # of a perfect fit; less would overflow beneath
    deviations = np.maximum(deviations[counted], least)
    low, high = float((means - 6 * deviations).min()), float((means + 6 * deviations).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        below = float(weight @ ndtr((middle - means) / deviations)) < part
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2
