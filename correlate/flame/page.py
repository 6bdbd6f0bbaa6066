"""The HTML page around a flame graph: template, style and behaviour. Everything that is not markup is escaped here."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Template
from typing import Final

from correlate.flame.page_script import SCRIPT
from correlate.flame.page_style import STYLE

_SAFE_LINK: Final = re.compile(r"(?i:https?://)|/(?![/\\])|[?#]|[\w.-]+(?:[/?#]|$)")

_PAGE: Final = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · correlate</title>
<link rel="icon" href="data:,">
<style>$style</style>
</head>
<body>
<header>
<h1>$title <span class="figures">$figures</span></h1>
$links
$facts
$notes
</header>
<div class="tools">
<input id="search" type="search" placeholder="Search functions (text or regular expression)"
 aria-label="Search functions" autocomplete="off" spellcheck="false">
<output id="found" for="search"></output>
<button id="reset" type="button" hidden>Reset zoom</button>
<span class="soft keys"><kbd>/</kbd> search · click a frame to zoom · <kbd>Esc</kbd> back</span>
</div>
$legend
<div id="flame" role="img" aria-label="Flame graph: $title"></div>
$top
<noscript>The flame graph needs JavaScript; the table shows the functions with the largest own values.</noscript>
<script type="application/json" id="figure">$figure</script>
$library
<script>$behaviour</script>
</body>
</html>
""")


@dataclass(frozen=True, slots=True)
class Table:
    """Functions in a table.

    Attributes:
        heading: what stands above it.
        titles: of the columns after the function's.
        rows: name, place, and a text for each of `titles`.
    """

    heading: str
    titles: Sequence[str]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A flame graph.

    Attributes:
        figure_json: the Plotly figure.
        legend: colours (``#rrggbb``) and what they mean.
    """

    figure_json: str
    legend: Sequence[tuple[str, str]] = ()

    @property
    def script_json(self) -> str:
        """The figure as it may stand in a script element."""
        return in_script(self.figure_json)


def render(
    *,
    title: str,
    figures: Sequence[str],
    facts: Mapping[str, str],
    notes: Sequence[str],
    links: Mapping[str, str],
    top: Table,
    picture: Picture,
    script: str,
) -> str:
    """Put the page together.

    Args:
        title: the heading.
        figures: key figures beside the heading.
        facts: label to text.
        notes: sentences in a box.
        links: text to address; addresses with other schemes than http(s) are shown as text.
        top: what stands below the picture.
        picture: the flame graph.
        script: the element that brings plotly.js, see `script_inline` and `script_at`.
    """
    return _PAGE.substitute(
        title=html.escape(title),
        style=STYLE,
        figures=html.escape(" · ".join(figures)),
        links=_links(links),
        facts=_facts(facts),
        notes="".join(f'<p class="note">{html.escape(note)}</p>' for note in notes),
        legend=_legend(picture.legend),
        top=_table(top),
        figure=picture.script_json,
        library=script,
        behaviour=SCRIPT,
    )


def script_inline(source: str) -> str:
    """An element that holds a script's text."""
    return f"<script>{source}</script>"


def script_at(url: str) -> str:
    """An element that loads a script."""
    return f'<script src="{html.escape(url)}"></script>'


def in_script(json_text: str) -> str:
    """JSON that cannot end the script element it stands in, nor open a comment there."""
    return json_text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _links(links: Mapping[str, str]) -> str:
    if not links:
        return ""
    return "<nav>" + "".join(_link(text, url) for text, url in links.items()) + "</nav>"


def _link(text: str, url: str) -> str:
    if not _SAFE_LINK.match(url):
        return f"<span>{html.escape(text)}</span>"
    return f'<a href="{html.escape(url)}" rel="noreferrer">{html.escape(text)}</a>'


def _facts(facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    cells = "".join(
        f"<div><dt>{html.escape(label)}</dt><dd>{html.escape(text)}</dd></div>" for label, text in facts.items()
    )
    return f"<dl>{cells}</dl>"


def _legend(legend: Sequence[tuple[str, str]]) -> str:
    if not legend:
        return ""
    items = "".join(
        f'<span><i style="background:{html.escape(colour)}"></i>{html.escape(text)}</span>' for colour, text in legend
    )
    return f'<p class="legend">{items}</p>'


def _table(top: Table) -> str:
    if not top.rows:
        return ""
    head = "".join(f"<th>{html.escape(title)}</th>" for title in ("function", *top.titles))
    rows = "".join(
        f'<tr><td class="name"><button type="button" data-name="{html.escape(name)}">{html.escape(name)}</button>'
        f'<span class="soft">{html.escape(place)}</span></td>'
        + "".join(f'<td class="number">{html.escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for name, place, *cells in top.rows
    )
    return f"<section><h2>{html.escape(top.heading)}</h2><table><tr>{head}</tr>{rows}</table></section>"
