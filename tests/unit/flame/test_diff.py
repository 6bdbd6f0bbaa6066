"""Two sides in one tree: values, truncation, formats, pictures."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.flame import diff, flamebearer, nested_set, plot
from correlate.flame.diff_look import LESS, MORE, SAME, Sides
from correlate.flame.significance import compare
from correlate.flame.tree import build
from correlate.model.profile_type import ProfileType
from tests.support.cohorts import NORMAL, SLOW, STACKS, cohort, rows
from tests.support.trees import HOSTILE, paths, symbols
from tests.unit.flame.test_plot import Page

CPU = ProfileType.parse("process_cpu:cpu:nanoseconds:cpu:nanoseconds")


def grow(left: dict[str, int], right: dict[str, int]) -> diff.DiffTree:
    """Two sides of ``{"main;work": value}``."""
    stacks = list(dict.fromkeys([*left, *right]))
    sides = [rows([{stacks.index(stack) + 1: value for stack, value in side.items()}]) for side in (left, right)]
    return diff.build(symbols([stack.split(";") for stack in stacks]), *sides)


EXAMPLE = grow({"a;b": 1, "a;c": 2}, {"a;b": 4, "a;c": 8})
COHORTS = diff.build(symbols([stack.split(";") for stack in STACKS]), rows(NORMAL), rows(SLOW))
KNOWN = Sides("normal", "slow", compare(cohort(STACKS, NORMAL), cohort(STACKS, SLOW)))

sample_lists = st.lists(st.tuples(st.integers(0, 13), st.integers(0, 100)), max_size=20)


@given(paths, sample_lists, sample_lists)
def test_each_side_has_the_values_of_its_own_tree(
    stacks: list[list[str]], left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    """Nodes of both sides together; a side alone is its own tree with zeros for what only the other has."""
    known = symbols(stacks)
    tables = [rows([{stack: value} for stack, value in side]) for side in (left, right)]
    found = diff.build(known, *tables)
    assert found.left.name_id is found.right.name_id
    for side, table in zip((found.left, found.right), tables, strict=True):
        alone = build(known, *(table[name].to_numpy() for name in ("stack", "value", "weight")))
        assert sorted((n, t, s) for n, t, s in zip(side.name, side.total, side.self, strict=True) if t) == sorted(
            (n, t, s) for n, t, s in zip(alone.name, alone.total, alone.self, strict=True) if t
        )


@given(paths, sample_lists, sample_lists, st.integers(1, 10))
def test_truncated_sides_keep_their_totals(
    stacks: list[list[str]], left: list[tuple[int, int]], right: list[tuple[int, int]], max_nodes: int
) -> None:
    """Both sides are cut alike, and nothing of either is lost."""
    whole = diff.build(symbols(stacks), *(rows([{s: v} for s, v in side]) for side in (left, right)))
    found = diff.truncate(whole, max_nodes)
    for side, before in ((found.left, whole.left), (found.right, whole.right)):
        assert side.self.sum() == side.total[0] == before.total[0]
    assert found.left.name.to_list() == found.right.name.to_list()
    assert found.left.depth.tolist() == found.right.depth.tolist()


def test_a_small_side_is_not_cut_away_by_a_large_one() -> None:
    """What matters is a node's part of its own side."""
    found = diff.truncate(grow({"big": 10_000, "mid": 5_000, "low": 4_000}, {"new": 9, "big": 1}), 2)
    assert set(found.left.name) == {"total", "big", "new", "other"}


def test_columns_have_both_sides() -> None:
    """Parallel arrays, parents before children."""
    assert diff.columns(EXAMPLE) == {
        "name": ["total", "a", "b", "c"],
        "parent": [-1, 0, 1, 1],
        "self_left": [0, 0, 1, 2],
        "total_left": [3, 3, 1, 2],
        "self_right": [0, 0, 4, 8],
        "total_right": [12, 12, 4, 8],
    }


def test_flame_graph_diff_is_pyroscopes() -> None:
    """Seven numbers a node, both offsets counted on their own; the example of Pyroscope's own test."""
    found = flamebearer.flame_graph_diff(EXAMPLE)
    assert found["names"] == ["total", "a", "c", "b"]
    assert [level["values"] for level in found["levels"]] == [
        [0, 3, 0, 0, 12, 0, 0],
        [0, 3, 0, 0, 12, 0, 1],
        [0, 1, 1, 0, 4, 4, 3, 0, 2, 2, 0, 8, 8, 2],
    ]
    assert {key: found[key] for key in ("total", "maxSelf", "leftTicks", "rightTicks")} == {
        "total": 15,
        "maxSelf": 8,
        "leftTicks": 3,
        "rightTicks": 12,
    }
    quoted = flamebearer.flame_graph_diff_json(EXAMPLE)
    assert quoted["levels"][0] == {"values": ["0", "3", "0", "0", "12", "0", "0"]}
    assert quoted["rightTicks"] == "12"


def test_the_older_format_is_double() -> None:
    """`/pyroscope/render-diff`: format, ticks of both sides, bare integers."""
    found = flamebearer.flamebearer_diff(EXAMPLE, CPU)
    assert (found["metadata"]["format"], found["leftTicks"], found["rightTicks"]) == ("double", 3, 12)
    assert found["flamebearer"]["levels"][2] == [0, 1, 1, 0, 4, 4, 3, 0, 2, 2, 0, 8, 8, 2]
    assert found["flamebearer"]["numTicks"] == 15


