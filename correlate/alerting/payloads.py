"""Notifications as webhook bodies: Alertmanager's version 4, Grafana Alerting's variant, and CloudEvents around them.

Sources: Alertmanager ``template/template.go`` and ``notify/webhook/webhook.go``; Grafana ``receivers/webhook/v1`` and
``templates/template_data.go``; CloudEvents 1.0. Nothing here depends on the time of sending, so that every attempt to
deliver a notification has the same body.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from correlate.alerting.payloads_words import (
    GO_ZERO_TIME,
    clean,
    common,
    description,
    figures_of,
    firing,
    headline,
    hours_left,
    labels_of,
    links_of,
    place,
    status_of,
    time_text,
    title,
    web_address,
)
from correlate.model.alerts import Alert, Notification, Reason
from correlate.model.verdicts import Site, Verdict
from correlate.units import human

Json = dict[str, Any]

_SITES: Final = 5
_FRAMES: Final = 64
_OPERATIONS: Final = 10
_GUARDS: Final = 20


@dataclass(frozen=True, slots=True)
class Outward:
    """What payloads say of this installation, and how much they may hold.

    Attributes:
        public_url: how people reach it, without a slash at the end.
        runbook_url: address of a runbook, with ``{alertname}``, ``{service}`` and other labels in it; "": none.
        max_alerts: of one notification; the rest is counted. 0: all.
        org_id: Grafana's organisation, in its variant.
        version: of the program.
    """

    public_url: str = ""
    runbook_url: str = ""
    max_alerts: int = 1000
    org_id: int = 1
    version: str = ""

    def page_of(self, alert: Alert) -> str:
        """Where people read about an alert."""
        return web_address(f"{self.public_url}/alerts/{alert.fingerprint}")


def webhook(notification: Notification, outward: Outward) -> Json:
    """The body that Alertmanager's webhooks have, with more about each alert under ``correlate``."""
    shown, left_out = _shown(notification, outward)
    alerts = [_alert(each, outward) for each in shown]
    return {
        "version": "4",
        "groupKey": clean(notification.group, 2000),
        "truncatedAlerts": notification.truncated_count + left_out,
        "status": overall(notification.alerts),
        "receiver": notification.receiver,
        "notification_reason": notification.reason.value,
        "groupLabels": {name: clean(text) for name, text in notification.group_labels.items()},
        "commonLabels": common(each["labels"] for each in alerts),
        "commonAnnotations": common(each["annotations"] for each in alerts),
        "routeLabels": {},
        "externalURL": outward.public_url,
        "alerts": alerts,
    }


def grafana_webhook(notification: Notification, outward: Outward) -> Json:
    """The body that Grafana Alerting's webhooks have."""
    shown, _ = _shown(notification, outward)
    body = webhook(notification, outward)
    pairs = zip(body["alerts"], shown, strict=True)
    return body | {
        "alerts": [shaped | _grafana_extras(alert, outward) for shaped, alert in pairs],
        "version": "1",
        "orgId": outward.org_id,
        "title": summary(notification),
        "state": "alerting" if body["status"] == "firing" else "ok",
        "message": message(notification, outward),
        "appVersion": outward.version,
    }


def cloud_event(notification: Notification, outward: Outward) -> Json:
    """The Alertmanager body as data of a CloudEvent in structured mode; source and id tell events apart."""
    status = overall(notification.alerts)
    return {
        "specversion": "1.0",
        "id": notification.key,
        "source": outward.public_url or "/correlate",
        "type": f"correlate.alerts.{status}.v1",
        "subject": clean(notification.group, 1000) or notification.receiver,
        "time": time_text(notification.created_ns),
        "datacontenttype": "application/json",
        "data": webhook(notification, outward),
    }


def overall(alerts: Sequence[Alert]) -> str:
    """Firing while one of them fires."""
    return "firing" if any(map(firing, alerts)) else "resolved"


def summary(notification: Notification) -> str:
    """One line about a whole notification: ``[FIRING:2, RESOLVED:1] memory-leak: checkout``."""
    burning = sum(map(firing, notification.alerts))
    over = len(notification.alerts) - burning
    counts = [f"{name}:{count}" for name, count in (("FIRING", burning), ("RESOLVED", over)) if count]
    names = list(dict.fromkeys(title(each) for each in notification.alerts))
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    test = "TEST " if notification.reason is Reason.TEST else ""
    return f"{test}[{', '.join(counts)}] {told}"


