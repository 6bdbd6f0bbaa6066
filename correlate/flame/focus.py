"""Parts of a profile: the stacks that touch some functions, or what such a function calls, or who calls it.

A lens works on rows and symbols, before any tree is grown, so every form of a flame graph can be looked at through it.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.flame.matching import Matcher, named, regex, where
from correlate.flame.stacks import NO_STACK
from correlate.tables.hashing import sequence_hashes
from correlate.tables.ragged import offsets_of, take_ragged
from correlate.tables.symbols import Symbols

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_UNKNOWN_ROW: Final = 0  # `Symbols.build` puts the frame "[unknown]" first


@dataclass(frozen=True, slots=True)
class Lens:
    """Which part of a profile to look at; an empty text asks for nothing.

    `focus` and `ignore` are regular expressions that are looked for anywhere in a frame's name, as in pprof. The
    others take one too, or an operator first, as in ``=~"Handler"``, ``="main.work"``, ``!~"^runtime"``, ``!="main"``.
    Stacks are chosen first, all conditions together; then what is left is cut at `callees_of`, then at `callers_of`.

    Attributes:
        focus: keep stacks in which a frame matches.
        ignore: drop stacks in which a frame matches.
        function: as `focus`; with a ``!`` as `ignore`.
        self_of: keep stacks whose leaf matches.
        callees_of: begin stacks at the first match from the root; stacks without one are dropped.
        callers_of: end stacks at the last match from the root and turn them around: the function is the root, its
            callers are beneath it; stacks without one are dropped.
    """

    focus: str = ""
    ignore: str = ""
    function: str = ""
    self_of: str = ""
    callers_of: str = ""
    callees_of: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether it shows everything as it is."""
        return self == Lens()


@dataclass(frozen=True, slots=True)
class Kept:
    """How much a lens leaves.

    Attributes:
        kept: value of the stacks that are left.
        whole: value of all stacks.
    """

    kept: int
    whole: int

    @classmethod
    def between(cls, before: pl.DataFrame, after: pl.DataFrame) -> "Kept":
        """Compare the rows that went into `look` with those that came out."""
        return cls(int(after["value"].sum()), int(before["value"].sum()))

    @property
    def share(self) -> float | None:
        """Part of the whole that is left; None when there is nothing."""
        return self.kept / self.whole if self.whole else None


def look(symbols: Symbols, rows: pl.DataFrame, lens: Lens) -> tuple[Symbols, pl.DataFrame]:
    """Look at samples through a lens.

    Names are those that people see (`Symbols.names`); samples whose stack is not known have the one frame
    ``[unknown]``, those without a stack ``[no stack]``.

    Args:
        symbols: describes the stacks.
        rows: a column stack; all other columns stay as they are.
        lens: what to keep.

    Returns:
        The rows that are left (perhaps none), and symbols for them. A stack that was cut has the hash of what is left
        of its frames as its id, so the same part of two profiles has the same id in both.

    Raises:
        BadQuery: a regular expression cannot be read or is too long; names the parameter.
    """
    filters, callees, callers = _matchers(lens)
    if lens.is_plain:
        return symbols, rows
    found = _Stacks.of(symbols, rows["stack"].to_numpy())
    kept = found.chosen(filters)
    if callees is None and callers is None:
        return symbols, rows.filter(kept[found.rows_of(rows["stack"].to_numpy())])
    cut = found.taken(kept)
    if callees is not None:
        cut = cut.from_first(callees)
    if callers is not None:
        cut = cut.up_to_last(callers)
    return _renamed(symbols, rows, cut, turned=callers is not None)


def containing(symbols: Symbols, wanted: Matcher) -> I64:
    """The ids of the known stacks in which a frame's name matches."""
    hits = where(symbols.names, wanted)[symbols.items]
    stack = np.searchsorted(symbols.offsets, np.flatnonzero(hits), side="right") - 1
    return symbols.stacks[np.unique(stack)]


@dataclass(frozen=True, slots=True)
class _Filter:
    """A condition on stacks: some frame (or the leaf) matches, or (when dropping) does not."""

    matcher: Matcher
    drops: bool = False
    leaf_only: bool = False


def _matchers(lens: Lens) -> tuple[list[_Filter], Matcher | None, Matcher | None]:
    """What a lens asks for: filters, where to begin, where to end."""
    filters = []
    if lens.focus:
        filters.append(_Filter(regex("focus", lens.focus)))
    if lens.ignore:
        filters.append(_Filter(regex("ignore", lens.ignore), drops=True))
    if lens.function:
        function = named("function", lens.function)
        filters.append(_Filter(function, drops=function.negated))
    if lens.self_of:
        leaf = named("self_of", lens.self_of)
        filters.append(_Filter(leaf, drops=leaf.negated, leaf_only=True))
    callees = named("callees_of", lens.callees_of, may_negate=False) if lens.callees_of else None
    callers = named("callers_of", lens.callers_of, may_negate=False) if lens.callers_of else None
    return filters, callees, callers


