"""Flame graphs drawn with Plotly; the only module that imports it.

Every frame is a horizontal bar: `base` is where it starts on the value axis, `x` how long it is, `y` its depth. One
figure serves notebooks, the HTML page and the SVG, so the three can never show different things.
"""

import html as markup
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Literal

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.offline import get_plotlyjs

from correlate.flame import diff as diffs
from correlate.flame import diff_look, page
from correlate.flame.diff import DiffTree
from correlate.flame.diff_look import Sides
from correlate.flame.flamebearer import offsets
from correlate.flame.labels import printable, printable_one, short
from correlate.flame.palette import colours
from correlate.flame.svg import draw
from correlate.flame.top import functions
from correlate.flame.tree import Tree, sum_up, truncate
from correlate.units import human

FONT: Final = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
INK: Final = "#2a1508"
FONT_SIZE_PX: Final = 11
ROW_PX: Final = 19
PAGE_NODES: Final = 4000
"""Frames in a page: a browser draws these in well under a second."""

MAX_DEPTH: Final = 300
"""Rows drawn at most; a recursion without end would make a picture that no one can scroll."""

_CHAR_PX: Final = 0.602 * FONT_SIZE_PX  # the width of a character in the fonts above
_PADDING_PX: Final = 8
_MARGIN_PX: Final = 10
_TITLE_PX: Final = 44
_VISIBLE_PX: Final = 0.5
"""The picture is as high as its deepest frame of at least this width."""

_SHARE_SCALE: Final = 1_000_000_000
"""In how many parts differential pictures divide the whole."""

_PLAIN: Final = Sides()
_HOVER_COLUMNS: Final = 96
_TITLE_LENGTH: Final = 90


def figure(tree: Tree, unit: str, title: str = "", *, max_nodes: int = 3000, width_px: int = 1200) -> go.Figure:
    """Draw a tree as a flame graph, the root at the top, callees below, siblings by name.

    Args:
        tree: what to draw. Negative values are not drawn, though hovering tells them.
        unit: the profile's unit: nanoseconds, bytes, or a count of something.
        title: one line above the picture; the total and the number of samples are added to it.
        max_nodes: frames drawn; smaller ones are put together as ``other``.
        width_px: the width the labels are cut for; zooming shows those that had no room.
    """
    shown = _shallow(truncate(tree, max_nodes, ties=False))
    drawn = _without_negatives(shown)
    key_figures = [human(int(tree.total[0]), unit), *_samples(tree)]
    look = _Look(f"total {key_figures[0]}", colours(shown), _hover(shown, unit), _headline(key_figures, title))
    return _drawn(shown, drawn, look, width_px)


def figure_diff(
    diff: DiffTree, unit: str, title: str = "", sides: Sides = _PLAIN, *, max_nodes: int = 3000, width_px: int = 1200
) -> go.Figure:
    """Draw two trees as one: a frame is as wide as its mean share of both sides, its colour shows the difference.

    Args:
        diff: what to draw.
        unit: the profile's unit.
        title: one line above the picture; key figures and the meaning of the colours are added to it.
        sides: what the two are called, and what is known about significance.
        max_nodes: see `figure`.
        width_px: see `figure`.
    """
    short_enough = diffs.truncate(diff, max_nodes, ties=False)
    shown = DiffTree(_shallow(short_enough.left), _shallow(short_enough.right))
    drawn = diffs.both(shown, _SHARE_SCALE)
    told = diff_look.hover(shown, unit, sides)
    hovering = ["<br>".join([f"<b>{_wrapped(name)}</b>", *map(_wrapped, lines)]) for name, *lines in told]
    key_figures = [*diff_look.headline(diff, unit, sides), diff_look.meaning(sides)]
    look = _Look("total", diff_look.colours(shown, sides), hovering, _headline(key_figures, title))
    return _drawn(shown.left, drawn, look, width_px)


@dataclass(frozen=True, slots=True)
class _Look:
    """What tells one kind of picture from another: the root's label, a colour and a text per node, the headline."""

    root: str
    colours: list[str]
    hovering: list[str]
    headline: str


def _drawn(shown: Tree, drawn: Tree, look: _Look, width_px: int) -> go.Figure:
    label = pl.concat([pl.Series("name", [look.root]), short(printable(shown.name[1:]))])
    bars = go.Bar(
        orientation="h",
        base=offsets(drawn).tolist(),
        x=drawn.total.tolist(),
        y=shown.depth.tolist(),
        width=1,
        marker={"color": look.colours, "line": {"color": "#ffffff", "width": 0.7}},
        text=_fitted(label, drawn, width_px),
        textposition="inside",
        insidetextanchor="start",
        textangle=0,
        textfont={"family": FONT, "size": FONT_SIZE_PX, "color": INK},
        hovertext=look.hovering,
        hoverinfo="text",
        customdata=list(zip(label.to_list(), printable(shown.name).to_list(), strict=True)),
        showlegend=False,
    )
    return go.Figure(data=[bars], layout=_layout(drawn, look.headline, width_px))


