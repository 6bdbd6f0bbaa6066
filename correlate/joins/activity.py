"""When each span was at work itself: its interval without the time in which it waited for its children."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins.steps import Breaks
from correlate.tables import hashing

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MAX_HOPS: Final = 64
"""How far up a trace is climbed for an ancestor of some kind; real chains are shorter, and cycles must end."""


class Pieces(NamedTuple):
    """Pieces of spans' intervals: half open, never empty, sorted by row and start.

    Attributes:
        row: the row of the span.
        start_ns: when the piece begins.
        end_ns: when it ends.
    """

    row: I64
    start_ns: I64
    end_ns: I64

    def where(self, wanted: Bools) -> "Pieces":
        """Some of the pieces."""
        return Pieces(self.row[wanted], self.start_ns[wanted], self.end_ns[wanted])


def self_intervals(spans: pl.DataFrame) -> pl.DataFrame:
    """The pieces of each span's interval in which none of its children ran.

    A child counts where it lies within its parent; children may overlap each other, outlast the parent, or run in
    another service: what the parent does meanwhile is wait.

    Args:
        spans: SPANS rows, at least trace_hi, trace_lo, span, parent, start_ns and duration_ns. Spans whose parent is
            not among them lose nothing to it.

    Returns:
        Columns row (of the span in `spans`, UInt32), start_ns and end_ns (half open, never empty), sorted by both.
    """
    pieces = outside(*intervals(spans), parent_rows(spans))
    return pl.DataFrame(
        {"row": pl.Series(pieces.row, dtype=pl.UInt32), "start_ns": pieces.start_ns, "end_ns": pieces.end_ns}
    )


def intervals(spans: pl.DataFrame) -> tuple[I64, I64]:
    """The starts and ends of spans, nanoseconds."""
    starts = spans["start_ns"].to_numpy()
    return starts, starts + np.maximum(spans["duration_ns"].to_numpy(), 0)


def parent_rows(spans: pl.DataFrame) -> I64:
    """The row of each span's parent in the same trace, -1 where it is absent; of spans with equal ids the first."""
    hi, lo, own, parent = (spans[name].to_numpy() for name in ("trace_hi", "trace_lo", "span", "parent"))
    if not len(own):
        return np.zeros(0, np.int64)
    ids = hashing.combine([hi, lo, own])
    order = np.argsort(ids, kind="stable")
    at = np.searchsorted(ids[order], hashing.combine([hi, lo, parent]))
    at = order[np.minimum(at, len(order) - 1)]
    found = (own[at] == parent) & (hi[at] == hi) & (lo[at] == lo) & (parent != 0) & (parent != own)
    return np.where(found, at, -1)


def ancestor_rows(parent_row: I64, accept: Callable[[I64, I64], Bools]) -> I64:
    """The nearest ancestor that will do, -1 where there is none within `MAX_HOPS`.

    Args:
        parent_row: the row of each span's parent, -1 for none.
        accept: given rows and as many ancestors of theirs, says which will do.
    """
    found = np.full(len(parent_row), -1)
    rows, at = np.arange(len(parent_row)), parent_row
    for _ in range(MAX_HOPS):
        rows, at = rows[at >= 0], at[at >= 0]
        if not len(rows):
            break
        good = accept(rows, at)
        found[rows[good]] = at[good]
        rows, at = rows[~good], parent_row[at[~good]]
    return found


def outside(start_ns: I64, end_ns: I64, parent_row: I64) -> Pieces:
    """The pieces of each interval in which no other interval ran that names it as its parent.

    A sweep line per parent: it is at work itself wherever it is open and none of its children is.

    Args:
        start_ns: when each interval begins.
        end_ns: when it ends.
        parent_row: the row of each one's parent, -1 for none.
    """
    child = np.flatnonzero((parent_row >= 0) & (end_ns > start_ns))
    parent = np.unique(parent_row[child])
    group = np.concatenate([np.arange(len(parent)), np.searchsorted(parent, parent_row[child])])
    rows = np.concatenate([parent, child])
    breaks = Breaks.of(group, start_ns[rows], end_ns[rows])
    is_child = np.arange(len(rows)) >= len(parent)
    working = (breaks.running((~is_child).astype(np.int64)) > 0) & (breaks.running(is_child.astype(np.int64)) == 0)
    until = np.append(breaks.times[1:], 0)
    kept = np.flatnonzero(working & (until > breaks.times))
    mine = Pieces(parent[breaks.groups[kept]], breaks.times[kept], until[kept])
    childless = end_ns > start_ns
    childless[parent] = False
    alone = np.flatnonzero(childless)
    return _sorted(mine, Pieces(alone, start_ns[alone], end_ns[alone]))


def _sorted(left: Pieces, right: Pieces) -> Pieces:
    row, start, end = (np.concatenate(both) for both in zip(left, right, strict=True))
    order = np.argsort(row, kind="stable")
    return Pieces(row[order], start[order], end[order])
