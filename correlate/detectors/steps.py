"""Did the level of many series rise, when, by how much, and how sure is that? A regression with a step.

Each column is explained by covariates (level, load, hour of the day, mix of operations) and one step at the best of
all times. It is tested by generalised least squares with AR(1) errors (Cochrane and Orcutt 1949, Prais and Winsten
1954): neighbouring buckets are not independent evidence, and tests that take them as such report every wander of a
noisy series. The correlation is corrected for its bias (Kendall 1954), the probability for the choice of the time
(James, James and Siegmund 1987), and no standard error is below that of the sampling.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import stdtr

from correlate.detectors.trend import F64, I64

_CLIP: Final = 4.0
"""What is so many robust deviations away from its neighbours is a spike and pulled in to that."""

_MOST_CORRELATION: Final = 0.98


@dataclass(frozen=True, slots=True)
class Steps:
    """The best step of each of f columns.

    Attributes:
        cuts: m candidate rows at which the new level begins.
        best: f numbers of the best candidate.
        rises: m x f differences of the level for every candidate, in the unit of the column.
        rise: f differences at the best cut.
        error: f standard errors of them.
        p_ratio: f one-sided probabilities of such a rise without a change, whatever its time; 1 where not tested.
        correlation: f correlations of neighbouring residuals.
        level: f means over all rows, without spikes.
        cleaned: n x f values with spikes pulled in and covariates taken out.
        shapes: n x m steps of height 1 with covariates taken out, to compare `cleaned` with.
    """

    cuts: I64
    best: I64
    rises: F64
    rise: F64
    error: F64
    p_ratio: F64
    correlation: F64
    level: F64
    cleaned: F64
    shapes: F64

    @property
    def cut(self) -> I64:
        """For each column the row at which its new level begins."""
        return self.cuts[self.best]


def find_steps(values: F64, weights: F64, covariates: F64, cuts: I64, floor: F64, worth: F64) -> Steps:
    """Find and test the best rising step of each column.

    Args:
        values: n x f values.
        weights: n weights of the rows, 0 for missing ones.
        covariates: n x c, the constant included.
        cuts: m candidate rows, at least one.
        floor: f variances of a row of weight 1 that sampling alone causes.
        worth: f rises; columns with a smaller one are not tested.
    """
    root = np.sqrt(weights)[:, None]
    basis = np.linalg.qr(root * covariates)[0]
    steps = root * (np.arange(values.shape[0])[:, None] >= cuts[None, :])
    steps = steps - basis @ (basis.T @ steps)
    norms = np.maximum((steps**2).sum(axis=0), 1e-9)
    calm = without_spikes(values, floor)
    left = root * calm
    left = left - basis @ (basis.T @ left)
    along = steps.T @ left
    best = np.argmax(along / np.sqrt(norms)[:, None], axis=0)
    rises = along / norms[:, None]
    rise = rises[best, np.arange(best.size)]
    misfit = left - steps[:, best] * rise
    correlation = _correlation(misfit, covariates.shape[1] + 1)
    chosen = np.flatnonzero((rise >= worth) & (rise > 0))
    p = np.ones(rise.size)
    if chosen.size:
        tested = left[:, chosen], steps[:, best[chosen]], basis, correlation[chosen], floor[chosen]
        p[chosen] = _chance(*tested, _odds(cuts, values.shape[0]))
    plain = np.maximum(root, 1e-9)
    return Steps(
        cuts=cuts,
        best=best,
        rises=rises,
        rise=rise,
        error=_rough_error(misfit, floor, correlation, norms[best]),
        p_ratio=p,
        correlation=correlation,
        level=np.asarray(np.average(calm, axis=0, weights=weights)),
        cleaned=left / plain,
        shapes=steps / plain,
    )


def without_spikes(values: F64, floor: F64) -> F64:
    """Pull single rows, and pairs of them, that stick out of their neighbourhood in to what is usual beside it.

    Fitting first and looking at residuals does not do: one bucket that cost a hundred times as much makes a step of
    its own, and then every other bucket looks like the outlier.

    Args:
        values: n x f values.
        floor: f variances that sampling causes.
    """
    if values.shape[0] < 5:
        return values
    middle = _median_of_five(np.concatenate([values[2:0:-1], values, values[-2:-4:-1]]))
    apart = values - middle
    bound = _CLIP * np.maximum(1.4826 * np.median(np.abs(apart), axis=0), np.sqrt(floor))
    return np.asarray(middle + np.clip(apart, -bound, bound))


def _median_of_five(padded: F64) -> F64:
    """Running median of five rows, by the network of seven exchanges."""
    a, b, c, d, e = (padded[at : padded.shape[0] - 4 + at] for at in range(5))
    a, b = np.minimum(a, b), np.maximum(a, b)
    d, e = np.minimum(d, e), np.maximum(d, e)
    low, high = np.maximum(a, d), np.minimum(b, e)  # neither the least nor the greatest of the four
    return np.asarray(np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), c)))


def _rough_error(misfit: F64, floor: F64, correlation: F64, norms: F64) -> F64:
    """Standard errors of the rises by ordinary least squares, widened by the correlation."""
    variance = np.maximum((misfit**2).mean(axis=0), floor)
    return np.asarray(np.sqrt(variance * _inflation(correlation) / norms))


def _chance(left: F64, steps: F64, basis: F64, correlation: F64, floor: F64, odds: float) -> F64:
    """Probability of a rise like that of each column at the best of all times; steps and correlations are its own."""
    rise, error = _generalised(left, steps, basis, correlation, floor)
    independent = left.shape[0] / _inflation(correlation)
    score = rise / error
    at_one_time = stdtr(np.maximum(independent - 2, 3.0), -score)
    return np.asarray(np.minimum(at_one_time * np.maximum(score**2 / 2 * odds, 1.0), 1.0))


def _odds(cuts: I64, count: int) -> float:
    """How far candidate times range on the scale on which a bridge's maximum is stationary."""
    first, last = float(cuts.min()), float(cuts.max())
    return float(np.log(max(last * (count - first) / (first * (count - last)), 1.0)))


