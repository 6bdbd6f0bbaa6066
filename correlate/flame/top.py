"""The functions of a tree, wherever they stand in it."""

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.flame.tree import Tree

I64 = npt.NDArray[np.int64]


def functions(tree: Tree) -> pl.DataFrame:
    """One row per name below the root, largest own value first: name, place, self, total.

    A function that calls itself is not counted twice: its total is that of its outermost calls.
    """
    rows = np.arange(1, len(tree))
    outer = outermost(tree)[1:]
    frame = pl.DataFrame(
        {
            "name": tree.name.gather(rows),
            "place": tree.place.gather(rows),
            "self": tree.self[1:],
            "total": np.where(outer, tree.total[1:], 0),
        }
    )
    sums = frame.group_by("name").agg(pl.col("place").max(), pl.col("self", "total").sum())
    return sums.sort("self", "total", "name", descending=[True, True, False])


def outermost(tree: Tree) -> npt.NDArray[np.bool_]:
    """Which nodes have no ancestor of the same name.

    Nodes of one name, depth first, are either apart or inside one another: a node is inside when it comes before the
    furthest end of those before it.
    """
    rows = np.argsort(tree.name_id, kind="stable")
    beyond = tree.name_id[rows].astype(np.int64) * (len(tree) + 1)  # keeps names apart in one running maximum
    furthest = np.maximum.accumulate(beyond + tree.end[rows])
    outer = np.ones(len(tree), bool)
    outer[rows[1:]] = beyond[1:] + rows[1:] >= furthest[:-1]
    return outer
