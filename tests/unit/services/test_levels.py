"""Levels measured elsewhere become observations, and a source that is silent holds nothing up."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from prometheus_client import CollectorRegistry

from connectors.endpoint import Endpoint
from connectors.prometheus import PrometheusSource
from connectors.prometheus_levels import PrometheusLevels
from correlate.errors import SourceUnreachable
from correlate.model.queries import TimeRange
from correlate.ports import LEVELS, Measured
from correlate.services.judging import Manner
from correlate.services.levels import LevelCounts, Levels, observed
from correlate.services.levels_metrics import LevelsMetrics
from correlate.settings_detectors import PrometheusSettings
from correlate.tables.schema import OBSERVATIONS
from correlate.tables.tables import Tables, concat
from tests.support.observed import SECOND
from tests.support.rows import T0, profile
from tests.support.store import FixedClock
from tests.support.watching import Watched, watching

BUCKET = 300 * SECOND
START = T0 // (6 * BUCKET) * 6 * BUCKET
WINDOW = TimeRange(START, START + BUCKET)
MANNER = Manner(settle_ns=60 * SECOND)
COUNT = 14


def frame(*rows: tuple[str, str, str, int, float]) -> pl.DataFrame:
    """LEVELS rows."""
    return pl.DataFrame(rows, schema=dict(LEVELS), orient="row")


class FakeSource:
    """Tells what it is given, or fails."""

    name = "fake"

    def __init__(self, *answers: Measured | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[TimeRange] = []

    def levels(self, window: TimeRange, step_ns: int) -> Measured:
        """The next answer; the last again and again."""
        self.asked.append(window)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Seconds:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now_s


def quiet(services: Sequence[str] = ("shop",)) -> Tables:
    """Services with little to tell, for the watch to know them."""
    return concat(
        profile([{"value": 1}], service=name, time_ns=START + minute * 60 * SECOND, labels={"n": str(minute)})
        for name in services
        for minute in range(5 * COUNT)
    )


def prometheus(cpu: float) -> Any:
    """Answers range queries: CPU as given, of other quantities nothing."""

    def handler(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        times = range(int(params["start"]), int(params["end"]) + 1, int(params["step"]))
        one = {"metric": {"job": "shop", "instance": "shop-1:80"}, "values": [[at, str(cpu)] for at in times]}
        result = [one] if "cpu" in params["query"] else []
        return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": result}})

    return handler


def down(request: httpx.Request) -> httpx.Response:
    """Nobody is there."""
    raise httpx.ConnectError("refused", request=request)


def watched(folder: Path, handler: Any) -> tuple[list[Any], pl.DataFrame, LevelCounts]:
    """What the watch says, and keeps, with a Prometheus beside it; None: without."""
    folder.mkdir()
    now_ns = START + COUNT * BUCKET + 60 * SECOND
    levels = Levels(FixedClock(now_ns))
    queries = PrometheusSettings.model_validate({"url": "http://prometheus:9090"}).queries.given
    endpoint = Endpoint("http://prometheus:9090", max_retries=0)
    asked = PrometheusSource("prom", endpoint, transport=httpx.MockTransport(handler or down))
    source = PrometheusLevels(asked, queries) if handler else None
    with levels.asking(source), watching(folder, quiet(), now_ns, MANNER, measure=levels.rows) as it:
        assert isinstance(it, Watched)
        it.watch.once()
        return it.said(), it.observations.rows, levels.counts


def test_too_much_cpu_becomes_a_verdict(tmp_path: Path) -> None:
    """Above 85 % for a while; what is below is none."""
    said, rows, counts = watched(tmp_path / "busy", prometheus(0.95))
    assert ("shop", "threshold", "page", "cpu shop-1:80") in said
    short = rows.filter((pl.col("type") == "metric:cpu") & (pl.col("duration_ns") == BUCKET)).sort("time_ns")
    assert short["time_ns"].to_list() == [START + bucket * BUCKET for bucket in range(COUNT)]
    assert set(short["value"]) == {950_000}
    long = rows.filter((pl.col("type") == "metric:cpu") & (pl.col("duration_ns") == MANNER.step_ns))
    assert set(long["value"]) == {950_000}
    assert (counts.failed, counts.skipped, counts.refused) == (0, 0, 0)
    calm, _, _ = watched(tmp_path / "calm", prometheus(0.3))
    assert [each for each in calm if each[1] == "threshold"] == []


def test_a_prometheus_that_is_down_changes_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, counted, and left alone for a while."""
    with caplog.at_level(logging.WARNING):
        said, rows, counts = watched(tmp_path / "down", down)
    plain, without, _ = watched(tmp_path / "none", None)
    assert said == plain
    order = ["service", "type", "time_ns", "duration_ns", "kind", "instance", "key"]
    assert rows.sort(order).equals(without.sort(order))
    assert (counts.answered, counts.failed) == (0, 1)
    assert counts.skipped >= 2
    assert caplog.text.count("no levels from prom") == 1


def test_levels_become_whole_numbers_of_a_process() -> None:
    """Millionths, nanoseconds, counts; of several series of a process the largest; no numbers are left out."""
    rows = observed(
        frame(
            ("shop", "cpu", "a", START, 0.5),
            ("shop", "cpu", "a", START, 0.7),
            ("shop", "gc_pause", "A", START, 0.05),
            ("shop", "goroutines", "a", START, float("nan")),
            ("shop", "memory", "a", START, float("inf")),
            ("shop", "memory_limit_bytes", "a", START, 1e300),
            ("shop", "weather", "a", START, 1.0),
        ),
        BUCKET,
        7,
    ).sort("type")
    assert rows.schema == dict(OBSERVATIONS)
    assert rows.select("type", "value").rows() == [
        ("metric:cpu", 700_000),
        ("metric:gc_pause", 50_000_000),
        ("metric:memory_limit_bytes", 1 << 53),
    ]
    assert rows["instance"].n_unique() == 1
    assert 0 not in rows["instance"]


def test_many_batches_cost_one_question() -> None:
    """The answer holds all services; after a minute it is asked for again."""
    seconds, source = Seconds(), FakeSource(Measured(frame(*((name, "cpu", "", START, 0.5) for name in "ab"))))
    levels = Levels(FixedClock(1), seconds)
    with levels.asking(source):
        assert levels.rows(["a"], WINDOW, BUCKET)["service"].to_list() == ["a"]
        assert levels.rows(["b", "c"], WINDOW, BUCKET)["service"].to_list() == ["b"]
        assert len(source.asked) == 1
        seconds.now_s = 61
        levels.rows(["a"], WINDOW, BUCKET)
        assert len(source.asked) == 2
    assert levels.rows(["a"], WINDOW, BUCKET).is_empty()


def test_after_a_failure_it_is_left_alone_for_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Then asked again; a defect is no reason to stop either."""
    seconds = Seconds()
    source = FakeSource(SourceUnreachable("gone"), ZeroDivisionError(), Measured(frame(), ("cpu: wrong",)))
    levels = Levels(FixedClock(1), seconds)
    with levels.asking(source), caplog.at_level(logging.WARNING):
        for seconds.now_s in (0, 30, 61, 130, 200):
            assert levels.rows(["a"], WINDOW, BUCKET).is_empty()
    assert levels.counts == LevelCounts(answered=2, failed=2, skipped=1, refused=2)
    assert caplog.text.count("cpu: wrong") == 1
    registry = CollectorRegistry()
    registry.register(LevelsMetrics(levels))
    assert registry.get_sample_value("correlate_levels_failed_total") == 2
