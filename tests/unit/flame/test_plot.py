"""The Plotly figure, the page and the SVG: right numbers, hostile names harmless, same input same bytes."""

import html.parser
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.flame import plot
from correlate.flame.tree import Tree, build
from tests.support.trees import HOSTILE, grow, symbols

TREE = grow({"main;github.com/acme/shop.(*Cart).Add": 30, "main;read": 60, "idle": 10}, weighted=True)
HOSTILE_TREE = grow([(["main", name], 10) for name in HOSTILE])
SVG = "{http://www.w3.org/2000/svg}"


class Page(html.parser.HTMLParser):
    """What a browser finds in a page: elements, their attributes, the text of scripts and of everything else."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] == "script" and self.cdata_elem == "script":
            self.scripts[-1] += data
        else:
            self.text += data

    @property
    def figure(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(self.scripts[0])
        return parsed


def page(tree: Tree, title: str = "POST /checkout", **parts: Any) -> Page:
    """A page that refers to the library instead of containing it."""
    return Page(plot.html(tree, "nanoseconds", title, plotlyjs="url", plotlyjs_url="/static/plotly.min.js", **parts))


def test_bars_lie_where_the_tree_says() -> None:
    """Base, length and depth of every bar; children start after their parent's own value."""
    bars = plot.figure(TREE, "nanoseconds").data[0]
    names = [texts[1] for texts in bars.customdata]
    assert dict(zip(names, zip(bars.base, bars.x, bars.y, strict=True), strict=True)) == {
        "total": (0, 100, 0),
        "idle": (0, 10, 1),
        "main": (10, 90, 1),
        "github.com/acme/shop.(*Cart).Add": (10, 30, 2),
        "read": (40, 60, 2),
    }


def test_hovering_tells_everything() -> None:
    """Full name, share, value with callees and own value in human units, number of samples."""
    hover = plot.figure(TREE, "nanoseconds").data[0].hovertext
    assert (
        "<b>github.com/acme/shop.(*Cart).Add</b><br>total 30 ns · 30.00 % · 1 samples<br>self 30 ns · 30.00 %" in hover
    )


def test_the_title_has_the_key_figures() -> None:
    """Title, total and samples, escaped for Plotly's own markup."""
    assert plot.figure(TREE, "bytes", "a <b> & c").layout.title.text == "<b>a &lt;b&gt; &amp; c</b>  100 B · 3 samples"
    assert plot.figure(grow({"a": 3}), "count").layout.title.text == "3"


def test_labels_are_cut_to_their_bars() -> None:
    """Wide bars have their short name, narrower ones its beginning; what has no room is left to zooming."""
    tree = grow({"a_function_with_a_long_name": 960, "quite_a_narrow_one": 38, "tiny_function": 2})
    assert plot.figure(tree, "count").data[0].text == (
        "total 1 k",
        "a_function_with_a_long_name",
        "quit…",
        "tiny_function",
    )


def test_the_picture_is_as_high_as_what_can_be_seen() -> None:
    """Deep spikes too thin to see do not make it higher, and a tiny tree does not make it a strip."""
    spike = [(["f"] * 200, 1), (["g"] * 20, 1_000_000)]
    low, high = plot.figure(grow(spike[1:]), "count").layout.height, plot.figure(grow(spike), "count").layout.height
    assert low == high
    assert plot.figure(grow({"a": 1}), "count").layout.height >= 120


def test_only_so_many_frames_and_levels_are_drawn() -> None:
    """The rest is put together; the totals stay."""
    wide = plot.figure(grow({f"f{row:04}": row + 1 for row in range(500)}), "count", max_nodes=50).data[0]
    assert len(wide.x) == 52
    assert wide.x[0] == sum(range(501))
    deep = plot.figure(grow([(["f", "g"] * 1000, 5)]), "count").data[0]
    assert max(deep.y) == plot.MAX_DEPTH


def test_negative_values_are_told_but_not_drawn() -> None:
    """A profile may be a difference; bars cannot have negative lengths."""
    bars = plot.figure(grow({"a": -5, "b": 8}), "count").data[0]
    assert bars.x == (8, 0, 8)
    assert "total -5 · -166.67 %" in bars.hovertext[1]


