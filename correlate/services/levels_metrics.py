"""How asking for levels goes, in Prometheus' words."""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from correlate.services.levels import Levels

_COUNTED: Final = {
    "answered": "Windows whose levels were told",
    "failed": "Windows whose levels were asked for and not told",
    "skipped": "Windows that were not asked for, so soon after a failure",
    "refused": "Levels that were left out of an answer, for instance for a wrong query",
}


class LevelsMetrics(Collector):
    """Counters of this process."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels

    def collect(self) -> Iterator[Metric]:
        """One metric per fate."""
        for name, text in _COUNTED.items():
            yield CounterMetricFamily(f"correlate_levels_{name}", text, float(getattr(self._levels.counts, name)))
