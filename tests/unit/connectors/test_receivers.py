"""Receivers of alerts: what they are sent, what they must answer, and what the configuration may say."""

import hashlib
import hmac
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest

from connectors.receivers import KINDS, Means, build
from correlate.errors import ConfigError, SourceError, SourceMalformed, SourceRefused, SourceTooSlow, SourceUnreachable
from correlate.model.alerts import Reason
from correlate.ports.receivers import Recipient
from tests.fakes.timing import FakeTime
from tests.support.notifications import (
    START_NS,
    Answer,
    Request,
    S,
    Told,
    alert,
    notification,
    receiver_on_socket,
    resolved,
)

NOW_S = 1_790_000_400
SECRET_PATH = "/services/T0001/B0002/verysecretpath"


@pytest.fixture
def told() -> Iterator[Told]:
    """A receiver that takes everything."""
    with receiver_on_socket() as told:
        yield told


Made = Callable[..., Recipient]


@pytest.fixture
def made() -> Iterator[Made]:
    """Makes one receiver of a configuration; they are closed at the end."""
    means = Means(FakeTime(at_s=float(NOW_S)), "https://correlate.example")
    with ExitStack() as stack:

        def make(**entry: Any) -> Recipient:
            (recipient,) = build([{"name": "hook", "timeout_s": 1.0} | entry], means)
            stack.callback(recipient.close)
            return recipient

        yield make


def test_a_webhook_is_signed_and_keyed(made: Made, told: Told) -> None:
    """The signature covers time and body; the key is the notification's; the body is Alertmanager's."""
    made(kind="webhook", url=told.url + SECRET_PATH + "?a=b", secret="s3cret").receiver.deliver(notification())
    (request,) = told.taken
    assert (request.method, request.path) == ("POST", SECRET_PATH + "?a=b")
    assert request.headers["x-correlate-timestamp"] == str(NOW_S)
    wanted = hmac.new(b"s3cret", f"{NOW_S}:".encode() + request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-correlate-signature"] == wanted
    assert request.key == notification().key
    assert request.headers["content-type"] == "application/json"
    assert request.json()["version"] == "4"


def test_the_headers_can_be_grafanas(made: Made, told: Told) -> None:
    """So that what verifies Grafana's webhooks verifies ours; without a secret nothing is signed."""
    names = {"signature_header": "X-Grafana-Alerting-Signature", "timestamp_header": "X-When"}
    given = {"kind": "webhook", "url": told.url, "format": "grafana", "method": "PUT"}
    made(**given, secret="s", **names).receiver.deliver(notification())
    made(**given).receiver.deliver(notification())
    signed, bare = told.taken
    assert signed.method == "PUT"
    assert {"x-grafana-alerting-signature", "x-when"} <= set(signed.headers)
    assert "x-correlate-signature" not in bare.headers
    assert signed.json()["version"] == "1"


def test_cloud_events_have_their_content_type(made: Made, told: Told) -> None:
    """Structured mode."""
    made(kind="webhook", url=told.url, format="cloudevents").receiver.deliver(notification())
    assert told.taken[0].headers["content-type"] == "application/cloudevents+json"
    assert told.taken[0].json()["id"] == notification().key


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200), None),
        (Answer(204, b""), None),
        (Answer(202, b"<html>thanks", {"content-type": "text/html"}), None),
        (Answer(500, b"oops"), SourceUnreachable),
        (Answer(502), SourceUnreachable),
        (Answer(503), SourceTooSlow),
        (Answer(429, b"", {"retry-after": "7"}), SourceTooSlow),
        (Answer(400, b"no"), SourceRefused),
        (Answer(401), SourceRefused),
        (Answer(404), SourceRefused),
        (Answer(302, b"", {"location": "/login"}), SourceRefused),
        (Answer(308, b"", {"location": "https://elsewhere.example/"}), SourceRefused),
        (Answer(200, pause_s=1.5), SourceTooSlow),
    ],
)
def test_any_2xx_is_success_and_each_request_is_made_once(
    made: Made, told: Told, answer: Answer, error: type[SourceError] | None
) -> None:
    """Trying again is the outbox's business; redirects are not followed."""
    told.behave = lambda _: answer
    receiver = made(kind="webhook", url=told.url + SECRET_PATH).receiver
    if error is None:
        receiver.deliver(notification())
    else:
        with pytest.raises(error) as caught:
            receiver.deliver(notification())
        assert caught.value.retry == (error is not SourceRefused)
        if answer.status == 429:
            assert isinstance(caught.value, SourceTooSlow)
            assert caught.value.retry_after_s == 7.0
    assert len(told.asked) == 1


