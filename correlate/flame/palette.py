"""Warm colours, the same for everything of one package, so that the eye finds a library again."""

import colorsys
from typing import Final

import numpy as np
import polars as pl

from correlate.flame.labels import packages
from correlate.flame.tree import OTHER, Tree
from correlate.tables.hashing import hash_text

_STEPS: Final = 48
GREY: Final = "#d6d3d1"


def _colour(step: int) -> str:
    """One of `_STEPS` colours from red over orange to yellow; neighbouring steps differ in lightness as well."""
    hue = (6 + 46 * step / (_STEPS - 1)) / 360
    lightness = (0.66, 0.73, 0.80)[step % 3] - (0.04 if step > _STEPS // 2 else 0)
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.90)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


PALETTE: Final = tuple(_colour(step) for step in range(_STEPS))
"""Light enough for dark text on each of them (contrast above 5.5 to 1)."""


def colours(tree: Tree) -> list[str]:
    """A colour per node; what is no code (the root, ``other``, ``[unknown]``) is grey.

    A function of which neither name nor file tells the package has a colour of its own.
    """
    package = packages(tree.names, tree.places)
    steps = hash_text(package.zip_with(package != "", tree.names)) % _STEPS
    by_name = pl.Series(PALETTE).gather(steps)
    no_code = (tree.names == OTHER) | tree.names.str.contains(r"^\[.*\]$")
    table = by_name.zip_with(~no_code, pl.Series([GREY]).new_from_index(0, len(by_name))).to_list()
    table[int(tree.name_id[0])] = GREY
    return pl.Series(table, dtype=pl.String).gather(tree.name_id.astype(np.int64)).to_list()