def test_nothing_to_draw_is_drawn_as_nothing() -> None:
    """An empty tree is a page, a figure and an SVG all the same."""
    empty = build(symbols([]), np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert plot.figure(empty, "nanoseconds").layout.xaxis.range == (0, 1)
    assert "0 ns" in page(empty).text
    assert ET.fromstring(plot.svg(empty, "nanoseconds")).tag == f"{SVG}svg"


def test_the_page_says_what_it_is_told() -> None:
    """Title, key figures, facts in order, notes, links and the functions with the largest own values."""
    shown = page(
        TREE,
        facts={"service": "checkout", "coverage": "99 %"},
        notes=["Inferred from time windows."],
        links={
            "Trace in Grafana": "https://grafana.example/x?a=1&b=2",
            "pprof": "/api/v1/p",
            "bad": "javascript:alert(1)",
        },
    )
    for text in ("POST /checkout", "100 ns · 3 samples", "coverage99 %", "Inferred from time windows.", "60.00 %"):
        assert text in shown.text.replace("\n", "")
    links = [attributes["href"] for tag, attributes in shown.elements if tag == "a"]
    assert links == ["https://grafana.example/x?a=1&b=2", "/api/v1/p"]
    assert "bad" in shown.text
    buttons = [attributes["data-name"] for tag, attributes in shown.elements if "data-name" in attributes]
    assert buttons == ["read", "github.com/acme/shop.(*Cart).Add", "idle"]


@pytest.mark.parametrize(
    ("url", "is_link"),
    [
        ("http://x/", True),
        ("HTTPS://x/", True),
        ("/a/b", True),
        ("?a=b", True),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("javascript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("vbscript:x", False),
        ("", False),
    ],
)
def test_only_harmless_addresses_become_links(url: str, is_link: bool) -> None:
    """Others are shown as text."""
    found = page(TREE, links={"there": url})
    assert [attributes.get("href") for tag, attributes in found.elements if tag == "a"] == ([url] if is_link else [])


def test_hostile_names_stay_text_in_the_page() -> None:
    """No element, no script and no attribute comes from a name; names arrive in the figure as they should read."""
    title = "".join(HOSTILE)
    shown = page(HOSTILE_TREE, title, facts={title: title}, notes=[title], links={title: "/x"})
    plain = page(TREE, facts={"x": "x"}, notes=["x"], links={"x": "/x"})
    assert {tag for tag, _ in shown.elements} == {tag for tag, _ in plain.elements}
    assert not any(key.startswith("on") for _, attributes in shown.elements for key in attributes)
    assert len(shown.scripts) == 3
    assert "<b>bold</b>" in [texts[1] for texts in shown.figure["data"][0]["customdata"]]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202e]", shown.text)


def test_hostile_names_are_text_in_plotly_markup_too() -> None:
    """Plotly reads a little HTML in labels and hover texts; names must not be read as such."""
    bars = plot.figure(HOSTILE_TREE, "count").data[0]
    for text in [*bars.text, *bars.hovertext]:
        bare = re.sub(r"<br>|</?b>", "", text)
        assert "<" not in bare
        assert not re.search(r"&(?!lt;|gt;|amp;)", bare)
    assert any("&lt;b&gt;bold&lt;/b&gt;" in text for text in bars.hovertext)


def test_a_page_is_complete_or_refers_to_a_copy() -> None:
    """Inline holds the library, url names it; nothing else is loaded from anywhere."""
    inline = plot.html(TREE, "count", "x")
    assert plot.plotly_js() in inline
    referring = plot.html(TREE, "count", "x", plotlyjs="url", plotlyjs_url='/static/p.js?"><b>')
    assert len(referring) < 40_000
    assert [a["src"] for tag, a in Page(referring).elements if "src" in a] == ['/static/p.js?"><b>']
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", referring)


def test_pictures_are_deterministic() -> None:
    """The same tree gives the same bytes."""
    assert plot.svg(TREE, "count", "t") == plot.svg(TREE, "count", "t")
    assert plot.html(TREE, "count", "t") == plot.html(TREE, "count", "t")


def test_the_svg_shows_the_figure() -> None:
    """A rectangle, a tooltip and a label per bar, at the place Plotly would put it."""
    root = ET.fromstring(plot.svg(TREE, "nanoseconds", "checkout", width_px=1020))
    frames = root.findall(f"{SVG}svg")
    found = {
        (frame.findtext(f"{SVG}title") or "").split("\n")[0]: (float(frame.get("x", 0)), float(frame.get("width", 0)))
        for frame in frames
    }
    assert found == {
        "total": (10, 1000),
        "idle": (10, 100),
        "main": (110, 900),
        "github.com/acme/shop.(*Cart).Add": (110, 300),
        "read": (410, 600),
    }
    assert [frame.findtext(f"{SVG}text") for frame in frames] == [
        "total 100 ns",
        "idle",
        "main",
        "shop.(*Cart).Add",
        "read",
    ]
    assert (root.get("width"), root.findtext(f"{SVG}title")) == ("1020", "checkout  100 ns · 3 samples")


@settings(max_examples=30)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_any_name_gives_a_well_formed_svg(texts: list[str]) -> None:
    """Whatever the names are made of, the document parses and has no element of theirs."""
    root = ET.fromstring(plot.svg(grow([(texts, 1)]), "count", texts[0]))
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {"svg", "title", "style", "rect", "text"}


@pytest.mark.slow
def test_a_browser_draws_the_page_and_runs_nothing_of_the_names(tmp_path: Path) -> None:
    """In a real browser the bars are there, zoomed and searched, and no name became an element or a script."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium or google-chrome on the PATH")
    probe = """<script>
      const div = document.getElementById('flame');
      div.emit('plotly_click', {points: [{pointIndex: 1}]});
      document.getElementById('search').value = 'img';
      document.getElementById('search').dispatchEvent(new Event('input'));
      Plotly.Fx.hover(div, [{curveNumber: 0, pointNumber: 2}]);
      document.title = [div.querySelectorAll('.bars .point > path').length, document.images.length,
        document.getElementById('found').textContent].join(';');
    </script></body>"""
    file = tmp_path / "page.html"
    file.write_text(plot.html(HOSTILE_TREE, "count", "".join(HOSTILE)).replace("</body>", probe))
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    arguments += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom", file.as_uri()]
    dom = subprocess.run([browser, *arguments], capture_output=True, text=True, check=True, timeout=60).stdout
    assert re.findall("<title>(.*?)</title>", dom)[0] == "11;0;1 frame, 11.1 % of the total"
