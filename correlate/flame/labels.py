"""What people see of a frame's name: visible characters, a short form that fits, and the package it belongs to."""

import re
import unicodedata
from typing import Final

import polars as pl

_UNUSUAL: Final = r"[^ -~]"  # only these are looked at one by one: two libraries' tables of Unicode may differ in age
_GENERIC: Final = r"<[^<>]*>|\[[^\[\]]*\]"
MAX_NAME_LENGTH: Final = 400


def printable(texts: pl.Series) -> pl.Series:
    r"""Write control, format and unassigned characters as escapes (``\x1b``, ``\u202e``), and cut endless names.

    Names come from whoever sent the profile. A terminal would obey escape sequences in them, and marks that turn the
    direction of writing around could make a name look like another.
    """
    marks = texts.str.contains(_UNUSUAL) | (texts.str.len_chars() > MAX_NAME_LENGTH)
    if not marks.any():
        return texts
    strange = texts.filter(marks).unique()  # Python per distinct name that is not plain ASCII
    return texts.replace(strange, pl.Series([printable_one(text) for text in strange], dtype=pl.String))


def printable_one(text: str) -> str:
    """Write a single text as `printable` does."""
    cut = text if len(text) <= MAX_NAME_LENGTH else text[: MAX_NAME_LENGTH - 1] + "…"
    return re.sub(_UNUSUAL, _escape, cut)


def _escape(match: re.Match[str]) -> str:
    char = match.group()
    if unicodedata.category(char)[0] != "C" and char not in "\u2028\u2029":
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def short(names: pl.Series) -> pl.Series:
    """Drop the path before a name, as in ``github.com/acme/shop.(*Cart).Add`` → ``shop.(*Cart).Add``.

    Only slashes before the first bracket or space count: those after it belong to arguments.
    """
    return names.str.replace(r"^[^\s(\[<{]*/([^/\s(\[<{])", "$1")


def packages(names: pl.Series, places: pl.Series) -> pl.Series:
    """The package, module or binary each name belongs to; "" where nothing tells.

    Args:
        names: display names: ``github.com/acme/shop.(*Cart).Add`` (Go), ``java.util.HashMap.put``,
            ``std::vector<int>::push_back``, ``libc.so.6+0x2a``, ``handle`` (Python).
        places: ``file:line``; the file's name stands in for the package when the name is a bare function.
    """
    frame = pl.DataFrame({"name": names, "place": places})
    plain = pl.col("name").str.replace_all(_GENERIC, "")
    file = pl.col("place").str.extract(r"([^/\\]*?)(?::\d+)?$", 1).fill_null("")
    return frame.select(
        pl.when(plain.str.contains(r"^\S+\+0x[0-9a-f]+$"))
        .then(plain.str.extract(r"^(\S+)\+0x", 1))
        .when(plain.str.contains("/"))
        .then(plain.str.extract(r"^([^\s(]*/[^./\s(]*)", 1))
        .when(plain.str.contains("::"))
        .then(plain.str.extract(r"([A-Za-z_]\w*)::", 1))
        .when(plain.str.contains(r"^[\w$]+(\.[\w$]+){2,}"))
        .then(plain.str.extract(r"^([\w$]+(?:\.[\w$]+)*)\.[\w$]+\.[\w$]+", 1))
        .when(plain.str.contains(r"^\w+\."))
        .then(plain.str.extract(r"^(\w+)\.", 1))
        .otherwise(file)
        .fill_null("")
        .alias("package")
    ).to_series()
