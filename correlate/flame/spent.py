"""What each of many spans spent in each function: the table that comparisons and intervals are computed from.

Spans are the unit of evidence: samples of one span resemble each other, so a thousand samples of two spans say little
about the third. A span without any sample is evidence too, of having spent nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from correlate.errors import BadInput
from correlate.flame.stacks import DescribedStacks, Merge, add_up, describe
from correlate.flame.tree import Shape, Tree, shape_of
from correlate.tables.symbols import Symbols

I64 = npt.NDArray[np.int64]
Sparse = Any
"""A SciPy compressed sparse row array of 64-bit floats."""

OWN = -1
"""In `Spent.callee`: nothing was called, the value is the function's own."""


@dataclass(frozen=True)
class Spent:
    """Values by span and column; a column is a function, or a node of a tree of calls.

    Attributes:
        names: what each column is called. Functions are sorted bytewise, each once.
        places: where each column's code is, "" when unknown.
        total: the value of each span, in the unit of the profile type.
        by_stack: spans x stacks, the value.
        touched: stacks x columns, 1 where a column is on a stack.
        inclusive: spans x columns, the value with everything called: `by_stack` times `touched`, so that a recursive
            function counts once per sample.
        ended: stacks x columns, 1 where a stack ends in a column.
        samples: hits of the profiler per column, what it called included.
        sample_count: hits of the profiler in all.
        caller: a column, for each kind of call; a function that calls itself counts where it does so no more.
        callee: the column it called, or `OWN`.
        calls: the value spent that way, in all spans. Sums over a caller's rows are its inclusive value.
    """

    names: pl.Series
    places: pl.Series
    total: I64
    by_stack: Sparse
    touched: Sparse
    inclusive: Sparse
    ended: Sparse
    samples: I64
    sample_count: int
    caller: I64
    callee: I64
    calls: I64

    def __len__(self) -> int:
        """How many spans."""
        return len(self.total)

    @cached_property
    def own(self) -> Sparse:
        """Spans x columns, the value without what was called; reckoned when it is asked for."""
        return self.by_stack @ self.ended


@dataclass(frozen=True)
class _Pairs:
    """Which columns each stack touches, each once, and what it called there.

    Attributes:
        stack: the stack.
        column: the column.
        callee: the column called last from there, `OWN` where the stack ends in it.
    """

    stack: I64
    column: I64
    callee: I64

    def among(self, columns: I64) -> "_Pairs":
        """Those of some columns (sorted), numbered anew; a callee that is not among them counts as the caller's own."""
        at = np.minimum(np.searchsorted(columns, self.column), len(columns) - 1)
        kept = columns[at] == self.column if len(columns) else np.zeros(len(self.column), bool)
        called = np.minimum(np.searchsorted(columns, self.callee), len(columns) - 1)
        known = columns[called] == self.callee if len(columns) else kept
        return _Pairs(self.stack[kept], at[kept], np.where(known, called, OWN)[kept])


def by_function(rows: pl.DataFrame, span_count: int, symbols: Symbols, merge: Merge = "function") -> Spent:
    """Add samples up by span and function.

    Args:
        rows: columns stack, value, weight and cluster: the number of the span each sample belongs to, from 0 on.
        span_count: how many spans there are, those without samples included.
        symbols: describes the stacks.
        merge: whether frames of one function at different lines are one column or several.

    Raises:
        BadInput: a cluster is not a number of a span.
    """
    found, sums = _sums(rows, span_count, symbols, merge)
    used = np.unique(found.items)  # not every label there is
    frames = found.frames[used]
    pairs = _functions(np.searchsorted(used, found.items), found.offsets)
    return _spent(frames["label"].alias("name"), frames["place"], pairs, sums)


def largest_functions(rows: pl.DataFrame, span_count: int, symbols: Symbols, most: int) -> Spent:
    """The same for the functions with the largest values only, which costs a part of what all of them do.

    Args:
        rows: see `by_function`.
        span_count: see `by_function`.
        symbols: see `by_function`.
        most: how many functions.

    Raises:
        BadInput: a cluster is not a number of a span.
    """
    found, sums = _sums(rows, span_count, symbols, "function")
    pairs = _functions(found.items, found.offsets)
    value = add_up(sums.values[pairs.stack], pairs.column, found.frames.height)
    largest = np.argsort(-np.abs(value), kind="stable")[:most]
    kept = np.sort(largest[value[largest] != 0])
    return _spent(found.frames["label"][kept].alias("name"), found.frames["place"][kept], pairs.among(kept), sums)


def by_node(rows: pl.DataFrame, span_count: int, symbols: Symbols, merge: Merge = "function") -> tuple[Tree, Spent]:
    """Grow the tree of some samples, and add them up by span and node; columns are the tree's rows.

    Args:
        rows: see `by_function`.
        span_count: see `by_function`.
        symbols: see `by_function`.
        merge: see `by_function`.

    Raises:
        BadInput: a cluster is not a number of a span.
    """
    found, sums = _sums(rows, span_count, symbols, merge)
    shape = shape_of(found.frames, found.items, found.offsets)
    grown = shape.tree(sums.values, sums.weights)
    return grown, _spent(grown.name, grown.place, _nodes(shape), sums)


