"""How will it go on? Growth without end against growth that ends, all fitted, and what they expect of tomorrow.

Floors are taken for a straight line, or one curve that slows down (a cache that fills, fragmentation, a move of
customers), or both, beside a few steps; time is that of the clock, or what was served. No mixture is chosen: each
counts as much as it fits (Bayesian model averaging, with the weights of BIC, Schwarz 1978, for as many independent
points as the autocorrelation of what is left allows for). What 95 % of that weight expects can be relied on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import ndtr

from correlate.detectors.leak_curves import Curves, curves
from correlate.detectors.leak_steps import effective_count, rising_steps
from correlate.detectors.trend import F64, I64

LEAST_POINTS: Final = 8
"""Fewer floors than this allow no fit."""

_LINE_PRIOR: Final = 0.5
"""Before anything is seen, a straight line is as likely as all curves together."""

_SURE: Final = 0.05
_INTERVAL: Final = (0.025, 0.975)
_HALVINGS: Final = 40
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected.

    Attributes:
        sure_growth: growth within the horizon is more than this with 95 % probability.
        likely_growth: as likely more as less.
        curve: the kind of curve that has most weight; ``line`` for none.
        bounded_ratio: probability that a curve is all there is, without any straight part.
        steps_count: steps that were found, and are expected not to come again.
        low_per_s: lower end of the 95 % interval of the straight part.
        high_per_s: its upper end.
    """

    sure_growth: float
    likely_growth: float
    curve: str
    bounded_ratio: float
    steps_count: int
    low_per_s: float
    high_per_s: float


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

    names: tuple[str, ...]
    per_s: F64
    factor: F64
    misfit: F64
    covariance: F64
    ahead: F64
    parts: F64
    sensible: F64
    time: F64
    shapes: F64


def outlook(floors: F64, strata: I64, clocks: Sequence[F64], horizon_s: float, grain: float) -> Outlook | None:
    """Fit and look ahead; None with too few points.

    Args:
        floors: n floors.
        strata: n stratum numbers, ascending; each stratum has a level of its own, and begins at age 0.
        clocks: clocks in seconds at mean speed, each n readings: the time itself, and what was served.
        horizon_s: how far to look ahead.
        grain: deviations smaller than this are never told apart.
    """
    if floors.size < LEAST_POINTS:
        return None
    levels = (strata[:, None] == np.unique(strata)[None, :]).astype(np.float64)
    unit = clocks[0] / max(float(np.ptp(clocks[0])), 1e-9)
    cuts = rising_steps(np.column_stack([levels, unit]), floors, strata, grain)
    steps = (np.arange(floors.size)[:, None] >= cuts[None, :]).astype(np.float64)
    basis = np.linalg.qr(np.column_stack([levels, steps]))[0]
    left = _without(floors, basis)
    fits = [_fit(left, clock, curves(_ages(clock, strata), horizon_s), basis, grain) for clock in clocks]
    return _averaged(left, fits, horizon_s, cuts.size)


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
        names=("line", *known.names, *known.names),
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


def _averaged(left: F64, fits: Sequence[_Fits], horizon_s: float, steps_count: int) -> Outlook:
    misfit = np.concatenate([np.where(each.sensible, each.misfit, np.inf) for each in fits])
    independent = effective_count(_rest(left, fits, int(np.argmin(misfit))))
    names = np.concatenate([each.names for each in fits])
    parts = np.concatenate([each.parts for each in fits])
    weight = _weights(names, misfit, parts, independent)
    scale = float(misfit.min()) / independent
    covariance = np.concatenate([each.covariance for each in fits]) * scale
    per_s, factor, ahead = (
        np.concatenate([getattr(each, name) for each in fits]) for name in ("per_s", "factor", "ahead")
    )
    growth = horizon_s * per_s + ahead * factor
    terms = np.column_stack([np.full(ahead.size, horizon_s**2), ahead**2, 2 * horizon_s * ahead])
    spread = np.sqrt(np.maximum((covariance * terms).sum(axis=1), 0))
    straight = np.sqrt(covariance[:, 0])
    low, high = (_quantile(per_s, straight, weight, part) for part in _INTERVAL)
    kinds = {str(name): float(weight[names == name].sum()) for name in np.unique(names)}
    return Outlook(
        sure_growth=_quantile(growth, spread, weight, _SURE),
        likely_growth=_quantile(growth, spread, weight, 0.5),
        curve=max(kinds, key=lambda name: kinds[name]),
        bounded_ratio=float(weight[(parts == 1) & (names != "line")].sum()),
        steps_count=steps_count,
        low_per_s=low,
        high_per_s=high,
    )


def _rest(left: F64, fits: Sequence[_Fits], at: int) -> F64:
    """What the best mixture leaves."""
    size = fits[0].per_s.size
    best, row = fits[at // size], at % size
    result: F64 = left - best.per_s[row] * best.time - best.factor[row] * best.shapes[:, row]
    return result


def _weights(names: np.ndarray, misfit: F64, parts: F64, independent: float) -> F64:
    """Priors, equal among kinds and among the curves of a kind, times the likelihood that BIC stands for."""
    kinds, code, count = np.unique(names, return_inverse=True, return_counts=True)
    prior = np.where(kinds == "line", _LINE_PRIOR, (1 - _LINE_PRIOR) / max(kinds.size - 1, 1)) / count
    known = -0.5 * independent * np.log(misfit / misfit.min()) - 0.5 * np.log(independent) * parts
    weight = prior[code] * np.exp(known - known.max())
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
