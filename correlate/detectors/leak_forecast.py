"""How will it go on? Growth without end against growth that ends, both fitted, and what each expects of tomorrow.

A series of floors is taken for a straight line, plus at most one curve that slows down, plus a few steps. Every
mixture that fits about as well as the best one may be the truth. The least growth that any of them expects is what can
be relied on, and the range of their straight parts is the interval of the leak's rate. "About as well" is a likelihood
ratio (profile likelihood) with as many independent points as the autocorrelation of what is left allows for. Time may
be that of the clock, or what was served.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.detectors.leak_curves import Curves, curves
from correlate.detectors.trend import F64, I64

LEAST_POINTS: Final = 8
"""Fewer floors than this allow no fit."""

_COMPATIBLE: Final = 6.0
_INTERVAL: Final = 3.84
_STEP: Final = 14.0
_MOST_STEPS: Final = 4
_LEAST_INDEPENDENT: Final = 4.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected.

    Attributes:
        likely_growth: growth within the horizon by the straight line beside steps.
        least_growth: the least that a mixture expects that fits about as well as the best.
        curve: the curve of that mixture; ``line`` where it has none.
        steps_count: steps that were found.
        low_per_s: lower end of the 95 % interval of the straight part.
        high_per_s: its upper end.
    """

    likely_growth: float
    least_growth: float
    curve: str
    steps_count: int
    low_per_s: float
    high_per_s: float


@dataclass(frozen=True, slots=True)
class _Fits:
    """Fits of line, curve, and both to one clock; misfits are sums of squares.

    Attributes:
        curves: k curves.
        time_power: squared length of time, beside levels and steps.
        curve_power: the same of each curve.
        crossed: products of time and each curve.
        line_per_s: slope of the line alone.
        line_misfit: its misfit.
        alone: factor of each curve alone.
        alone_misfit: their misfits.
        per_s: slope of the line beside each curve.
        factor: factor of each curve beside the line.
        misfit: misfit of both together.
        left: what is left of the floors by the best of all.
        steps_count: steps taken out.
    """

    curves: Curves
    time_power: float
    curve_power: F64
    crossed: F64
    line_per_s: float
    line_misfit: float
    alone: F64
    alone_misfit: F64
    per_s: F64
    factor: F64
    misfit: F64
    left: F64
    steps_count: int

    @property
    def sensible(self) -> npt.NDArray[np.bool_]:
        """Mixtures whose curve rises, where it has to."""
        return ~self.curves.rising | (self.factor >= 0)

    @property
    def best_misfit(self) -> float:
        """The least misfit of all that makes sense."""
        return min(self.line_misfit, float(self.misfit[self.sensible].min(initial=np.inf)))

    @property
    def determinant(self) -> F64:
        """Of the normal equations of line and curve."""
        power = self.time_power * self.curve_power
        return np.maximum(power - self.crossed**2, 1e-9 * power + 1e-300)


def outlook(
    floors: F64, strata: I64, clocks: Sequence[F64], beside: Sequence[F64], horizon_s: float, grain: float
) -> Outlook | None:
    """Fit and look ahead; None with too few points.

    Args:
        floors: n floors.
        strata: n stratum numbers, ascending; each stratum has a level of its own, and begins at age 0.
        clocks: k clocks in seconds at mean speed, each n readings: the time itself, and what was served.
        beside: m alternatives of what else may move the floors, n x j columns each (load, a daily wave).
        horizon_s: how far to look ahead.
        grain: deviations smaller than this are never told apart.
    """
    if floors.size < LEAST_POINTS:
        return None
    fits = [_fit(clock, floors, strata, columns, horizon_s, grain) for clock in clocks for columns in beside]
    best = min(fits, key=lambda each: each.best_misfit)
    independent = effective_count(best.left)
    line = min(fits, key=lambda each: each.line_misfit)
    limit = best.best_misfit * slack(_COMPATIBLE, independent)
    least, curve = min((_least_growth(each, limit, horizon_s) for each in fits), key=lambda each: each[0])
    inside = best.best_misfit * slack(_INTERVAL, independent)
    ends = [_straight_interval(each, inside) for each in fits]
    return Outlook(
        likely_growth=line.line_per_s * horizon_s,
        least_growth=least if np.isfinite(least) else 0.0,
        curve=curve,
        steps_count=line.steps_count,
        low_per_s=min(low for low, _ in ends),
        high_per_s=max(high for _, high in ends),
    )


def slack(chi, independent):
    return float(np.exp(chi / independent))


