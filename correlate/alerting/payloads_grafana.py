"""Alerts as annotations in Grafana: a region from when an alert began until it was resolved.

Source: Grafana's HTTP API, ``/api/annotations``. Times are milliseconds since the Unix epoch. An annotation without a
dashboard belongs to the organisation and is shown wherever its tags are asked for. One tag names the occurrence: by it
an annotation is found again, even after an answer that never arrived.
"""

from typing import Any, Final

from correlate.alerting.payloads import Outward
from correlate.alerting.payloads_words import clean, cut, firing, headline, links_of, place
from correlate.model.alerts import Alert

TAG: Final = "correlate"
_TAG_CHARS: Final = 100
_TEXT_CHARS: Final = 2000


def occurrence_tag(alert: Alert) -> str:
    """Names one episode of an alert among all annotations."""
    return f"alert:{alert.fingerprint}-{alert.episode}"


def annotation(alert: Alert, outward: Outward, *, dashboard_uid: str = "", panel_id: int = 0) -> dict[str, Any]:
    """The body to create an annotation with: a region that ends where the alert does, or where it was last seen.

    Args:
        alert: what it is about.
        outward: our address.
        dashboard_uid: the dashboard it belongs to; "": to the organisation.
        panel_id: the panel of that dashboard; 0: all.
    """
    start_ms = alert.started_ns // 1_000_000
    where = {"dashboardUID": dashboard_uid} if dashboard_uid else {}
    panel = {"panelId": panel_id} if dashboard_uid and panel_id else {}
    return {
        **where,
        **panel,
        "time": start_ms,
        "timeEnd": max(_end_ns(alert) // 1_000_000, start_ms),
        "tags": _tags(alert),
        "text": text(alert, outward),
    }


def changed(alert: Alert, outward: Outward) -> dict[str, Any]:
    """The body to change an annotation with, when the alert is resolved or something new is known."""
    shaped = annotation(alert, outward)
    return {name: shaped[name] for name in ("time", "timeEnd", "tags", "text")}


def text(alert: Alert, outward: Outward) -> str:
    """What is shown: Grafana reads it as HTML, so what comes from outside is escaped."""
    state = "" if firing(alert) else "Resolved: "
    sites = [f"at {_html(place(site))}" for site in alert.verdict.sites[:1]]
    links = [f'<a href="{_html(url)}">{_html(name.replace("_", " "))}</a>' for name, url in links_of(alert, "")]
    page = outward.page_of(alert)
    told = [state + _html(headline(alert)), *sites, *([f'<a href="{_html(page)}">alert</a>'] if page else []), *links]
    kept: list[str] = []
    for line in told:
        if sum(map(len, kept)) + len(line) <= _TEXT_CHARS:
            kept.append(line)
    return "<br>".join(kept)


def _tags(alert: Alert) -> list[str]:
    verdict = alert.verdict
    named = [
        TAG,
        verdict.detector,
        f"service:{verdict.service}",
        f"severity:{alert.severity.value}",
        occurrence_tag(alert),
    ]
    return [cut(clean(each), _TAG_CHARS) for each in named]


def _end_ns(alert: Alert) -> int:
    return alert.last_seen_ns if firing(alert) else alert.resolved_ns


def _html(unsafe: str) -> str:
    for letter, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        unsafe = unsafe.replace(letter, written)
    return unsafe
