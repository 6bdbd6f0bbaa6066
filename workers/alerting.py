"""`correlate alerts`: what there is to see of alerts, and trying out those who are told."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from correlate.bootstrap import Services
from correlate.errors import ConfigError
from correlate.model.alert_changes import AlertFilter
from correlate.model.alerts import AlertStatus
from correlate.ports.receivers import Recipient
from workers.runtime import recipients_of


def try_receivers(services: Services, names: Sequence[str], console: Console, *, end: bool) -> bool:
    """Send a test alert to some receivers (none named: all), and print what happened.

    Returns:
        Whether all of them took it.

    Raises:
        ConfigError: the configuration is wrong, names no receiver, or not one that was asked for.
        StoreError: the state database failed.
    """
    with recipients_of(services.settings, services.clock) as recipients:
        chosen = _chosen(recipients, names)
        return all([_tried(services, each, console, end=end) for each in chosen])  # noqa: C419 tries all


def print_alerts(services: Services, console: Console, *, service: str | None, resolved: bool, limit: int) -> None:
    """Print alerts as a table, and below it the receivers.

    Raises:
        StoreError: the state database failed.
    """
    statuses = tuple(AlertStatus) if resolved else (AlertStatus.WATCH, AlertStatus.FIRING)
    found = services.alerts.list(AlertFilter(statuses=statuses, service=service, limit=limit))
    table = Table("status", "severity", "since", "service", "detector", "what", "fingerprint")
    for view in found:
        alert = view.alert
        status = f"{alert.status.value}{' (silenced)' if view.silenced_by else ''}"
        verdict = alert.verdict
        row = (status, alert.severity.value, _time(alert.since_ns), verdict.service, verdict.detector, verdict.headline)
        table.add_row(*map(_plain, row), alert.fingerprint)
    console.print(table if found else "no alerts", highlight=False)
    _print_receivers(services, console)


def _print_receivers(services: Services, console: Console) -> None:
    table = Table("receiver", "kind", "place", "waiting", "dead", "tested", "last error")
    views = services.receivers.all()
    for view in views:
        kind, place = (view.route.kind, view.route.place) if view.route else ("", "not configured any more")
        counts = (str(view.queue.waiting_count), str(view.queue.dead_count))
        tested = _time(view.tested_ns) or "never"
        table.add_row(*map(_plain, (view.name, kind, place, *counts, tested, view.queue.last_error)))
    console.print(table if views else "no receivers are configured", highlight=False)


def _chosen(recipients: Sequence[Recipient], names: Sequence[str]) -> list[Recipient]:
    known = {each.name: each for each in recipients}
    if not known:
        raise ConfigError("no receivers are configured; list them under `receivers` in the file given by --config")
    if unknown := sorted(set(names) - set(known)):
        raise ConfigError(f"no receiver is named {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(recipients)


def _tried(services: Services, recipient: Recipient, console: Console, *, end: bool) -> bool:
    tried = services.receivers.test(recipient, end=end)
    console.print(f"[bold]{recipient.name}[/] ({recipient.kind}, {recipient.place})", highlight=False)
    console.print("  [green]ok[/] " if tried.ok else "  [red]--[/] ", end="", highlight=False)
    console.print(tried.text, markup=False, highlight=False, soft_wrap=True)
    return tried.ok


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if time_ns else ""


def _plain(text: str) -> str:
    """Without rich's markup, which names from outside could hold."""
    return "".join(letter if letter.isprintable() else " " for letter in text).replace("[", "\\[")
