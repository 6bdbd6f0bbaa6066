"""Which instance of a service is not like its siblings: in what it spends its CPU on, or in how much a request costs.

Siblings differ, too: by what the load balancer gives them, by shards, by hosts. So an instance is compared with the
median of the others, and the yardstick holds how much the others differ among themselves (over-dispersion of the
counts, estimated over all functions together, so that three siblings suffice) beside the noise of the sampling.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtr

from correlate.detectors.fdr import step_up
from correlate.detectors.shares import InstanceShares
from correlate.detectors.trend import F64

_TRUE_DEVIATION: Final = 1.4826
"""Median absolute deviations of a normal variable that make one standard deviation."""

_CHI_SQUARE_MEDIAN: Final = 0.4549
"""The median of a squared standard normal variable."""

_LEAST_SHARE: Final = 0.005
_LEAST_COST_DEVIATION: Final = 0.03
_LEAST_APART: Final = 0.15


@dataclass(frozen=True, slots=True)
class Fleet:
    """How k instances compare.

    Attributes:
        shares: k x f shares of the functions.
        usual: k x f medians of the shares of the others.
        apart: k shares of the profile that are elsewhere than with the others: half the L1 distance.
        odd: k numbers of deviations by which `apart` is above that of the others: shards are all apart from each other.
        share_q: k probabilities of being so different in some function, adjusted for their number.
        strangest: k functions that stick out most, by row.
        cost_ratio: k costs per request over the median of the others; 1 without requests.
        cost_q: the same adjusted probabilities for it.
    """

    shares: F64
    usual: F64
    apart: F64
    odd: F64
    share_q: F64
    strangest: npt.NDArray[np.int64]
    cost_ratio: F64
    cost_q: F64


def compared(given: InstanceShares) -> Fleet:
    """Compare every instance with the others; there must be three at least."""
    shares = given.own / np.maximum(given.whole, 1e-9)[:, None]
    usual = others(shares)
    noise = usual * (1 - usual) / np.maximum(given.hits, 1.0)[:, None] * (1 + 1 / (shares.shape[0] - 1))
    looked = np.maximum(shares, usual) >= _LEAST_SHARE
    squares = np.where(looked, (shares - usual) ** 2 / np.maximum(noise, 1e-12), np.nan)
    spread = noise * _dispersion(squares) + _between(usual, shares)
    scores = np.where(looked, np.abs(shares - usual) / np.sqrt(np.maximum(spread, 1e-12)), 0.0)
    single = 2 * ndtr(-scores)
    p = np.minimum(single.min(axis=1) * np.maximum(looked.sum(axis=1), 1), 1.0)
    ratio, cost_p = _costs(given)
    apart = np.abs(shares - usual).sum(axis=1) / 2
    return Fleet(
        shares=shares,
        usual=usual,
        apart=apart,
        odd=_odd(apart),
        share_q=step_up(p),
        strangest=np.argmax(np.where(looked, shares - usual, 0.0), axis=1),
        cost_ratio=ratio,
        cost_q=step_up(cost_p),
    )


def _odd(apart: F64) -> F64:
    usual = others(apart[:, None])[:, 0]
    deviation = _TRUE_DEVIATION * others(np.abs(apart - usual)[:, None])[:, 0]
    return np.asarray((apart - usual) / np.maximum(deviation, _LEAST_APART * np.maximum(usual, 1e-9)))


def others(values: F64) -> F64:
    """For each row the median of all other rows; one pass per instance, of which there are some hundred at most."""
    count = values.shape[0]
    keep = ~np.eye(count, dtype=bool)
    return np.stack([np.median(values[row], axis=0) for row in keep])


def _dispersion(squares: F64) -> float:
    """By how much instances differ more than sampling explains, of the usual instance; at least 1."""
    usual = np.nanmedian(squares, axis=1) if np.isfinite(squares).any() else np.zeros(1)
    return max(float(np.nanmedian(usual)) / _CHI_SQUARE_MEDIAN, 1.0)


def _between(usual: F64, shares: F64) -> F64:
    """Variance of each function among the others of each instance: some functions are uneven by nature."""
    count = shares.shape[0]
    keep = ~np.eye(count, dtype=bool)
    deviations = [np.median(np.abs(shares[row] - usual[at]), axis=0) for at, row in enumerate(keep)]
    return np.asarray((_TRUE_DEVIATION * np.stack(deviations)) ** 2)


def _costs(given: InstanceShares) -> tuple[F64, F64]:
    count = given.whole.size
    if given.requests is None or not (given.requests > 0).all() or not (given.whole > 0).all():
        return np.ones(count), np.ones(count)
    level = np.log(given.whole / given.requests)
    usual = others(level[:, None])[:, 0]
    spread = _TRUE_DEVIATION * np.median(np.abs(level - np.median(level)))
    noise = np.sqrt(1 / np.maximum(given.hits, 1.0) + 1 / given.requests)
    deviation = np.sqrt(spread**2 + noise**2 + _LEAST_COST_DEVIATION**2)
    # the spread is known from a handful of instances only, hence Student's distribution
    return np.exp(level - usual), np.asarray(stdtr(count - 2, -(level - usual) / deviation))
