"""Which frame to read first when many differ together: the cause before its callers and before what it calls.

When a function gets slower, so do `main`, every function between, and whatever the function calls. Two things tell it
apart. It is specific: little of what the slower cohort spends in it is spent by the other, while callers do other work
as well and shared helpers are called from elsewhere too. And it has a difference of its own, which no single callee
explains, unlike a mere wrapper.
"""

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from correlate.flame.spent import OWN, Spent

F64 = npt.NDArray[np.float64]

_OWN_PART: Final = 0.1
"""What a frame's unexplained difference counts beside its whole one: enough to place a wrapper after its callee."""


def scores(left: Spent, right: Spent, per_left: float, per_right: float) -> F64:
    """A figure per column, in the unit of the differences; the larger, the more likely the cause.

    It is ``specificity² x (|difference| + 0.1 x unexplained)``, where specificity is the difference as a part of what
    the larger side spends in the column, and unexplained is what is left of the difference without the callee that
    differs most.

    Args:
        left: one cohort.
        right: the other, of the same columns.
        per_left: what the values of the left cohort are divided by: its spans, or its total.
        per_right: the same of the right cohort.
    """
    before, after = _sums(left) / per_left, _sums(right) / per_right
    difference = after - before
    specificity = np.abs(difference) / np.maximum(np.maximum(np.abs(before), np.abs(after)), 1e-300)
    unexplained = np.abs(difference) - _largest_callee(left, right, per_left, per_right, np.sign(difference))
    return np.asarray(specificity**2 * (np.abs(difference) + _OWN_PART * np.maximum(unexplained, 0)))


def _sums(spent: Spent) -> F64:
    return np.asarray(spent.inclusive.sum(axis=0), np.float64)


def _largest_callee(left: Spent, right: Spent, per_left: float, per_right: float, sign: F64) -> F64:
    """Per column, the largest difference, in the column's own direction, of calls to one callee."""
    count = len(left.names)
    callers = np.concatenate([left.caller, right.caller])
    callees = np.concatenate([left.callee, right.callee])
    values = np.concatenate([-left.calls / per_left, right.calls / per_right])
    keys, which = np.unique(callers * (count + 1) + callees - OWN, return_inverse=True)
    changes = np.bincount(which, values, minlength=len(keys))
    caller, callee = keys // (count + 1), keys % (count + 1) + OWN
    called = callee != OWN
    largest = np.zeros(count)
    np.maximum.at(largest, caller[called], changes[called] * sign[caller[called]])
    return largest


def further(left: Spent, right: Spent, per_left: float, per_right: float, order: npt.NDArray[np.int64]) -> F64:
    """Per column, in some order, the difference in stacks that touch no column before it; NaN for those left out.

    Read in that order, the figures add up to the difference that all of them together explain.

    Args:
        left: one cohort.
        right: the other, of the same columns.
        per_left: what the values of the left cohort are divided by.
        per_right: the same of the right cohort.
        order: columns, the first to read first. One pass over the stacks for each of them: keep it short.
    """
    stacks = [side.by_stack.sum(axis=0) for side in (left, right)]
    change = np.concatenate([-stacks[0] / per_left, stacks[1] / per_right])
    touched = sparse.vstack([left.touched, right.touched], format="csc")[:, order]
    found = np.full(len(left.names), np.nan)
    for column, (start, end) in zip(order, pairwise(touched.indptr), strict=True):
        rows = touched.indices[start:end]
        found[column] = change[rows].sum()
        change[rows] = 0
    return found
