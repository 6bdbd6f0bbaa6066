"""Tasks, clock, fates: how work is asked for and what becomes of it."""

import ast
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from correlate import bootstrap, errors
from correlate.errors import ConfigError, Overloaded, SourceRefused, StoreError
from correlate.model.queries import TimeRange
from correlate.services.pulling import Plan, PullReport
from correlate.settings import load
from tests.fakes.source import FakeSource
from workers import embedded, names, processes, schedule, tasks
from workers.app import App, create_app
from workers.retry import Fate, fate, pause_s
from workers.runtime import Runtime, levels_of, runtime_of, sources_of

PPROF = {"name": "go", "kind": "pprof", "targets": ["127.0.0.1:1"]}


class FakePull:
    """Says what a test wants."""

    def __init__(self, report: PullReport) -> None:
        self.holder = "me"
        self.report = report
        self.pulled: list[str] = []

    def once(self, plan: Plan) -> PullReport:
        self.pulled.append(plan.name)
        return self.report


@pytest.fixture
def services(tmp_path: Path) -> Iterator[bootstrap.Services]:
    """Real ones over an empty lake."""
    with bootstrap.running(load(data_dir=tmp_path), maintain=False) as services:
        yield services


def app_with(services: bootstrap.Services, pull: FakePull) -> App:
    """An application whose one source is pulled by a fake."""
    plan = Plan(FakeSource("s"))
    runtime = Runtime(replace(services, pull=pull), MappingProxyType({"s": plan}))  # type: ignore[arg-type]
    app = create_app("memory://", runtime)
    app.loader.import_default_modules()
    return app


def test_tasks_are_three_lines() -> None:
    """What is longer belongs into a service."""
    tree = ast.parse(Path(tasks.__file__).read_text())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            assert len(node.body) <= 3


def test_names_are_those_of_the_tasks(services: bootstrap.Services) -> None:
    """The clock, which loads no tasks, asks for tasks that exist."""
    app = app_with(services, FakePull(PullReport()))
    asked = {names.PULL, names.COMPACT, names.EXPIRE, names.REPLAY, names.WATCH, names.NOTIFY}
    assert asked == {name for name in app.tasks if name.startswith("correlate.")}
    watching = schedule.watching(services.settings.detectors)
    assert {entry.task for entry in (*schedule.MAINTENANCE, *schedule.NOTIFYING, *watching)} <= asked


def test_a_source_nobody_configured_is_dropped(services: bootstrap.Services, caplog: pytest.LogCaptureFixture) -> None:
    """Asking again would not help; the log says what may be wrong."""
    app = app_with(services, FakePull(PullReport()))
    with caplog.at_level(logging.WARNING):
        app.tasks[names.PULL](source="gone")
    assert "same configuration" in caplog.text


def test_maintenance_and_replay_run_on_an_empty_lake(services: bootstrap.Services) -> None:
    """And leave the lease free."""
    app = app_with(services, FakePull(PullReport()))
    for name in (names.COMPACT, names.EXPIRE, names.REPLAY):
        app.tasks[name]()
    assert services.books.leases.holder("maintenance") is None


def test_watching_runs_on_an_empty_lake_and_leaves_the_lease_free(services: bootstrap.Services) -> None:
    """Every part of the services, unless watching is turned off."""
    app = app_with(services, FakePull(PullReport()))
    entries = schedule.watching(services.settings.detectors)
    assert [entry.kwargs["shard"] for entry in entries] == ["0/4", "1/4", "2/4", "3/4"]
    for entry in entries:
        app.tasks[entry.task](**entry.kwargs)
    assert services.books.leases.holder("watch 0/4") is None
    assert schedule.watching(load(detectors={"enable": False}).detectors) == []


def test_of_many_workers_one_does_maintenance(services: bootstrap.Services) -> None:
    """The others find it taken."""
    lease = services.books.leases.acquire("maintenance", "other", 60)
    assert lease
    assert not services.upkeep.compact()
    services.books.leases.release(lease)
    assert services.upkeep.expire()