def test_the_secret_part_of_an_address_is_in_no_message(made: Made, told: Told) -> None:
    """Neither where the server repeats it, nor where it redirects to it, nor when nothing listens there."""
    for answer in (
        Answer(404, f"Cannot POST {SECRET_PATH}".encode()),
        Answer(503, SECRET_PATH.encode()),
        Answer(301, b"", {"location": f"https://127.0.0.1{SECRET_PATH}"}),
    ):
        told.behave = lambda _, answer=answer: answer
        with pytest.raises(SourceError) as caught:
            made(kind="slack", url=told.url + SECRET_PATH).receiver.deliver(notification())
        assert "secretpath" not in str(caught.value)
        assert "hook" in str(caught.value)
    with pytest.raises(SourceUnreachable) as gone:
        made(kind="webhook", url="http://127.0.0.1:1" + SECRET_PATH).receiver.deliver(notification())
    assert "secretpath" not in str(gone.value)
    assert "secretpath" not in made(kind="webhook", url=told.url + SECRET_PATH).place


@pytest.mark.parametrize("body", [b"ok", b'{"success": true}', b" ok\n"])
def test_slack_must_say_ok(made: Made, told: Told, body: bytes) -> None:
    """As Slack, Mattermost and Rocket.Chat do."""
    told.behave = lambda _: Answer(200, body)
    recipient = made(kind="slack", url=told.url, channel="#alerts")
    recipient.receiver.deliver(notification())
    assert told.taken[0].json()["channel"] == "#alerts"
    assert (recipient.rate_per_s, recipient.at_once) == (1.0, 1)


@pytest.mark.parametrize("body", [b"", b"invalid_payload", b"<html>log in", b'{"success":false}'])
def test_slack_that_says_something_else_is_asked_again(made: Made, told: Told, body: bytes) -> None:
    """It is not sure that it was taken."""
    told.behave = lambda _: Answer(200, body)
    with pytest.raises(SourceMalformed):
        made(kind="slack", url=told.url).receiver.deliver(notification())


def test_every_alertmanager_is_told(made: Made, told: Told) -> None:
    """One that is down does not keep the others from it; it is a failure when all are."""
    with receiver_on_socket() as other:
        both = made(kind="alertmanager", urls=["http://127.0.0.1:1", told.url + "/prefix", other.url], every_s=30)
        both.receiver.deliver(notification(alert(), resolved(alert(), START_NS + 60 * S)))
        assert [each.taken[0].path for each in (told, other)] == ["/prefix/api/v2/alerts", "/api/v2/alerts"]
        firing, over = told.taken[0].json()
    assert firing["endsAt"] == "2026-09-21T14:22:00.000Z"  # now and four times half a minute
    assert over["endsAt"] == "2026-09-21T14:14:20.000Z"
    assert both.repeat_every_s == 30
    with pytest.raises(SourceUnreachable):
        made(kind="alertmanager", urls=["http://127.0.0.1:1"]).receiver.deliver(notification())


def test_what_an_alertmanager_refuses_is_told(made: Made, told: Told) -> None:
    """It names what it did not take; a page for people is no answer of it."""
    told.behave = lambda _: Answer(400, b'"bad label"')
    with pytest.raises(SourceRefused, match="bad label"):
        made(kind="alertmanager", urls=[told.url]).receiver.deliver(notification())
    told.behave = lambda _: Answer(200, b"<html>welcome", {"content-type": "text/html"})
    with pytest.raises(SourceMalformed):
        made(kind="alertmanager", urls=[told.url]).receiver.deliver(notification())


class Annotations:
    """Grafana's annotations, as far as they are used."""

    def __init__(self, told: Told) -> None:
        self.kept: dict[int, dict[str, Any]] = {}
        self.lose = 0
        self._ids = itertools.count(1)
        told.behave = self.answer

    def answer(self, request: Request) -> Answer:
        """As Grafana does; some answers get lost."""
        if request.method == "GET":
            tag = request.path.partition("tags=")[2].partition("&")[0].replace("%3A", ":")
            found = [{"id": key, **each} for key, each in self.kept.items() if tag in each["tags"]]
            return Answer(200, orjson.dumps(found[:1]))
        given = request.json()
        if request.method == "PATCH":
            self.kept[int(request.path.rpartition("/")[2])].update(given)
            return Answer(200, b'{"message":"Annotation patched"}')
        self.kept[next(self._ids)] = given
        if self.lose:
            self.lose -= 1
            return Answer(500)
        return Answer(200, b'{"message":"Annotation added","id":1}')


