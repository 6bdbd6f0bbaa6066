"""Sums over spans, per column: all that intervals and tests need of a `Spent`.

Everything is a sum over the entries of the sparse matrix, so its cost is that of the entries, not of spans x columns.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlate.flame.spent import Sparse, Spent

F64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over the spans of one cohort; y is a column's value in a span, x the span's total, per column but for x's.

    Attributes:
        count: spans.
        hits: hits of the profiler in all.
        touched: spans with anything in the column.
        x: sum of x.
        xx: sum of x².
        y: sum of y.
        yy: sum of y².
        yyy: sum of y³.
        residual: sum of (y - x * share)², each divided by one minus the span's part of all x: the residuals' variance,
            corrected for the pull of large spans on the share (CR2 of Bell and McCaffrey 2002).
    """

    count: int
    hits: int
    touched: F64
    x: float
    xx: float
    y: F64
    yy: F64
    yyy: F64
    residual: F64

    @property
    def share(self) -> F64:
        """The columns' parts of the total."""
        return self.y / self.x if self.x else np.zeros(len(self.y))

    @property
    def cost(self) -> F64:
        """The columns' values per span."""
        return self.y / max(self.count, 1)


def moments(spent: Spent) -> Moments:
    """The sums of the inclusive values of all columns."""
    return of_matrix(spent.inclusive, spent.total.astype(np.float64), spent.sample_count)


def of_matrix(values: Sparse, total: F64, sample_count: int) -> Moments:
    """The sums of some columns over spans with these totals."""
    rows = np.repeat(np.arange(len(total)), np.diff(values.indptr))
    y, column, width = values.data, values.indices, values.shape[1]
    x = float(total.sum())
    leverage = total / x if x else np.zeros(len(total))
    weight = 1 / np.maximum(1 - leverage, 1 / max(len(total), 2))

    def added(terms: F64) -> F64:
        return np.bincount(column, terms, minlength=width).astype(np.float64)

    sums = added(y)
    share = sums / x if x else sums
    own = added(y * y * weight[rows])
    cross = added(y * (total * weight)[rows])
    residual = own - 2 * share * cross + share**2 * float((total**2 * weight).sum())
    return Moments(
        count=len(total),
        hits=sample_count,
        touched=added((y != 0).astype(np.float64)),
        x=x,
        xx=float((total**2).sum()),
        y=sums,
        yy=added(y**2),
        yyy=added(y**3),
        residual=np.maximum(residual, own * 1e-12),
    )
