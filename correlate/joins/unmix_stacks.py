"""The counts of the windows as a matrix: the stacks that matter one by one, all others together."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.sparse import csr_array

from correlate.joins.given import F64, I64
from correlate.joins.steps import Codes

MOST_STACKS: Final = 4_000
"""How many stacks are unmixed one by one."""

MOST_CELLS: Final = 4_000_000
"""Windows times stacks, so that many windows do not take more memory than many stacks do."""

LEAST_HITS: Final = 3.0
"""A stack that was hit less often says nothing about who called it."""

MOST_ATOMS: Final = 400
FEWEST_ATOMS: Final = 100
MOST_ATOM_CELLS: Final = 60_000
"""How many stacks are told apart where fewer columns will do, the fewer the more windows; all others count as one."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What the profiler saw.

    Attributes:
        windows: codes of the windows in which it saw something, sorted.
        stacks: ids, sorted.
        value: value by window and stack, in the profile type's unit.
        hits_per_value: for each stack, how many hits of the profiler a unit of value stands for.
        column: for each stack its column in `hits`; the last column is that of all stacks without one of their own.
        hits: by window and column; values, in steps as large as the hits of their stack are on average.
        atom: for each column its place in `coarse`, again with the last one for all others.
    """

    windows: I64
    stacks: I64
    value: csr_array
    hits_per_value: F64
    column: I64
    hits: F64
    atom: I64

    @classmethod
    def of(cls, counts: pl.DataFrame) -> "Counts":
        """Index rows of window, stack, value and weight, each pair once; without value or hits a row does not count."""
        seen = counts.filter((pl.col("value") > 0) & (pl.col("weight") > 0))
        window, stack = (seen[name].to_numpy() for name in ("window", "stack"))
        value, weight = (seen[name].cast(pl.Float64).to_numpy() for name in ("value", "weight"))
        windows, stacks = Codes.of(window), Codes.of(stack)
        shape = (len(windows.values), len(stacks.values))
        row, at = windows.code(window), stacks.code(stack)
        hits = np.bincount(at, weight, shape[1]).astype(np.float64)
        per_value = hits / np.bincount(at, value, shape[1])
        column = _column(hits, min(MOST_STACKS, max(FEWEST_ATOMS, MOST_CELLS // max(1, shape[0]))), LEAST_HITS)
        count = int(column.max(initial=-1)) + 1
        cells = np.bincount(row * count + column[at], value * per_value[at], shape[0] * count).astype(np.float64)
        dense = cells.reshape(shape[0], count)
        atoms = min(MOST_ATOMS, max(FEWEST_ATOMS, MOST_ATOM_CELLS // max(1, shape[0])))
        atom = _column(dense.sum(axis=0), atoms, 0.0, last=count - 1)
        return cls(windows.values, stacks.values, csr_array((value, (row, at)), shape), per_value, column, dense, atom)

    def coarse(self) -> F64:
        """Hits by window and atom."""
        return added(self.hits, self.atom)


def added(columns: F64, place: I64) -> F64:
    """Add up columns that go to the same place, shape (rows, places)."""
    count = int(place.max(initial=-1)) + 1
    onto = csr_array((np.ones(len(place)), (place, np.arange(len(place)))), (count, len(place)))
    return np.asarray((onto @ columns.T).T)


def _column(hits: F64, most: int, least: float, last: int = -1) -> I64:
    """Number the fullest stacks, in their order; all others, and `last`, share the number after them."""
    order = np.argsort(-hits, kind="stable")[:most]
    kept = order[(hits[order] >= least) & (order != last)]
    column = np.full(len(hits), len(kept))
    column[np.sort(kept)] = np.arange(len(kept))
    return column
