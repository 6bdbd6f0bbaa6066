"""Robust trends: Mann-Kendall, Sen's slope, and a robust line, for series cut into strata.

A stratum is a stretch between two restarts (or two changes of the number of instances): levels of different strata
are not compared, their trends are pooled. Sources: Mann (1945) and Kendall (1975) for the test, Sen (1968) for the
slope and its interval, Hirsch and Slack (1984) for pooling strata, Hamed and Rao (1998) for autocorrelation.
All kernels take at most some hundred points: pairs are laid out as matrices.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import rankdata

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

Z95: Final = 1.959963984540054
"""The normal quantile of a two-sided interval of 95 %."""

_HUBER: Final = 1.345
"""Residuals beyond this many robust standard deviations lose weight (95 % efficiency on normal noise)."""

_RIDGE: Final = 1e-10

_SETTLED: Final = 0.01
"""Coefficients that move by less than this part of the deviation have settled."""


@dataclass(frozen=True, slots=True)
class Slope:
    """Sen's slope with its 95 % interval, in units of the values per second."""

    per_s: float
    low_per_s: float
    high_per_s: float


@dataclass(frozen=True, slots=True)
class Trend:
    """Mann-Kendall for growth.

    Attributes:
        slope: Sen's slope and its interval; the interval is widened by the autocorrelation too.
        p_ratio: one-sided probability of so much growth without a trend.
        inflation_ratio: by how much autocorrelation inflates the variance of the statistic, at least 1.
    """

    slope: Slope
    p_ratio: float
    inflation_ratio: float


def same_stratum(strata: I64) -> npt.NDArray[np.bool_]:
    """Pairs (earlier, later) within one stratum, as an upper triangular n x n matrix."""
    return np.triu(strata[:, None] == strata[None, :], 1)


def trend(times_s: F64, values: F64, strata: I64) -> Trend:
    """Test for growth and estimate it; needs two points in some stratum, else the slope is 0 and p is 1.

    Args:
        times_s: n times in seconds, ascending.
        values: n values, finite.
        strata: n stratum numbers, ascending.
    """
    pairs = same_stratum(strata)
    if not pairs.any():
        return Trend(Slope(0.0, 0.0, 0.0), 1.0, 1.0)
    rise = (values[None, :] - values[:, None])[pairs]
    slopes = np.sort(rise / np.maximum((times_s[None, :] - times_s[:, None])[pairs], 1e-9))
    middle = float(np.median(slopes))
    score = float(np.sign(rise).sum())
    inflated = inflation(_residuals(times_s, values, strata, middle))
    deviation = float(np.sqrt(_score_variance(strata) * inflated))
    z = (score - np.sign(score)) / deviation if deviation > 0 else 0.0
    return Trend(_interval(slopes, middle, deviation), float(ndtr(-z)), inflated)


def sen(times_s: F64, values: F64, strata: I64) -> float:
    """Sen's slope alone: the median of the slopes of all pairs, 0 without pairs."""
    pairs = same_stratum(strata)
    if not pairs.any():
        return 0.0
    spans = np.maximum((times_s[None, :] - times_s[:, None])[pairs], 1e-9)
    return float(np.median((values[None, :] - values[:, None])[pairs] / spans))


def _score_variance(strata: I64) -> float:
    count = np.unique(strata, return_counts=True)[1].astype(np.float64)
    return float((count * (count - 1) * (2 * count + 5)).sum() / 18)


def _interval(slopes: F64, middle: float, deviation: float) -> Slope:
    half = Z95 * deviation
    low = int(np.clip(np.floor((slopes.size - half) / 2), 0, slopes.size - 1))
    high = int(np.clip(np.ceil((slopes.size + half) / 2), 0, slopes.size - 1))
    return Slope(middle, float(slopes[low]), float(slopes[high]))


def _residuals(times_s: F64, values: F64, strata: I64, per_s: float) -> F64:
    """What is left after the slope and each stratum's own level (its median)."""
    left = values - per_s * times_s
    heads = np.flatnonzero(np.diff(strata, prepend=strata[0] - 1))
    levels = [float(np.median(part)) for part in np.split(left, heads[1:])]  # a handful of strata
    result: F64 = left - np.repeat(levels, np.diff(np.append(heads, left.size)))
    return result


def inflation(residuals: F64) -> float:
    """Hamed and Rao's factor on a variance, from ranks of residuals: only lags beyond chance count; at least 1."""
    n = residuals.size
    if n < 5:
        return 1.0
    ranks = rankdata(residuals) - (n + 1) / 2
    lags = np.arange(1, n // 2)
    power = max(float(ranks @ ranks), 1e-300)
    correlation = np.correlate(ranks, ranks, "full")[n : n + lags.size] / power
    beyond_chance = np.abs(correlation) > Z95 / np.sqrt(n)
    weights = (n - lags) * (n - lags - 1) * (n - lags - 2)
    factor = 1 + 2 / (n * (n - 1) * (n - 2)) * float((weights * correlation * beyond_chance).sum())
    return max(1.0, factor)


@dataclass(frozen=True, slots=True)
class Line:
    """A robust linear fit: coefficients, their standard errors, and the robust deviation of the residuals."""

    coefficients: F64
    errors: F64
    deviation: float


def robust_line(design: F64, values: F64, rounds: int = 12) -> Line:
    """Huber's regression by reweighting.

    Args:
        design: n x k; columns of about the same size. Full rank is not needed.
        values: n values.
        rounds: how often weights are renewed at most.
    """
    least = 1e-12 * (1 + float(np.abs(values).max()))
    ridge = _RIDGE * max(float((design**2).sum()), 1e-12) * np.eye(design.shape[1])  # alike columns stay solvable
    weights = np.ones(values.size)
    before = np.full(design.shape[1], np.inf)
    for _ in range(rounds):
        gram = (design.T * weights) @ design
        inverse = np.linalg.inv(gram + ridge)
        coefficients: F64 = inverse @ (design.T @ (weights * values))
        residuals = np.abs(values - design @ coefficients)
        deviation = max(1.4826 * float(np.median(residuals)), least)
        if float(np.abs(coefficients - before).max()) <= _SETTLED * deviation:
            break
        before = coefficients
        weights = np.minimum(1.0, _HUBER * deviation / np.maximum(residuals, 1e-300))
    return Line(coefficients, deviation * np.sqrt(np.diag(inverse)), deviation)


def levels(strata: I64) -> F64:
    """One column of ones per stratum: each has its own level; n x s."""
    result: F64 = (strata[:, None] == np.unique(strata)[None, :]).astype(np.float64)
    return result


def unit(times_s: F64) -> F64:
    """Times in units of their span, a column that is as long as others in a fit."""
    result: F64 = times_s / max(float(np.ptp(times_s)), 1e-9)
    return result


def roughness(times_s: F64, values: F64, strata: I64) -> float:
    """Root mean square around a straight line, with a level for each stratum."""
    design = np.column_stack([levels(strata), unit(times_s)])
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(np.sqrt(np.mean(left**2)))
