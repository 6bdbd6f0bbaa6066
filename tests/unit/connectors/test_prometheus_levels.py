"""Levels by range queries, against a fake Prometheus."""

from typing import Any

import httpx
import pytest

from connectors.endpoint import Endpoint
from connectors.prometheus import PrometheusSource
from connectors.prometheus_levels import PrometheusLevels
from correlate.errors import SourceError
from correlate.model.queries import TimeRange
from correlate.ports import LEVELS

STEP = 300 * 10**9
WINDOW = TimeRange(3_000_000 * STEP, 3_000_002 * STEP)


def levels(handler: Any, queries: dict[str, str], **options: Any) -> PrometheusLevels:
    """With a fake for the network."""
    endpoint = Endpoint("http://prometheus:9090", max_retries=0)
    return PrometheusLevels(
        PrometheusSource("prom", endpoint, transport=httpx.MockTransport(handler)), queries, **options
    )


def matrix(*series: dict[str, Any]) -> httpx.Response:
    """An answer."""
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": list(series)}})


def test_a_bucket_has_the_level_at_its_end() -> None:
    """Looking back over it; empty queries are not asked, series without a service and values that are none left out."""
    asked: list[dict[str, str]] = []
    ends = [WINDOW.start_ns // 10**9 + 300, WINDOW.end_ns // 10**9]

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        named = {"service_name": "shop", "instance": "node", "pod": "shop-1"}
        points = [[ends[0], "0.5"], [ends[1], "NaN"]]
        return matrix({"metric": named, "values": points}, {"metric": {"pod": "x"}, "values": points})

    found = levels(handler, {"cpu": "rate(x[$range])", "memory": " "}, service_label="service_name").levels(
        WINDOW, STEP
    )
    assert found.rows.schema == dict(LEVELS)
    assert found.rows.rows() == [("shop", "cpu", "shop-1", WINDOW.start_ns, 0.5)]
    (params,) = asked
    assert params == {"query": "rate(x[300s])", "start": str(ends[0]), "end": str(ends[1]), "step": "300"}


def test_short_buckets_look_back_far_enough_for_a_rate() -> None:
    """Two minutes at least."""
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["query"])
        return matrix()

    assert levels(handler, {"cpu": "rate(x[$range])"}).levels(TimeRange(0, 10**10), 10**10).rows.is_empty()
    assert asked == ["rate(x[120s])"]


def test_a_query_that_is_refused_leaves_the_others() -> None:
    """And is told."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.params["query"] == "wrong(":
            return httpx.Response(400, json={"status": "error", "errorType": "bad_data", "error": "parse error"})
        return matrix({"metric": {"job": "shop"}, "values": [[WINDOW.end_ns // 10**9, "7"]]})

    found = levels(handler, {"cpu": "wrong(", "goroutines": "go_goroutines"}).levels(WINDOW, STEP)
    assert found.rows.rows() == [("shop", "goroutines", "", WINDOW.end_ns - STEP, 7.0)]
    assert len(found.problems) == 1
    assert found.problems[0].startswith("cpu: ")
    assert "parse error" in found.problems[0]


def test_a_server_that_is_down_is_asked_once() -> None:
    """Not once for each quantity."""
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["query"])
        raise httpx.ConnectError("refused")

    with pytest.raises(SourceError):
        levels(handler, {"cpu": "a", "memory": "b"}).levels(WINDOW, STEP)
    assert asked == ["a"]
