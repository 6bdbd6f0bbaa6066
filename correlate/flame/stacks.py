"""From rows of samples to distinct labelled stacks: the common first step of trees and of stack-wise exports."""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.tables.ragged import offsets_of, take_ragged
from correlate.tables.symbols import Symbols

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]

Merge = Literal["function", "line"]
"""What makes two frames the same node: the function's display name, or that together with file and line."""

UNKNOWN = "[unknown]"
NO_STACK = "[no stack]"

_MANY_ROWS: Final = 1 << 17  # from here on the streaming engine groups two to three times as fast, below it is slower


@dataclass(frozen=True)
class LabelledStacks:
    """Distinct stacks with their sums, root first inside.

    Attributes:
        frames: one row per distinct label, sorted by label (bytewise): label, function, file, line, place. `place` is
            where the code is, for people: ``file:line`` or ``file``, "" when unknown.
        items: rows in `frames`, root first, all stacks one after the other.
        offsets: where each stack starts in `items`, plus the end. No stack is empty.
        values: the sum of each stack's values, in the unit of the profile type.
        weights: how many hits of the profiler each stack stands for; None when that is not known.
    """

    frames: pl.DataFrame
    items: I64
    offsets: I64
    values: I64
    weights: I64 | None


@dataclass(frozen=True)
class DescribedStacks:
    """Distinct labelled stacks, and which of them each stack asked for is.

    Attributes:
        frames: as in `LabelledStacks`.
        items: rows in `frames`, root first, all stacks one after the other.
        offsets: where each labelled stack starts in `items`, plus the end. No stack is empty.
        rows: the labelled stack of each stack asked for; all that are not known are one, ``[unknown]``.
    """

    frames: pl.DataFrame
    items: I64
    offsets: I64
    rows: I64


def gather(
    symbols: Symbols,
    stacks: I64,
    values: I64,
    weights: npt.NDArray[np.integer] | None = None,
    merge: Merge = "function",
) -> LabelledStacks:
    """Add rows up by stack and look the stacks' frames up.

    Args:
        symbols: where the stacks are described.
        stacks: one stack id per row.
        values: one value per row; may be negative, so that differences can be drawn.
        weights: hits of the profiler per row.
        merge: whether frames of one function at different lines are one frame or several.

    Returns:
        Stacks whose values sum to ``values.sum()`` exactly: what `symbols` does not know is one stack ``[unknown]``,
        and samples without a stack (id 0) are one stack ``[no stack]``.
    """
    sums = _sums_by_stack(stacks, values, weights)
    found = describe(symbols, sums["stack"].to_numpy(), merge)
    count = len(found.offsets) - 1
    return LabelledStacks(
        frames=found.frames,
        items=found.items,
        offsets=found.offsets,
        values=add_up(sums["value"].to_numpy(), found.rows, count),
        weights=None if weights is None else add_up(sums["weight"].to_numpy(), found.rows, count),
    )


def describe(symbols: Symbols, ids: I64, merge: Merge = "function") -> DescribedStacks:
    """Look the frames of some stacks up, whatever their values.

    Args:
        symbols: where the stacks are described.
        ids: distinct stack ids.
        merge: whether frames of one function at different lines are one frame or several.
    """
    rows = symbols.rows_of(ids)
    lengths = np.diff(symbols.offsets)[rows] if len(symbols.stacks) else np.zeros(len(rows), np.int64)
    absent = ids == 0
    kind = np.where(absent | ((rows >= 0) & (lengths == 0)), 2, np.where(rows < 0, 1, 0))
    described = kind == 0
    flat, lengths = take_ragged(symbols.items, symbols.offsets, rows[described])
    frames, items = _label(symbols, flat, merge)
    specials = [code for code in (1, 2) if (kind == code).any()]
    lengths = np.concatenate([lengths, np.ones(len(specials), np.int64)])
    place = np.cumsum(described) - 1
    for row, code in enumerate(specials, int(described.sum())):
        place[kind == code] = row
    items = np.concatenate([items, _rows_of_specials(frames, specials)])
    return DescribedStacks(frames, items, offsets_of(lengths), place)


def add_up(values: I64, rows: npt.NDArray[np.integer], count: int) -> I64:
    """A column of `count` zeros with values added at some rows, exactly."""
    column = np.zeros(count, np.int64)
    np.add.at(column, rows, values)
    return column


def _sums_by_stack(stacks: I64, values: I64, weights: npt.NDArray[np.integer] | None) -> pl.DataFrame:
    columns = {"stack": stacks, "value": values, "weight": np.zeros(0) if weights is None else weights}
    present = [name for name in columns if name != "weight" or weights is not None]
    frame = pl.DataFrame({name: pl.Series(columns[name], dtype=pl.Int64) for name in present})
    sums = frame.lazy().group_by("stack").agg(pl.all().sum())
    return sums.collect(engine="streaming" if len(frame) > _MANY_ROWS else "in-memory")


def _rows_of_specials(frames: pl.DataFrame, specials: list[int]) -> I64:
    """Rows of ``[unknown]`` and ``[no stack]``; `_label` sees to it that they are always there."""
    wanted = pl.Series([{1: UNKNOWN, 2: NO_STACK}[code] for code in specials], dtype=pl.String)
    return frames["label"].search_sorted(wanted).to_numpy().astype(np.int64) if specials else np.zeros(0, np.int64)


def _label(symbols: Symbols, flat: I64, merge: Merge) -> tuple[pl.DataFrame, I64]:
    """The labels of the frames that occur, each once and sorted, and the label of each item."""
    present = np.zeros(symbols.frames.height, bool)
    present[flat] = True
    used = np.flatnonzero(present)
    described = _described(symbols, used, merge)
    everything = pl.concat([described, _SPECIALS])
    # a label whose frames lie in several places gets the last of them, so "" only when none is known
    frames = everything.sort("label", "place", descending=[False, True])
    frames = frames.filter(pl.col("label").ne_missing(pl.col("label").shift()))
    codes = np.zeros(symbols.frames.height, np.int64)
    codes[used] = frames["label"].search_sorted(described["label"]).to_numpy()
    return frames, codes[flat]


def _described(symbols: Symbols, used: I64, merge: Merge) -> pl.DataFrame:
    """The label and place of some frames; frames are one node when their labels are equal."""
    line = pl.col("line" if merge == "line" else "start_line")
    at_line = pl.when((pl.col("file") != "") & (line > 0)).then(pl.format("{}:{}", "file", line))
    place = at_line.otherwise(pl.col("file"))
    name = pl.lit(symbols.names[used])
    label = (name + pl.lit(" ") + place).str.strip_suffix(" ") if merge == "line" else name
    return symbols.frames[used].select(label=label, function=name, file=pl.col("file"), line=line, place=place)


_SPECIALS = pl.DataFrame(
    [(UNKNOWN, UNKNOWN, "", 0, ""), (NO_STACK, NO_STACK, "", 0, "")],
    schema={"label": pl.String, "function": pl.String, "file": pl.String, "line": pl.Int64, "place": pl.String},
    orient="row",
)
