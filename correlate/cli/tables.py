"""Answers as tables for the terminal: shares of functions, the time of a span, and who paid for a function."""

from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from correlate.flame.labels import printable_one
from correlate.services.words import PARTS
from correlate.units import human

MOST_ROWS: Final = 15
_BAR_CELLS: Final = 60
_COLOURS: Final = {
    "on_cpu": "#ea580c",
    "gc": "#a855f7",
    "lock": "#dc2626",
    "off_cpu": "#2563eb",
    "children": "#0d9488",
    "remote": "#65a30d",
}


def plain(*headings: str, left: tuple[str, ...] = ()) -> Table:
    """A table without lines: the first column for names, the others for figures unless they are in `left`."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column(headings[0], overflow="fold", ratio=None)
    for heading in headings[1:]:
        table.add_column(heading, justify="left" if heading in left else "right", overflow="fold")
    return table


def shown(text: str) -> Text:
    """A name from the wire, without what could steer a terminal, never read as markup."""
    return Text(printable_one(text))


def between(low: float | None, high: float | None, unit: str) -> str:
    """An interval."""
    return "-" if low is None or high is None else f"{human(low, unit)} to {human(high, unit)}"


def shares(frames: list[dict[str, Any]], unit: str) -> Table:
    """What a cohort spends in its largest functions, with limits."""
    table = plain("function", "share", "95 % interval", "per span", "95 % interval ", "spans", "samples")
    for row in frames[:MOST_ROWS]:
        limits = "-" if row["share_low"] is None else f"{row['share_low']:.1%} to {row['share_high']:.1%}"
        cost = row.get("cost")
        table.add_row(
            shown(row["name"]),
            f"{row['share']:.1%}",
            Text(limits, style="dim"),
            "-" if cost is None else human(cost, unit),
            Text(between(row.get("cost_low"), row.get("cost_high"), unit), style="dim"),
            *("-" if row.get(name) is None else f"{row[name]:,}" for name in ("spans", "samples")),
        )
    return table


def print_breakdown(found: dict[str, Any], console: Console) -> None:
    """Print where the time of a span went, and by what evidence."""
    span = found["span"]
    name = Text.assemble((printable_one(span["name"] or "(no name)"), "bold"), f"  in {printable_one(span['service'])}")
    console.print(Text.assemble(name, f", {human(found['wall_ns'], 'nanoseconds')}"))
    parts = [part for part in found["parts"] if part["time_ns"]]
    console.print(Group(_bar(parts), Text(), _parts(parts), Text()))
    for used in found["evidence"]:
        sure = used["confidence"]
        said = f"{used['alias']}: {used['samples']:,} samples, {sure['level']} by {used['method']}: {sure['reason']}"
        console.print(Text(printable_one(said), style="yellow" if sure["level"] != "exact" else "dim"))
    for alias, why in found["missing"].items():
        console.print(Text(f"{alias}: {printable_one(why)}", style="dim"))


def _bar(parts: list[dict[str, Any]]) -> Text:
    bar = Text()
    for part in parts:
        bar.append("█" * max(1, round(part["share"] * _BAR_CELLS)), style=_COLOURS.get(part["name"], "#9ca3af"))
    return bar


def _parts(parts: list[dict[str, Any]]) -> Table:
    table = plain("part", "time", "share", "95 % interval")
    for part in parts:
        table.add_row(
            Text.assemble(("█ ", _COLOURS.get(part["name"], "#9ca3af")), PARTS[part["name"]]),
            human(part["time_ns"], "nanoseconds"),
            f"{part['share']:.1%}",
            Text(between(part["low_ns"], part["high_ns"], "nanoseconds"), style="dim"),
        )
    return table


def print_payers(found: dict[str, Any], console: Console) -> None:
    """Print the spans that paid most for a function, and how many of those named exist."""
    unit = found["unit"]
    total = f"{human(found['total'], unit)} of {printable_one(found['profile_type'])}"
    named = found["total"] - found["unnamed"]
    share = f" ({named / found['total']:.1%})" if found["total"] else ""
    console.print(Text.assemble((printable_one(found["function"]), "bold"), f"  {total}"))
    console.print(
        f"{human(named, unit)}{share} is for {found['span_count']:,} spans that samples name", highlight=False
    )
    console.print(_existence(found), highlight=False)
    for note in found["notes"]:
        console.print(Text(printable_one(note), style="yellow"))
    console.print(Text(), _payers(found["spans"], unit))


def _existence(found: dict[str, Any]) -> str:
    if not found["checked"]:
        return "no span to look up"
    unresolved = f", {found['unresolved']:,} more could not be asked for" if found["unresolved"] else ""
    dead = "all of them exist"
    if found["dead"]:
        dead = f"{found['dead']:,} of them ({found['dead_share']:.0%}) exist nowhere"
    return f"{found['checked']:,} looked up, the most expensive first: {dead}{unresolved}"


def _payers(spans: list[dict[str, Any]], unit: str) -> Table:
    table = plain("span", "in it", "of the span", "samples", "took", "started", "ask for it", left=("ask for it",))
    for row in spans:
        span = row["span"]
        table.add_row(
            shown(span["name"] or "(no name)"),
            human(row["value"], unit),
            "-" if row["share"] is None else f"{row['share']:.0%}",
            f"{row['samples']:,}",
            human(span["duration_ns"], "nanoseconds"),
            datetime.fromtimestamp(span["start_ns"] / 1e9, UTC).strftime("%m-%d %H:%M:%S"),
            Text(f"correlate span {span['trace_id']} {span['span_id']}", style="dim"),
        )
    return table