def test_a_process_without_services_does_nothing() -> None:
    """And says how to start one."""
    app = create_app("memory://")
    app.loader.import_default_modules()
    with pytest.raises(ConfigError, match="correlate worker"):
        tasks._runtime(app.tasks[names.PULL])


def test_every_error_has_a_fate() -> None:
    """Read off its class; what was not raised on purpose is a defect."""
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.CorrelateError)]
    for each in classes:
        error = each.__new__(each)
        assert fate(error) is (Fate.AGAIN if each.retry else Fate.DROP)
    assert fate(ZeroDivisionError()) is Fate.DEFECT
    assert fate(SourceRefused("no")) is Fate.DROP


def test_pauses_grow_and_end() -> None:
    """Unless the error says how long."""
    pauses = [pause_s(StoreError("x"), attempt) for attempt in range(10)]
    assert pauses[:3] == [5.0, 10.0, 20.0]
    assert pauses[-1] == 300.0
    assert pause_s(Overloaded("x", retry_after_s=7.5), 3) == 7.5


def test_the_clock_asks_for_each_source_at_its_pace(services: bootstrap.Services) -> None:
    """As data; a message that nobody took is not worth doing after its successor."""
    with sources_of(load(sources=[PPROF, PPROF | {"name": "b", "every_s": 60}]), services.clock) as sources:
        entries = schedule.pulls(sources)
    app = create_app("memory://")
    schedule.beat(app, entries)
    found = {key: (each["schedule"], each["kwargs"], each["options"]) for key, each in app.conf.beat_schedule.items()}
    assert found == {
        "pull go": (5.0, {"source": "go"}, {"expires": 5.0}),
        "pull b": (60.0, {"source": "b"}, {"expires": 60.0}),
    }


def test_processes_need_a_broker_they_can_share() -> None:
    """Queues in memory are those of one process."""
    for run in (processes.run_worker, processes.run_beat):
        with pytest.raises(ConfigError, match="redis://"):
            run(load())


def test_sources_are_noted_as_configured(services: bootstrap.Services) -> None:
    """So that /sources shows them before they are pulled for the first time."""
    configured: dict[str, Any] = {"sources": [PPROF]}
    with runtime_of(replace(services, settings=load(**configured))):
        (status,) = services.books.statuses.all()
        assert (status.source, status.kind, status.place, status.configured) == ("go", "pprof", "127.0.0.1:1", True)
    with embedded.running(services):
        assert not services.books.statuses.all()[0].configured


def test_a_turn_of_telling_survives_the_state_database(
    services: bootstrap.Services, caplog: pytest.LogCaptureFixture
) -> None:
    """The next one comes soon; trying this one again would only pile up."""

    class Broken:
        def plan(self) -> None:
            raise StoreError("the database is gone")

    app = app_with(replace(services, alert_flow=Broken()), FakePull(PullReport()))  # type: ignore[arg-type]
    app.tasks[names.NOTIFY]()
    assert "nobody could be told about alerts: the database is gone" in caplog.text


def test_receivers_with_mistakes_end_the_start(tmp_path: Path) -> None:
    """Before anything runs."""
    settings = load(data_dir=tmp_path, receivers=[{"name": "a", "kind": "pigeon"}])
    with (
        bootstrap.running(settings, maintain=False) as services,
        pytest.raises(ConfigError, match="kind is 'pigeon'"),
        runtime_of(services),
    ):
        pass


def test_levels_are_asked_for_where_the_configuration_says(services: bootstrap.Services, tmp_path: Path) -> None:
    """While the runtime is there; a token that is missing keeps it from starting."""
    chosen = {"prometheus": {"url": "http://127.0.0.1:1", "token_file": tmp_path / "token"}}
    configured = replace(services, settings=load(detectors=chosen))
    window = TimeRange(0, 300 * 10**9)
    with pytest.raises(ConfigError, match="token_file"), runtime_of(configured):
        pass
    (tmp_path / "token").write_text("secret")
    with runtime_of(configured):
        assert services.levels.rows(["shop"], window, window.end_ns).is_empty()
    assert services.levels.counts.failed == 1
    with levels_of(services.settings) as nobody:
        assert nobody is None
