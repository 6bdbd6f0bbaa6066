"""Did the level of many series rise, when, by how much, and how sure is that? A regression with a step.

Each column is explained by covariates (level, load, hour of the day, mix of operations) and one step, for each of a
ladder of times. The best step of each column is tested by generalised least squares with autocorrelated (AR(1))
errors (Cochrane and Orcutt 1949, Prais and Winsten 1954): neighbouring buckets are not independent evidence, and tests
that take them as such report every wander of a noisy series. The correlation is corrected for its bias (Kendall 1954),
the probability for the number of times tried (Bonferroni), and no standard error is below that of the sampling.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import stdtr

from correlate.detectors.trend import F64, I64

_CLIP: Final = 4.0
"""Residuals beyond so many robust deviations are spikes and pulled in to that."""

_MOST_CORRELATION: Final = 0.98

_LADDER: Final = 1.25
"""Neighbouring candidate lengths of the time since the change differ by this factor."""


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
        cleaned: n x f values with spikes pulled in and covariates taken out (the level before the step is 0 on average).
    """

    cuts: I64
    best: I64
    rises: F64
    rise: F64
    error: F64
    p_ratio: F64
    correlation: F64
    cleaned: F64

    @property
    def cut(self) -> I64:
        """For each column the row at which its new level begins."""
        return self.cuts[self.best]


def ladder(count: int, least_after: int, least_before: int) -> I64:
    """Candidate rows for the begin of the new level, latest first: dense where recent, sparse where long ago."""
    longest = count - least_before
    if longest < least_after:
        return np.zeros(0, dtype=np.int64)
    steps = int(np.log(max(longest / least_after, 1.0)) / np.log(_LADDER)) + 1
    lengths = np.unique(np.round(least_after * _LADDER ** np.arange(steps)).astype(np.int64))
    return np.asarray(count - lengths[lengths <= longest], dtype=np.int64)


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
    left = root * values
    left = left - basis @ (basis.T @ left)
    rises, best = _best(left, steps, norms)
    misfit = left - steps[:, best] * rises[best, np.arange(best.size)]
    bound = _CLIP * 1.4826 * np.median(np.abs(misfit), axis=0)
    left = left - misfit + np.clip(misfit, -bound, bound)
    left = left - basis @ (basis.T @ left)
    rises, best = _best(left, steps, norms)
    rise = rises[best, np.arange(best.size)]
    misfit = left - steps[:, best] * rise
    correlation = _correlation(misfit, covariates.shape[1] + 1)
    freedom = max(values.shape[0] - covariates.shape[1] - 1, 1)
    rough = np.sqrt(np.maximum((misfit**2).sum(axis=0) / freedom, floor) * _inflation(correlation) / norms[best])
    chosen = np.flatnonzero((rise >= worth) & (rise > 0))
    p = np.ones(rise.size)
    if chosen.size:
        tested = left[:, chosen], steps[:, best[chosen]], basis, correlation[chosen], floor[chosen]
        p[chosen] = np.minimum(_chance(*tested) * cuts.size, 1.0)
    return Steps(cuts, best, rises, rise, rough, p, correlation, left / np.maximum(root, 1e-9))


def _chance(left: F64, steps: F64, basis: F64, correlation: F64, floor: F64) -> F64:
    """Probability of a rise like that of each column, whose steps and correlations are its own, at that time."""
    rise, error = _generalised(left, steps, basis, correlation, floor)
    independent = left.shape[0] / _inflation(correlation)
    return np.asarray(stdtr(np.maximum(independent - 2, 3.0), -rise / error))


def _best(left: F64, steps: F64, norms: F64) -> tuple[F64, I64]:
    """Rises at every cut, and for each column the cut that explains most."""
    along = steps.T @ left
    return along / norms[:, None], np.argmax(along / np.sqrt(norms)[:, None], axis=0)


def _correlation(misfit: F64, parameters: int) -> F64:
    """Correlation of neighbours, corrected for what fitting a level and covariates takes away from it."""
    power = np.maximum((misfit**2).sum(axis=0), 1e-300)
    found = (misfit[1:] * misfit[:-1]).sum(axis=0) / power
    count = misfit.shape[0]
    corrected = (found * count + parameters) / max(count - 2 * parameters, 1)
    return np.clip(corrected, 0.0, _MOST_CORRELATION)


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