def message(notification: Notification, outward: Outward) -> str:
    """A notification as plain text."""
    shown, left_out = _shown(notification, outward)
    parts = [f"{status_of(each).capitalize()}: {description(each)}" for each in shown[:20]]
    left_out += len(shown) - len(parts) + notification.truncated_count
    return "\n\n".join([*parts, *([f"and {left_out} more"] if left_out else [])])


def annotations_of(alert: Alert, outward: Outward) -> dict[str, str]:
    """What is told of an alert and does not identify it: sentences, figures, call site, owner, addresses."""
    hours = hours_left(alert)
    sites = alert.verdict.sites
    told = {
        "summary": headline(alert),
        "description": description(alert),
        "call_site": place(sites[0]) if sites else "",
        "operations": ", ".join(clean(each) for each in (sites[0].operations if sites else ())[:_OPERATIONS]),
        "figures": ", ".join(f"{name} {value}" for name, value in figures_of(alert).items()),
        "limit_in": "" if hours is None else human(hours * 3.6e12, "nanoseconds"),
        "owner": clean(alert.owner),
        "acknowledged_by": clean(alert.acknowledged_by),
    }
    told |= {f"{name}_url": url for name, url in links_of(alert, outward.runbook_url)}
    return {name: text for name, text in told.items() if text}


def _shown(notification: Notification, outward: Outward) -> tuple[Sequence[Alert], int]:
    """The alerts that have room, what fires first, and how many have not."""
    alerts = sorted(notification.alerts, key=lambda each: not firing(each))
    most = outward.max_alerts or len(alerts)
    return alerts[:most], max(0, len(alerts) - most)


def _alert(alert: Alert, outward: Outward) -> Json:
    return {
        "status": status_of(alert),
        "labels": labels_of(alert),
        "annotations": annotations_of(alert, outward),
        "startsAt": time_text(alert.started_ns),
        "endsAt": GO_ZERO_TIME if firing(alert) else time_text(max(alert.resolved_ns, alert.started_ns)),
        "generatorURL": outward.page_of(alert),
        "fingerprint": alert.fingerprint,
        "correlate": _details(alert, outward),
    }


def _details(alert: Alert, outward: Outward) -> Json:
    """What only we say: quantities as numbers, places as parts, every check that was consulted."""
    verdict = alert.verdict
    return {
        "detector": verdict.detector,
        "subject": clean(verdict.subject),
        "tier": verdict.tier.value,
        "severity": alert.severity.value,
        "episode": alert.episode,
        "confirmedAt": time_text(alert.confirmed_ns),
        "lastSeenAt": time_text(alert.last_seen_ns),
        "figures": _numbers(verdict),
        "hoursToLimit": hours_left(alert),
        "minimumDetectable": verdict.minimum_detectable,
        "sites": [_site(each) for each in verdict.sites[:_SITES]],
        "guards": [
            {"name": each.name, "passed": each.passed, "reason": clean(each.reason, 1000)}
            for each in verdict.guards[:_GUARDS]
        ],
        "links": dict(links_of(alert, outward.runbook_url)),
    }


def _site(site: Site) -> Json:
    return {
        "function": clean(site.function),
        "file": clean(site.file),
        "line": site.line,
        "growthPerHour": site.growth_per_hour,
        "shareRatio": site.share_ratio,
        "operations": [clean(each) for each in site.operations[:_OPERATIONS]],
        "stack": [clean(each) for each in site.stack[-_FRAMES:]],
    }


def _numbers(verdict: Verdict) -> dict[str, float]:
    """JSON knows no infinity."""
    return {clean(name): value for name, value in verdict.figures.items() if math.isfinite(value)}


def _grafana_extras(alert: Alert, outward: Outward) -> Json:
    numbers = _numbers(alert.verdict)
    named = ", ".join(f"{name}={text}" for name, text in labels_of(alert).items())
    return {
        "values": numbers,
        "valueString": ", ".join(
            f"[ var='{name}' labels={{{named}}} value={value:g} ]" for name, value in numbers.items()
        ),
        "silenceURL": outward.page_of(alert),
        "dashboardURL": dict(links_of(alert, "")).get("grafana", ""),
        "panelURL": "",
        "imageURL": "",
        "ruleUID": alert.verdict.detector,
        "orgId": outward.org_id,
    }
