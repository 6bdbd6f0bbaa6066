"""What the lake counts, in Prometheus' words."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from correlate.storage.committer import CommitCounters

_HELP = {
    "queue_bytes": "Estimated bytes waiting for a commit or being committed",
    "commits": "Group commits that succeeded",
    "failures": "Group commits that failed",
    "submissions": "Submissions acknowledged",
    "spans": "Span rows stored",
    "samples": "Sample rows stored",
    "profiles": "Profiles stored",
    "duplicates": "Payloads and profiles recognised as already stored",
    "refused": "Submissions refused because the queue was full",
    "commit_s": "Seconds spent committing",
}


class Counting(Protocol):
    """Whoever has commit counters."""

    @property
    def counters(self) -> CommitCounters:
        """What was counted since the start."""
        ...


class LakeMetrics(Collector):
    """Reads the lake's counters when Prometheus asks."""

    def __init__(self, lake: Counting) -> None:
        self._lake = lake

    def collect(self) -> Iterator[Metric]:
        """One metric per counter."""
        counters = self._lake.counters
        for field in fields(counters):
            name, value = field.name, float(getattr(counters, field.name))
            if name == "queue_bytes":
                yield GaugeMetricFamily("correlate_lake_queue_bytes", _HELP[name], value)
            else:
                exported = f"correlate_lake_{name.removesuffix('_s')}{'_seconds' if name.endswith('_s') else ''}"
                yield CounterMetricFamily(exported, _HELP[name], value)
