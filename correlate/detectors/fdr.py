"""Which of many findings to believe: the step-up procedure of Benjamini and Hochberg (1995)."""

import numpy as np

from correlate.detectors.trend import F64


def step_up(p: F64) -> F64:
    """The least rate of false discoveries at which each of k tests counts as one.

    Args:
        p: k probabilities; tests that were not made count as 1.
    """
    known = np.nan_to_num(p, nan=1.0)
    order = np.argsort(-known, kind="stable")
    rank = np.arange(order.size, 0, -1)
    adjusted = np.empty(order.size)
    adjusted[order] = np.minimum.accumulate(np.minimum(known[order] * order.size / rank, 1.0))
    return adjusted
