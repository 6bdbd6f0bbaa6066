"""The recording is watched as a demonstration watches it: its leak fires, on the real road."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from correlate import bootstrap
from correlate.demo import loading, traffic, watching
from correlate.model.alert_changes import AlertFilter
from correlate.model.alerts import AlertStatus, EventKind
from correlate.settings_detectors import NAMES, DetectorSettings
from tests.support.store import FixedClock

END_S = 1_795_460_000
NS = 10**9


@contextmanager
def running(folder: Path, now_s: float) -> Iterator[bootstrap.Services]:
    """Services over a folder, as the demonstration has them."""
    chosen = loading.settings_within(folder, detectors=watching.settings())
    with bootstrap.running(chosen, clock=FixedClock(round(now_s * NS)), maintain=False) as services:
        yield services


def recorded(services: bootstrap.Services, end_s: float) -> list[traffic.Recorded]:
    """The recording, loaded so that it ends then."""
    requests = traffic.ending_at(list(traffic.shipped()), round(end_s * NS))
    loading.load(services.ingest, map(loading.payload_of, requests))
    return requests


def watch(services: bootstrap.Services, requests: list[traffic.Recorded]) -> int:
    """Watch it; how many judgements that took."""
    names = services.catalogue.services()["service"].to_list()
    return watching.watch_recorded(services.watch, services.books.watermarks, names, requests).services


def test_the_recorded_leak_fires_and_nothing_else_does(tmp_path: Path) -> None:
    """With its call site and operation, first as a watch; a second recording in the same folder costs no more."""
    with running(tmp_path, END_S + 5) as services:
        judged = watch(services, recorded(services, END_S + 2))
        (view,) = services.alerts.list(AlertFilter())
        (site, *_) = view.alert.verdict.sites
        assert (view.alert.status, view.alert.verdict.detector) == (AlertStatus.FIRING, "memory-leak")
        assert (site.function, site.line, site.operations) == ("remember_session", 9, ("POST /checkout",))
        events = services.alerts.get(view.alert.fingerprint).events
        assert [event.kind for event in events] == [EventKind.FIRING, EventKind.WATCH]
        assert view.alert.evidence["flame_graph"].startswith(services.public_url)
        assert 0 < judged < 20
    with running(tmp_path, END_S + 86_400) as services:
        assert 0 < watch(services, recorded(services, END_S + 86_400)) < 20


def test_nothing_recorded_is_nothing_to_watch(tmp_path: Path) -> None:
    """No judgement at all."""
    with running(tmp_path, END_S) as services:
        assert watch(services, []) == 0


def test_the_settings_are_those_of_a_configuration() -> None:
    """What grows is watched, and only when asked for."""
    chosen = DetectorSettings(**watching.settings())
    on = [name for name in NAMES if chosen.policies.of("checkout", name).enabled]
    assert (chosen.enable, on) == (False, ["memory-leak", "goroutine-leak"])
    assert chosen.pace == pytest.approx(1 / watching.FASTER)


def test_nobody_outside_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever receivers the environment names."""
    monkeypatch.setenv("CORRELATE_RECEIVERS", '[{"name": "team", "kind": "slack", "url": "http://127.0.0.1:9/x"}]')
    assert loading.settings_within(tmp_path).receivers == []
