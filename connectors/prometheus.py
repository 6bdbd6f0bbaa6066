"""Prometheus's range queries as series of numbers: CPU, memory, goroutines, garbage collection of a service."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import numpy as np
import numpy.typing as npt

from connectors.endpoint import Endpoint
from connectors.http import Call, HttpSource, Reply, Timing
from correlate.errors import BadQuery, SourceError, SourceMalformed, SourceRefused
from correlate.model.queries import TimeRange
from correlate.ports import Finding

F64 = npt.NDArray[np.float64]

METRICS: Final = {
    "cpu_cores": "rate(process_cpu_seconds_total{%s}[5m])",
    "rss_bytes": "process_resident_memory_bytes{%s}",
    "goroutines": "go_goroutines{%s}",
    "gc_pause_s": "rate(go_gc_duration_seconds_sum{%s}[5m]) / rate(go_gc_duration_seconds_count{%s}[5m])",
}
"""What is asked for under which name; ``%s`` stands for the label matcher of the service."""

MAX_POINTS: Final = 10_000
"""Prometheus refuses more than 11,000 points per series in one answer."""

_REFUSED: Final = frozenset({400, 422})


@dataclass(frozen=True, slots=True, eq=False)
class MetricSeries:
    """One series.

    Attributes:
        labels: what identifies it.
        times_s: seconds since the Unix epoch, ascending; missing points are left out.
        values: as many values; NaN and infinities as the server gave them.
    """

    labels: Mapping[str, str]
    times_s: F64
    values: F64


class PrometheusSource:
    """Series by expression, or by the names in `METRICS`."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        service_label: str = "service",
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: what the configuration calls the source.
            endpoint: Prometheus, or what speaks its API: Mimir, Thanos, VictoriaMetrics (with their path prefix).
            service_label: the label that names the service, often ``service`` or ``job``.
            transport: instead of the network.
            timing: clock, sleep and dice of the retries.

        Raises:
            ConfigError: the endpoint cannot be used.
        """
        self._name = name
        self._label = service_label
        self._http = HttpSource(name, endpoint, transport=transport, timing=timing)

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._name

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def metric(self, metric: str, service: str, window: TimeRange, step_s: int) -> list[MetricSeries]:
        """The series of a service, one per process, by a name in `METRICS`.

        Raises:
            BadQuery: no such name.
            SourceError: it could not be asked.
        """
        if metric not in METRICS:
            raise BadQuery(f"metric {metric!r} is not known; known are {', '.join(METRICS)}")
        matcher = f"{self._label}={json.dumps(service, ensure_ascii=False)}"
        return self.query(METRICS[metric].replace("%s", matcher), window, step_s)

    def query(self, expression: str, window: TimeRange, step_s: int) -> list[MetricSeries]:
        """The series of a PromQL expression, at multiples of the step, ends included.

        Raises:
            BadQuery: the step is not positive.
            SourceRefused: the expression is wrong; the message is the server's.
            SourceError: it could not be asked.
        """
        if step_s <= 0:
            raise BadQuery(f"step_s={step_s} must be above 0")
        found: dict[str, list[Mapping[str, Any]]] = {}
        for start_s, end_s in pieces(window, step_s):
            for series in self._matrix(expression, start_s, end_s, step_s):
                found.setdefault(json.dumps(series.get("metric") or {}, sort_keys=True), []).append(series)
        return [self._joined(json.loads(labels), parts) for labels, parts in sorted(found.items())]

    def check(self) -> list[Finding]:
        """Version, and whether it scrapes anything."""
        try:
            data = self._data(self._send("/api/v1/status/buildinfo", {}))
            up = self._data(self._send("/api/v1/query", {"query": "count(up == 1)"}))
        except SourceError as exc:
            return [Finding(ok=False, text=str(exc))]
        version = str(data.get("version") or "of unknown version")
        result = up.get("result") or []
        count = result[0]["value"][1] if result else "0"
        text = f"{count} targets are up" if result else "it scrapes no target that is up: check tenant and its targets"
        return [Finding(ok=True, text=f"{self._http.who} is Prometheus {version}"), Finding(ok=bool(result), text=text)]

    def _matrix(self, expression: str, start_s: int, end_s: int, step_s: int) -> list[Mapping[str, Any]]:
        params: dict[str, str | int | float] = {"query": expression, "start": start_s, "end": end_s, "step": step_s}
        data = self._data(self._send("/api/v1/query_range", params))
        result = data.get("result")
        if data.get("resultType") != "matrix" or not isinstance(result, list):
            raise SourceMalformed(
                f"{self._http.who} answered query_range with {data.get('resultType')!r}, not a matrix"
            )
        return result

    def _send(self, path: str, params: Mapping[str, str | int | float]) -> Reply:
        return self._http.send(Call("GET", path, params, allow=_REFUSED))

    def _data(self, reply: Reply) -> dict[str, Any]:
        answer = reply.json_object()
        if answer.get("status") != "success":
            said = str(answer.get("error") or "no reason")[:300]
            raise SourceRefused(f"{self._http.who} refuses {reply.path}: {answer.get('errorType', 'error')}: {said}")
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    def _joined(self, labels: dict[str, str], parts: list[Mapping[str, Any]]) -> MetricSeries:
        """The pieces of one series; its values come as text."""
        try:
            points = [point for part in parts for point in part["values"]]
            times_s = np.array([point[0] for point in points], np.float64)
            return MetricSeries(labels, times_s, np.array([point[1] for point in points]).astype(np.float64))
        except (KeyError, IndexError, TypeError, ValueError) as exc:
            raise SourceMalformed(f"{self._http.who} answered query_range with values that are none: {exc}") from exc


def pieces(window: TimeRange, step_s: int) -> Iterator[tuple[int, int]]:
    """First and last second of the questions for a window: whole steps, none with more than `MAX_POINTS` points."""
    step_ns = step_s * 10**9
    first, last = -(-window.start_ns // step_ns), window.end_ns // step_ns
    for begin in range(first, last + 1, MAX_POINTS):
        yield begin * step_s, min(begin + MAX_POINTS - 1, last) * step_s