def html(
    tree: Tree,
    unit: str,
    title: str,
    *,
    facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
    plotlyjs: Literal["inline", "url"] = "inline",
    plotlyjs_url: str = "",
) -> str:
    """One HTML page: header, search, flame graph with zoom by click, and the functions with the largest own values.

    Args:
        tree: what to draw; the `PAGE_NODES` largest frames of it.
        unit: the profile's unit.
        title: the heading, for instance the span's name.
        facts: what to say above the picture, label to text, in this order: service, samples, method, coverage ….
        notes: sentences the reader should not miss, for instance why a result is inferred.
        links: text to address; only http(s) and addresses on the same server become links.
        plotlyjs: "inline" makes the page complete in itself (4.5 MB, works offline from a file); "url" refers to
            `plotlyjs_url`, where a server has the text of `plotly_js`.
        plotlyjs_url: see `plotlyjs`.
    """
    return page.render(
        title=printable_one(title),
        figures=[human(int(tree.total[0]), unit), *_samples(tree)],
        facts=_printable(facts),
        notes=[printable_one(note) for note in notes],
        links={printable_one(text): url for text, url in (links or {}).items()},
        top=_top(tree, unit),
        picture=picture(tree, unit),
        script=_script(plotlyjs_url if plotlyjs == "url" else ""),
    )


def html_diff(
    diff: DiffTree,
    unit: str,
    title: str,
    sides: Sides = _PLAIN,
    *,
    facts: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
    plotlyjs_url: str = "",
) -> str:
    """The page of `figure_diff`, with the frames that differ in a table.

    Args:
        diff: what to draw.
        unit: the profile's unit.
        title: the heading.
        sides: what the two are called, and what is known about significance.
        facts: see `html`.
        notes: see `html`; the place for `flame.words.sentences`.
        links: see `html`.
        plotlyjs_url: where a server has the text of `plotly_js`; "" makes the page complete in itself.
    """
    return page.render(
        title=printable_one(title),
        figures=diff_look.headline(diff, unit, sides),
        facts=_printable({**diff_look.facts(diff, unit, sides), **(facts or {})}),
        notes=[printable_one(note) for note in notes],
        links={printable_one(text): url for text, url in (links or {}).items()},
        top=page.Table(*diff_look.table(unit, sides)),
        picture=picture_diff(diff, unit, sides),
        script=_script(plotlyjs_url),
    )


def picture(tree: Tree, unit: str) -> page.Picture:
    """The flame graph of `html` alone, for a page of one's own around it."""
    return page.Picture(_for_page(figure(tree, unit, max_nodes=PAGE_NODES)))


def picture_diff(diff: DiffTree, unit: str, sides: Sides = _PLAIN) -> page.Picture:
    """The flame graph of `html_diff` alone, for a page of one's own around it."""
    drawn = figure_diff(diff, unit, sides=sides, max_nodes=PAGE_NODES)
    return page.Picture(_for_page(drawn), diff_look.legend(sides))


def svg(tree: Tree, unit: str, title: str = "", *, max_nodes: int = 2000, width_px: int = 1200) -> bytes:
    """The picture of `figure` as a stand-alone SVG with tooltips, UTF-8.

    Plotly itself leaves static export to a Chrome browser that it drives from outside. A flame graph is nothing but
    bars and text, so `flame.svg` writes those of the Plotly figure out directly: no browser is needed, and the same
    tree gives the same bytes everywhere.
    """
    return draw(figure(tree, unit, title, max_nodes=max_nodes, width_px=width_px).to_plotly_json())


def svg_diff(
    diff: DiffTree, unit: str, title: str = "", sides: Sides = _PLAIN, *, max_nodes: int = 2000, width_px: int = 1200
) -> bytes:
    """The picture of `figure_diff` as a stand-alone SVG with tooltips, UTF-8."""
    return draw(figure_diff(diff, unit, title, sides, max_nodes=max_nodes, width_px=width_px).to_plotly_json())


def _for_page(drawn: go.Figure) -> str:
    drawn.update_layout(title=None, margin_t=4, width=None, height=drawn.layout.height - _TITLE_PX + 4)
    drawn.update_traces(text=None)  # the page cuts its labels itself
    return str(drawn.to_json())


def _script(url: str) -> str:
    return page.script_at(url) if url else page.script_inline(plotly_js())


def _printable(facts: Mapping[str, str] | None) -> dict[str, str]:
    return {printable_one(key): printable_one(value) for key, value in (facts or {}).items()}


@cache
def plotly_js() -> str:
    """The text of plotly.js as installed, for a server to hand out."""
    return str(get_plotlyjs())


