"""Profiles of operations from mixed windows: maximum likelihood for counts, never negative.

The model: in window w, stack k collects ``scale[w] * sum_o activity[w, o] * rate[o, k]`` hits on average, spread as
counts are (Poisson). Least squares takes the noise of a busy window for a signal; this does not. The maximum is found
by expectation-maximisation (Richardson 1972, Lucy 1974, Shepp and Vardi 1982): matrix products only, no step size,
and no column disturbs another, so that many stacks are one call. Squared extrapolation (SQUAREM, Varadhan and Roland
2008, scheme S3) takes the flat part of the road in long steps.

``scale`` is what a window did to all operations alike: a processor they contended for, a profiler that lost samples.
It is drawn from a gamma distribution around 1 whose variance is estimated too.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from correlate.joins.given import F64

ROUNDS: Final = 5
"""How often scales and rates are estimated in turn."""

STEPS: Final = 8
"""Most long steps in each of them."""

LAST_STEPS: Final = 16
"""Most long steps of the last solution."""

LEAST_SPREAD: Final = 0.0025
"""Variance of the scale that is always reckoned with: windows differ by 5 % in ways that nobody models."""

_LONGEST_STEP: Final = 128.0
_SETTLED: Final = 1e-4
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Fit:
    """A solved system.

    Attributes:
        rate: hits per second of activity, shape (operations, stacks).
        scale: what each window did to all operations alike, around 1, shape (windows,).
        spread: variance of `scale`.
    """

    rate: F64
    scale: F64
    spread: float


def fit(activity: F64, hits: F64, coarse: F64) -> Fit:
    """Find scales with a few columns, then the rates of all.

    Args:
        activity: seconds at work, shape (windows, operations); every column has some.
        hits: counts, shape (windows, stacks); not all zero.
        coarse: the same counts in fewer columns.
    """
    total = coarse.sum(axis=1)
    rate = _even(activity, coarse)
    scale, spread = np.ones(len(activity)), LEAST_SPREAD
    for _ in range(ROUNDS):
        rate = solve(activity * scale[:, None], coarse, rate, STEPS)
        expected = activity @ rate.sum(axis=1)
        spread = max(LEAST_SPREAD, _spread(total, expected))
        scale = (total * spread + 1) / (expected * spread + 1)
    scaled = activity * scale[:, None]
    return Fit(solve(scaled, hits, _even(scaled, hits), LAST_STEPS), scale, spread)


def _even(activity: F64, hits: F64) -> F64:
    """The rates if all operations were alike."""
    return np.tile(hits.sum(axis=0) / activity.sum(), (activity.shape[1], 1))


def _spread(total: F64, expected: F64) -> float:
    """By how much totals vary more than counts do, as a variance of their ratio to what was expected (moments)."""
    busy = expected > 0
    squares = (total[busy] - expected[busy]) ** 2 / expected[busy] - 1
    return float(squares.sum() / expected.sum())


def solve(activity: F64, hits: F64, start: F64, steps: int) -> F64:
    """Rates of the highest likelihood.

    Args:
        activity: shape (windows, operations).
        hits: shape (windows, columns).
        start: first guess, shape (operations, columns); what is zero stays zero.
        steps: most long steps to take; each costs three rounds of expectation-maximisation.
    """
    heard = np.maximum(activity.sum(axis=0), _TINY)[:, None]
    rate = start
    for _ in range(steps):
        first = _round(activity, hits, rate, heard)
        second = _round(activity, hits, first, heard)
        moved = _round(activity, hits, _leap(rate, first, second), heard)
        change = float(np.abs(moved - rate).sum())
        rate = moved
        if change <= _SETTLED * float(rate.sum()):
            break
    return rate


def _round(activity: F64, hits: F64, rate: F64, heard: F64) -> F64:
    """One round of expectation-maximisation."""
    expected = activity @ rate
    np.maximum(expected, _TINY, out=expected)
    np.divide(hits, expected, out=expected)
    return np.asarray(rate * (activity.T @ expected) / heard)


def _leap(rate: F64, first: F64, second: F64) -> F64:
    """Extrapolate two rounds, each column by its own step; never below a tenth of where they led."""
    step = first - rate
    bend = second - first - step
    length = np.sqrt((step**2).sum(axis=0) / np.maximum((bend**2).sum(axis=0), _TINY))
    np.clip(length, 1.0, _LONGEST_STEP, out=length)
    return np.asarray(np.maximum(rate + 2 * length * step + length**2 * bend, 0.1 * second))
