"""Range queries, against a fake Prometheus."""

from typing import Any

import httpx
import numpy as np
import pytest

from connectors.endpoint import Endpoint
from connectors.prometheus import MAX_POINTS, METRICS, PrometheusSource, pieces
from correlate.errors import BadQuery, SourceMalformed, SourceRefused
from correlate.model.queries import TimeRange

WINDOW = TimeRange(1_000_000_001 * 10**9, 1_000_000_061 * 10**9)


def source(handler: Any, **options: Any) -> PrometheusSource:
    endpoint = Endpoint("http://prometheus:9090/prom", max_retries=0)
    return PrometheusSource("prom", endpoint, transport=httpx.MockTransport(handler), **options)


def matrix(*series: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": {"resultType": "matrix", "result": list(series)}})


def test_a_metric_comes_as_columns_per_process() -> None:
    """Times are multiples of the step; values that are no numbers stay what they are."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        one = {
            "metric": {"instance": "b"},
            "values": [[1_000_000_015, "1.5"], [1_000_000_030, "NaN"], [1_000_000_045, "+Inf"]],
        }
        return matrix(one, {"metric": {"instance": "a"}, "values": [[1_000_000_015, "2"]]})

    found = source(handler, service_label="job").metric("cpu_cores", 'a "shop"', WINDOW, 15)
    assert [series.labels for series in found] == [{"instance": "a"}, {"instance": "b"}]
    np.testing.assert_array_equal(found[1].times_s, [1_000_000_015, 1_000_000_030, 1_000_000_045])
    np.testing.assert_array_equal(found[1].values, [1.5, np.nan, np.inf])
    params = asked[0].url.params
    assert asked[0].url.path == "/prom/api/v1/query_range"
    assert params["query"] == 'rate(process_cpu_seconds_total{job="a \\"shop\\""}[5m])'
    assert (params["start"], params["end"], params["step"]) == ("1000000005", "1000000050", "15")


def test_every_metric_of_the_guide_can_be_asked_for() -> None:
    """CPU, memory, goroutines, pauses; anything else is refused with the names."""
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["query"])
        return matrix()

    for metric in METRICS:
        assert source(handler).metric(metric, "shop", WINDOW, 15) == []
    assert all('{service="shop"}' in query and "%s" not in query for query in asked)
    with pytest.raises(BadQuery, match="goroutines"):
        source(handler).metric("threads", "shop", WINDOW, 15)
    with pytest.raises(BadQuery, match="step_s=0"):
        source(handler).query("up", WINDOW, 0)


def test_long_windows_are_asked_for_in_pieces_and_joined() -> None:
    """No answer has more points than the server gives."""

    def handler(request: httpx.Request) -> httpx.Response:
        start, end = int(request.url.params["start"]), int(request.url.params["end"])
        assert (end - start) // 15 < 11_000
        return matrix({"metric": {"a": "b"}, "values": [[at, str(at)] for at in range(start, end + 1, 15)]})

    month = TimeRange(0, 30 * 86_400 * 10**9)
    (found,) = source(handler).query("up", month, 15)
    np.testing.assert_array_equal(found.times_s, np.arange(0, 30 * 86_400 + 1, 15))
    np.testing.assert_array_equal(found.values, found.times_s)


def test_pieces_cover_all_steps_once() -> None:
    """Whole steps, both ends included."""
    assert list(pieces(TimeRange(0, 45 * 10**9), 15)) == [(0, 45)]
    assert list(pieces(TimeRange(1, 14 * 10**9), 15)) == []
    assert list(pieces(TimeRange(0, MAX_POINTS * 10**9), 1)) == [(0, MAX_POINTS - 1), (MAX_POINTS, MAX_POINTS)]


def test_a_wrong_expression_is_refused_in_the_servers_words() -> None:
    """The message says what is wrong with it."""
    error = {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end of input"}
    with pytest.raises(SourceRefused, match="bad_data: parse error"):
        source(lambda _: httpx.Response(400, json=error)).query("rate(", WINDOW, 15)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, json={"status": "success", "data": {"resultType": "vector", "result": []}}),
        httpx.Response(200, json={"status": "success"}),
        matrix({"metric": {}, "values": [[1]]}),
        matrix({"metric": {}, "values": [[1, "x"]]}),
        matrix({"metric": {}}),
        httpx.Response(200, text="<html><body>sign in"),
    ],
)
def test_a_strange_answer_is_malformed(answer: httpx.Response) -> None:
    """Told as the server's fault."""
    with pytest.raises(SourceMalformed):
        source(lambda _: answer).query("up", WINDOW, 15)


def test_checking_tells_version_and_targets() -> None:
    """A server without targets is not as it should be."""

    def answer(up: list[Any]) -> Any:
        def handler(request: httpx.Request) -> httpx.Response:
            data = {"version": "3.5.0"} if "buildinfo" in request.url.path else {"resultType": "vector", "result": up}
            return httpx.Response(200, json={"status": "success", "data": data})

        return handler

    assert [finding.ok for finding in source(answer([{"value": [1, "7"]}])).check()] == [True, True]
    assert "7 targets" in source(answer([{"value": [1, "7"]}])).check()[1].text
    assert [finding.ok for finding in source(answer([])).check()] == [True, False]
    assert [finding.ok for finding in source(lambda _: httpx.Response(404)).check()] == [False]