def _shallow(tree: Tree) -> Tree:
    """Leave out what lies deeper than `MAX_DEPTH`; depth-first order survives the loss of whole subtrees."""
    if int(tree.depth.max()) <= MAX_DEPTH:
        return tree
    rows = np.flatnonzero(tree.depth <= MAX_DEPTH)
    place = np.cumsum(tree.depth <= MAX_DEPTH) - 1
    parent = np.where(tree.parent[rows] < 0, -1, place[tree.parent[rows]]).astype(np.int32)
    deep = tree.depth[rows] == MAX_DEPTH
    return replace(
        tree,
        name_id=tree.name_id[rows],
        parent=parent,
        depth=tree.depth[rows],
        self=np.where(deep, tree.total[rows], tree.self[rows]),
        total=tree.total[rows],
        samples=None if tree.samples is None else tree.samples[rows],
    )


def _without_negatives(tree: Tree) -> Tree:
    if int(tree.self.min()) >= 0:
        return tree
    own = np.maximum(tree.self, 0)
    return replace(tree, self=own, total=sum_up(tree.parent, tree.depth, own))


def _fitted(label: pl.Series, drawn: Tree, width_px: int) -> list[str]:
    """Cut labels to the length of their bars; what has room for less than three characters keeps its whole name.

    Plotly hides whatever does not fit, and shows it once the reader has zoomed in far enough.
    """
    bar_px = drawn.total * ((width_px - 2 * _MARGIN_PX) / max(int(drawn.total[0]), 1))
    room = pl.lit(pl.Series(np.maximum(bar_px - _PADDING_PX, 0) / _CHAR_PX).cast(pl.Int64))
    text = pl.lit(label)
    cut = pl.when((text.str.len_chars() <= room) | (room < 3)).then(text).otherwise(text.str.head(room - 1) + "…")
    return [markup.escape(line, quote=False) for line in pl.select(cut).to_series()]


def _hover(tree: Tree, unit: str) -> list[str]:
    """What a reader sees over a frame, in Plotly's own small markup; names and files are escaped in it."""
    total = int(tree.total[0]) or 1
    counts = [None] * len(tree) if tree.samples is None else tree.samples.tolist()
    rows = zip(
        printable(tree.name), printable(tree.place), tree.self.tolist(), tree.total.tolist(), counts, strict=True
    )
    return [
        "<br>".join(
            [
                f"<b>{_wrapped(name)}</b>",
                *([_wrapped(place)] if place else []),
                f"total {human(value, unit)} · {_share(value / total)}"
                + ("" if count is None else f" · {count:,} samples"),
                f"self {human(own, unit)} · {_share(own / total)}",
            ]
        )
        for name, place, own, value, count in rows
    ]


def _share(ratio: float) -> str:
    return f"{100 * ratio:.2f} %"


def _wrapped(text: str) -> str:
    pieces = [text[at : at + _HOVER_COLUMNS] for at in range(0, len(text), _HOVER_COLUMNS)]
    return "<br>".join(markup.escape(piece, quote=False) for piece in pieces)


def _samples(tree: Tree) -> list[str]:
    if tree.samples is None:
        return []
    count = int(tree.samples[0])
    return [f"{count:,} sample{'' if count == 1 else 's'}"]


def _headline(figures: Sequence[str], title: str) -> str:
    key_figures = markup.escape(" · ".join(figures), quote=False)
    text = printable_one(title)
    text = text if len(text) <= _TITLE_LENGTH else text[: _TITLE_LENGTH - 1] + "…"
    return f"<b>{markup.escape(text, quote=False)}</b>  {key_figures}" if text else key_figures


def _top(tree: Tree, unit: str, count: int = 15) -> page.Table:
    """The functions with the largest own values."""
    total = int(tree.total[0]) or 1
    table = functions(tree).filter(pl.col("self") > 0).head(count)
    rows = [
        (name, place, human(own, unit), _share(own / total), human(value, unit))
        for name, place, own, value in zip(
            printable(table["name"]), printable(table["place"]), table["self"], table["total"], strict=True
        )
    ]
    return page.Table("Where it is spent", ("self", "share", "total"), rows)


def _layout(drawn: Tree, headline: str, width_px: int) -> go.Layout:
    wide = drawn.total * (width_px - 2 * _MARGIN_PX) >= max(int(drawn.total[0]), 1) * _VISIBLE_PX
    levels = max(int(drawn.depth[wide].max(initial=0)) + 1, 4)
    return go.Layout(
        template="none",
        title={
            "text": headline,
            "x": 0,
            "xref": "paper",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 14},
            "font": {"size": 15},
        },
        width=width_px,
        height=_TITLE_PX + _MARGIN_PX + ROW_PX * levels,
        margin={"l": _MARGIN_PX, "r": _MARGIN_PX, "t": _TITLE_PX, "b": _MARGIN_PX},
        bargap=0,
        hovermode="closest",
        hoverlabel={"bgcolor": "#fffaf3", "bordercolor": "#9a3412", "align": "left", "namelength": -1}
        | {"font": {"family": FONT, "size": 12, "color": INK}},
        uniformtext={"mode": "hide", "minsize": FONT_SIZE_PX},
        xaxis={"visible": False, "range": [0, max(int(drawn.total[0]), 1)]},
        yaxis={"visible": False, "range": [levels - 0.5, -0.5]},
    )