def test_nested_set_has_the_columns_of_grafanas_panel() -> None:
    """`valueRight` and `selfRight` beside the four, rows depth first."""
    assert nested_set.rows(EXAMPLE.left, EXAMPLE.right)[:2] == [
        {"level": 0, "value": 3, "self": 0, "valueRight": 12, "selfRight": 0, "label": "total"},
        {"level": 1, "value": 3, "self": 0, "valueRight": 12, "selfRight": 0, "label": "a"},
    ]
    frame = nested_set.data_frame(EXAMPLE.left, "nanoseconds", right=EXAMPLE.right)
    fields = frame["schema"]["fields"]
    assert [field["name"] for field in fields] == ["level", "value", "self", "valueRight", "selfRight", "label"]
    assert [field["config"] for field in fields[:4]] == [{}, {"unit": "ns"}, {"unit": "ns"}, {"unit": "ns"}]
    assert len(frame["data"]["values"]) == 6


def test_bars_are_as_wide_as_the_mean_share() -> None:
    """So that both sides can be seen, however different their totals are."""
    bars = plot.figure_diff(grow({"a": 90, "b": 10}, {"b": 5}), "count").data[0]
    widths = dict(zip([texts[1] for texts in bars.customdata], np.array(bars.x) / bars.x[0], strict=True))
    assert widths == pytest.approx({"total": 1, "a": 0.45, "b": 0.55})


def test_colours_tell_more_from_less_and_from_chance() -> None:
    """Orange for more on the right, blue for less, grey where nothing is significant."""
    bars = plot.figure_diff(COHORTS, "count", sides=KNOWN).data[0]
    names = [texts[1] for texts in bars.customdata]
    colours = sorted(zip(names, bars.marker.color, strict=True))
    assert [colour for name, colour in colours if name in ("rank", "sort")] == [MORE[-1]] * 2
    assert [colour for name, colour in colours if name in ("read", "write", "total")] == [SAME] * 3
    # the helper takes longer where `rank` calls it, and as long as ever where `write` does
    assert [colour for name, colour in colours if name == "until"] == sorted([MORE[-1], SAME])
    plain = plot.figure_diff(COHORTS, "count").data[0].marker.color
    assert set(plain) & set(LESS)


def test_hovering_tells_both_sides_and_how_sure_it_is() -> None:
    """Per span and as a share, the difference, its limits, the verdict."""
    bars = plot.figure_diff(COHORTS, "count", sides=KNOWN).data[0]
    rank = next(text for text in bars.hovertext if text.startswith("<b>rank"))
    assert "normal: 0 per span · 0.00 %" in rank
    assert "slow: 32.9 per span · 81." in rank
    assert "function in all: 32.9 (" in rank
    assert "significant (q = 0.0" in rank


def test_the_page_shows_picture_legend_table_and_sentences() -> None:
    """Complete in itself or with the library from a server."""
    text = plot.html_diff(COHORTS, "count", "slow and normal", KNOWN, notes=["Said."], plotlyjs_url="/p.js")
    shown = Page(text)
    for part in (
        "slow and normal",
        "less in slow",
        "no significant difference",
        "What differs, per span",
        "Said.",
        "60 spans, 450 samples",
    ):
        assert part in shown.text
    assert shown.figure["data"][0]["x"][0] > 0
    assert 'data-name="rank"' in text
    assert plot.plotly_js() in plot.html_diff(EXAMPLE, "count", "plain")


def test_the_svg_is_well_formed_and_says_what_colours_mean() -> None:
    """Title with key figures and the legend in words."""
    root = ET.fromstring(plot.svg_diff(COHORTS, "count", "GET /items", KNOWN))
    title = root.findtext("{http://www.w3.org/2000/svg}title") or ""
    assert title.startswith("GET /items  normal 7.")
    assert title.endswith("blue: less, orange: more in slow")


def test_hostile_names_stay_text() -> None:
    """Names of functions and of cohorts, in hover texts, table, legend and title."""
    stacks = [f"main;{name.replace(';', ' ')}" for name in HOSTILE]
    spans = [dict.fromkeys(range(1, len(stacks) + 1), 3 + n % 2) for n in range(9)]
    sides = Sides(HOSTILE[0], "".join(HOSTILE), compare(cohort(stacks, spans), cohort(stacks, spans)))
    both = diff.build(symbols([stack.split(";") for stack in stacks]), rows(spans), rows(spans))
    shown = Page(plot.html_diff(both, "count", HOSTILE[0], sides, plotlyjs_url="/p.js"))
    assert "img" not in {tag for tag, _ in shown.elements}
    assert len(shown.scripts) == 3
    assert not any("<img" in text for text in shown.figure["data"][0]["hovertext"])
    ET.fromstring(plot.svg_diff(both, "count", HOSTILE[0], sides))


def test_nothing_on_either_side_is_drawn_as_nothing() -> None:
    """Empty sides are a page, a figure and a picture all the same."""
    for found in (grow({}, {}), grow({"a": 1}, {}), grow({}, {"a": 1})):
        assert json.loads(plot.figure_diff(found, "count").to_json())["data"]
        assert "<svg" in plot.svg_diff(found, "count").decode()
    assert pl.DataFrame(diff.columns(grow({}, {}))).height == 1
