"""How sure are a cohort's figures, and does another cohort differ, frame by frame?

Two questions are asked of each function, and both answers are given:

- Its *cost*, the value per span: do these spans spend more in it? This is the question for slow and normal spans, or
  for before and after a release, as long as both cohorts were profiled in the same way.
- Its *share* of the cohort's total: is the work made up differently? This is the question where totals cannot be
  compared, because of another sampling rate, machine, or load. A function that got slower lowers every other share.

Left is the baseline and right is what is compared with it, as in Pyroscope and Grafana; differences are right minus
left. Samples of one span depend on each other, so spans are what evidence is counted in.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import polars.selectors as cs
from scipy import sparse

from correlate.errors import BadInput
from correlate.flame import intervals as limits
from correlate.flame import power, ranking
from correlate.flame.hypotheses import Tests, tests_of
from correlate.flame.intervals import Interval
from correlate.flame.moments import moments, of_matrix
from correlate.flame.spent import Spent, aligned

F64 = npt.NDArray[np.float64]
Basis = Literal["cost", "share"]

LEVEL: Final = 0.95
_READ: Final = 20
"""Frames that a person may read one after the other."""

_HALF: Final = 1.959964  # standard errors to either side of a 95 % interval


@dataclass(frozen=True)
class Cohort:
    """One side of a comparison.

    Attributes:
        spans: how many, those without samples included.
        samples: hits of the profiler.
        total: the value of all of them.
        cost: total per span, with its limits; NaN where they are not known.
    """

    spans: int
    samples: int
    total: int
    cost: float
    cost_low: float
    cost_high: float


@dataclass(frozen=True)
class Comparison:
    """Two cohorts compared.

    Attributes:
        frames: one row per function of either, the one to read first first. Text name and place. For each of cost
            and share: ``left_cost``, ``right_cost``, ``cost_difference`` with ``cost_low`` and ``cost_high`` (95 %),
            ``cost_p`` and ``cost_q``, and the same with ``share``. ``ratio`` of the costs (right over left, null where
            one side has nothing) with ``ratio_low`` and ``ratio_high``. ``own_difference``: of the cost without
            callees. ``left_spans``, ``right_spans``: spans that have it; ``left_samples``, ``right_samples``.
            ``significant``: by the basis. ``detectable``: the smallest difference, by the basis, that would have been
            found with 80 % power; ``under_powered``: not significant, and more than the observed difference and 20 %
            of the value; ``needs_samples``: how many more samples of both cohorts it takes. ``further``: of the
            difference, by the basis, what is in stacks with none of the frames above (the first 20 rows). Limits, p
            and q are null where nothing can be said.
        left: the baseline.
        right: what is compared with it.
        difference: of the totals per span, right minus left.
        difference_low: its 95 % limits, as the next; NaN where they are not known.
        difference_high: see above.
        p_any: the probability that any frame looks this different in cost or share if the cohorts are equal.
        fdr: the part of the significant frames that may be wrong.
        basis: what decides on significance and order.
        deals: how many times the spans were dealt out at random.
    """

    frames: pl.DataFrame
    left: Cohort
    right: Cohort
    difference: float
    difference_low: float
    difference_high: float
    p_any: float
    fdr: float
    basis: Basis
    deals: int


def intervals(spent: Spent, level: float = LEVEL) -> pl.DataFrame:
    """What one cohort spent in each column, and within which limits.

    Returns:
        A row per column, in its order: name, place, share with share_low and share_high, cost (value per span) with
        cost_low and cost_high, spans (that have it), samples. Limits are null where fewer than two spans are given.
    """
    sums = moments(spent)
    share, cost = limits.share_interval(sums, level), limits.cost_interval(sums, level)
    columns = {"name": spent.names, "place": spent.places, **_columns("share", share), **_columns("cost", cost)}
    counts = {"spans": sums.touched.astype(np.int64), "samples": spent.samples}
    return _table({**columns, **counts})


def compare(left: Spent, right: Spent, *, fdr: float = 0.05, basis: Basis = "cost", seed: int = 0) -> Comparison:
    """Find the functions in which two cohorts differ.

    Two conditions make a function significant. First, dealing the spans out at random seldom makes any function look
    as different as the most different one does, so two equal cohorts have a chance of at most `fdr` to show anything
    at all. Second, it is among those that the step-up procedure of Benjamini and Hochberg (1995) finds, which holds
    for frames because nested ones depend on each other positively, or random deals seldom show anything as different.

    Args:
        left: the baseline, by function.
        right: what is compared with it, by function.
        fdr: the part of the significant functions that may be wrong on average.
        basis: what decides on significance and order, see above.
        seed: of the random deals.

    Raises:
        BadInput: a cohort has no spans.
    """
    for name, side in (("left", left), ("right", right)):
        if not len(side):
            raise BadInput(f"the {name} cohort has no spans, so there is nothing to compare: widen its filter")
    left, right = aligned(left, right)
    tested = tests_of(left, right, fdr, seed)
    frames = _frames(left, right, tested)
    judged = _judged(frames, basis, fdr, tested.critical[basis], left.sample_count + right.sample_count)
    per_span = limits.difference(_total_cost(left), _total_cost(right))
    return Comparison(
        frames=_ordered(judged, left, right, basis),
        left=_cohort(left),
        right=_cohort(right),
        difference=float(per_span.value[0]),
        difference_low=float(per_span.low[0]),
        difference_high=float(per_span.high[0]),
        p_any=tested.p_any,
        fdr=fdr,
        basis=basis,
        deals=tested.deals,
    )


def _cohort(spent: Spent) -> Cohort:
    cost = _total_cost(spent)
    figures = (float(cost.value[0]), float(cost.low[0]), float(cost.high[0]))
    return Cohort(len(spent), spent.sample_count, int(spent.total.sum()), *figures)


def _total_cost(spent: Spent) -> Interval:
    """The whole value per span, as if it were a column."""
    total = spent.total.astype(np.float64)
    return limits.cost_interval(of_matrix(sparse.csr_array(total[:, None]), total, spent.sample_count), LEVEL)


def _frames(left: Spent, right: Spent, tested: Tests) -> pl.DataFrame:
    """Everything about each column that does not depend on the basis."""
    sides = (moments(left), moments(right))
    # what a span that has the column usually has: bounds it in a cohort where no span has it
    typical = (sides[0].yy + sides[1].yy) / np.maximum(sides[0].y + sides[1].y, 1e-300)
    costs = [limits.cost_interval(side, LEVEL, typical) for side in sides]
    shares = [limits.share_interval(side, LEVEL, typical) for side in sides]
    own = right.own.sum(axis=0) / len(right) - left.own.sum(axis=0) / len(left)
    columns: dict[str, Any] = {"name": left.names, "place": left.places}
    columns |= _compared("cost", costs, tested) | _columns("ratio", limits.ratio(costs[0], costs[1]))
    columns |= {"own_difference": own} | _compared("share", shares, tested)
    for name, side, sums in (("left", left, sides[0]), ("right", right, sides[1])):
        columns |= {f"{name}_spans": sums.touched.astype(np.int64), f"{name}_samples": side.samples}
    return _table(columns)


def _compared(name: str, sides: list[Interval], tested: Tests) -> dict[str, Any]:
    found = limits.difference(sides[0], sides[1])
    return {
        f"left_{name}": sides[0].value,
        f"right_{name}": sides[1].value,
        f"{name}_difference": found.value,
        f"{name}_low": found.low,
        f"{name}_high": found.high,
        f"{name}_p": tested.p[name],
        f"{name}_q": tested.q[name],
    }


def _judged(frames: pl.DataFrame, basis: Basis, fdr: float, critical: float, samples: int) -> pl.DataFrame:
    """Add what follows from the basis: significance, and what could have been seen."""
    error = (frames[f"{basis}_high"] - frames[f"{basis}_low"]).to_numpy() / (2 * _HALF)
    least = power.detectable(error, critical)
    value = frames.select(pl.max_horizontal(f"left_{basis}", f"right_{basis}")).to_series().to_numpy()
    wanted = power.sought(frames[f"{basis}_difference"].to_numpy(), value)
    significant = (frames[f"{basis}_q"] <= fdr).fill_null(value=False)
    under_powered = ~significant.to_numpy() & (least > wanted)
    return frames.with_columns(
        pl.Series("significant", significant),
        pl.Series("detectable", least).fill_nan(None),
        pl.Series("under_powered", under_powered),
        pl.Series("needs_samples", np.where(under_powered, power.missing(least, wanted, samples), 0)),
    )


def _ordered(frames: pl.DataFrame, left: Spent, right: Spent, basis: Basis) -> pl.DataFrame:
    """Significant frames first, the likely cause before its callers; of the others those that chance explains last."""
    per = (len(left), len(right)) if basis == "cost" else (int(left.total.sum()) or 1, int(right.total.sum()) or 1)
    weight = pl.when("significant").then(1.0).otherwise(1 - pl.col(f"{basis}_p").fill_null(1.0))
    score = weight * pl.lit(pl.Series("score", ranking.scores(left, right, *per)))
    keys = [pl.col("significant"), score, pl.col("name")]
    order = frames.select(pl.arg_sort_by(keys, descending=[True, True, False])).to_series().to_numpy()
    further = ranking.further(left, right, *per, order[:_READ])
    return frames.with_columns(pl.Series("further", further).fill_nan(None))[order]


def _columns(name: str, found: Interval) -> dict[str, F64]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _table(columns: dict[str, Any]) -> pl.DataFrame:
    """Columns as a table, with nulls for what is not known."""
    return pl.DataFrame(columns).with_columns(cs.float().fill_nan(None))
