"""Many stacks as one tree of calls, in columns.

The stacks are sorted as byte strings of their labels' ranks. Sorted neighbours share their common ancestors, so what a
stack adds beyond the prefix it shares with its predecessor are exactly the new nodes, and they come out depth first
with siblings in the order of their names. No hash takes part, so no two paths can be confused, and no recursion, so
depth costs nothing special.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.flame.stacks import Merge, add_up, gather
from correlate.tables.ragged import offsets_of, take_ragged
from correlate.tables.symbols import Symbols

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

ROOT = "total"
OTHER = "other"


@dataclass(frozen=True)
class Tree:
    """A tree of calls; one row per node, depth first, siblings by name, row 0 the root.

    Attributes:
        names: the texts that nodes refer to; only the root's ``total`` may be there a second time.
        places: for each of `names`, where its code is (``file:line`` or ``file``), "" when unknown.
        name_id: row in `names`.
        parent: row of the parent, -1 for the root.
        depth: 0 for the root.
        self: the value of the node itself, without what it called.
        total: the value of the node with everything it called.
        samples: hits of the profiler below the node and in it; None when not known.
    """

    names: pl.Series
    places: pl.Series
    name_id: I32
    parent: I32
    depth: I32
    self: I64
    total: I64
    samples: I64 | None = None

    def __len__(self) -> int:
        return len(self.parent)

    @cached_property
    def name(self) -> pl.Series:
        """The name of each node."""
        return self.names.gather(self.name_id)

    @cached_property
    def place(self) -> pl.Series:
        """The file and line of each node's code, "" where unknown."""
        return self.places.gather(self.name_id)

    @cached_property
    def end(self) -> I64:
        """The row after each node's last descendant."""
        sizes = sum_up(self.parent, self.depth, np.ones(len(self), np.int64))
        return np.arange(len(self), dtype=np.int64) + sizes


@dataclass(frozen=True)
class Shape:
    """A tree of calls without values: what several trees over the same stacks have in common.

    Attributes:
        names: see `Tree`, as the four that follow.
        places: see `Tree`.
        name_id: see `Tree`.
        parent: see `Tree`.
        depth: see `Tree`.
        leaf: for each stack, the node in which it ends.
    """

    names: pl.Series
    places: pl.Series
    name_id: I32
    parent: I32
    depth: I32
    leaf: I64

    def tree(self, values: I64, weights: I64 | None) -> Tree:
        """The tree of these stacks with one value each, and one weight each where weights are known."""
        own = add_up(values, self.leaf, len(self.parent))
        hits = None if weights is None else add_up(weights, self.leaf, len(self.parent))
        return Tree(
            names=self.names,
            places=self.places,
            name_id=self.name_id,
            parent=self.parent,
            depth=self.depth,
            self=own,
            total=sum_up(self.parent, self.depth, own),
            samples=None if hits is None else sum_up(self.parent, self.depth, hits),
        )


def build(
    symbols: Symbols,
    stacks: I64,
    values: I64,
    weights: npt.NDArray[np.integer] | None = None,
    merge: Merge = "function",
) -> Tree:
    """Grow the tree of some sample rows; the root's total is ``values.sum()`` exactly.

    Args:
        symbols: describes the stacks; ids it does not know count under ``[unknown]``, id 0 under ``[no stack]``.
        stacks: one stack id per row, repeats welcome.
        values: one value per row, in the profile type's unit; negative values are allowed.
        weights: hits of the profiler per row.
        merge: "function" makes frames of the same display name one node, "line" keeps different lines apart.
    """
    found = gather(symbols, stacks, values, weights, merge)
    return shape_of(found.frames, found.items, found.offsets).tree(found.values, found.weights)


