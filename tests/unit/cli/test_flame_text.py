"""The terminal flame graph: what it says, how it fits, and that names cannot do harm."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from correlate.cli.flame_text import printable, render, to_text
from correlate.flame.outline import Line, outline
from correlate.flame.tree import build
from tests.support.trees import HOSTILE, grow, names, symbols

SAMPLES = {
    "main;loop;checkout;sign;sha": 40,
    "main;loop;checkout;decode": 20,
    "main;loop;items": 30,
    "main;gc": 9,
    "x": 1,
}


def printed(text: object, width: int = 100, **console: object) -> str:
    """What a console of some kind receives."""
    out = io.StringIO()
    Console(file=out, width=width, **console).print(text)  # type: ignore[arg-type]
    return out.getvalue()


def test_a_flame_graph_in_the_terminal() -> None:
    """Shares, values, bars, folded chains, the rest summed up, and where the time is spent."""
    flame = render(grow(SAMPLES, weighted=True), "nanoseconds", "POST /checkout", min_share=0.02)
    assert to_text(flame, 70).splitlines() == [
        "POST /checkout  100 ns · 5 samples",
        " 100.0 %    100 ns ███████████ total",
        "  99.0 %     99 ns ██████████▉ └─ main",
        "  90.0 %     90 ns █████████▉     ├─ loop",
        "  60.0 %     60 ns ██████▋        │  ├─ checkout",
        "  40.0 %     40 ns ████▍          │  │  ├─ sign → sha",
        "  20.0 %     20 ns ██▎            │  │  └─ decode",
        "  30.0 %     30 ns ███▎           │  └─ items",
        "   9.0 %      9 ns █              └─ gc",
        "",
        "Where it is spent",
        "  40.0 %     40 ns ████▍       sha",
        "  30.0 %     30 ns ███▎        items",
        "  20.0 %     20 ns ██▎         decode",
        "   9.0 %      9 ns █           gc",
        "   1.0 %      1 ns ▏           x",
    ]


def test_ascii_when_the_console_has_nothing_else() -> None:
    """No character outside ASCII, same columns."""
    flame = render(grow({"größe;a": 9, "größe;b": 1}), "nanoseconds", "a · b", top_count=0)
    assert to_text(flame, 60, ascii_only=True).splitlines() == [
        "a - b  10 ns",
        " 100.0 %     10 ns ########## total",
        " 100.0 %     10 ns ########## `- gr??e",
        "  90.0 %      9 ns #########     |- a",
        "  10.0 %      1 ns #             `- b",
    ]


def test_the_outline_folds_and_sums_up() -> None:
    """Chains are one line, small branches are counted, the hottest path is marked."""
    lines = outline(grow({"a;b;c": 60, "a;b;d": 36, **{f"e;f{row}": 1 for row in range(4)}}), 0.04)
    assert lines == [
        Line((), ("total",), 100, hot=True),
        Line((True,), ("a", "b"), 96, hot=True),
        Line((True, True), ("c",), 60, hot=True),
        Line((True, False), ("d",), 36),
        Line((False,), ("e",), 4),
        Line((False, False), (), 4, more=4),
    ]


def test_recursion_is_counted() -> None:
    """A function that calls itself a hundred times takes one line."""
    flame = render(grow([(["main", *["walk"] * 100, "leaf"], 5)]), "count", top_count=0)
    assert "main → walk \N{MULTIPLICATION SIGN}100 → leaf" in to_text(flame, 80)


def test_the_threshold_rises_until_the_tree_fits() -> None:
    """Never more lines than asked for, however bushy the tree."""
    bushy = grow([([f"a{row % 7}", f"b{row % 49}", f"c{row}"], row) for row in range(1, 400)])
    for most in (1, 5, 20, 45):
        assert 1 <= len(render(bushy, "count", min_share=0.0001, max_lines=most).lines) <= most


def test_chains_keep_their_ends() -> None:
    """What does not fit is left out in the middle; names too long for the line are cut."""
    path = [f"function_number_{row}" for row in range(6)]
    tree = grow([(path, 1)])
    assert "function_number_0 → function_number_1 → … → function_number_5" in to_text(render(tree, "count"), 110)
    assert "function_number_0 → … → function_number_5" in to_text(render(tree, "count"), 85)
    assert "function_numbe… → … → function_numbe…" in to_text(render(tree, "count"), 72)
    deep = to_text(render(grow([([f"f{row}" for row in range(10_000)], 1)]), "count"), 80)
    assert "f9999" in deep.splitlines()[2]


@given(
    st.lists(
        st.tuples(st.lists(names | st.text(max_size=40), min_size=1, max_size=8), st.integers(-5, 50)), max_size=12
    ),
    st.integers(20, 200),
    st.booleans(),
)
def test_no_line_is_longer_than_the_terminal(
    samples: list[tuple[list[str], int]], width: int, ascii_only: bool
) -> None:
    """Any tree, any names, any width: lines fit and hold printable characters only."""
    text = to_text(render(grow(samples), "nanoseconds", "t"), width, ascii_only=ascii_only)
    for line in text.splitlines():
        assert cell_len(line) <= width
        assert "\x1b" not in line
        assert not ascii_only or line.isascii()


def test_hostile_names_are_shown_escaped() -> None:
    """Escape sequences are spelled out, markup is not read, lines stay lines."""
    flame = render(grow([([name], 10) for name in HOSTILE]), "count", "[bold]t[/bold]\x1b[2J")
    text = printed(flame, 120, force_terminal=True, color_system="truecolor")
    assert "\x1b[31mred" not in text
    assert "\x1b[2J" not in text
    assert r"esc\x1b[31mred\x07" in text
    assert "[red]markup[/red]" in text
    assert r"[bold]t[/bold]\x1b[2J" in text
    assert text.count("\n") == 1 + 1 + len(HOSTILE) + 2 + 8
    assert printable("a\x1bb") == r"a\x1bb"


def test_colours_only_where_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours and the hottest path in bold; a file, or NO_COLOR, does not."""
    flame = render(grow(SAMPLES), "nanoseconds")
    coloured = printed(flame, force_terminal=True, color_system="truecolor")
    assert "\x1b[1mloop\x1b[0m" in coloured
    assert "38;2;239;68;68" in coloured
    assert "\x1b" not in printed(flame, force_terminal=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "38;2" not in printed(flame, force_terminal=True)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_it_uses_the_width_there_is(width: int) -> None:
    """Bars grow with the terminal, up to a limit; a width can be given as well."""
    flame = render(grow(SAMPLES), "nanoseconds")
    assert printed(flame, width).count("█" * min(width // 6, 24)) == 1
    narrow = render(grow(SAMPLES), "nanoseconds", width=60)
    assert max(len(line) for line in printed(narrow, width).splitlines()) <= 60


def test_nothing_is_one_line() -> None:
    """An empty tree has a total of zero and no table."""
    nothing = np.zeros(0, np.int64)
    assert to_text(render(build(symbols([]), nothing, nothing), "nanoseconds"), 60).splitlines() == [
        "0 ns",
        "   0.0 %      0 ns            total",
    ]


def test_negative_values_do_not_break_it() -> None:
    """Differences may come to less than nothing."""
    text = to_text(render(grow({"a": -50, "b": 10}), "count"), 60)
    assert "-50" in text
