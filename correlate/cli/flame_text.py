"""A flame graph for the terminal: an indented tree with bars, the hottest path in bold, and where the time is spent.

Chains of functions that only pass the work on are one line (``a → b → c``); branches below a threshold are summed up.
Names are shown with their control characters escaped, and never read as markup.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import polars as pl
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions
from rich.text import Text

from correlate.flame import labels
from correlate.flame.outline import Line, outline
from correlate.flame.top import functions
from correlate.flame.tree import Tree
from correlate.units import human

_HEAT: Final = ((0.5, "#ef4444"), (0.2, "#f97316"), (0.05, "#f59e0b"), (0.0, "#a8a29e"))
_LEAST_NAME_CELLS: Final = 10
_SHARE_CELLS: Final = 8
_VALUE_CELLS: Final = 10


_SIMILAR: Final = str.maketrans("·…→\N{MULTIPLICATION SIGN}µ", "-~>xu")


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters a terminal can show."""

    blocks: str
    fork: str
    last: str
    pass_by: str
    arrow: str
    dots: str
    dot: str
    times: str


UNICODE: Final = Glyphs(" ▏▎▍▌▋▊▉█", "├─ ", "└─ ", "│  ", " → ", "…", "·", "\N{MULTIPLICATION SIGN}")
ASCII: Final = Glyphs(" #", "|- ", "`- ", "|  ", " > ", "...", "-", "x")


