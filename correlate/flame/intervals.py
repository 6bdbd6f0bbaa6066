"""Confidence intervals of shares and of costs per span, with spans, not samples, as the unit of evidence.

The variance is the one that resampling spans would give, in closed form (the infinitesimal jackknife, or linearised
variance, of a ratio and of a mean), which costs one pass over the data instead of a thousand. Its normal
interval is poor where evidence is thin, which is where it matters, so the variance is turned into a number of
independent observations that would have the same, and the interval is the one that such observations have:

- a share is a proportion of that many (Beta quantiles with Jeffreys' prior: Korn and Graubard 1998 for surveys), fewer
  where few spans are most of the total (Student's t with Satterthwaite's degrees of freedom);
- a cost is a rate of that many events (Gamma quantiles: Fay and Feuer 1997) where few spans have any, and passes into
  Hall's (1992) skewness-corrected t interval of a mean where many have.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from correlate.flame.moments import Moments

F64 = npt.NDArray[np.float64]

_MANY = 10.0
"""With this many spans of about equal value in a column, a cost is half a rate and half a mean."""

_LEAST_SKEWNESS = 1e-4
_MOST_EVIDENCE = 1e12


@dataclass(frozen=True)
class Interval:
    """A figure per column with its limits; NaN where nothing can be said."""

    value: F64
    low: F64
    high: F64


def share_interval(of: Moments, level: float = 0.95, typical: F64 | None = None) -> Interval:
    """Shares of the total.

    Args:
        of: the sums of a cohort.
        level: the part of all cohorts whose interval holds the true share.
        typical: the value that a span which has a column usually has in it, known from elsewhere; gives an upper
            limit to columns that no span has here.
    """
    tail = (1 - level) / 2
    share = np.clip(of.share, 0, 1)
    if of.count < 2 or not of.x:
        return _unknown(share)
    variance = of.residual / of.x**2
    wider = _widening(of.x**2 / of.xx, tail)
    evidence = np.minimum(share * (1 - share) / np.maximum(variance * wider, 1e-300), _MOST_EVIDENCE)
    evidence = np.where(share > 1 - 1e-9, max(of.hits, 1) / wider, evidence)
    a, b = share * evidence + 0.5, (1 - share) * evidence + 0.5
    low, high = special.betaincinv(a, b, tail), special.betaincinv(a, b, 1 - tail)
    low, high = np.minimum(low, share), np.maximum(high, share)
    upper = np.minimum(_of_nothing(tail, typical, of) / of.x, 1.0)
    return _with_nothing(of, Interval(share, low, high), upper)


def cost_interval(of: Moments, level: float = 0.95, typical: F64 | None = None) -> Interval:
    """Values per span; arguments as for `share_interval`."""
    tail = (1 - level) / 2
    mean = of.cost
    if of.count < 2:
        return _unknown(mean)
    spread = np.maximum(of.yy / of.count - mean**2, of.yy * 1e-12 / of.count)
    error = np.sqrt(spread / (of.count - 1))
    rate = _rate_limits(mean, error * np.sqrt(_widening(of.count, tail)), tail)
    third = of.yyy / of.count - 3 * mean * of.yy / of.count + 2 * mean**3
    skewness = third / np.maximum(spread, 1e-150) ** 1.5
    t = -float(special.stdtrit(of.count - 1, tail))
    usual = (mean - error * _bent(t, skewness, of.count), mean - error * _bent(-t, skewness, of.count))
    alike = of.y**2 / np.maximum(of.yy, 1e-300)
    weight = alike / (alike + _MANY)
    low, high = (weight * one + (1 - weight) * other for one, other in zip(usual, rate, strict=True))
    found = Interval(mean, np.clip(low, 0, mean), np.maximum(high, mean))
    return _with_nothing(of, found, _of_nothing(tail, typical, of) / of.count)


def difference(left: Interval, right: Interval) -> Interval:
    """Right minus left, from the limits of both (Zou and Donner 2008: the errors of each side add up as squares)."""
    value = right.value - left.value
    below = np.hypot(right.value - right.low, left.high - left.value)
    above = np.hypot(right.high - right.value, left.value - left.low)
    return Interval(value, value - below, value + above)


def ratio(left: Interval, right: Interval) -> Interval:
    """Right over left, likewise on the logarithmic scale; NaN where a side has nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [Interval(np.log(side.value), np.log(side.low), np.log(side.high)) for side in (left, right)]
        found = difference(*logs)
    known = (left.value > 0) & (right.value > 0)
    return Interval(*(np.where(known, np.exp(column), np.nan) for column in (found.value, found.low, found.high)))


def _widening(observations: float, tail: float) -> float:
    """How much larger a variance is to be taken that was estimated from so many observations of equal weight."""
    return float(special.stdtrit(max(observations - 1, 1.0), tail) / special.ndtri(tail)) ** 2


def _rate_limits(mean: F64, error: F64, tail: float) -> tuple[F64, F64]:
    events = np.minimum((mean / np.maximum(error, 1e-300)) ** 2, _MOST_EVIDENCE)
    each = mean / np.maximum(events, 1e-300)
    return special.gammaincinv(events + 0.5, tail) * each, special.gammaincinv(events + 0.5, 1 - tail) * each


def _bent(t: float, skewness: F64, count: int) -> F64:
    """Hall's monotone transformation, inverted: the quantile of a studentised mean of skewed values."""
    bend = np.maximum(skewness / np.sqrt(count), _LEAST_SKEWNESS)
    return np.asarray((np.cbrt(1 + bend * (t - bend / 6)) - 1) * 3 / bend)


def _of_nothing(tail: float, typical: F64 | None, of: Moments) -> F64:
    """The most that may be behind a sum of zero: about two and a half spans' usual value."""
    if typical is None:
        return np.full(len(of.y), np.nan)
    return typical * float(special.gammaincinv(0.5, 1 - tail))


def _with_nothing(of: Moments, found: Interval, upper: F64) -> Interval:
    nothing = of.touched == 0
    return Interval(found.value, np.where(nothing, 0.0, found.low), np.where(nothing, upper, found.high))


def _unknown(value: F64) -> Interval:
    nan = np.full(len(value), np.nan)
    return Interval(value, nan, nan)
