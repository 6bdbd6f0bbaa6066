"""A comparison in the terminal: what differs in sentences, then function by function."""

from collections.abc import Callable
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from correlate.cli import query, tables
from correlate.flame.labels import printable_one
from correlate.units import human

Write = Callable[[float], str]


def print_answer(found: dict[str, Any], console: Console) -> None:
    """Print the JSON answer of a comparison."""
    for side in ("left", "right"):
        query.print_doubts(found[side], console, whose=f"the {found[side]['name']} side is ")
    print_sentences(found, console)
    if found["threshold_ns"] is not None:
        console.print(f"Slow are those that took {human(found['threshold_ns'], 'nanoseconds')} or longer.", style="dim")
    console.print(Text(), _sides(found), Text(), _functions(found))


def print_sentences(found: dict[str, Any], console: Console, most: int | None = None) -> None:
    """Print what differs, in words; the first sentences only where `most` says so."""
    for line in found["sentences"][:most]:
        console.print(Text(printable_one(line)))


def _sides(found: dict[str, Any]) -> Table:
    table = tables.plain("side", "spans", "samples", "per span", "95 % interval", "query", left=("query",))
    for side in (found["left"], found["right"]):
        cost = side["cost"]
        table.add_row(
            side["name"],
            f"{side['spans']:,}",
            f"{side['samples']:,}",
            "-" if cost is None else human(cost, found["unit"]),
            Text(tables.between(side["cost_low"], side["cost_high"], found["unit"]), style="dim"),
            tables.shown(side["cohort"]["query"]),
        )
    return table


def _functions(found: dict[str, Any]) -> Table:
    basis = found["basis"]
    write: Write = partial(human, unit=found["unit"]) if basis == "cost" else _points
    names = (found["left"]["name"], found["right"]["name"])
    table = tables.plain("function", *names, "difference", "95 % interval", "q", "", left=("",))
    for row in found["frames"][: tables.MOST_ROWS]:
        low, high, q = row[f"{basis}_low"], row[f"{basis}_high"], row[f"{basis}_q"]
        table.add_row(
            Text(printable_one(row["name"]), style="bold" if row["significant"] else ""),
            *(_known(row[name], write) for name in (f"left_{basis}", f"right_{basis}", f"{basis}_difference")),
            Text("-" if low is None else f"{write(low)} to {write(high)}", style="dim"),
            "-" if q is None else f"{q:.2g}",
            _verdict(row),
        )
    return table


def _known(value: float | None, write: Write) -> str:
    return "-" if value is None else write(value)


def _points(share: float) -> str:
    return f"{100 * share:.2f} %"


def _verdict(row: dict[str, Any]) -> Text:
    if row["significant"]:
        return Text("significant", style="bold green")
    if row["under_powered"]:
        return Text(f"under-powered: needs {row['needs_samples']:,} more samples", style="dim")
    return Text("not significant", style="dim")
