"""Payloads: byte for byte what other systems expect, whatever the names hold."""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.alerting.payloads import Outward, cloud_event, grafana_webhook, webhook
from correlate.alerting.payloads_alertmanager import BATCH, batches, pushed
from correlate.alerting.payloads_grafana import annotation, changed, occurrence_tag
from correlate.alerting.payloads_signature import signature
from correlate.alerting.payloads_slack import TEXT_CHARS, slack
from correlate.alerting.payloads_trial import trial_alert
from correlate.alerting.payloads_words import GO_ZERO_TIME, clean, quantity, time_text, web_address
from correlate.model.alerts import AlertStatus, Reason, Severity
from correlate.model.verdicts import Site
from tests.support.notifications import HOSTILE, START_NS, S, alert, leak, notification, resolved

GOLDEN = Path(__file__).parents[2] / "golden" / "alerts"
OUTWARD = Outward("https://correlate.example", "https://wiki.example/{alertname}/{service}", version="1.2.3")
NOW_NS = START_NS + 400 * S


def both() -> Any:
    """One that fires and one that is over."""
    gone = resolved(alert(leak(subject="cache.py:7 keep"), severity=Severity.WARNING))
    return notification(gone, alert(), reason=Reason.SOME_RESOLVED)


SHAPES: dict[str, Callable[[], Any]] = {
    "webhook": lambda: webhook(both(), OUTWARD),
    "grafana_webhook": lambda: grafana_webhook(both(), OUTWARD),
    "cloud_event": lambda: cloud_event(notification(), OUTWARD),
    "slack": lambda: slack(both(), OUTWARD),
    "alertmanager": lambda: pushed(both().alerts, OUTWARD, now_ns=NOW_NS + 7200 * S, every_s=60),
    "annotations": lambda: [annotation(each, OUTWARD, dashboard_uid="abc", panel_id=3) for each in both().alerts],
    "test": lambda: webhook(notification(trial_alert("hook", NOW_NS), reason=Reason.TEST), OUTWARD),
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_payloads_are_those_of_the_golden_files(name: str) -> None:
    """To renew them on purpose: delete the file and run twice."""
    got = orjson.dumps(SHAPES[name](), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    path = GOLDEN / f"{name}.json"
    if not path.exists():
        path.write_bytes(got)
        pytest.fail(f"{path.name} was written: look at it and run again")
    assert orjson.loads(got) == orjson.loads(path.read_bytes())


def test_the_default_body_has_all_that_alertmanager_sends() -> None:
    """The keys of Alertmanager's template data; ours stand beside them under one name."""
    body = webhook(both(), OUTWARD)
    assert set(body) == {
        *("version", "groupKey", "truncatedAlerts", "status", "receiver", "notification_reason", "groupLabels"),
        *("commonLabels", "commonAnnotations", "routeLabels", "externalURL", "alerts"),
    }
    firing, over = body["alerts"]
    standard = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
    assert set(firing) == standard | {"correlate"}
    assert (firing["status"], firing["endsAt"]) == ("firing", GO_ZERO_TIME)
    assert (over["status"], over["endsAt"]) == ("resolved", time_text(START_NS + 3600 * S))
    assert (body["version"], body["status"]) == ("4", "firing")
    assert body["commonLabels"] == {"alertname": "memory-leak", "service": "checkout", "owner": "team-shop"}
    assert re.fullmatch(r"[0-9a-f]{16}", firing["fingerprint"])
    notes = firing["annotations"]
    assert notes["call_site"] == "remember_session (session.py:41)"
    assert notes["limit_in"] == "18 h"
    assert notes["figures"] == "growth 12.5 MiB per hour, limit in 18 h, p 0.0004"
    assert notes["runbook_url"] == "https://wiki.example/memory-leak/checkout"
    assert {"flame_graph_url", "difference_url", "grafana_url", "trace_1_url"} <= set(notes)


def test_a_body_does_not_depend_on_when_it_is_sent() -> None:
    """Every attempt has the same bytes; only all of it resolved is resolved."""
    assert orjson.dumps(webhook(both(), OUTWARD)) == orjson.dumps(webhook(both(), OUTWARD))
    assert webhook(notification(resolved(alert())), OUTWARD)["status"] == "resolved"


def test_what_has_no_room_is_counted() -> None:
    """Firing ones first; those that never came along are counted too."""
    many = [alert(leak(subject=str(n))) for n in range(5)]
    told = notification(resolved(many[0]), *many[1:], truncated_count=10)
    body = webhook(told, replace(OUTWARD, max_alerts=4))
    assert [each["status"] for each in body["alerts"]] == ["firing"] * 4
    assert body["truncatedAlerts"] == 11


def test_grafana_and_alertmanager_differ_where_they_do() -> None:
    """Version, title, state and numbers."""
    body = grafana_webhook(both(), OUTWARD)
    assert (body["version"], body["state"], body["orgId"]) == ("1", "alerting", 1)
    assert body["title"] == "[FIRING:1, RESOLVED:1] memory-leak: checkout"
    one = body["alerts"][0]
    assert one["values"]["limit_in_hours"] == 18.0
    assert one["valueString"].startswith("[ var='growth_bytes_per_hour' labels={alertname=memory-leak, ")
    assert one["valueString"].endswith("value=0.0004 ]")


def test_an_alertmanager_is_told_identities_and_ends() -> None:
    """No value in a label; what fires ends four intervals ahead, what is over has ended and after it began."""
    firing, over = alert(), resolved(alert())
    shaped = pushed([firing, over], OUTWARD, now_ns=NOW_NS, every_s=60)
    assert shaped[0]["labels"] == shaped[1]["labels"]
    assert shaped[0]["endsAt"] == time_text(NOW_NS + 240 * S)
    assert shaped[1]["endsAt"] == time_text(NOW_NS)  # it ended by data that is ahead of the clock
    changed_figures = alert(leak(figures={"growth_bytes_per_hour": 1.0}))
    assert pushed([changed_figures], OUTWARD, now_ns=NOW_NS, every_s=60)[0]["labels"] == shaped[0]["labels"]
    early = resolved(alert(), at_ns=START_NS - S)
    assert pushed([early], OUTWARD, now_ns=NOW_NS, every_s=60)[0]["endsAt"] == time_text(early.started_ns)
    assert [len(batch) for batch in batches(shaped * BATCH)] == [BATCH, BATCH]


def test_annotations_are_regions_that_are_found_again() -> None:
    """One tag names the occurrence; a dashboard and a panel only where they are wanted; the end follows the alert."""
    one = alert()
    shaped = annotation(one, OUTWARD)
    assert (shaped["time"], shaped["timeEnd"]) == (one.started_ns // 10**6, one.last_seen_ns // 10**6)
    assert "dashboardUID" not in shaped
    assert "panelId" not in annotation(one, OUTWARD, panel_id=3)
    assert occurrence_tag(one) in shaped["tags"]
    assert occurrence_tag(replace(one, episode=2)) not in shaped["tags"]
    assert changed(resolved(one), OUTWARD)["timeEnd"] == (START_NS + 3600 * S) // 10**6


def test_signatures_are_grafanas() -> None:
    """HMAC-SHA256 over time, colon and body, bare lower-case hexadecimal."""
    wanted = hmac.new(b"s3cret", b"1790000000:{}", hashlib.sha256).hexdigest()
    assert signature("s3cret", 1_790_000_000, b"{}") == wanted


def test_a_cloud_event_is_told_apart_by_source_and_id() -> None:
    """The same notification is the same event."""
    event = cloud_event(notification(), OUTWARD)
    assert (event["specversion"], event["id"]) == ("1.0", notification().key)
    assert event["type"] == "correlate.alerts.firing.v1"
    assert event["data"]["version"] == "4"


def hostile_notification(text: str) -> Any:
    """Every text that comes from outside is the given one."""
    site = Site(text, text, 1, 1.0, 0.5, (text,) * 3, (text,) * 3)
    verdict = leak(text, text, headline=text, sites=(site,) * 4, figures={text: 1.0, "nan_bytes": float("nan")})
    urls = {"x": f"https://e.example/{text}", text: "javascript:alert(1)", "y": "https://e.example/a|b>c"}
    return notification(alert(verdict, owner=text, acknowledged_by=text, evidence=urls), group=text)


@pytest.mark.parametrize("text", [HOSTILE, "", "*bold* _it_ ~no~", "a" * 100_000, "🙈" * 5000, "&" * 9000, "``` `` `"])
def test_hostile_names_break_nothing(text: str) -> None:
    """They can be written as JSON, mention nobody, and no text is longer than its limit."""
    told = hostile_notification(text)
    for shape in (webhook, grafana_webhook, cloud_event):
        assert len(orjson.dumps(shape(told, OUTWARD))) < 250_000
    orjson.dumps(pushed(told.alerts, OUTWARD, now_ns=NOW_NS, every_s=60))
    orjson.dumps(annotation(told.alerts[0], OUTWARD))
    message = slack(told, OUTWARD)
    orjson.dumps(message)
    attachment = message["attachments"][0]
    assert len(attachment["text"]) <= TEXT_CHARS
    assert len(message["text"]) <= 1000
    links = re.findall(r"<[^>]*>", attachment["text"])
    assert all(re.fullmatch(r"<https?://[^\s|<>]+\|[^<>]*>", link) for link in links)
    rest = re.sub(r"<[^>]*>", "", attachment["text"])
    assert "<" not in rest
    assert ">" not in rest
    for said in (message["text"], attachment["fallback"], attachment["title"], *map(str, attachment["fields"])):
        assert "<" not in said
        assert "@here" not in said
    assert not re.search(r"&(?!amp;|lt;|gt;)", attachment["text"])


def test_html_in_names_stays_text_in_grafana() -> None:
    """Grafana shows annotations as HTML."""
    text = annotation(hostile_notification("<script>alert('x')</script>").alerts[0], OUTWARD)["text"]
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert set(re.findall(r"<(/?\w+)", text)) <= {"a", "/a", "br"}


@given(st.text(max_size=80))
def test_clean_text_is_one_printable_line(text: str) -> None:
    """And what is clean stays so."""
    done = clean(text)
    assert "\n" not in done
    assert clean(done) == done
    orjson.dumps(done)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("growth_bytes_per_hour", 3 * 2**20, ("growth", "3 MiB per hour")),
        ("limit_in_hours", 0.5, ("limit in", "30 min")),
        ("growth_ratio", 0.352, ("growth", "35.2 %")),
        ("q_ratio", 0.00123, ("q", "0.00123")),
        ("growth_ratio", float("inf"), ("growth", "unlimited")),
        ("pause_ms", 51.0, ("pause", "51 ms")),
        ("since_ns", 1.79e18, ("since", "2026-09-21T14:13:20.000Z")),
        ("leaked_count", 50_000, ("leaked", "50 k")),
        ("score", 1.23456, ("score", "1.23")),
    ],
)
def test_figures_are_read_by_the_unit_in_their_name(name: str, value: float, told: tuple[str, str]) -> None:
    """As detectors name them."""
    assert quantity(name, value) == told


def test_times_are_rfc_3339_whatever_they_are() -> None:
    """Zero is Go's zero, and no number of nanoseconds breaks it."""
    assert time_text(0) == time_text(-5) == GO_ZERO_TIME
    assert time_text(START_NS + 1_999_999) == "2026-09-21T14:13:20.001Z"
    assert time_text(2**63 - 1).startswith("2262-")
    assert time_text(2**80).startswith("9999-")


@pytest.mark.parametrize("url", ["", "ftp://x/y", "javascript:alert(1)", "http://", "https://[::1", "x" * 9000])
def test_only_web_addresses_are_linked(url: str) -> None:
    """Others are left out."""
    assert web_address(url) == ""


def test_a_watch_is_told_as_firing() -> None:
    """Where a receiver asks for watches."""
    watched = alert(status=AlertStatus.WATCH, severity=Severity.INFO)
    assert webhook(notification(watched), OUTWARD)["alerts"][0]["status"] == "firing"
    assert slack(notification(watched), OUTWARD)["attachments"][0]["title"] == "INFO memory-leak: checkout"