def shape_of(frames: pl.DataFrame, items: I64, offsets: I64) -> Shape:
    """Put stacks together into one tree.

    Args:
        frames: the labels, sorted, with their places, see `flame.stacks.LabelledStacks`.
        items: rows in `frames`, root first, all stacks one after the other.
        offsets: where each stack starts in `items`, plus the end.
    """
    order = _lexicographic(items, offsets, frames.height)
    sorted_items, lengths = take_ragged(items, offsets, order)
    shared = _shared_prefixes(sorted_items, offsets_of(lengths))
    position = np.arange(len(sorted_items), dtype=np.int64) - np.repeat(offsets_of(lengths)[:-1], lengths)
    is_new = position >= np.repeat(shared, lengths)
    leaf = np.zeros(len(order), np.int64)
    leaf[order] = np.cumsum(lengths - shared)  # the root is row 0
    root = np.zeros(1, np.int32)
    depth = np.concatenate([root, position[is_new] + 1]).astype(np.int32)
    return Shape(
        names=pl.concat([frames["label"], pl.Series("label", [ROOT])]).alias("name"),
        places=pl.concat([frames["place"], pl.Series("place", [""])]),
        name_id=np.concatenate([root + frames.height, sorted_items[is_new]]).astype(np.int32),
        parent=parents(depth),
        depth=depth,
        leaf=leaf,
    )


def by_level(depth: I32) -> tuple[I64, I64]:
    """Rows sorted by depth, the order within a level kept; and where each level starts, plus the end."""
    narrow = depth.astype(np.int16) if int(depth.max(initial=0)) < 1 << 15 else depth  # 16 bits sort by radix
    return np.argsort(narrow, kind="stable"), offsets_of(np.bincount(depth))


def sum_up(parent: I32, depth: I32, values: I64) -> I64:
    """Add to each node's value those of all its descendants; exact, one step per level."""
    total = values.astype(np.int64)
    order, bounds = by_level(depth)
    for level in range(len(bounds) - 2, 0, -1):
        rows = order[bounds[level] : bounds[level + 1]]
        np.add.at(total, parent[rows], total[rows])
    return total


def parents(depth: I32) -> I32:
    """The parent row of each node of a depth-first order, from the depths alone; -1 for row 0.

    A node one deeper than its predecessor is its child; any other node has the last node before it that is one level
    above, found by bisection in the rows sorted by level.
    """
    count = len(depth)
    parent = np.arange(-1, count - 1, dtype=np.int64)
    jumps = np.flatnonzero(np.diff(depth) != 1) + 1
    order, _ = by_level(depth)
    keys = depth[order].astype(np.int64) * count + order
    wanted = (depth[jumps].astype(np.int64) - 1) * count + jumps
    parent[jumps] = order[np.searchsorted(keys, wanted) - 1]
    return parent.astype(np.int32)


def truncate(tree: Tree, max_nodes: int, *, ties: bool = True) -> Tree:
    """Keep the largest nodes; what is smaller becomes one leaf ``other`` under each parent, last among its siblings.

    The rule is Pyroscope's: the `max_nodes`-th largest total is the smallest that stays, and a node stays only with all
    its ancestors; a function that is itself called ``other`` counts as one of the rest. Sizes are compared without
    their sign. Totals do not change; the root and the leaves come on top of `max_nodes`.

    Args:
        tree: what to cut down.
        max_nodes: how many nodes to keep; below 1 keeps all.
        ties: whether all nodes of the smallest size stay. Without, those nearest to the root stay, up to `max_nodes`.
    """
    if max_nodes < 1 or len(tree) - 1 <= max_nodes:
        return tree
    kept = largest(tree, np.abs(tree.total), max_nodes, ties=ties)
    return cut(tree, kept, np.flatnonzero(hidden(tree, kept, tree.total)))


