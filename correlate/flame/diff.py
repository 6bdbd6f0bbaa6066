"""Two profiles as one tree of calls, each node with the values of both sides.

Left is the baseline and right is what is compared with it, as in Pyroscope and Grafana.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.flame.stacks import Merge, add_up, describe
from correlate.flame.tree import Tree, cut, hidden, largest, shape_of, sum_up
from correlate.tables.symbols import Symbols

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class DiffTree:
    """Two trees with the same nodes in the same rows; a node that a side lacks has zeros there.

    Attributes:
        left: the baseline.
        right: what is compared with it.
    """

    left: Tree
    right: Tree

    def __len__(self) -> int:
        """How many nodes."""
        return len(self.left)

    @property
    def share(self) -> tuple[F64, F64]:
        """Each node's part of its side's total, with what it called; zeros for a side without any value."""
        return _shares(self.left), _shares(self.right)


def build(symbols: Symbols, left: pl.DataFrame, right: pl.DataFrame, merge: Merge = "function") -> DiffTree:
    """Grow one tree from the samples of two sides.

    Args:
        symbols: describes the stacks of both.
        left: columns stack, value and weight, one row per sample or per sum of samples.
        right: the same.
        merge: whether frames of one function at different lines are one node or several.
    """
    ids = pl.concat([left["stack"], right["stack"]]).unique().sort()
    found = describe(symbols, ids.to_numpy(), merge)
    shape = shape_of(found.frames, found.items, found.offsets)
    count = len(found.offsets) - 1

    def side(rows: pl.DataFrame) -> Tree:
        stack = found.rows[ids.search_sorted(rows["stack"]).to_numpy()] if len(ids) else np.zeros(0, np.int64)
        sums = [add_up(rows[name].to_numpy(), stack, count) for name in ("value", "weight")]
        return shape.tree(sums[0], sums[1])

    return DiffTree(side(left), side(right))


def truncate(diff: DiffTree, max_nodes: int, *, ties: bool = True) -> DiffTree:
    """Keep the nodes that are large on either side; see `flame.tree.truncate`.

    A node's size is the larger of its parts of the two totals, so that a small cohort is not cut away by a large one.
    """
    if max_nodes < 1 or len(diff) - 1 <= max_nodes:
        return diff
    kept = largest(diff.left, np.maximum(*map(np.abs, diff.share)), max_nodes, ties=ties)
    rest = [hidden(side, kept, side.total) for side in (diff.left, diff.right)]
    above = np.flatnonzero((rest[0] != 0) | (rest[1] != 0))
    return DiffTree(cut(diff.left, kept, above), cut(diff.right, kept, above))


def columns(diff: DiffTree) -> dict[str, list[Any]]:
    """Parallel arrays, parents before children: name, parent (-1 for the root), and self and total of both sides."""
    return {
        "name": diff.left.name.to_list(),
        "parent": diff.left.parent.tolist(),
        "self_left": diff.left.self.tolist(),
        "total_left": diff.left.total.tolist(),
        "self_right": diff.right.self.tolist(),
        "total_right": diff.right.total.tolist(),
    }


def both(diff: DiffTree, scale: int) -> Tree:
    """One tree whose values are the means of both sides' shares, in parts of `scale`: a picture's widths."""
    positive = [np.maximum(side.self, 0) for side in (diff.left, diff.right)]
    sums = [int(own.sum()) for own in positive if own.any()]
    shares = sum(own / max(int(own.sum()), 1) for own in positive)
    own = np.rint(shares * (scale / max(len(sums), 1))).astype(np.int64)
    return replace(diff.left, self=own, total=sum_up(diff.left.parent, diff.left.depth, own), samples=None)


def _shares(tree: Tree) -> F64:
    return tree.total / (int(tree.total[0]) or 1)
