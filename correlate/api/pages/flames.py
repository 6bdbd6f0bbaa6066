"""What the pages with a flame graph show of an answer: the picture, the facts beside it, and tables of functions."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from correlate.api.pages.address import Here, Payers
from correlate.flame import plot
from correlate.flame.labels import printable
from correlate.flame.top import functions
from correlate.services import render
from correlate.services.answers import Profile

MAX_NODES = 4096
MOST_FUNCTIONS = 25
_SAVED = {"page": "html", "picture": "svg", "pprof": "pprof", "speedscope": "speedscope", "JSON": "json"}


def of_profile(profile: Profile, payers: Payers) -> dict[str, Any]:
    """What the template ``_profile.html`` needs of a profile that was found."""
    tree = render.Sheet(profile, {}, MAX_NODES).whole_tree
    unit = profile.profile_type.sample_unit
    return {
        "profile": profile,
        "unit": unit,
        "facts": render.summary(profile),
        "picture": plot.picture(tree, unit),
        "total": int(tree.total[0]),
        "samples": profile.coverage.samples if tree.samples is None else int(tree.samples[0]),
        "functions": _own_values(functions(tree), payers),
    }


def with_payers(rows: pl.DataFrame, payers: Payers) -> list[dict[str, Any]]:
    """Rows with a name and a place as they are shown, and where the name leads; a handful, for people to read."""
    shown = rows.with_columns(name=printable(rows["name"]), place=printable(rows["place"]), raw=rows["name"])
    return [{**row, "url": payers.of(row["raw"])} for row in shown.to_dicts()]


def saved_as(path: str, here: Here, names: Iterable[str] = _SAVED) -> Mapping[str, str]:
    """Where the REST API has the same answer as a file: a word for each, and its address."""
    return {name: here.to(path, format=_SAVED[name]) for name in names}


def _own_values(table: pl.DataFrame, payers: Payers) -> list[dict[str, Any]]:
    return with_payers(table.filter(pl.col("self") > 0).head(MOST_FUNCTIONS), payers)
