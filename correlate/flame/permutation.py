"""Is any column different between two cohorts? Decided by dealing the spans out to the cohorts again and again.

Thousands of columns are tested at once, most of them nested in one another, many of them rare. The largest of their
test statistics is compared with its own distribution over random deals (Westfall and Young 1993): if the cohorts are
equal, the chance that it is exceeded is what it says, however the columns depend on each other and however they are
distributed. The statistics are studentised, so that the answer stays right, for many spans, where one cohort only has
larger or more uneven spans (Janssen 1997; Chung and Romano 2013).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from correlate.flame.spent import Sparse

F64 = npt.NDArray[np.float64]

QUESTIONS: Final = ("share", "cost")
"""What is compared: the columns' parts of the total, and their values per span."""

MOST_DEALS: Final = 999
LEAST_DEALS: Final = 199
_MOST_WORK: Final = 1e8
"""Entries to read in all deals together: what about a second is enough for."""

_AT_A_TIME: Final = 64
_LEAST_AMOUNT: Final = 1e-9
"""Of totals near one: keeps what divides by the total of a cohort that spent nothing finite."""

_MANY_SPANS: Final = 100.0
"""Spans of the smaller cohort with a column, in an average deal, from which on they need not tell their variance."""

FEWEST_SPANS: Final = 5
"""A cohort smaller than this cannot tell its own variance; it is taken to be that of both."""


@dataclass(frozen=True)
class Deals:
    """What dealing the spans out at random gave, with the deal that really was, for each of two questions.

    The rows are the questions of `QUESTIONS`. Both are answered at once, so the largest statistic of either is judged
    by its own distribution, and the more unlikely of the two by how often random deals have one as unlikely.

    Attributes:
        observed: 2 x columns, studentised differences, right minus left.
        exceeded: 2 x columns, the part of the random deals with a statistic at least as large in the same column.
        largest: 2 x random deals, the largest size of any column's statistic.
    """

    observed: F64
    exceeded: F64
    largest: F64

    @property
    def count(self) -> int:
        """How many random deals."""
        return int(self.largest.shape[1])

    def beyond(self) -> F64:
        """Per statistic, the probability that any of either question is as unlikely, if the cohorts were equal."""
        alone = np.stack([self._alone(row, self.observed[row]) for row in range(len(self.observed))])
        both = np.sort(self._least())
        return np.asarray((1 + np.searchsorted(both, alone * (1 + 1e-9), side="right")) / (1 + self.count))

    def critical(self, level: float) -> F64:
        """For each question, how large a statistic must be for its probability to be at most `level`."""
        alone = np.quantile(self._least(), level)
        return np.quantile(self.largest, 1 - alone, axis=1)

    def _alone(self, row: int, statistic: F64) -> F64:
        below = np.searchsorted(np.sort(self.largest[row]), np.abs(statistic) * (1 - 1e-9))
        return np.asarray((1 + self.count - below) / (1 + self.count))

    def _least(self) -> F64:
        """For each random deal, the lesser of what its largest statistics' probabilities are by themselves."""
        return np.asarray(np.min([self._alone(row, self.largest[row]) for row in range(len(self.largest))], axis=0))


@dataclass(frozen=True)
class _Side:
    """The sums of one cohort in each of some deals.

    Attributes:
        count: spans.
        y: sum of y per column and deal, y being a column's value in a span and x the span's total.
        yy: sum of y².
        yx: sum of y times x.
        x: sum of x per deal.
        xx: sum of x².
    """

    count: int
    y: F64
    yy: F64
    yx: F64
    x: F64
    xx: F64

    def without(self, other: "_Side") -> "_Side":
        """The sums of the spans that are not in the other."""
        return _Side(
            self.count - other.count,
            self.y - other.y,
            self.yy - other.yy,
            self.yx - other.yx,
            self.x - other.x,
            self.xx - other.xx,
        )

    def residual(self, share: F64) -> F64:
        """The sum of (y - share x)²."""
        return np.asarray(np.maximum(self.yy - 2 * share * self.yx + share**2 * self.xx, 0))


@dataclass(frozen=True)
class Table:
    """The values of both cohorts, left first, in factors that are quick to sum over any choice of spans.

    Attributes:
        by_stack: spans x stacks.
        touched: stacks x columns, 1 where a column is on a stack.
        values: spans x columns, their product.
        total: total per span.
        left_count: spans of the left cohort; at least one span is on either side.
    """

    by_stack: Sparse
    touched: Sparse
    values: Sparse
    total: F64
    left_count: int


@dataclass(frozen=True)
class _Sums:
    """How to sum over some spans, for each of some deals at once.

    Sums of y and yx over spans are sums over stacks, of which there are far fewer entries than of columns. Those of y²
    are not; they are needed where few spans have a column.

    Attributes:
        stacks: (2 stacks) x spans: values, and values times totals.
        columns: columns x stacks.
        rare: the columns with squares.
        squares: rare columns x spans.
        totals: 2 x spans: x, x².
        whole: the sums over all spans, squares of all columns included.
    """

    stacks: Sparse
    columns: Sparse
    rare: npt.NDArray[np.int64]
    squares: Sparse
    totals: F64
    whole: _Side

    def over(self, hands: F64, count: int) -> _Side:
        """The sums over the `count` spans that `hands` (spans x deals) marks with 1; of y², NaN where not rare."""
        y, yx = np.vsplit(np.asarray(self.stacks @ hands), 2)
        yy = np.full((self.columns.shape[0], hands.shape[1]), np.nan)
        yy[self.rare] = self.squares @ hands
        return _Side(count, self.columns @ y, yy, self.columns @ yx, *(self.totals @ hands))


