"""Trees as indented lines: what matters of them, largest branch first, chains of passing-on folded into one line."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.flame.labels import printable, short
from correlate.flame.tree import Tree

PASSES_ON: Final = 0.98
"""A function whose only visible callee has at least this part of its total shares the callee's line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree.

    Attributes:
        branch: for each level from the root on, whether siblings follow below; one entry per level of indentation.
        names: a chain of functions; empty for a line that sums up what is not shown.
        value: total of the first of them, in the profile's unit.
        more: how many branches are summed up in this line.
        hot: whether it lies on the hottest path.
    """

    branch: tuple[bool, ...]
    names: tuple[str, ...]
    value: int
    more: int = 0
    hot: bool = False


def outline(tree: Tree, min_share: float) -> list[Line]:
    """The lines of a tree, depth first, largest branch first. Only what is shown becomes Python objects.

    Args:
        tree: what to outline.
        min_share: branches below this part of the total are summed up per caller; where even their sum is below it,
            nothing says so.
    """
    size = np.abs(tree.total)
    least = max(abs(int(tree.total[0])) * min_share, 1)
    shown = size >= least
    shown[0] = True
    children, hidden = _children(tree, shown), _hidden(tree, shown, least)
    names = dict(zip(children, short(printable(tree.name.gather(list(children)))).to_list(), strict=True))
    lines: list[Line] = []
    waiting: list[tuple[int, tuple[bool, ...], bool]] = [(0, (), True)]
    while waiting:
        row, branch, hot = waiting.pop()
        if row < 0:
            lines.append(Line(branch, (), *hidden[~row]))
            continue
        chain = _chain_from(row, children, tree.total)
        lines.append(Line(branch, tuple(names[member] for member in chain), int(tree.total[row]), hot=hot))
        waiting.extend(reversed(_below(chain[-1], children, hidden, branch, hot=hot)))
    return lines


def _below(
    row: int, children: dict[int, list[int]], hidden: dict[int, tuple[int, int]], branch: tuple[bool, ...], *, hot: bool
) -> list[tuple[int, tuple[bool, ...], bool]]:
    """What follows below a node: its callees, and ``~row`` for what is not shown of them."""
    rows = [*children[row], *([~row] if row in hidden else [])]
    return [(child, (*branch, child != rows[-1]), hot and child == rows[0] and child >= 0) for child in rows]


def _chain_from(row: int, children: dict[int, list[int]], total: npt.NDArray[np.int64]) -> list[int]:
    """A node and the only callees it passes nearly all of its value on to."""
    chain = [row]
    while row and len(children[row]) == 1 and total[children[row][0]] >= PASSES_ON * total[row]:
        row = children[row][0]
        chain.append(row)
    return chain


def _children(tree: Tree, shown: npt.NDArray[np.bool_]) -> dict[int, list[int]]:
    """Visible nodes with their visible callees, largest first. A node whose caller is not shown is not shown either."""
    rows = np.flatnonzero(shown)
    rows = rows[np.argsort(-np.abs(tree.total[rows]), kind="stable")]
    children: dict[int, list[int]] = {row: [] for row in rows.tolist()}
    for row, parent in zip(rows.tolist(), tree.parent[rows].tolist(), strict=True):
        if parent in children:
            children[parent].append(row)
    return children


def _hidden(tree: Tree, shown: npt.NDArray[np.bool_], least: float) -> dict[int, tuple[int, int]]:
    """Per visible node: the sum and the number of its callees that are not shown, where the sum matters itself."""
    rows = np.flatnonzero(~shown & shown[tree.parent])
    sums = np.zeros(len(tree), np.int64)
    np.add.at(sums, tree.parent[rows], tree.total[rows])
    counts = np.bincount(tree.parent[rows], minlength=len(tree))
    parents = np.flatnonzero(np.abs(sums) >= least)
    found = zip(parents.tolist(), sums[parents].tolist(), counts[parents].tolist(), strict=True)
    return {parent: (value, count) for parent, value, count in found}
