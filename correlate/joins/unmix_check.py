"""Do the spans explain the windows at all? Windows that were left out are foretold, and compared with what came."""

from typing import Final

import numpy as np

from correlate.joins.given import F64
from correlate.joins.unmix_owners import Candidates
from correlate.joins.unmix_solve import LAST_STEPS, solve

FOLDS: Final = 5

_EVEN: Final = 0.05
"""How much of the mean window is mixed into what is foretold, so that no single stack decides."""


def foretold(scaled: F64, hits: F64) -> float:
    """How much better left-out windows are foretold by who was at work in them than by the mean of all windows.

    Spans of another process, or of another time, foretell nothing.

    Args:
        scaled: seconds times the scale of the window, shape (windows, operations).
        hits: shape (windows, stacks).

    Returns:
        The mean gain in log likelihood per window in units of its standard error: above 3 is no accident.
    """
    fold = np.arange(len(scaled)) % FOLDS
    gains = np.concatenate([_gain(scaled, hits, fold == left_out) for left_out in range(FOLDS)])
    return float(gains.mean() / max(gains.std(ddof=1) / np.sqrt(len(gains)), 1e-12))


def _gain(scaled: F64, hits: F64, left_out: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> F64:
    """Gain in log likelihood of each window that was left out."""
    known, seen = scaled[~left_out], hits[~left_out]
    total = seen.sum(axis=0)
    even = total / total.sum()
    start = np.tile(total / known.sum(), (scaled.shape[1], 1))
    rate = solve(known, seen, start, LAST_STEPS)
    candidates = Candidates.of(known, rate, np.ones(len(known)))
    own = candidates.divide(total, candidates.weigh(seen).weight) / np.maximum(known.sum(axis=0), 1e-300)[:, None]
    expected = scaled[left_out] @ own
    part = expected / np.maximum(expected.sum(axis=1, keepdims=True), 1e-300)
    mixed = (1 - _EVEN) * part + _EVEN * even
    ratio = np.divide(mixed, even, out=np.ones_like(mixed), where=even > 0)
    return np.asarray((hits[left_out] * np.log(np.maximum(ratio, _EVEN))).sum(axis=1))
