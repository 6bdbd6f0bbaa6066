"""Alerts reach their receivers through `kill -9`: a real process, a real database, a receiver on a real socket."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from correlate import bootstrap
from correlate.doctor.checklist import State
from correlate.model.alert_changes import Changes
from correlate.model.alerts import Notification
from correlate.settings import load
from tests.support.alerts import books_in
from tests.support.notifications import Answer, Told, alert, leak, notification, receiver_on_socket, resolved
from tests.support.server import served
from workers import cli


def eventually(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait until something is so."""
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)


def decided(data_dir: Path, *told: Notification) -> None:
    """What a process decided before it was killed."""
    with books_in(data_dir, bootstrap.SystemClock()) as books:
        assert books.alerts.apply(Changes(notifications=told))


def message(key: str, *, over: bool = False) -> Notification:
    """Decided now, for the receiver of these tests."""
    one = alert(leak())
    now_ns = time.time_ns()
    return notification(resolved(one) if over else one, key=key, created_ns=now_ns, due_ns=now_ns)


def configured(told: Told, **more: object) -> dict[str, str]:
    """The setting `receivers` as the environment spells it."""
    entry = {"name": "hook", "kind": "webhook", "url": f"{told.url}/hook", "timeout_s": 0.3, "secret": "s"} | more
    fixed = {"commit_linger_s": "0.02", "public_url": "https://correlate.example"}
    return fixed | {"receivers": orjson.dumps([entry]).decode()}


def keys(told: Told) -> list[str]:
    """Of what it took, in order."""
    return [each.key for each in told.taken]


def test_kill_9_between_deciding_sending_and_noting_loses_nothing(tmp_path: Path) -> None:
    """Killed before anything is sent, while it is sent, and after: everything arrives, in order, with the same keys."""
    data_dir = tmp_path / "data"
    decided(data_dir, message("first"), message("second", over=True))
    with receiver_on_socket() as told:
        held = threading.Event()
        told.behave = lambda _: held.set() or Answer(503, pause_s=0.2)
        with served(data_dir, **configured(told)) as server:
            assert held.wait(20)
            server.kill()  # with the first on its way
        told.behave = lambda _: Answer()
        with served(data_dir, **configured(told)) as server:
            eventually(lambda: "second" in keys(told))
            metrics = httpx.get(f"{server.url}/metrics").text
            assert 'correlate_notifications_sent_total{receiver="hook"}' in metrics
            assert server.terminate() == 0
            assert "Traceback" not in server.log.read_text()
    assert list(dict.fromkeys(keys(told))) == ["first", "second"]
    assert {each.key for each in told.asked} == {"first", "second"}
    assert len({each.body for each in told.asked if each.key == "first"}) == 1


def test_the_test_button(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sends, says what happened, and the checklist knows; then there is a list."""
    settings = tmp_path / "c.yaml"
    with receiver_on_socket() as told:
        entries = [
            {"name": "works", "kind": "webhook", "url": f"{told.url}/secretpath"},
            {"name": "gone", "kind": "slack", "url": "http://127.0.0.1:1/secretpath"},
        ]
        settings.write_bytes(orjson.dumps({"data_dir": str(tmp_path / "data"), "receivers": entries}))

        def run(*args: str) -> tuple[int, str]:
            done = CliRunner().invoke(cli.alerts, [*args, "--config", str(settings)], env={"COLUMNS": "300"})
            return done.exit_code, done.output

        code, output = run("test")
        assert code == 1
        assert "took the test alert" in output
        assert "nothing listens there" in output
        assert "secretpath" not in output
        assert told.taken[0].json()["alerts"][0]["labels"]["alertname"] == "test"
        assert run("test", "works", "--end")[0] == 0
        assert "works" in run("list")[1]
        assert "0 on their way again" in run("resend")[1]
    with bootstrap.running(load(settings), maintain=False) as services:
        (item,) = [each for each in services.doctor.examine().checklist if each.name == "alert-receivers"]
        assert item.state is State.MISSING
        assert item.evidence == "Never tested: gone."
        services.receivers.note_test("gone")
        (item,) = [each for each in services.doctor.examine().checklist if each.name == "alert-receivers"]
        assert item.state is State.OK


def test_a_receiver_nobody_knows_is_told(tmp_path: Path) -> None:
    """With those there are."""
    settings = tmp_path / "c.yaml"
    settings.write_text(f"data_dir: {tmp_path}/data\nreceivers: [{{name: a, kind: slack, url: 'https://x.example'}}]\n")
    done = CliRunner().invoke(cli.alerts, ["test", "b", "--config", str(settings)])
    assert "no receiver is named b; there are a" in str(done.exception)
