"""`correlate backtest`: what the detectors would have told of stored history."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from correlate import bootstrap
from correlate.api.times import parse_range
from correlate.flame.labels import printable_one
from correlate.model.alerts import Alert, AlertStatus
from correlate.services.backtest import Backtested
from correlate.settings import Settings

_COLOURS = {"watch": "yellow", "firing": "red", "escalated": "red", "resolved": "green"}


def backtest(
    settings: Settings, times: tuple[str | None, str | None], services: Sequence[str], console: Console
) -> Backtested:
    """Replay stored history through the detectors, with a progress bar; nothing is stored and nobody is told.

    Raises:
        BadQuery: a time cannot be read.
        StoreError: the lake cannot be read.
    """
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        bootstrap.running(settings, maintain=False) as running,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        window = parse_range(*times, running.clock)
        task = progress.add_task("", total=None)
        return running.backtest.run(
            window, services, lambda done, total: progress.update(task, completed=done, total=total)
        )


def print_json(found: Backtested) -> None:
    """Print events and alerts as JSON."""
    sys.stdout.buffer.write(orjson.dumps(as_json(found), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def as_json(found: Backtested) -> dict[str, Any]:
    """What a replay found: the window, events in order, and alerts as they were at the end."""
    return {
        "from_ns": found.window.start_ns,
        "to_ns": found.window.end_ns,
        "services": found.services,
        "judgements": found.judgements,
        "events": [
            {
                "time_ns": each.event.time_ns,
                "kind": each.event.kind,
                "text": each.event.text,
                "fingerprint": each.event.fingerprint,
                "episode": each.event.episode,
                **_about(each.alert),
            }
            for each in found.happened
        ],
        "alerts": [_alert(alert) for alert in found.alerts],
    }


def print_table(found: Backtested, console: Console) -> None:
    """Print what would have happened, for people: each step with its time, and the sum."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("time (UTC)")
    table.add_column("what")
    table.add_column("service", overflow="fold")
    table.add_column("detector")
    table.add_column("", overflow="fold", ratio=1)
    for each in found.happened:
        kind = str(each.event.kind)
        verdict = each.alert.verdict
        table.add_row(
            _moment(each.event.time_ns),
            f"[{_COLOURS.get(kind, 'dim')}]{kind}[/]",
            escape(printable_one(verdict.service)),
            verdict.detector,
            escape(printable_one(each.event.text)),
        )
    if found.happened:
        console.print(table, "")
    console.print(_sum(found))


def _sum(found: Backtested) -> str:
    if not found.services:
        return "Nothing is stored of that time."
    still = sum(alert.status is AlertStatus.FIRING for alert in found.fired)
    watched = len(found.alerts) - len(found.fired)
    return (
        f"{len(found.services)} services judged {found.judgements:,} times: {len(found.fired)} alerts would have fired"
        f" ({still} still firing), {watched} were only watched."
    )


def _about(alert: Alert) -> dict[str, str]:
    verdict = alert.verdict
    return {"service": verdict.service, "detector": verdict.detector, "subject": verdict.subject}


def _alert(alert: Alert) -> dict[str, Any]:
    verdict = alert.verdict
    return {
        **_about(alert),
        "fingerprint": alert.fingerprint,
        "status": alert.status,
        "severity": alert.severity,
        "owner": alert.owner,
        "tier": verdict.tier,
        "headline": verdict.headline,
        "figures": dict(verdict.figures),
        "sites": [asdict(site) for site in verdict.sites],
        "started_ns": alert.started_ns,
        "confirmed_ns": alert.confirmed_ns,
        "resolved_ns": alert.resolved_ns,
    }


def _moment(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