def effective_count(left: F64) -> float:
    """How many independent points residuals are worth: by the sum of their autocorrelation, weighted by Bartlett."""
    power, size = float(left @ left), left.size
    if power <= 0:
        return float(size)
    lags = np.arange(1, size // 3 + 1)
    along = np.correlate(left, left, "full")[size : size + lags.size] / power
    factor = 1 + 2 * float(((1 - lags / (lags.size + 1)) * along).sum())
    return float(np.clip(size / max(factor, 1e-9), _LEAST_INDEPENDENT, size))


def find_steps(base: F64, floors: F64, strata: I64, grain: float) -> list[int]:
    """Positions before which the level rises at once, beside the columns of `base`; most telling first."""
    rows = np.arange(floors.size)
    candidates = (rows[:, None] >= rows[None, 1:]).astype(np.float64)
    within = strata[1:] == strata[:-1]
    cuts: list[int] = []
    misfits, left = [], floors
    for _ in range(_MOST_STEPS + 1):
        basis = np.linalg.qr(np.column_stack([base, candidates[:, cuts]]))[0]
        left = floors - basis @ (basis.T @ floors)
        misfits.append(float(left @ left) + grain**2 * floors.size)
        free = candidates - basis @ (basis.T @ candidates)
        power, along = (free**2).sum(axis=0), free.T @ left
        gains = np.where(within & (along > 0) & (power > 0.3), along**2 / np.maximum(power, 0.3), 0.0)
        cuts.append(int(np.argmax(gains)))
    ratios = effective_count(left) * np.log(np.array(misfits[:-1]) / np.array(misfits[1:]))
    known = np.flatnonzero(ratios >= _STEP)
    return [cut + 1 for cut in cuts[: known[-1] + 1]] if known.size else []


def _ages(clock: F64, strata: I64) -> F64:
    heads = np.flatnonzero(np.diff(strata, prepend=strata[0] - 1))
    result: F64 = clock - np.repeat(clock[heads], np.diff(np.append(heads, clock.size)))
    return result


def _fit(clock: F64, floors: F64, strata: I64, beside: F64, horizon_s: float, grain: float) -> _Fits:
    levels = np.column_stack([strata[:, None] == np.unique(strata)[None, :], beside]).astype(np.float64)
    unit = clock / max(float(np.ptp(clock)), 1e-9)
    cuts = np.array(find_steps(np.column_stack([levels, unit]), floors, strata, grain), dtype=np.int64)
    steps = (np.arange(floors.size)[:, None] >= cuts[None, :]).astype(np.float64)
    basis = np.linalg.qr(np.column_stack([levels, steps]))[0]
    shapes = curves(_ages(clock, strata), horizon_s)
    y, t, g = (each - basis @ (basis.T @ each) for each in (floors, clock, shapes.values))
    return _solve(y, t, g, shapes, grain**2 * floors.size, cuts.size)


def _solve(y: F64, t: F64, g: F64, shapes: Curves, least: float, steps_count: int) -> _Fits:
    tt, yt, yy = float(t @ t), float(y @ t), float(y @ y) + least
    gg, gt, gy = np.maximum((g**2).sum(axis=0), 1e-12), g.T @ t, g.T @ y
    det = np.maximum(gg * tt - gt**2, 1e-9 * gg * tt + 1e-300)
    per_s, factor = (gg * yt - gt * gy) / det, (tt * gy - gt * yt) / det
    misfit = yy - per_s * yt - factor * gy
    line = yt / max(tt, 1e-300)
    found = _Fits(
        shapes, tt, gg, gt, line, yy - line * yt, gy / gg, yy - gy**2 / gg, per_s, factor, misfit, y, steps_count
    )
    left = y - line * t
    if found.best_misfit < found.line_misfit:
        at = int(np.argmin(np.where(found.sensible, misfit, np.inf)))
        left = y - per_s[at] * t - factor[at] * g[:, at]
    return _with_left(found, left)


def _with_left(found: _Fits, left: F64) -> _Fits:
    return replace(found, left=left)


def _least_growth(fits: _Fits, limit: float, horizon_s: float) -> tuple[float, str]:
    ahead, det = fits.curves.ahead, fits.determinant
    spare = np.maximum(limit - fits.misfit, 0)
    reach = np.sqrt((horizon_s**2 * fits.curve_power - 2 * horizon_s * ahead * fits.crossed + ahead**2 * fits.time_power) / det)
    scale = np.sqrt(spare) / np.maximum(reach, 1e-300) / det
    per_s = fits.per_s - scale * (horizon_s * fits.curve_power - ahead * fits.crossed)
    factor = fits.factor - scale * (ahead * fits.time_power - horizon_s * fits.crossed)
    inner = (fits.misfit <= limit) & (per_s >= 0) & (~fits.curves.rising | (factor >= 0))
    both = np.where(inner, horizon_s * per_s + ahead * factor, np.inf)
    half = np.sqrt(np.maximum(limit - fits.alone_misfit, 0) / fits.curve_power)
    low = np.where(fits.curves.rising, np.maximum(fits.alone - half, 0), fits.alone - half)
    edge = (fits.alone_misfit <= limit) & (~fits.curves.rising | (fits.alone + half >= 0))
    alone = np.where(edge, ahead * low, np.inf)
    every = np.minimum(both, alone)
    at = int(np.argmin(every))
    line = _line_interval(fits, limit)
    straight = max(line[0], 0.0) * horizon_s if line and line[1] >= 0 else np.inf
    return (straight, "line") if straight <= every[at] else (float(every[at]), fits.curves.names[at])


def _line_interval(fits: _Fits, limit: float) -> tuple[float, float] | None:
    if fits.line_misfit > limit:
        return None
    half = float(np.sqrt((limit - fits.line_misfit) / max(fits.time_power, 1e-300)))
    return fits.line_per_s - half, fits.line_per_s + half


def _straight_interval(fits: _Fits, limit: float) -> tuple[float, float]:
    line = _line_interval(fits, limit)
    lows, highs = ([line[0]], [line[1]]) if line else ([], [])
    fit = fits.misfit <= limit
    det = fits.determinant
    half = np.sqrt(np.maximum(limit - fits.misfit, 0) * fits.curve_power / det)
    bend = np.sqrt(np.maximum(limit - fits.misfit, 0) / (fits.curve_power * det)) * fits.crossed
    for sign, ends in ((-1, lows), (1, highs)):
        ok = fit & (~fits.curves.rising | (fits.factor - sign * bend >= 0))
        ends.extend((fits.per_s + sign * half)[ok])
    return (min(lows, default=np.inf), max(highs, default=-np.inf))