def test_grafana_has_one_annotation_for_each_occurrence(made: Made, told: Told) -> None:
    """Made once, although the first answer is lost; ended when the alert is."""
    grafana = Annotations(told)
    grafana.lose = 1
    receiver = made(kind="grafana", url=told.url, token="t0ken").receiver
    with pytest.raises(SourceUnreachable):
        receiver.deliver(notification())
    receiver.deliver(notification())
    assert len(grafana.kept) == 1
    receiver.deliver(notification(resolved(alert()), reason=Reason.ALL_RESOLVED))
    (kept,) = grafana.kept.values()
    assert kept["timeEnd"] == (START_NS + 3600 * S) // 10**6
    assert kept["text"].startswith("Resolved: ")
    assert told.asked[0].headers["authorization"] == "Bearer t0ken"


def test_what_is_not_grafana_is_told(made: Made, told: Told) -> None:
    """JSON that is no list of annotations."""
    told.behave = lambda _: Answer(200, b'{"a":1}')
    with pytest.raises(SourceMalformed, match="is it Grafana"):
        made(kind="grafana", url=told.url).receiver.deliver(notification())


def test_secrets_come_from_files_and_the_environment(
    made: Made, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address, the secret of the signature, and tokens."""
    (tmp_path / "url").write_text(told.url + "/a\n")
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv("HOOK_TOKEN", "t0ken")
    files = {"url_file": str(tmp_path / "url"), "secret_file": str(tmp_path / "secret")}
    made(kind="webhook", token="${HOOK_TOKEN}", **files).receiver.deliver(notification())
    assert told.taken[0].headers["authorization"] == "Bearer t0ken"
    assert "x-correlate-signature" in told.taken[0].headers


def test_every_mistake_is_told_at_once() -> None:
    """With its place, and without any value that could be secret."""
    entries: list[Any] = [
        {"name": "a", "kind": "webhook"},
        {"name": "b", "kind": "pigeon"},
        {"name": "c", "kind": "webhook", "url": "mailto:me", "format": "yaml", "signature_header": "a b"},
        {"name": "d", "kind": "slack", "url": "https://x/${NOT_SET_ANYWHERE}"},
        {"name": "d", "kind": "alertmanager", "urls": []},
        {"name": "e", "kind": "webhook", "url": "https://x", "secret": "hush", "secret_file": "/y"},
        {"name": "f", "kind": "slack", "url": "ftp://hush/hush"},
        {"name": "g", "kind": "webhook", "url": "https://x", "colour": "hush", "runbook_url": "wiki"},
        "h",
    ]
    with pytest.raises(ConfigError) as caught:
        build(entries, Means(FakeTime()))
    message = str(caught.value)
    for said in (
        "receivers[1] a: Value error, give url or url_file",
        "receivers[2] b: kind is 'pigeon'; known are webhook, slack, alertmanager, grafana",
        "receivers[3] c format",
        "receivers[3] c signature_header",
        "receivers[4] d: the environment has no NOT_SET_ANYWHERE",
        "receivers[5] d urls",
        "receivers[6] e: Value error, give secret or secret_file, not both",
        "receivers[7] f: url 'ftp://hush' must look like",
        "receivers[8] g colour",
        "receivers[8] g runbook_url",
        "receivers[9]: must be a mapping",
        "the name 'd' is given to 2 receivers",
    ):
        assert said in message
    assert "hush/hush" not in message


def test_nothing_shows_a_secret(made: Made) -> None:
    """Neither options nor configuration, when somebody prints them."""
    config = KINDS["webhook"].config.model_validate(
        {"name": "a", "kind": "webhook", "url": "https://x/hush", "secret": "hush", "token": "hush"}
    )
    assert "hush" not in repr(config)
    recipient = made(kind="webhook", url="https://x/hush", secret="hush")
    assert "hush" not in repr(recipient.receiver._options)  # type: ignore[attr-defined]
