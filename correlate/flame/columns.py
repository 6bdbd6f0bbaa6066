"""Trees as the REST interface carries them: parallel arrays, parents before children. Both directions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.errors import Malformed
from correlate.flame.tree import Tree, parents

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


def columns(tree: Tree) -> dict[str, list[Any]]:
    """The arrays name, parent (-1 for the root), self and total, and samples when they are known."""
    written = {
        "name": tree.name.to_list(),
        "parent": tree.parent.tolist(),
        "self": tree.self.tolist(),
        "total": tree.total.tolist(),
    }
    return written if tree.samples is None else {**written, "samples": tree.samples.tolist()}


def parse(data: Mapping[str, Any]) -> Tree:
    """Read what `columns` wrote.

    Raises:
        Malformed: an array is missing, of another length, or of another type; a parent does not come before its
            child; or the rows are not depth first.
    """
    parent = _integers(data, "parent")
    name, own, total = _texts(data, "name"), _integers(data, "self"), _integers(data, "total")
    samples = None if data.get("samples") is None else _integers(data, "samples")
    if {len(column) for column in (name, own, total, samples) if column is not None} != {len(parent)}:
        raise Malformed("flamegraph: the arrays are of different lengths")
    depth = _depths(parent)
    table = name[1:].unique().sort()
    name_id = np.append(len(table), table.search_sorted(name[1:]).to_numpy() if len(name) > 1 else ())
    return Tree(
        names=pl.concat([table, name[:1]]),
        places=pl.repeat("", len(table) + 1, eager=True),
        name_id=name_id.astype(np.int32),
        parent=parent.astype(np.int32),
        depth=depth,
        self=own,
        total=total,
        samples=samples,
    )


def _integers(data: Mapping[str, Any], key: str) -> I64:
    try:
        values = np.asarray(data.get(key))
    except ValueError:  # lists of different lengths inside one another
        values = np.zeros((0, 0))
    if values.ndim != 1 or (len(values) and values.dtype != np.int64):
        raise Malformed(f"flamegraph: {key!r} must be a list of 64-bit integers")
    return values.astype(np.int64)


def _texts(data: Mapping[str, Any], key: str) -> pl.Series:
    texts = data.get(key)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Malformed(f"flamegraph: {key!r} must be a list of texts")
    return pl.Series("name", texts, dtype=pl.String)


def _depths(parent: I64) -> I32:
    """Depths from parents, by doubling the reach of a pointer towards the root; checks the order on the way."""
    rows = np.arange(len(parent))
    if len(parent) == 0 or parent[0] != -1 or (parent[1:] < 0).any() or (parent >= rows).any():
        raise Malformed(
            "flamegraph: 'parent' must be -1 for the first node and the row of an earlier node for the rest"
        )
    ancestor = np.maximum(parent, 0)
    depth = (rows > 0).astype(np.int32)
    while ancestor.any():
        depth += depth[ancestor]
        ancestor = ancestor[ancestor]
    if not np.array_equal(parents(depth), parent):
        raise Malformed("flamegraph: the nodes are not in depth-first order")
    return depth