def _correlation(misfit: F64, parameters: int) -> F64:
    """Correlation of neighbours, corrected for what fitting a level and covariates takes away from it."""
    power = np.maximum((misfit**2).sum(axis=0), 1e-300)
    found = (misfit[1:] * misfit[:-1]).sum(axis=0) / power
    count = misfit.shape[0]
    corrected = (found * count + parameters) / max(count - 2 * parameters, 1)
    return np.asarray(np.clip(corrected, 0.0, _MOST_CORRELATION))


def _inflation(correlation: F64) -> F64:
    return (1 + correlation) / (1 - correlation)


def _generalised(left: F64, steps: F64, basis: F64, correlation: F64, floor: F64) -> tuple[F64, F64]:
    """Rise and standard error of each column with AR(1) errors."""
    design = np.concatenate([np.broadcast_to(basis[:, :, None], (*basis.shape, left.shape[1])), steps[:, None]], axis=1)
    design = _whitened(design, correlation).transpose(2, 0, 1)
    target = _whitened(left, correlation).T[:, :, None]
    turned = design.transpose(0, 2, 1)
    inverse = np.linalg.inv(turned @ design + 1e-9 * np.eye(design.shape[2]))
    solved = inverse @ (turned @ target)
    misfit = ((target - design @ solved) ** 2).sum(axis=(1, 2))
    variance = np.maximum(misfit / max(left.shape[0] - design.shape[2], 1), floor)
    return solved[:, -1, 0], np.sqrt(variance * inverse[:, -1, -1])


def _whitened(values: F64, correlation: F64) -> F64:
    first = values[:1] * np.sqrt(1 - correlation**2)
    return np.concatenate([first, values[1:] - correlation * values[:-1]])
