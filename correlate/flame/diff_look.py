"""How a differential flame graph looks: colours, what hovering tells, the legend. For `flame.plot` to draw.

Colours run from blue (less on the right) over grey (no significant difference) to orange (more): the pair that people
with any common colour blindness can tell apart. Each is light enough for dark text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.flame.diff import DiffTree
from correlate.flame.labels import printable, printable_one
from correlate.flame.significance import Comparison
from correlate.units import human

F64 = npt.NDArray[np.float64]

LESS: Final = ("#d0e3f2", "#a3cbe8", "#6fb1dc")
SAME: Final = "#d6d3d1"
MORE: Final = ("#fee0c0", "#fdbb7a", "#fb9540")
_SCALE: Final = (*reversed(LESS), SAME, *MORE)
_STEPS: Final = np.array([0.05, 0.2, 0.5])
"""How much of the larger side a difference must be for each colour."""


@dataclass(frozen=True)
class Sides:
    """What is shown beside two trees.

    Attributes:
        left: what the baseline is called.
        right: what the other is called.
        comparison: what is known about significance; without it, colours show shares, whatever chance may do.
    """

    left: str = "left"
    right: str = "right"
    comparison: Comparison | None = None

    @property
    def names(self) -> tuple[str, str]:
        """Both names, fit to be printed."""
        return printable_one(self.left), printable_one(self.right)


def colours(diff: DiffTree, sides: Sides) -> list[str]:
    """A colour per node: its own difference where its function differs significantly, else grey."""
    left, right = _compared(diff, sides)
    larger = np.maximum(np.abs(left), np.abs(right))
    change = (right - left) / np.where(larger > 0, larger, 1)
    change[np.sign(change) * _direction(diff, sides) <= 0] = 0
    step = np.searchsorted(_STEPS, np.abs(change), side="right") * np.sign(change)
    step[0] = 0
    return pl.Series(_SCALE).gather(step.astype(np.int64) + len(LESS)).to_list()


def legend(sides: Sides) -> list[tuple[str, str]]:
    """Colour and meaning."""
    right = sides.names[1]
    grey = "about the same" if sides.comparison is None else "no significant difference"
    return [(LESS[-1], f"less in {right}"), (SAME, grey), (MORE[-1], f"more in {right}")]


def headline(diff: DiffTree, unit: str, sides: Sides) -> list[str]:
    """Key figures of both sides."""
    known = sides.comparison
    if known is None:
        totals = (int(diff.left.total[0]), int(diff.right.total[0]))
        return [f"{name} {human(total, unit)}" for name, total in zip(sides.names, totals, strict=True)]
    return [
        f"{name} {human(side.cost, unit)} per span"
        for name, side in zip(sides.names, (known.left, known.right), strict=True)
    ]


def meaning(sides: Sides) -> str:
    """The legend in a few words."""
    return f"blue: less, orange: more in {sides.names[1]}"


def facts(diff: DiffTree, unit: str, sides: Sides) -> dict[str, str]:
    """How much evidence each side is."""
    known = sides.comparison
    if known is None:
        totals = (int(diff.left.total[0]), int(diff.right.total[0]))
        return {name: human(total, unit) for name, total in zip(sides.names, totals, strict=True)}
    return {
        name: f"{side.spans:,} spans, {side.samples:,} samples, {human(side.total, unit)}"
        for name, side in zip(sides.names, (known.left, known.right), strict=True)
    }


def table(unit: str, sides: Sides, count: int = 15) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
    """The frames to read first: heading, titles, and rows of name, place and a text for each title."""
    known = sides.comparison
    titles = (*sides.names, "difference", "95 % interval", "")
    if known is None:
        return "", titles, []
    basis, found = known.basis, known.frames.head(count)
    write = _writer(known, unit)
    chosen = [f"left_{basis}", f"right_{basis}", f"{basis}_difference", f"{basis}_low", f"{basis}_high"]
    figures = found.select(*chosen, f"{basis}_q", "significant", "needs_samples").rows()
    names, places = printable(found["name"]), printable(found["place"])
    rows: list[tuple[str, ...]] = [
        (name, place, write(left), write(right), write(change), _between(low, high, write), _verdict(*rest))
        for name, place, (left, right, change, low, high, *rest) in zip(names, places, figures, strict=True)
    ]
    heading = "What differs" if bool(known.frames["significant"].any()) else "What might differ"
    return f"{heading}, {'per span' if basis == 'cost' else 'in parts of the total'}", titles, rows


def hover(diff: DiffTree, unit: str, sides: Sides) -> list[list[str]]:
    """Lines per node, plain text, the name first: both sides, the difference, and how sure it is."""
    told = _told(diff, unit, sides)
    shares = diff.share
    lines = [printable(diff.left.name).to_list(), printable(diff.left.place).to_list()]
    for name, side, share in zip(sides.names, (diff.left, diff.right), shares, strict=True):
        count = _count(sides, is_right=side is diff.right)
        per = "" if count is None else " per span"
        values = side.total / (count or 1)
        lines.append(
            [
                f"{name}: {human(value, unit)}{per} · {100 * part:.2f} %"
                for value, part in zip(values, share, strict=True)
            ]
        )
    lines.append([f"difference: {100 * change:+.2f} points" for change in shares[1] - shares[0]])
    lines.append(told)
    return [[line for line in node if line] for node in zip(*lines, strict=True)]


def _count(sides: Sides, *, is_right: bool) -> int | None:
    known = sides.comparison
    if known is None:
        return None
    return known.right.spans if is_right else known.left.spans


def _compared(diff: DiffTree, sides: Sides) -> tuple[F64, F64]:
    """The figures that colours compare, by node: values per span, or shares."""
    known = sides.comparison
    if known is None or known.basis == "share":
        return diff.share
    return diff.left.total / known.left.spans, diff.right.total / known.right.spans


def _direction(diff: DiffTree, sides: Sides) -> F64:
    """The sign of the difference of each node's function in all, 0 where it is not significant.

    A helper may differ only where one of its callers calls it; where it changes the other way, chance explains it.
    """
    known = sides.comparison
    if known is None:
        return np.sign(diff.share[1] - diff.share[0])
    signs = known.frames.filter("significant").select("name", sign=pl.col(f"{known.basis}_difference").sign())
    by_name = diff.left.names.to_frame("name").join(signs, on="name", how="left", maintain_order="left")
    return np.asarray(by_name["sign"].fill_null(0.0).to_numpy()[diff.left.name_id])


def _told(diff: DiffTree, unit: str, sides: Sides) -> list[str]:
    """What is known about each node's function, wherever it stands."""
    known = sides.comparison
    if known is None:
        return [""] * len(diff)
    basis, write = known.basis, _writer(known, unit)
    rows = known.frames.select(
        "name", f"{basis}_difference", f"{basis}_low", f"{basis}_high", f"{basis}_q", "significant", "needs_samples"
    ).rows()  # one per function, for people to read
    texts = {
        name: f"function in all: {write(change)} ({_between(low, high, write) or 'limits unknown'}), {_verdict(*rest)}"
        for name, change, low, high, *rest in rows
    }
    names = [texts.get(name, "") for name in diff.left.names]
    return pl.Series(names, dtype=pl.String).gather(diff.left.name_id.astype(np.int64)).to_list()


def _writer(comparison: Comparison, unit: str) -> Callable[[float], str]:
    return partial(human, unit=unit) if comparison.basis == "cost" else _points


def _points(share: float) -> str:
    return f"{100 * share:.2f} %"


def _between(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    return "" if low is None or high is None else f"{write(low)} to {write(high)}"


def _verdict(q: float | None, significant: bool, needs_samples: int) -> str:
    adjusted = "" if q is None else f" (q = {q:.2g})"
    if significant:
        return f"significant{adjusted}"
    if needs_samples:
        return f"under-powered: needs {needs_samples:,} more samples"
    return f"not significant{adjusted}"
