"""Alerts at the door: findings, alerts, acknowledgement, feedback, silences, receivers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from correlate.api.app import create_app
from correlate.api.schemas.alerts import AlertDetail, AlertList, Findings, ReceiverList, SilenceList
from correlate.model.alert_changes import Changes
from correlate.model.alert_policy import AlertConfig, ReceiverRoute
from correlate.ports import AlertBooks
from correlate.services.alerts import Alerts
from correlate.services.receivers import Receivers
from correlate.storage.state import open_state
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.support.alerts import HOUR, SECOND, T0, alert, books_of, in_the_course_of_a_day, notification
from tests.support.asgi import AppClient
from tests.unit.api.conftest import World

FIRES = alert().fingerprint
OVER = alert("warm_cache").fingerprint
WATCHED = alert("rank_items", detector="hotspot").fingerprint
CONFIG = AlertConfig(receivers=(ReceiverRoute("hook", place="http://hook"),))


@dataclass
class Door:
    """An application with alerts in it, and its books."""

    client: AppClient
    books: AlertBooks
    clock: FakeClock

    def problem(self, method: str, path: str, status: int, **options: Any) -> str:
        """The sentence of a refusal."""
        answer = self.client.request(method, f"/api/v1{path}", **options)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
        detail: str = answer.json()["detail"]
        return detail


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
        yield Door(AppClient(create_app(services)), books, clock)


def test_findings_are_what_detectors_see(door: Door) -> None:
    """Confirmed and watched ones with their sites and guards; not those that are over."""
    answer = door.client.get("/api/v1/findings").json()
    assert Findings.model_validate(answer).model_dump(mode="json") == answer
    assert [(each["fingerprint"], each["status"], each["tier"]) for each in answer["findings"]] == [
        (FIRES, "firing", "page"),
        (WATCHED, "watch", "watch"),
    ]
    first = answer["findings"][0]
    assert first["sites"][0]["operations"] == ["POST /checkout"]
    assert first["figures"] == {"growth_bytes_per_hour": 3e6}
    only = door.client.get("/api/v1/findings", params={"detector": "hotspot"}).json()
    assert len(only["findings"]) == 1


def test_alerts_are_filtered(door: Door) -> None:
    """By status, severity, service and detector."""
    answer = door.client.get("/api/v1/alerts").json()
    assert AlertList.model_validate(answer).model_dump(mode="json") == answer
    assert [each["fingerprint"] for each in answer["alerts"]] == [FIRES, WATCHED, OVER]

    def found(**params: object) -> list[str]:
        alerts = door.client.get("/api/v1/alerts", params=params).json()["alerts"]
        return [each["fingerprint"] for each in alerts]

    assert found(status=["watch", "resolved"]) == [WATCHED, OVER]
    assert found(severity="warning", limit=1) == [FIRES]
    assert found(detector="hotspot") == [WATCHED]
    assert found(service="nobody") == []


def test_an_alert_tells_its_history(door: Door) -> None:
    """Everything that happened, the newest first; an unknown one is a 404 that says where to look."""
    answer = door.client.get(f"/api/v1/alerts/{OVER}").json()
    assert AlertDetail.model_validate(answer).model_dump(mode="json") == answer
    assert [each["kind"] for each in answer["events"]] == ["resolved", "firing"]
    assert "/api/v1/alerts" in door.problem("GET", "/alerts/0000000000000000", 404)
    door.problem("GET", "/alerts/not-a-fingerprint", 422)


def test_an_alert_is_taken_on_once(door: Door) -> None:
    """The first one counts; what is over cannot be taken on."""
    path = f"/api/v1/alerts/{FIRES}/acknowledge"
    answer = door.client.post(path, json={"by": "ada"}).json()
    assert (answer["acknowledged_by"], answer["acknowledged_ns"]) == ("ada", T0 + HOUR)
    again = door.client.post(path, json={"by": "bob"}).json()
    assert again["acknowledged_by"] == "ada"
    assert [each["kind"] for each in again["events"]] == ["acknowledged", "firing"]
    assert "resolved" in door.problem("POST", f"/alerts/{OVER}/acknowledge", 400, json={"by": "ada"})
    door.problem("POST", f"/alerts/{FIRES}/acknowledge", 422, json={"by": ""})


def test_an_alert_is_called_wrong(door: Door) -> None:
    """It is over, stays quiet, and the detector listens less; said twice it counts once."""
    for _ in range(2):
        said = {"verdict": "false_positive", "by": "ada", "comment": "a cache"}
        answer = door.client.post(f"/api/v1/alerts/{FIRES}/feedback", json=said).json()
        assert (answer["status"], answer["false_positive"]) == ("resolved", True)
    assert answer["muted_until_ns"] > T0 + HOUR
    assert answer["events"][0]["text"] == "called a false positive: a cache"
    assert door.books.feedback.steps("shop", T0 + HOUR) == {"memory-leak": 1}
    door.problem("POST", f"/alerts/{FIRES}/feedback", 422, json={"verdict": "great", "by": "ada"})


def test_a_silence_is_made_shown_and_ended(door: Door) -> None:
    """Its alerts are shown as silenced, and remember it."""
    body = {
        "matchers": [{"label": "service", "pattern": "sh.p"}, {"label": "detector", "pattern": "memory-leak"}],
        "duration_s": 60,
        "by": "ada",
        "comment": "load test",
    }
    made = door.client.post("/api/v1/silences", json=body)
    assert made.status_code == 201
    silence = made.json()
    assert (silence["start_ns"], silence["end_ns"], silence["active"]) == (T0 + HOUR, T0 + HOUR + 60 * SECOND, True)
    shown = door.client.get(f"/api/v1/alerts/{FIRES}").json()
    assert shown["finding"]["silenced_by"] == [silence["id"]]
    assert shown["events"][0]["text"] == f"silenced by silence {silence['id']}: load test"
    listed = door.client.get("/api/v1/silences").json()
    assert SilenceList.model_validate(listed).model_dump(mode="json") == listed
    assert listed["silences"] == [silence]
    ended = door.client.request("DELETE", f"/api/v1/silences/{silence['id']}").json()
    assert (ended["end_ns"], ended["active"]) == (T0 + HOUR, False)
    assert door.client.get("/api/v1/silences").json() == {"silences": []}
    assert len(door.client.get("/api/v1/silences", params={"over": True}).json()["silences"]) == 1
    assert door.client.get("/api/v1/findings").json()["findings"][0]["silenced_by"] == []
    door.problem("DELETE", "/silences/99", 404)


@pytest.mark.parametrize(
    ("change", "status", "word"),
    [
        ({"matchers": [{"label": "servcie", "pattern": "x"}]}, 400, "have no label 'servcie'"),
        ({"matchers": [{"label": "service", "pattern": "("}]}, 400, "for service"),
        ({"matchers": [{"label": "service", "pattern": ".*"}]}, 400, "silence everything"),
        ({"matchers": []}, 422, "at least 1"),
        ({"matchers": [{"label": "service", "pattern": "x"}] * 2}, 422, "once"),
        ({"matchers": [{"label": "service", "pattern": "x" * 501}]}, 422, "500"),
        ({"end": "now"}, 422, "either end or duration_s"),
        ({"duration_s": None}, 422, "either end or duration_s"),
        ({"duration_s": None, "end": "now-1h"}, 400, "ends before it starts"),
        ({"duration_s": None, "start": "now-2h", "end": "now-1h"}, 400, "over already"),
        ({"start": "tomorrow"}, 400, "tomorrow"),
        ({"by": "\ud800"}, 422, "by"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(door: Door, change: dict[str, Any], status: int, word: str) -> None:
    """With a sentence that says why."""
    import json

    body = {"matchers": [{"label": "service", "pattern": "x"}], "duration_s": 60, "by": "ada"} | change
    sent = {"content": json.dumps(body), "headers": {"content-type": "application/json"}}
    assert word in door.problem("POST", "/silences", status, **sent)


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 422), (b"\xff", 400), (b"[" * 50_000, 400), (b'"' + b"x" * 70_000 + b'"', 413), (b"", 422)],
)
def test_a_body_that_is_none_is_refused(door: Door, content: bytes, status: int) -> None:
    """Broken, deep and large ones."""
    headers = {"content-type": "application/json"}
    door.problem("POST", "/silences", status, content=content, headers=headers)


def test_receivers_and_how_it_goes_with_them(door: Door) -> None:
    """Configured ones, and others that still have messages; what was given up is there to see."""
    door.books.alerts.apply(Changes(notifications=(notification("1"), notification("2", receiver="gone"))))
    door.books.outbox.give_up(door.books.outbox.claim("gone", 1, 30)[0], "404")
    answer = door.client.get("/api/v1/receivers").json()
    assert ReceiverList.model_validate(answer).model_dump(mode="json") == answer
    hook, gone = answer["receivers"]
    assert (hook["name"], hook["configured"], hook["waiting_count"], hook["place"]) == ("hook", True, 1, "http://hook")
    assert (gone["name"], gone["configured"], gone["severity"]) == ("gone", False, None)
    assert [(each["error"], each["reason"]) for each in gone["dead"]] == [("404", "first notification")]
