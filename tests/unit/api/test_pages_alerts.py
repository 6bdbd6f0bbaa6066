"""The pages of alerts, silences and receivers, and their forms."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from correlate.alerting.settle import Ruling
from correlate.api.app import create_app
from correlate.model.alert_changes import Changes
from correlate.model.alert_policy import AlertConfig, ReceiverRoute
from correlate.model.alerts import AlertStatus
from correlate.model.verdicts import Guard, Site, Tier
from correlate.ports import AlertBooks
from correlate.services.alert_flow import AlertFlow
from correlate.services.alerts import Alerts
from correlate.services.receivers import Receivers
from correlate.storage.state import open_state
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.support.alerts import (
    HOUR,
    SECOND,
    T0,
    alert,
    books_of,
    in_the_course_of_a_day,
    judgement,
    notification,
    verdict,
)
from tests.support.asgi import AppClient
from tests.unit.api.conftest import HOSTILE, World

FIRES = alert().fingerprint
OVER = alert("warm_cache").fingerprint
WATCHED = alert("rank_items", detector="hotspot").fingerprint
CONFIG = AlertConfig(receivers=(ReceiverRoute("hook", place="http://hook"),))
HERE = {"origin": "http://here:8080", "content-type": "application/x-www-form-urlencoded"}


@dataclass
class Door:
    """An application with alerts in it, and its books."""

    client: AppClient
    books: AlertBooks
    flow: AlertFlow

    def page(self, path: str, status: int = 200) -> str:
        """The HTML of a page."""
        answer = self.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
        return answer.text

    def send(self, path: str, then: str, **fields: str) -> str:
        """Send a form, and see the page that it leads to."""
        answer = self.client.post(path, data=fields, headers=HERE)
        assert (answer.status_code, answer.headers["location"]) == (303, then), answer.text
        return self.page(then)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """The door after a day."""
    clock = FakeClock(T0 + HOUR)
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=clock) as state:
        books = books_of(state, clock)
        in_the_course_of_a_day(books, clock)
        services = replace(
            World(FakeLake()).services(),
            alerts=Alerts(books, CONFIG, clock),
            receivers=Receivers(CONFIG.receivers, books, state, clock),
            clock=clock,
        )
        evidence = {"flame_graph": "http://here:8080/cohorts?q=x", "grafana": "http://grafana:3000/e"}
        flow = AlertFlow(books, CONFIG, clock, lambda _alert: evidence | {"bad": "javascript:alert(1)"})
        yield Door(AppClient(create_app(services)), books, flow)


def test_alerts_are_listed_firing_first(door: Door) -> None:
    """Each leads to its page; the start page leads to the list."""
    html = door.page("/alerts")
    assert re.findall(r'href="/alerts/([0-9a-f]{16})"', html) == [FIRES, WATCHED, OVER]
    assert "remember_session grows" in html
    assert 'href="/alerts"' in door.page("/")


def test_alerts_are_narrowed_by_links(door: Door) -> None:
    """Status, service and detector, kept from one link to the next."""
    html = door.page("/alerts?status=watch")
    assert re.findall(r'href="/alerts/([0-9a-f]{16})"', html) == [WATCHED]
    assert 'href="/alerts?status=watch&amp;service=shop"' in html
    html = door.page("/alerts?service=shop&detector=hotspot")
    assert re.findall(r'href="/alerts/([0-9a-f]{16})"', html) == [WATCHED]
    assert 'href="/alerts?detector=hotspot"' in html
    assert "No such alerts" in door.page("/alerts?service=nobody")
    door.page("/alerts?status=worse", 422)


def test_an_alert_tells_everything(door: Door) -> None:
    """Figures with their units, the call site, its operations, the checks, links and history."""
    door.flow.judged("shop", [Ruling(judgement(60, service="shop"), (verdict(subject="new_leak"),))])
    html = door.page(f"/alerts/{alert('new_leak').fingerprint}")
    for told in (
        "new_leak grows",
        "2.86 MiB per hour",
        "new_leak (shop.py:7)",
        "90 %",
        "it did not level off",
        "warning",
    ):
        assert told in html, told
    assert 'href="/operations?service=shop&amp;operation=POST%20/checkout&amp;order=slowest"' in html
    assert 'href="/cohorts?q=x"' in html  # however the reader reached this server
    assert 'href="http://grafana:3000/e"' in html
    assert "javascript:" not in html
    assert "warm_cache" not in html


def test_an_unknown_alert_is_a_page_that_says_so(door: Door) -> None:
    """Of a fingerprint that is none, too."""
    assert "there is no alert" in door.page("/alerts/0000000000000000", 404)
    door.page("/alerts/not-one", 422)


def test_an_alert_is_taken_on_by_its_page(door: Door) -> None:
    """Who did it stands in the history; then the button is gone."""
    path = f"/alerts/{FIRES}"
    assert ">acknowledge</button>" in door.page(path)
    html = door.send(f"{path}/acknowledge", path, by="ada")
    assert "by ada" in html
    assert ">acknowledge</button>" not in html
    answer = door.client.post(f"{path}/acknowledge", data={"by": " "}, headers=HERE)
    assert (answer.status_code, "say who you are" in answer.text) == (400, True)


def test_an_alert_is_called_wrong_by_its_page(door: Door) -> None:
    """It is resolved, and says why."""
    path = f"/alerts/{FIRES}"
    html = door.send(f"{path}/false-positive", path, by="ada", comment="a cache")
    assert "called a false positive: a cache" in html
    assert ">false positive</button>" not in html
    (kept,) = door.books.alerts.many([FIRES])
    assert kept.status is AlertStatus.RESOLVED


def test_an_alert_is_silenced_and_the_silence_ended(door: Door) -> None:
    """For an hour or a day, of this alert alone."""
    path = f"/alerts/{FIRES}"
    html = door.send(f"{path}/silence", path, by="ada", comment="load test", duration_s="3600")
    assert "silence 1" in html
    (silence,) = door.books.silences.list()
    assert (silence.matchers, silence.end_ns) == ({"fingerprint": FIRES}, T0 + 2 * HOUR)
    assert "silenced" not in door.page(f"/alerts/{WATCHED}")
    assert "load test" in door.page("/silences")
    assert "Nothing is silenced" in door.send("/silences/1/expire", "/silences")
    assert "load test" in door.page("/silences?over=true")
    refused = door.client.post(f"{path}/silence", data={"by": "ada", "duration_s": "7"}, headers=HERE)
    assert "1 h or 1 d" in refused.text
    assert door.client.post("/silences/9/expire", headers=HERE).status_code == 404
    unknown = door.client.post(
        "/alerts/0000000000000000/silence", data={"by": "ada", "duration_s": "3600"}, headers=HERE
    )
    assert unknown.status_code == 404


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://here:8081"},
    {"origin": "http://here:8080", "sec-fetch-site": "cross-site"},
    {"origin": "http://here:8080", "sec-fetch-site": "same-site"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(
    "path",
    [
        *(f"/alerts/{FIRES}/{what}" for what in ("acknowledge", "false-positive", "silence")),
        "/silences/1/expire",
        "/receivers/hook/test",
        "/receivers/hook/resend",
    ],
)
def test_forms_of_other_sites_are_refused(door: Door, path: str, headers: dict[str, str]) -> None:
    """And change nothing."""
    answer = door.client.post(path, data={"by": "mallory", "duration_s": "3600"}, headers=headers)
    assert answer.status_code == 403
    assert "not sent from a page of this server" in answer.text
    (kept,) = door.books.alerts.many([FIRES])
    assert (kept.acknowledged_ns, kept.status) == (0, AlertStatus.FIRING)
    assert not door.books.silences.list()
    assert not door.books.outbox.waiting()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"by=" + b"a" * 20_000, HERE["content-type"], 413),
        (b"&".join(b"a=b" for _ in range(99)), HERE["content-type"], 400),
        (b"\xff\xfe", HERE["content-type"], 400),
        (b"by=ada", "text/plain", 400),
        (b"by=" + b"a" * 201, HERE["content-type"], 400),
        (b"by=ada&duration_s=3600&comment=" + b"a" * 2001, HERE["content-type"], 400),
    ],
)
def test_what_is_no_form_is_refused(door: Door, body: bytes, kind: str, status: int) -> None:
    """Too long, of another type, or not to be read."""
    headers = {"sec-fetch-site": "same-origin", "content-type": kind}
    answer = door.client.post(f"/alerts/{FIRES}/silence", content=body, headers=headers)
    assert answer.status_code == status
    assert "<form" not in answer.text or status == 200


def test_receivers_show_how_delivery_goes(door: Door) -> None:
    """What waits, what was given up and why; buttons test a receiver and try again."""
    told = notification("k1")
    door.books.alerts.apply(Changes(notifications=(told,)))
    (taken,) = door.books.outbox.claim("hook", 1, 60)
    door.books.outbox.give_up(taken, "the receiver answered 400: <b>no</b>")
    html = door.page("/receivers")
    assert "the receiver answered 400: &lt;b&gt;no&lt;/b&gt;" in html
    assert f'href="/alerts/{FIRES}"' in html
    assert "on its way to hook" in door.send("/receivers/hook/test", "/receivers?tested=hook", by="ada")
    door.send("/receivers/hook/resend", "/receivers")
    assert door.books.outbox.dead() == []
    assert {each.reason.value for each in door.books.outbox.claim("hook", 9, 60)} == {"test", "first notification"}
    assert door.client.post("/receivers/nobody/test", headers=HERE).status_code == 404


def test_a_receiver_is_tested_over_the_api(door: Door) -> None:
    """The answer names the message; who wants it has to say so."""
    answer = door.client.post("/api/v1/receivers/hook/test", json={"by": "ada"})
    (told,) = door.books.outbox.claim("hook", 9, 60)
    assert (answer.status_code, answer.json()) == (202, {"receiver": "hook", "key": told.key})
    assert door.client.post("/api/v1/receivers/nobody/test", json={"by": "ada"}).status_code == 404
    assert door.client.post("/api/v1/receivers/hook/test").status_code == 422


def test_hostile_names_are_text(door: Door) -> None:
    """Whatever a sender calls its services, functions and operations, on every page."""
    bad = replace(
        verdict(subject=HOSTILE, service=HOSTILE, detector="memory-leak"),
        tier=Tier.WATCH,
        headline=f"{HOSTILE} grows",
        figures={f"{HOSTILE}_bytes": float("nan")},
        sites=(Site(HOSTILE, HOSTILE, 7, 3e6, 0.9, (HOSTILE,), (HOSTILE,)),),
        guards=(Guard(HOSTILE, passed=False, reason=HOSTILE),),
    )
    door.flow.judged(HOSTILE, [Ruling(judgement(60, service=HOSTILE), (bad,))])
    (seen,) = (each for each in door.books.alerts.open() if each.verdict.service == HOSTILE)
    path = f"/alerts/{seen.fingerprint}"
    door.send(f"{path}/silence", path, by=HOSTILE, comment=HOSTILE, duration_s="86400")
    shown = [path, "/alerts", "/silences", "/receivers"]
    for html in map(door.page, shown):
        assert "<script>alert" not in html
        assert 'alert("x")' not in html
        assert "\u202e" not in html
    asked = door.client.get("/alerts", params={"service": HOSTILE, "detector": HOSTILE}).text
    assert "<script>alert" not in asked


def test_an_empty_house_says_what_to_do(tmp_path: Path) -> None:
    """No alerts, nobody who is told."""
    clock = FakeClock(T0 + SECOND)
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=clock) as state:
        books, services = books_of(state, clock), World(FakeLake()).services()
        services = replace(
            services, alerts=Alerts(books, AlertConfig(), clock), receivers=Receivers((), books, state, clock)
        )
        client = AppClient(create_app(services))
        assert "No alerts." in client.get("/alerts").text
        assert "Nobody is told about alerts" in client.get("/receivers").text
