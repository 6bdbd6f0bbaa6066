"""Which of many columns differ between two cohorts, adjusted for how many there are."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

from correlate.flame import permutation
from correlate.flame.spent import Sparse, Spent

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_RAREST: Final = 4
"""Columns that fewer spans have are not tested: too little to tell, and together they would cost all others power."""


@dataclass(frozen=True)
class Tests:
    """What was found for each column and both questions, "cost" and "share"; NaN where a column was not tested.

    Attributes:
        p: the probability of a difference at least as large if there is none, for one column alone.
        q: adjusted for the number of columns: the least rate of false discoveries at which it counts as one.
        p_any: the probability that any column differs as much as the most different one if the cohorts are equal.
        critical: how many standard errors the most different column may be off by chance, for either question.
        deals: how many random deals there were.
    """

    p: dict[str, F64]
    q: dict[str, F64]
    p_any: float
    critical: dict[str, float]
    deals: int


def tests_of(left: Spent, right: Spent, fdr: float, seed: int) -> Tests:
    """Test all columns of two aligned cohorts; see `flame.significance.compare` for the arguments."""
    values = sparse.vstack([left.inclusive, right.inclusive], format="csr")
    column_count = values.shape[1]
    spans = np.bincount(values.indices, minlength=column_count)
    chosen = np.flatnonzero(spans >= min(_RAREST, len(left), len(right)))
    distinct, which = _distinct(values, spans, chosen)
    table = permutation.Table(
        by_stack=sparse.block_diag([left.by_stack, right.by_stack], format="csr"),
        touched=sparse.vstack([left.touched, right.touched], format="csr")[:, distinct],
        values=values[:, distinct],
        total=np.concatenate([left.total, right.total]).astype(np.float64),
        left_count=len(left),
    )
    deals = permutation.deal(table, seed)
    smaller = min(len(left), len(right))
    freedom = max(smaller - 1 if smaller >= permutation.FEWEST_SPANS else len(table.total) - 2, 1)
    single = np.maximum(2 * special.stdtr(freedom, -np.abs(deals.observed)), deals.exceeded)
    p = _spread(single[:, which], chosen, column_count)
    familywise = deals.beyond()
    p_any = float(familywise.min(initial=1.0))
    familywise = _spread(familywise[:, which], chosen, column_count)
    q = np.fmin([step_up(row) for row in p], familywise)
    return Tests(
        p=dict(zip(permutation.QUESTIONS, p, strict=True)),
        q=dict(zip(permutation.QUESTIONS, np.maximum(q, p_any), strict=True)),
        critical=dict(zip(permutation.QUESTIONS, deals.critical(fdr).tolist(), strict=True)),
        p_any=p_any,
        deals=deals.count,
    )


def step_up(p: F64) -> F64:
    """Benjamini and Hochberg's adjusted probabilities; NaN stays NaN and does not count."""
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(-p[known], kind="stable")]
    rank = np.arange(len(order), 0, -1)
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum.accumulate(np.minimum(p[order] * len(order) / rank, 1.0))
    return adjusted


def _distinct(values: Sparse, spans: I64, chosen: I64) -> tuple[I64, I64]:
    """Those of the chosen columns that differ from one another, and which of them each chosen column equals.

    Functions that are only ever called by one another have equal columns.
    """
    marks = np.random.default_rng(0).random(values.shape[0])
    sums = np.column_stack([values.T @ marks, spans])[chosen]
    _, first, which = np.unique(sums, axis=0, return_index=True, return_inverse=True)
    return chosen[first], which.ravel()


def _spread(values: F64, columns: I64, count: int) -> F64:
    """Rows of `count` columns, NaN but for those given."""
    rows = np.full((len(values), count), np.nan)
    rows[:, columns] = values
    return rows
