"""Alerts, silences and receivers as their schemas want them."""

import math
from dataclasses import asdict
from typing import Any

from correlate.model.alerts import AlertEvent, Silence
from correlate.ports import DeadNotification
from correlate.services.alerts import AlertView
from correlate.services.receivers import ReceiverView

Shown = dict[str, Any]


def finding(view: AlertView) -> Shown:
    """What a detector sees."""
    alert, verdict = view.alert, view.alert.verdict
    return {
        **{name: getattr(verdict, name) for name in ("detector", "service", "subject", "tier", "headline")},
        "fingerprint": alert.fingerprint,
        "status": alert.status,
        "figures": {name: _number(value) for name, value in verdict.figures.items()},
        "sites": [
            asdict(site) | {name: _number(getattr(site, name)) for name in ("growth_per_hour", "share_ratio")}
            for site in verdict.sites
        ],
        "guards": [asdict(guard) for guard in verdict.guards],
        "minimum_detectable": _number(verdict.minimum_detectable),
        "since_ns": alert.since_ns,
        "seen_until_ns": alert.last_seen_ns,
        "judged_until_ns": alert.judged_until_ns,
        "silenced_by": list(view.silenced_by),
        "evidence": dict(alert.evidence),
    }


def alert(view: AlertView) -> Shown:
    """An alert, with its events where the view has them."""
    same = (
        "fingerprint",
        "episode",
        "status",
        "severity",
        "labels",
        "started_ns",
        "confirmed_ns",
        "resolved_ns",
        "escalated_ns",
        "acknowledged_ns",
        "acknowledged_by",
        "false_positive",
        "muted_until_ns",
        "reopened_count",
    )
    shown = {name: getattr(view.alert, name) for name in same}
    return shown | {"finding": finding(view), "events": [_event(event) for event in view.events]}


def silence(kept: Silence, now_ns: int) -> Shown:
    """A silence, and whether it holds."""
    listed = [{"label": label, "pattern": pattern} for label, pattern in kept.matchers.items()]
    return asdict(kept) | {"matchers": listed, "active": kept.active(now_ns)}


def receiver(view: ReceiverView, dead: list[DeadNotification]) -> Shown:
    """A receiver and its messages; of one that is no longer configured little is known."""
    route, queue = view.route, asdict(view.queue)
    queue.pop("receiver")
    return {
        "name": view.name,
        "configured": route is not None,
        "kind": route.kind if route else "",
        "place": route.place if route else "",
        "severity": route.severity if route else None,
        "send_resolved": bool(route and route.send_resolved),
        "send_watch": bool(route and route.send_watch),
        "tested_ns": view.tested_ns,
        "dead": [_dead(each) for each in dead],
        **queue,
    }


def _event(event: AlertEvent) -> Shown:
    return {name: getattr(event, name) for name in ("episode", "time_ns", "kind", "text", "by")}


def _dead(dead: DeadNotification) -> Shown:
    names = ("id", "group", "reason", "attempts", "created_ns")
    shown = {name: getattr(dead.notification, name) for name in names}
    return shown | {"error": dead.error, "given_up_ns": dead.given_up_ns}


def _number(value: float | None) -> float | None:
    """A number as JSON can say it."""
    return value if value is not None and math.isfinite(value) else None
