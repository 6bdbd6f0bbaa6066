"""Levels of services from Prometheus: what the detector of limits looks at, and profiles do not tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from connectors.prometheus import MetricSeries, PrometheusSource
from correlate.errors import SourceMalformed, SourceRefused
from correlate.model.queries import TimeRange
from correlate.ports import LEVELS, Measured

INSTANCE_LABELS: Final = ("service_instance_id", "pod", "k8s_pod_name", "instance")
"""What names a process, the first that a series has; ``instance`` comes last: of containers it is their node."""

LEAST_RANGE_S: Final = 120
"""A rate needs two scrapes, which are up to a minute apart."""


@dataclass(frozen=True, slots=True)
class PrometheusLevels:
    """`ports.MetricsSource` over range queries, one per quantity for all services.

    Attributes:
        source: who is asked.
        queries: expression by quantity; ``$range`` stands for the length of a bucket, ``""`` is left out.
        service_label: the label that names the service.
    """

    source: PrometheusSource
    queries: Mapping[str, str]
    service_label: str = "job"

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return self.source.name

    def levels(self, window: TimeRange, step_ns: int) -> Measured:
        """See `ports.MetricsSource.levels`. A bucket's level is that at its end, looking back over it.

        Raises:
            SourceError: it could not be asked.
        """
        step_s = max(step_ns // 10**9, 1)
        ends = TimeRange(window.start_ns + step_ns, window.end_ns)
        parts, problems = [pl.DataFrame(schema=dict(LEVELS))], []
        for quantity, expression in self.queries.items():
            if not expression.strip():
                continue
            asked = expression.replace("$range", f"{max(step_s, LEAST_RANGE_S)}s")
            try:
                found = self.source.query(asked, ends, step_s)
            except (SourceRefused, SourceMalformed) as exc:
                problems.append(f"{quantity}: {exc}")
                continue
            parts.append(self._rows(quantity, found, step_ns))
        return Measured(pl.concat(parts), tuple(problems))

    def _rows(self, quantity: str, found: Sequence[MetricSeries], step_ns: int) -> pl.DataFrame:
        told = [series for series in found if series.labels.get(self.service_label) and series.times_s.size]
        if not told:
            return pl.DataFrame(schema=dict(LEVELS))
        sizes = [series.times_s.size for series in told]
        ends_ms = np.round(np.concatenate([series.times_s for series in told]) * 1e3).astype(np.int64)
        service = pl.Series([series.labels[self.service_label] for series in told])
        instance = pl.Series([_instance(series) for series in told])
        places = np.repeat(np.arange(len(told)), sizes)
        rows = pl.DataFrame(
            {
                "service": service.gather(places),
                "quantity": pl.repeat(quantity, places.size, eager=True),
                "instance": instance.gather(places),
                "time_ns": ends_ms * 10**6 - step_ns,
                "value": np.concatenate([series.values for series in told]),
            },
            schema=dict(LEVELS),
        )
        return rows.filter(pl.col("value").is_finite())


def _instance(series: MetricSeries) -> str:
    return next((series.labels[name] for name in INSTANCE_LABELS if series.labels.get(name)), "")
