"""How will it go on? Growth without end against growth that ends, all fitted, and what they expect of tomorrow.

Floors are taken for a straight line, or one curve that slows down (a cache that fills, fragmentation, a move of
customers), or both, beside a few steps; time is that of the clock, or what was served. No mixture is chosen: each
counts as much as it fits (Bayesian model averaging, with the weights of BIC, Schwarz 1978, for as many independent
points as the autocorrelation of what is left allows for). What 90 % of that weight expects can be relied on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from correlate.detectors.leak_mixtures import Growth, mixtures, quantile, weights
from correlate.detectors.trend import Slope

_DOUBT_RATIO: Final = 0.1
"""What is called sure may be wrong this often."""

_INTERVAL: Final = (0.025, 0.5, 0.975)
_WIDENING: Final = 2.5
"""How many of the independent points an interval is worth one: what was chosen beforehand (floors, steps, one factor
for the load) is not free of doubt. Found on simulated leaks of known rate, see docs/quality.md."""


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


def outlook(growth: Growth, horizon_s: float) -> Outlook | None:
    """Fit and look `horizon_s` ahead; None with too few points."""
    told = mixtures(growth, horizon_s)
    if told is None:
        return None
    ahead = horizon_s * told.per_s + told.ahead * told.factor
    terms = np.column_stack([np.full(ahead.size, horizon_s**2), told.ahead**2, 2 * horizon_s * told.ahead])
    variance = np.maximum((told.covariance * terms).sum(axis=1), 0) * told.scale
    weight = weights(told, told.independent)
    kinds = {str(name): float(weight[told.names == name].sum()) for name in np.unique(told.names)}
    return Outlook(
        sure_growth=quantile(ahead, np.sqrt(variance), weight, _DOUBT_RATIO),
        likely_growth=quantile(ahead, np.sqrt(variance), weight, 0.5),
        curve=max(kinds, key=lambda name: kinds[name]),
        steps_count=told.steps_count,
    )


def straight_part(growth: Growth) -> Slope | None:
    """The slope of what goes on without end, given that something does, with its 95 % interval; None as above."""
    told = mixtures(growth, 0.0)
    if told is None:
        return None
    weight = np.where(told.straight, weights(told, max(told.independent / _WIDENING, 1.0)), 0.0)
    deviation = np.sqrt(told.covariance[:, 0] * told.scale * _WIDENING)
    low, middle, high = (quantile(told.per_s, deviation, weight / weight.sum(), part) for part in _INTERVAL)
    return Slope(middle, max(low, 0.0), high)
