"""Spans by how they are related within their traces: parents, children, ancestors, descendants, siblings.

A relation holds where the parent pointers of stored spans say so. What lies above a span whose parent is not stored is
not known, so no negated relation picks such a span either; Tempo leaves it out in the same way.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.traceql.syntax import Query, SpansWith

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_INVERSE: Final = {">": "<", "<": ">", ">>": "<<", "<<": ">>", "~": "~"}
_FAR: Final = frozenset({">>", "<<"})


@dataclass(frozen=True, slots=True)
class Forest:
    """The spans of some traces; n of them.

    Attributes:
        trace: a number for each trace, shape (n,).
        up: the row of the parent, n where it is absent; one more entry, n itself, so that n points to n.
        siblings: a number for each set of spans with the same parent, -1 for roots, shape (n,).
    """

    trace: I64
    up: I64
    siblings: I64

    @classmethod
    def of(cls, spans: pl.DataFrame) -> "Forest":
        """From columns trace_hi, trace_lo, span, parent. Of several spans with one id the first counts as parent."""
        numbered = spans.select("span", "parent", trace=_numbers(spans, ["trace_hi", "trace_lo"]))
        rows = numbered.select("trace", parent="span", row=pl.int_range(pl.len(), dtype=pl.Int64))
        rows = rows.unique(["trace", "parent"], keep="first", maintain_order=True)
        above = numbered.join(rows, on=["trace", "parent"], how="left", maintain_order="left")["row"]
        is_root = (spans["parent"] == 0).to_numpy()
        count = len(spans)
        up = np.where(is_root, count, above.fill_null(count).to_numpy())
        siblings = np.where(is_root, -1, _numbers(numbered, ["trace", "parent"]).to_numpy())
        return cls(numbered["trace"].to_numpy(), np.append(up, count).astype(np.int64), siblings)

    @property
    def known(self) -> Mask:
        """Spans that are roots or whose parent is stored."""
        return (self.siblings < 0) | (self.up[:-1] < len(self.trace))

    @property
    def _rounds(self) -> int:
        """Steps of pointer doubling that reach from any span to its root: cycles cannot make it more."""
        deepest = int(np.bincount(self.trace).max()) if len(self.trace) else 0
        return deepest.bit_length()

    def children(self, of: Mask) -> Mask:
        """Spans whose parent is marked."""
        return np.asarray(np.append(of, False)[self.up][:-1])

    def parents(self, of: Mask) -> Mask:
        """Spans with a child that is marked."""
        found = np.zeros(len(self.up), bool)
        found[self.up[:-1][of]] = True
        return found[:-1]

    def descendants(self, of: Mask) -> Mask:
        """Spans with an ancestor that is marked."""
        up = self.up
        reached = np.append(of, False)[up]
        for _ in range(self._rounds):
            reached |= reached[up]
            up = up[up]
        return np.asarray(reached[:-1])

    def ancestors(self, of: Mask) -> Mask:
        """Spans with a descendant that is marked."""
        up = self.up
        reached = np.append(self.parents(of), False)
        for _ in range(self._rounds):
            reached[up[reached]] = True
            up = up[up]
        return np.asarray(reached[:-1])

    def siblings_of(self, of: Mask) -> Mask:
        """Spans that share a parent with another span that is marked."""
        inside = self.siblings >= 0
        marked = np.bincount(self.siblings[inside & of], minlength=len(self.trace))
        return np.asarray(inside & (marked[self.siblings] > of))

    def traces_with(self, marked: Mask) -> Mask:
        """Which traces, by number, have a span that is marked."""
        return np.bincount(self.trace[marked], minlength=self._trace_count) > 0

    @property
    def _trace_count(self) -> int:
        return int(self.trace.max(initial=-1)) + 1


def related(query: Query, marks: Sequence[Mask], forest: Forest) -> Mask:
    """Which spans a query chooses, given those that each of its ``{ … }`` matches, from left to right."""
    return _related(query, iter(marks), forest)


def _related(query: Query, marks: Iterator[Mask], forest: Forest) -> Mask:
    if isinstance(query, SpansWith):
        return next(marks)
    left = _related(query.left, marks, forest)
    right = _related(query.right, marks, forest)
    if query.op == "||":
        return left | right
    if query.op == "&&":
        return (left | right) & (forest.traces_with(left) & forest.traces_with(right))[forest.trace]
    return _by_relation(query.op, left, right, forest)


def _by_relation(op: str, left: Mask, right: Mask, forest: Forest) -> Mask:
    sign, plain = (op[0], op[1:]) if op[0] in "!&" else ("", op)
    found = right & _step(plain, forest)(left)
    if sign == "!":
        return right & ~found & forest.known
    return found | (left & _step(_INVERSE[plain], forest)(right)) if sign == "&" else found


def _step(op: str, forest: Forest) -> Callable[[Mask], Mask]:
    return {
        ">": forest.children,
        ">>": forest.descendants,
        "<": forest.parents,
        "<<": forest.ancestors,
        "~": forest.siblings_of,
    }[op]


def possible_traces(query: Query, marks: Sequence[Mask], trace: I64) -> Mask:
    """Which traces, by number, can have chosen spans at all: a cheap bound, without any parents."""
    count = int(trace.max(initial=-1)) + 1
    return _possible(query, (np.bincount(trace[mark], minlength=count) > 0 for mark in marks))


def _possible(query: Query, traces: Iterator[Mask]) -> Mask:
    if isinstance(query, SpansWith):
        return next(traces)
    left = _possible(query.left, traces)
    right = _possible(query.right, traces)
    if query.op == "||":
        return left | right
    return right if query.op[0] == "!" else left & right


def needs_whole_traces(query: Query) -> bool:
    """Whether spans count that match nothing themselves: between ancestors and descendants, or as unrelated parents."""
    if isinstance(query, SpansWith):
        return False
    plain = query.op.lstrip("!&")
    return plain in _FAR or "!" in query.op or needs_whole_traces(query.left) or needs_whole_traces(query.right)


def trace_numbers(spans: pl.DataFrame) -> I64:
    """A number for the trace of each span."""
    return _numbers(spans, ["trace_hi", "trace_lo"]).to_numpy()


def _numbers(rows: pl.DataFrame, columns: list[str]) -> pl.Series:
    """A number for each distinct combination of columns."""
    distinct = rows.select(columns).unique().with_row_index("number")
    found = rows.select(columns).join(distinct, on=columns, how="left", maintain_order="left")
    return found["number"].cast(pl.Int64)