@dataclass(frozen=True)
class _Sums:
    """Values by span and stack, and what follows from them alone."""

    matrix: Sparse
    total: I64
    values: I64
    weights: I64


def _sums(rows: pl.DataFrame, span_count: int, symbols: Symbols, merge: Merge) -> tuple[DescribedStacks, _Sums]:
    cluster = rows["cluster"].to_numpy()
    if len(cluster) and not 0 <= int(cluster.min()) <= int(cluster.max()) < span_count:
        raise BadInput(f"samples belong to spans that are not among the {span_count:,} given ones")
    ids = rows["stack"].unique().sort()
    found = describe(symbols, ids.to_numpy(), merge)
    stack = found.rows[ids.search_sorted(rows["stack"]).to_numpy()] if len(ids) else np.zeros(0, np.int64)
    count = len(found.offsets) - 1
    value, weight = rows["value"].to_numpy(), rows["weight"].to_numpy()
    coordinates = sparse.coo_array((value.astype(np.float64), (cluster, stack)), shape=(span_count, count))
    return found, _Sums(
        matrix=coordinates.tocsr(),
        total=add_up(value, cluster, span_count),
        values=add_up(value, stack, count),
        weights=add_up(weight, stack, count),
    )


def _functions(items: I64, offsets: I64) -> _Pairs:
    """Each function of each stack where it stands last, so that recursion counts once."""
    lengths = np.diff(offsets)
    stack = np.repeat(np.arange(len(lengths)), lengths)
    callee = np.append(items[1:], OWN)[: len(items)]
    callee[offsets[1:] - 1] = OWN
    key = stack * (int(items.max(initial=0)) + 1) + items
    order = np.argsort(key, kind="stable")
    is_last = np.append(key[order[1:]] != key[order[:-1]], True)[: len(order)]
    last = order[is_last]
    return _Pairs(stack[last], items[last], callee[last])


def _nodes(shape: Shape) -> _Pairs:
    """Each stack's leaf with all its ancestors; one step per level of the tree."""
    stack, column, callee = np.arange(len(shape.leaf)), shape.leaf, np.full(len(shape.leaf), OWN, np.int64)
    steps = [_Pairs(stack, column, callee)]
    while len(stack):
        above = shape.parent[column].astype(np.int64)
        inside = above >= 0
        stack, callee, column = stack[inside], column[inside], above[inside]
        steps.append(_Pairs(stack, column, callee))
    return _Pairs(
        np.concatenate([step.stack for step in steps]),
        np.concatenate([step.column for step in steps]),
        np.concatenate([step.callee for step in steps]),
    )


def _spent(names: pl.Series, places: pl.Series, pairs: _Pairs, sums: _Sums) -> Spent:
    count, stack_count = len(names), sums.matrix.shape[1]
    touched = _incidence(pairs.stack, pairs.column, (stack_count, count))
    ends = pairs.callee == OWN
    ended = _incidence(pairs.stack[ends], pairs.column[ends], (stack_count, count))
    calls = pl.DataFrame({"caller": pairs.column, "callee": pairs.callee, "value": sums.values[pairs.stack]})
    calls = calls.group_by("caller", "callee").agg(pl.col("value").sum())
    return Spent(
        names=names,
        places=places,
        total=sums.total,
        by_stack=sums.matrix,
        touched=touched,
        inclusive=sums.matrix @ touched,
        ended=ended,
        samples=add_up(sums.weights[pairs.stack], pairs.column, count),
        sample_count=int(sums.weights.sum()),
        caller=calls["caller"].to_numpy(),
        callee=calls["callee"].to_numpy(),
        calls=calls["value"].to_numpy(),
    )


def _incidence(rows: I64, columns: I64, shape: tuple[int, int]) -> Sparse:
    return sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=shape).tocsr()


def aligned(left: Spent, right: Spent) -> tuple[Spent, Spent]:
    """Give two tables of functions the same columns: all names of either, sorted; missing ones are zero."""
    both = pl.concat([pl.DataFrame({"name": side.names, "place": side.places}) for side in (left, right)])
    union = both.group_by("name").agg(pl.col("place").max()).sort("name")
    return _moved(left, union), _moved(right, union)


def _moved(spent: Spent, union: pl.DataFrame) -> Spent:
    place = union["name"].search_sorted(spent.names).to_numpy().astype(np.int64)
    count = union.height
    called = np.append(place, OWN)  # so that OWN, the last row, stays itself
    return Spent(
        names=union["name"],
        places=union["place"],
        total=spent.total,
        by_stack=spent.by_stack,
        touched=_with_columns(spent.touched, place, count),
        inclusive=_with_columns(spent.inclusive, place, count),
        ended=_with_columns(spent.ended, place, count),
        samples=add_up(spent.samples, place, count),
        sample_count=spent.sample_count,
        caller=place[spent.caller],
        callee=called[spent.callee],
        calls=spent.calls,
    )


def _with_columns(matrix: Sparse, place: I64, count: int) -> Sparse:
    return sparse.csr_array((matrix.data, place[matrix.indices], matrix.indptr), shape=(matrix.shape[0], count))
