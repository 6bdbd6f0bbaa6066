"""`correlate doctor`: faults with figures and fixes, what was looked at, and the checklist for production."""

import sys
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from correlate.flame.labels import MAX_NAME_LENGTH, printable_one
from correlate.units import human

_COLOURS = {"high": "red", "medium": "yellow"}
_LONGEST = 4_000
_STATES = {"ok": "[green]ok[/]", "missing": "[red]missing[/]", "unknown": "[yellow]unknown[/]", "not applicable": "-"}


def print_json(found: dict[str, Any], _console: Console) -> None:
    """Print the report as the REST API words it."""
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def print_report(found: dict[str, Any], console: Console) -> None:
    """Print the report for people, the gravest complaint first."""
    for complaint in found["complaints"]:
        _print_complaint(complaint, console)
    if found["services"]:
        console.print(_looked_at(found["services"]), "")
    if found["skipped"]:
        console.print(f"not looked into: {escape(_shown(', '.join(found['skipped'])))}", "", style="dim")
    console.print(_checklist(found["checklist"]), "")
    console.print(f"[bold]{_verdict(found)}[/]")


def _print_complaint(complaint: dict[str, Any], console: Console) -> None:
    colour = _COLOURS.get(complaint["severity"], "dim")
    whose = escape(_shown(complaint["service"]))
    console.print(f"[{colour}]{complaint['severity']:>6}[/]  [bold]{complaint['name']}[/]  {whose}", highlight=False)
    console.print(Padding(escape(_shown(complaint["sentence"])), (0, 0, 0, 8)), highlight=False)
    console.print(Padding(f"[green]fix:[/] {escape(_shown(complaint['fix']))}", (0, 0, 1, 8)), highlight=False)


def _looked_at(services: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("looked at", overflow="fold")
    table.add_column("from")
    for heading in ("for", "spans", "samples", "attributed", "orphaned", "unlabelled"):
        table.add_column(heading, justify="right")
    for each in services:
        table.add_row(
            f"[bold]{escape(_shown(each['service']))}[/]",
            _moment(each["start_ns"]),
            human(each["end_ns"] - each["start_ns"], "nanoseconds"),
            f"{each['span_rows']:,}",
            f"{each['sample_rows']:,}",
            *(_share(each["labels"], part) for part in ("attributed", "orphaned", "unlabelled")),
        )
    return table


def _moment(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S") if time_ns else "-"


def _share(labels: dict[str, Any] | None, part: str) -> str:
    return f"{labels[part] / labels['total']:.1%}" if labels and labels["total"] else "-"


def _checklist(items: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("checklist for production", overflow="fold")
    table.add_column("")
    table.add_column("", overflow="fold", ratio=1)
    for item in items:
        said = f"{escape(_shown(item['evidence']))} [dim]{escape(_shown(item['fix']))}[/]"
        table.add_row(item["title"], _STATES.get(item["state"], item["state"]), said)
    return table


def _verdict(found: dict[str, Any]) -> str:
    if not found["services"]:
        return "Nothing has arrived yet: try `correlate demo`."
    count = len(found["complaints"])
    return f"{count} complaint{'s' if count != 1 else ''}." if count else "Nothing is wrong with the correlation."


def _shown(text: str) -> str:
    """A text with names from the wire, without what could steer a terminal; endless ones are cut."""
    pieces = range(0, min(len(text), _LONGEST), MAX_NAME_LENGTH)
    return "".join(printable_one(text[at : at + MAX_NAME_LENGTH]) for at in pieces)