@dataclass(frozen=True)
class _Stacks:
    """Distinct stacks, none of them empty, and the names of their frames.

    Attributes:
        ids: stack ids as in the samples, sorted.
        items: rows in `names`, root first, all stacks one after the other.
        offsets: where each stack starts in `items`, plus the end.
        names: of the frames of the symbols, and ``[no stack]`` after them.
        described: which stacks the symbols describe; the others have one frame that stands for what is not known.
    """

    ids: I64
    items: I64
    offsets: I64
    names: pl.Series
    described: Mask

    @classmethod
    def of(cls, symbols: Symbols, stacks: I64) -> "_Stacks":
        ids = np.unique(stacks)
        rows = symbols.rows_of(ids)
        lengths = np.diff(symbols.offsets)[rows] if len(symbols.stacks) else np.zeros(len(ids), np.int64)
        described = (rows >= 0) & (lengths > 0) & (ids != 0)
        stand_ins = np.where((rows < 0) & (ids != 0), _UNKNOWN_ROW, symbols.frames.height)
        flat, _ = take_ragged(symbols.items, symbols.offsets, rows[described])
        offsets = offsets_of(np.where(described, lengths, 1))
        items = np.repeat(stand_ins, np.diff(offsets))
        items[np.repeat(described, np.diff(offsets))] = flat
        names = pl.concat([symbols.names, pl.Series([NO_STACK])])
        return cls(ids, items, offsets, names, described)

    @cached_property
    def stack_of(self) -> I64:
        """The stack that each item is in."""
        return np.repeat(np.arange(len(self.ids)), np.diff(self.offsets))

    def rows_of(self, stacks: I64) -> I64:
        """The row of each id of a column of samples; they are all here unless `taken` left some out."""
        return np.searchsorted(self.ids, stacks)

    def chosen(self, filters: list[_Filter]) -> Mask:
        """The stacks that satisfy every condition."""
        kept = np.ones(len(self.ids), bool)
        for condition in filters:
            hits = self._hits(condition.matcher)
            touched = hits[self.offsets[1:] - 1] if condition.leaf_only else self._touched(hits)
            kept &= touched != condition.drops
        return kept

    def taken(self, kept: Mask) -> "_Stacks":
        """Some of the stacks."""
        rows = np.flatnonzero(kept)
        items, lengths = take_ragged(self.items, self.offsets, rows)
        return self._made_of(rows, items, lengths)

    def from_first(self, matcher: Matcher) -> "_Stacks":
        """Each stack from its first match on; those without one are left out."""
        hits = np.flatnonzero(self._hits(matcher))
        rows, first = np.unique(self.stack_of[hits], return_index=True)
        positions, lengths = _ranges(hits[first], self.offsets[rows + 1])
        return self._made_of(rows, self.items[positions], lengths)

    def up_to_last(self, matcher: Matcher) -> "_Stacks":
        """Each stack up to its last match, turned around; those without one are left out."""
        hits = np.flatnonzero(self._hits(matcher))[::-1]
        rows, last = np.unique(self.stack_of[hits], return_index=True)
        begin, end = self.offsets[rows], hits[last] + 1
        positions, lengths = _ranges(begin, end)
        mirrored = np.repeat(begin + end - 1, lengths) - positions
        return self._made_of(rows, self.items[mirrored], lengths)

    def _made_of(self, rows: I64, items: I64, lengths: I64) -> "_Stacks":
        """Some of the stacks with other items."""
        offsets = offsets_of(lengths)
        return replace(self, ids=self.ids[rows], items=items, offsets=offsets, described=self.described[rows])

    def _hits(self, matcher: Matcher) -> Mask:
        """Which items match; only the names that occur are looked at."""
        used = np.unique(self.items)
        matches = np.zeros(len(self.names), bool)
        matches[used] = where(self.names.gather(used), matcher)
        return matches[self.items]

    def _touched(self, hits: Mask) -> Mask:
        touched = np.zeros(len(self.ids), bool)
        touched[self.stack_of[hits]] = True
        return touched


def _ranges(begin: I64, end: I64) -> tuple[I64, I64]:
    """All positions from each begin to its end, one range after the other, and the length of each."""
    lengths = end - begin
    starts = np.repeat(begin - (np.cumsum(lengths) - lengths), lengths)
    return starts + np.arange(len(starts), dtype=np.int64), lengths


def _renamed(symbols: Symbols, rows: pl.DataFrame, cut: _Stacks, *, turned: bool) -> tuple[Symbols, pl.DataFrame]:
    """Symbols of cut stacks under new ids, and the rows that have one of them."""
    frame_ids = np.append(symbols.frames["frame"].to_numpy(), 0)
    stand_ins = np.where(cut.items[cut.offsets[:-1]] == _UNKNOWN_ROW, cut.ids, 0)
    ids = np.where(cut.described, sequence_hashes(frame_ids[cut.items], cut.offsets), stand_ins)
    distinct, first = np.unique(ids[cut.described], return_index=True)
    items, lengths = take_ragged(cut.items, cut.offsets, np.flatnonzero(cut.described)[first])
    # In a stack that was turned around, a frame no longer follows the one it is inlined into.
    frames = symbols.frames.with_columns(inlined=pl.lit(value=False)) if turned else symbols.frames
    renamed = pl.DataFrame({"stack": cut.ids, "_stack": ids}, schema={"stack": pl.Int64, "_stack": pl.Int64})
    left = rows.join(renamed, on="stack", how="inner", maintain_order="left")
    left = left.with_columns(stack=pl.col("_stack")).select(rows.columns)
    return Symbols(distinct, offsets_of(lengths), items.astype(np.int32), frames), left
