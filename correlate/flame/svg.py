"""The bars and the title of a Plotly figure, written out as SVG.

Only what flame graphs use is read: one trace of horizontal bars (base, x, y, marker.color, text, hovertext), the
title, the size, the margins, and the ranges of two axes that are not drawn themselves.
"""

import html
import re
from collections.abc import Mapping
from string import Template
from typing import Any, Final

_BREAK: Final = re.compile(r"<br>")
_TAG: Final = re.compile(r"</?[a-z]+>")
_STYLE: Final = Template(
    "text{font-family:$family;font-size:${size}px;fill:$ink;white-space:pre}"
    "rect{stroke:#fff;stroke-width:.7}svg svg:hover rect{stroke:#7c2d12;stroke-width:2}"
    ".title{font-family:system-ui,'DejaVu Sans',sans-serif;font-size:15px}"
)
_LEAST_PX: Final = 0.1
_TEXT_PX: Final = 28.0
"""Bars shorter than this have no label."""


def draw(figure: Mapping[str, Any]) -> bytes:
    """Write a figure, as ``to_plotly_json()`` gives it, as an SVG document in UTF-8. Frames carry tooltips."""
    layout = figure["layout"]
    bars = figure["data"][0]
    width, height = layout["width"], layout["height"]
    font = bars["textfont"]
    title = _text(layout["title"]["text"])
    style = _STYLE.substitute(family=font["family"], size=font["size"], ink=font["color"])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
        f"<title>{title}</title>",
        f"<style>{style}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<text class="title" x="{layout["margin"]["l"]}" y="28">{title}</text>',
        *_frames(bars, layout),
        "</svg>\n",
    ]
    return "\n".join(parts).encode()


def _frames(bars: Mapping[str, Any], layout: Mapping[str, Any]) -> list[str]:
    margin = layout["margin"]
    left, right = layout["xaxis"]["range"]
    bottom, top = layout["yaxis"]["range"]
    across = (layout["width"] - margin["l"] - margin["r"]) / (right - left)
    down = (layout["height"] - margin["t"] - margin["b"]) / (bottom - top)
    columns = (bars["base"], bars["x"], bars["y"], bars["marker"]["color"], bars["text"], bars["hovertext"])
    return [
        _frame(
            margin["l"] + (base - left) * across,
            margin["t"] + (row - bars["width"] / 2 - top) * down,
            (size * across, bars["width"] * down),
            (colour, label, hover),
        )
        for base, size, row, colour, label, hover in zip(*columns, strict=True)
        if size * across >= _LEAST_PX and row < bottom
    ]


def _frame(x: float, y: float, size: tuple[float, float], content: tuple[str, str, str]) -> str:
    """One bar as an inner ``svg`` element, which clips its text."""
    width, height = size
    colour, label, hover = content
    text = f'<text x="4" y="{height * 0.7:.1f}">{_text(label)}</text>' if width >= _TEXT_PX else ""
    return (
        f'<svg x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}"><title>{_text(hover)}</title>'
        f'<rect width="100%" height="100%" fill="{colour}"/>{text}</svg>'
    )


def _text(pseudo_html: str) -> str:
    """Plotly's small markup as plain text, escaped for XML; a line break stays one."""
    plain = html.unescape(_TAG.sub("", _BREAK.sub("\n", pseudo_html)))
    return html.escape(plain)
