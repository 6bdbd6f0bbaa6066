"""How the sources are, in Prometheus' words."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from correlate.errors import StoreError
from correlate.services.sources import Sources, SourceView

_GAUGES: Final[dict[str, tuple[str, Callable[[SourceView], float]]]] = {
    "up": ("Whether the last pull succeeded", lambda view: float(view.status.ok)),
    "last_ok_timestamp_seconds": ("When a pull last succeeded", lambda view: view.status.last_ok_ns / 1e9),
    "last_pull_seconds": ("How long the last pull took", lambda view: view.status.last_pull_seconds),
    "behind_seconds": ("How long ago that is up to which the source is stored", lambda view: view.behind_s or 0.0),
    "parts_down": (
        "Parts of the source that are not as they should be, for instance targets of a scrape",
        lambda view: float(sum(not part.ok for part in view.status.parts)),
    ),
}
_COUNTERS: Final = {
    "pulls": "Pulls that succeeded",
    "failures": "Pulls that failed",
    "payloads": "Payloads fetched",
    "spans": "Span rows stored",
    "profiles": "Profiles stored",
    "samples": "Sample rows stored",
    "duplicates": "Spans, payloads and profiles that were there already",
    "rejects": "Parts of payloads that were refused",
    "dead": "Payloads that became dead letters",
}


class SourceMetrics(Collector):
    """Reads the status of the configured sources when Prometheus asks."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def describe(self) -> list[Metric]:
        """Nothing, so that registering asks no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One metric per fact, one series per source; only whether the state answers when it does not."""
        answers = GaugeMetricFamily("correlate_state_up", "Whether the state database answers")
        yield answers
        try:
            views = [view for view in self._sources.all() if view.status.configured]
            letters = self._sources.dead_letters()
        except StoreError:
            answers.add_metric([], 0.0)
            return
        answers.add_metric([], 1.0)
        yield GaugeMetricFamily("correlate_dead_letters", "Payloads that could not be read and wait", letters)
        yield from _families(views)


def _families(views: list[SourceView]) -> Iterator[Metric]:
    for name, (text, value) in _GAUGES.items():
        gauge = GaugeMetricFamily(f"correlate_source_{name}", text, labels=["source", "kind"])
        for view in views:
            gauge.add_metric([view.status.source, view.status.kind], value(view))
        yield gauge
    for name, text in _COUNTERS.items():
        counter = CounterMetricFamily(f"correlate_source_{name}", text, labels=["source", "kind"])
        for view in views:
            counter.add_metric([view.status.source, view.status.kind], float(getattr(view.status, name)))
        yield counter