@dataclass(frozen=True, slots=True)
class FlameText:
    """A flame graph that rich can print at any width; see `render`."""

    title: str
    width: int | None
    total: int
    samples: int | None
    unit: str
    lines: tuple[Line, ...]
    top: tuple[tuple[str, str, int], ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = min(self.width or options.max_width, options.max_width)
        pen = Pen(width, self.total, self.unit, ASCII if options.ascii_only else UNICODE)
        yield pen.cut(self._headline(pen.glyphs))
        yield from (pen.line(line) for line in self.lines)
        if self.top:
            yield Text()
            yield Text("Where it is spent", style="bold")
            yield from (pen.top(*row) for row in self.top)

    def _headline(self, glyphs: Glyphs) -> Text:
        samples = "" if self.samples is None else f" {glyphs.dot} {self.samples:,} samples"
        title = f"{self.title}  " if self.title else ""
        return Text.assemble((title, "bold"), (f"{human(self.total, self.unit)}{samples}", "dim"))


@dataclass(frozen=True, slots=True)
class Pen:
    """Lays lines out in columns: share, value, bar, then whatever fits of the name."""

    width: int
    total: int
    unit: str
    glyphs: Glyphs

    @property
    def bar_cells(self) -> int:
        """How long a bar of 100 % is."""
        return min(max(self.width // 6, 8), 24)

    def line(self, line: Line) -> Text:
        """One line of the tree."""
        guide = self._guide(line.branch)
        room = max(self.width - self._left_cells() - cell_len(guide), 1)
        text = self._numbers(line.value, dim=not line.names)
        text.append(guide, style="dim")
        if not line.names:
            text.append(f"{self.glyphs.dots} {line.more:,} more", style="dim italic")
        else:
            text.append(self._chain(line.names, room), style="bold" if line.hot else "")
        return self.cut(text)

    def top(self, name: str, place: str, value: int) -> Text:
        """One line of the table of functions by own value."""
        text = self._numbers(value)
        text.append(f"{name}  ")
        text.append(self._clip_left(place, self.width - text.cell_len), style="dim")
        return self.cut(text)

    def cut(self, text: Text) -> Text:
        """The text, no longer than the line."""
        if self.glyphs is ASCII:
            text = _as_ascii(text)
        text.truncate(self.width, overflow="ellipsis" if self.glyphs is UNICODE else "crop")
        text.no_wrap = True
        return text

    def _left_cells(self) -> int:
        return _SHARE_CELLS + _VALUE_CELLS + self.bar_cells + 2

    def _numbers(self, value: int, *, dim: bool = False) -> Text:
        share = value / self.total if self.total else 0.0
        heat = next((colour for least, colour in _HEAT if share >= least), _HEAT[-1][1])
        value_text = human(value, self.unit)
        return Text.assemble(
            (f"{100 * share:>{_SHARE_CELLS - 2}.1f} %", "dim" if dim else ""),
            (f"{value_text:>{_VALUE_CELLS}}", "dim"),
            " ",
            (self._bar(share), "dim" if dim else heat),
            " ",
        )

    def _bar(self, share: float) -> str:
        blocks = self.glyphs.blocks
        steps = len(blocks) - 1
        filled = round(min(max(share, 0.0), 1.0) * self.bar_cells * steps)
        whole, rest = divmod(filled, steps)
        return (blocks[-1] * whole + (blocks[rest] if rest else "")).ljust(self.bar_cells)

    def _guide(self, branch: tuple[bool, ...]) -> str:
        """Lines from parent to child; of very deep indentation only the end is shown."""
        if not branch:
            return ""
        above = "".join(self.glyphs.pass_by if follows else "   " for follows in branch[:-1])
        most = max((self.width - self._left_cells()) // 2 // 3 * 3, 3)
        if len(above) > most:
            above = set_cell_size(self.glyphs.dots, 3) + above[-(most - 3) :] if most > 3 else ""
        return above + (self.glyphs.fork if branch[-1] else self.glyphs.last)

    def _chain(self, names: tuple[str, ...], room: int) -> str:
        """As many names of a chain as fit, those at its ends first of all; repeats are counted."""
        arrow, dots = self.glyphs.arrow, self.glyphs.dots
        links = [self._link(name, len(list(same))) for name, same in groupby(names)]
        most = room // (1 + cell_len(arrow)) + 1  # no more than this many names can fit
        for left_out in range(max(len(links) - most, 0), max(len(links) - 1, 1)):
            head = (len(links) - left_out + 1) // 2
            kept = [*links[:head], *([dots] if left_out else []), *links[head + left_out :]]
            if cell_len(arrow.join(kept)) <= room:
                return arrow.join(kept)
        if len(links) == 1:
            return links[0]
        between = f"{arrow}{dots}{arrow}" if len(links) > 2 else arrow
        half = (room - cell_len(between)) // 2
        if half < _LEAST_NAME_CELLS:
            return links[0]
        return between.join(self._clip(link, half) for link in (links[0], links[-1]))

    def _link(self, name: str, repeats: int) -> str:
        return name if repeats == 1 else f"{name} {self.glyphs.times}{repeats}"

    def _clip(self, text: str, cells: int) -> str:
        if cell_len(text) <= cells:
            return text
        return set_cell_size(text, cells - len(self.glyphs.dots)).rstrip() + self.glyphs.dots

    def _clip_left(self, text: str, cells: int) -> str:
        if len(text) <= cells:
            return text
        kept = cells - len(self.glyphs.dots)
        return self.glyphs.dots + text[-kept:] if kept > _LEAST_NAME_CELLS else ""


def printable(text: str) -> str:
    """Text from outside with its control characters escaped, so that a terminal obeys none of it."""
    return labels.printable_one(text)


def render(
    tree: Tree,
    unit: str,
    title: str = "",
    *,
    width: int | None = None,
    min_share: float = 0.005,
    max_lines: int = 45,
    top_count: int = 8,
) -> FlameText:
    """Prepare a tree for the terminal; print the result with a rich ``Console``, which also decides about colours.

    Args:
        tree: what to show.
        unit: the profile's unit: nanoseconds, bytes, or a count of something.
        title: one line above.
        width: columns to use; None uses all that the console has.
        min_share: branches below this part of the total are summed up.
        max_lines: the threshold rises until the tree fits into so many lines.
        top_count: how many functions with the largest own values to list below.
    """
    lines = outline(tree, min_share)
    while len(lines) > max_lines and min_share < 1:
        min_share *= 1.5
        lines = outline(tree, min_share)
    best = functions(tree).filter(pl.col("self") > 0).head(top_count)
    rows = zip(labels.short(labels.printable(best["name"])), labels.printable(best["place"]), best["self"], strict=True)
    return FlameText(
        title=printable(title),
        width=width,
        total=int(tree.total[0]),
        samples=None if tree.samples is None else int(tree.samples[0]),
        unit=unit,
        lines=tuple(lines),
        top=tuple(rows),
    )


def to_text(flame: FlameText, width: int, *, ascii_only: bool = False) -> str:
    """The same as plain text of a width, without colours, for files and logs."""
    console = Console(width=width, color_system=None, legacy_windows=False)
    options = console.options.update(width=width)
    options.encoding = "ascii" if ascii_only else "utf-8"
    return "\n".join(text.plain.rstrip() for text in flame.__rich_console__(console, options)) + "\n"


def _as_ascii(text: Text) -> Text:
    """The same, character by character, with ``?`` for what ASCII has nothing similar for; styles kept."""
    plain = text.plain.translate(_SIMILAR).encode("ascii", "replace").decode()
    return Text(plain, spans=text.spans, style=text.style)
