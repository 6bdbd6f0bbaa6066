"""Alerts in a terminal, as the REST API words them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from correlate.alerting.payloads_words import clean, place, quantity, time_text
from correlate.model.verdicts import Site

_COLOURS: Final = {"firing": "red", "watch": "yellow", "resolved": "green"}
_SITES: Final = 3
_SHOWN: Final = ("growth", "observed", "limit in", "level", "share", "limit", "now")
"""Figures that tell most; the others are on the page."""


def print_alert(alert: Mapping[str, Any], public_url: str, console: Console) -> None:
    """Print an alert: what, where, how much, which checks it passed, when, and the address of its page.

    Args:
        alert: as ``GET /api/v1/alerts/{fingerprint}`` has it.
        public_url: where its page is.
        console: where to.
    """
    finding, status = alert["finding"], str(alert["status"])
    about = f"{finding['detector']} in {clean(finding['service'])}"
    console.print(
        f"[bold {_COLOURS.get(status, 'white')}]{status}[/]  {escape(about)}, {alert['severity']}", highlight=False
    )
    console.print(f"[bold]{escape(clean(finding['headline'], 1000))}[/]", highlight=False)
    for label, text in _facts(alert):
        console.print(f"{label:>12}  {escape(text)}", highlight=False, soft_wrap=True)
    console.print(
        f"{public_url}/alerts/{alert['fingerprint']}", style="dim", markup=False, highlight=False, soft_wrap=True
    )


def _facts(alert: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    finding = alert["finding"]
    for site in finding["sites"][:_SITES]:
        yield "call site", place(Site(site["function"], site["file"], site["line"]))
        if site["operations"]:
            yield "operations", ", ".join(map(clean, site["operations"]))
    if figures := _figures(finding["figures"]):
        yield "figures", figures
    passed = [guard["name"] for guard in finding["guards"] if guard["passed"]]
    if passed:
        yield "checks", clean(", ".join(passed))
    for guard in finding["guards"]:
        if not guard["passed"]:
            yield "held back by", clean(f"{guard['name']}: {guard['reason']}", 500)
    for event in reversed(alert.get("events", [])):
        yield "history", f"{time_text(event['time_ns'])} {event['kind'].replace('_', ' ')}"


def _figures(figures: Mapping[str, float | None]) -> str:
    """The figures that tell most; of several of one name the first, which is the pace of what grows."""
    told: dict[str, str] = {}
    for name, value in figures.items():
        if value is not None:
            short, text = quantity(name, value)
            told.setdefault(short, text)
    return " · ".join(f"{name} {text}" for name, text in told.items() if name in _SHOWN)