def largest(tree: Tree, size: npt.NDArray[np.number], max_nodes: int, *, ties: bool) -> npt.NDArray[np.bool_]:
    """Which nodes `truncate` keeps, by any size per node that is not negative; there are more than `max_nodes`."""
    size = np.append(size.max(), size[1:])  # the root stays
    smallest = np.partition(size, len(size) - 1 - max_nodes)[len(size) - 1 - max_nodes]
    kept: npt.NDArray[np.bool_] = size >= smallest
    if not ties:
        tied = np.flatnonzero(size == smallest)[::-1]
        too_many = int(kept.sum()) - 1 - max_nodes
        kept[tied[np.argsort(-tree.depth[tied], kind="stable")[:too_many]]] = False
    kept[1:] &= ~(tree.names == OTHER).to_numpy()[tree.name_id[1:]]
    order, bounds = by_level(tree.depth)
    for level in range(1, len(bounds) - 1):
        rows = order[bounds[level] : bounds[level + 1]]
        kept[rows] &= kept[tree.parent[rows]]
    return kept


def hidden(tree: Tree, kept: npt.NDArray[np.bool_], values: I64) -> I64:
    """For each node, the sum of the values of its children that are not kept."""
    gone = ~kept & kept[tree.parent]
    return add_up(values[gone], tree.parent[gone], len(tree))


def cut(tree: Tree, kept: npt.NDArray[np.bool_], above: I64) -> Tree:
    """Keep some nodes, and put what is hidden below each of the nodes `above` into a leaf ``other`` there.

    Args:
        tree: what to cut down.
        kept: which nodes stay, always with all their ancestors.
        above: rows of kept nodes; every row with something hidden below must be among them.
    """
    rest = hidden(tree, kept, tree.total)[above]
    rows = np.flatnonzero(kept)
    # a leaf goes right before the row that follows its parent's subtree; of several there, the deepest comes first
    place = np.concatenate([rows * 2, tree.end[above] * 2 - 1])
    depth = np.concatenate([tree.depth[rows], tree.depth[above] + 1])
    order = np.lexsort((-depth, place))
    depth = depth[order]
    samples = None
    if tree.samples is not None:
        samples = np.concatenate([tree.samples[rows], hidden(tree, kept, tree.samples)[above]])[order]
    return Tree(
        names=pl.concat([tree.names, pl.Series("name", [OTHER])]),
        places=pl.concat([tree.places, pl.Series("place", [""])]),
        name_id=np.concatenate([tree.name_id[rows], np.full(len(above), len(tree.names), np.int32)])[order],
        parent=parents(depth),
        depth=depth,
        self=np.concatenate([tree.self[rows], rest])[order],
        total=np.concatenate([tree.total[rows], rest])[order],
        samples=samples,
    )


def _lexicographic(items: I64, offsets: I64, label_count: int) -> I64:
    """The order of the stacks by their labels from the root on; big-endian ranks compare as bytes do."""
    width = 1 if label_count <= 1 << 8 else 2 if label_count <= 1 << 16 else 4
    ranks = items.astype(f">u{width}")
    buffers = [None, pa.py_buffer(offsets * width), pa.py_buffer(ranks)]
    column = pl.from_arrow(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, buffers))
    return pl.Series(column, dtype=pl.Binary).arg_sort().to_numpy().astype(np.int64)


def _shared_prefixes(items: I64, offsets: I64) -> I64:
    """How many items each sequence has in common with the one before it, from the start on; 0 for the first."""
    lengths = np.diff(offsets)
    overlap = np.minimum(lengths[1:], lengths[:-1])
    starts = offsets_of(overlap)
    within = np.arange(starts[-1], dtype=np.int64) - np.repeat(starts[:-1], overlap)
    before = items[within + np.repeat(offsets[:-2], overlap)]
    after = items[within + np.repeat(offsets[1:-1], overlap)]
    differing = np.append(np.flatnonzero(before != after), starts[-1])
    first = differing[np.searchsorted(differing, starts[:-1])]
    return np.concatenate([np.zeros(min(len(lengths), 1), np.int64), np.minimum(first - starts[:-1], overlap)])