def deal(table: Table, seed: int) -> Deals:
    """Compare the first spans of a table, its left cohort, with the rest.

    Args:
        table: the values.
        seed: of the random deals; the same seed gives the same answer.
    """
    count, left_count = len(table.total), table.left_count
    given = np.zeros((count, 1))
    given[:left_count] = 1
    observed = _statistics(_sums(table, table.values.shape[0]), given, left_count)
    sums = _sums(table, _MANY_SPANS * count / min(left_count, count - left_count))
    deals = deal_count(sums.stacks.nnz + 2 * sums.columns.nnz + sums.squares.nnz)
    largest, exceeded = [], np.zeros(observed.shape[:2])
    for hands in _hands(count, left_count, deals, seed):
        sizes = np.abs(_statistics(sums, hands, left_count))
        largest.append(sizes.max(axis=1, initial=0))
        exceeded += (sizes >= np.abs(observed) * (1 - 1e-9)).sum(axis=2)
    return Deals(observed[:, :, 0], exceeded / deals, np.concatenate(largest, axis=1))


def deal_count(entries: int) -> int:
    """How many deals to make when each has to read so many entries."""
    return int(np.clip(_MOST_WORK // max(entries, 1), LEAST_DEALS, MOST_DEALS))


def _sums(table: Table, rarest: float) -> _Sums:
    """Prepare sums; squares for the columns that at most `rarest` spans have."""
    scale = float(np.abs(table.total).mean()) or 1.0  # keeps squares near one, where sums lose no digits
    x, values = table.total / scale, table.values / scale
    stacks = (table.by_stack / scale).T.tocsr()
    rare = np.flatnonzero(np.bincount(values.indices, minlength=values.shape[1]) <= rarest)
    chosen = values if len(rare) == values.shape[1] else values[:, rare]
    totals = np.stack([x, x**2])
    columns = table.touched.T.tocsr()
    squares = (chosen * chosen).T.tocsr()
    everyone = np.ones((len(x), 1))
    scaled = stacks.multiply(x[None, :]).tocsr()
    sums = (columns @ (stacks @ everyone), (values * values).T @ everyone, columns @ (scaled @ everyone))
    whole = _Side(len(x), *sums, *(totals @ everyone))
    return _Sums(sparse.vstack([stacks, scaled], format="csr"), columns, rare, squares, totals, whole)


def _hands(count: int, left_count: int, deals: int, seed: int) -> Iterator[F64]:
    """Random deals, some at a time: spans x deals, 1 where a span goes left."""
    rng = np.random.default_rng(seed)
    for start in range(0, deals, _AT_A_TIME):
        width = min(_AT_A_TIME, deals - start)
        order = np.argpartition(rng.random((width, count)), left_count - 1, axis=1)[:, :left_count]
        hands = np.zeros((count, width))
        hands[order, np.arange(width)[:, None]] = 1
        yield hands


def _statistics(sums: _Sums, hands: F64, left_count: int) -> F64:
    """Studentised differences, right minus left, of shares and of values per span: 2 x columns x deals."""
    left = sums.over(hands, left_count)
    sides = (left, sums.whole.without(left))
    return np.stack([_share_statistic(sums.whole, sides), _cost_statistic(sums.whole, sides)])


def _cost_statistic(whole: _Side, sides: tuple[_Side, _Side]) -> F64:
    pooled = (whole.yy - whole.y**2 / whole.count) / max(whole.count - 1, 1)
    means = [side.y / side.count for side in sides]
    own = [(side.yy / side.count - mean**2) / max(side.count - 1, 1) for side, mean in zip(sides, means, strict=True)]
    error = _larger(pooled * (1 / sides[0].count + 1 / sides[1].count), own, sides)
    return _over(means[1] - means[0], error, whole.yy / whole.count**2)


def _share_statistic(whole: _Side, sides: tuple[_Side, _Side]) -> F64:
    amount = np.maximum(whole.x, _LEAST_AMOUNT)
    pooled = whole.residual(whole.y / amount) / amount
    amounts = [np.maximum(side.x, _LEAST_AMOUNT) for side in sides]
    shares = [side.y / x for side, x in zip(sides, amounts, strict=True)]
    own = [
        side.residual(share) / x**2 * (side.count / max(side.count - 1, 1))
        for side, share, x in zip(sides, shares, amounts, strict=True)
    ]
    error = _larger(pooled * (1 / amounts[0] + 1 / amounts[1]), own, sides)
    return _over(shares[1] - shares[0], error, whole.yy / amount**2)


def _larger(pooled: F64, own: list[F64], sides: tuple[_Side, _Side]) -> F64:
    """The variance of a difference: what both cohorts together tell, or what each tells of itself if that is more.

    A rare column that no span of the small cohort happens to have seems to have no variance there, and one in which
    the cohorts differ seems to have more in both together. In a random deal the two are about the same where many
    spans have a column; what is NaN in `own` is not asked for there, which can only make the test more careful.
    """
    if min(side.count for side in sides) < FEWEST_SPANS:
        return pooled
    return np.fmax(pooled, own[0] + own[1])


def _over(difference: F64, variance: F64, scale: F64) -> F64:
    """A difference over its standard error; zero where rounding is all there is of either."""
    floor = 1e-12 * scale + 1e-300
    return np.where(difference**2 > floor, difference / np.sqrt(np.maximum(variance, floor)), 0.0)
