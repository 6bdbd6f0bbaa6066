"""Names as people see them, packages, colours, and sums by function."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.flame.labels import MAX_NAME_LENGTH, packages, printable, printable_one, short
from correlate.flame.palette import GREY, PALETTE, colours
from correlate.flame.top import functions, outermost
from tests.support.trees import grow, names


@given(st.text())
def test_nothing_a_terminal_or_reader_could_be_fooled_by_remains(text: str) -> None:
    """Control characters and marks of writing direction are escaped, one by one and in columns alike."""
    cleaned = printable_one(text)
    assert cleaned.isprintable() or not any(char in cleaned for char in "\x1b\x00\n\r\t\x9b\u202e\u2028")
    assert len(cleaned) <= MAX_NAME_LENGTH * 10
    assert printable(pl.Series([text, "plain"])).to_list() == [cleaned, "plain"]


def test_escapes_are_legible() -> None:
    """An escape sequence reads as one; other scripts are left alone."""
    assert printable_one("a\x1b[31m\u202eb") == r"a\x1b[31m\u202eb"
    assert printable_one("\U000e0001") == r"\U000e0001"
    assert printable_one("größe 計算") == "größe 計算"
    newer_than_python_311 = "\U00031350"
    assert printable(pl.Series([newer_than_python_311])).to_list() == [printable_one(newer_than_python_311)]
    assert printable_one("x" * 5000) == "x" * (MAX_NAME_LENGTH - 1) + "…"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("github.com/acme/shop.(*Cart).Add", "shop.(*Cart).Add"),
        ("net/http.(*conn).serve", "http.(*conn).serve"),
        ("main.main", "main.main"),
        ("func [a/b]", "func [a/b]"),
        ("std::map<a/b>::at", "std::map<a/b>::at"),
        ("/", "/"),
        ("a/", "a/"),
        ("", ""),
    ],
)
def test_a_short_name_has_no_path(name: str, expected: str) -> None:
    """Only the path before the name goes, never a part of arguments, and never everything."""
    assert short(pl.Series([name])).to_list() == [expected]


@pytest.mark.parametrize(
    ("name", "place", "expected"),
    [
        ("github.com/acme/shop.(*Cart).Add", "", "github.com/acme/shop"),
        ("runtime.mallocgc", "", "runtime"),
        ("java.util.HashMap.put", "", "java.util"),
        ("std::vector<int>::push_back", "", "std"),
        ("libc.so.6+0x2a", "", "libc.so.6"),
        ("handle", "/app/shop/cart.py:12", "cart.py"),
        ("handle", "C:\\app\\cart.py", "cart.py"),
        ("handle", "", ""),
        ("", "", ""),
    ],
)
def test_the_package_of_a_name(name: str, place: str, expected: str) -> None:
    """By the customs of the languages; a bare function belongs to its file."""
    assert packages(pl.Series([name]), pl.Series([place])).to_list() == [expected]


def test_one_package_has_one_colour() -> None:
    """Wherever its functions stand; what is no code is grey."""
    tree = grow({"shop.Add;runtime.malloc": 1, "shop.Del;runtime.free": 1, "[unknown]": 1, "other": 1})
    colour = dict(zip(tree.name, colours(tree), strict=True))
    assert colour["shop.Add"] == colour["shop.Del"] in PALETTE
    assert colour["runtime.malloc"] == colour["runtime.free"] != colour["shop.Add"]
    assert {colour["total"], colour["[unknown]"], colour["other"]} == {GREY}


def luminance(colour: str) -> float:
    """Relative luminance as WCAG defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [*PALETTE, GREY])
def test_labels_are_readable_on_every_colour(colour: str) -> None:
    """Contrast of the dark text is at least 5.5 to 1."""
    assert (luminance(colour) + 0.05) / (luminance("#2a1508") + 0.05) >= 5.5


@given(st.lists(st.tuples(st.lists(names, min_size=1, max_size=7), st.integers(1, 9)), max_size=12))
def test_a_function_counts_once_however_often_it_calls_itself(samples: list[tuple[list[str], int]]) -> None:
    """Total of a function: the samples it occurs in; self: those it ends."""
    table = functions(grow(samples))
    present = {name for path, _ in samples for name in path}
    assert set(table["name"]) == present
    for name, own, total in table.select("name", "self", "total").rows():
        assert own == sum(value for path, value in samples if path[-1] == name)
        assert total == sum(value for path, value in samples if name in path)
    assert table["self"].to_list() == sorted(table["self"], reverse=True)


def test_outermost_calls() -> None:
    """Of a function within itself only the outer node counts, however far apart."""
    tree = grow({"f;g;f;f": 1, "g": 1})
    assert list(zip(tree.name, outermost(tree).tolist(), strict=True)) == [
        ("total", True),
        ("f", True),
        ("g", True),
        ("f", False),
        ("f", False),
        ("g", True),
    ]
