"""Observing: what was received of some services in some buckets of time, reduced to what detectors look at."""

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from correlate.detectors import observe
from correlate.detectors.observe import SAMPLE_COLUMNS, SPAN_COLUMNS, Raw
from correlate.detectors.observe_roll import roll
from correlate.detectors.observe_rows import Role, role_of
from correlate.joins.instances import instances
from correlate.model.queries import SampleFilter, SpanFilter, TimeRange
from correlate.ports import Clock, Lake, Observations
from correlate.tables.hashing import hash_one
from correlate.tables.schema import SAMPLES, SPANS
from correlate.tables.symbols import Symbols

_LATE_SPANS_NS: Final = 60_000_000_000
"""Samples of a profile that begins in a bucket may name spans that begin this long after it."""


Measure = Callable[[Sequence[str], TimeRange, int], pl.DataFrame]
"""Further OBSERVATIONS rows of whole buckets of some services, measured elsewhere; raises nothing."""

_SAMPLES: Final = {name: SAMPLES[name] for name in SAMPLE_COLUMNS}
_SPANS: Final = {name: SPANS[name] for name in SPAN_COLUMNS}


class Observe:
    """Reads what was received, once for many services, and keeps what is observed in it."""

    def __init__(self, lake: Lake, observations: Observations, clock: Clock, measure: Measure | None = None) -> None:
        self._lake = lake
        self._observations = observations
        self._clock = clock
        self._measure = measure

    def observe(self, services: Sequence[str], window: TimeRange, bucket_ns: int, step_ns: int) -> int:
        """Observe whole buckets of some services and store what was seen; how many rows that were.

        Long buckets that end in the window are stored, too. Doing it twice replaces what was stored, so nothing is
        counted twice.

        Raises:
            StoreError: the lake failed.
        """
        rows = self.rows(services, window, bucket_ns)
        if self._measure:
            rows = pl.concat([rows, self._measure(services, window, bucket_ns)])
        over = TimeRange(window.start_ns // step_ns * step_ns, window.end_ns // step_ns * step_ns)
        if step_ns > bucket_ns and over.end_ns > over.start_ns:
            before = TimeRange(over.start_ns, window.start_ns)
            earlier = (
                self._observations.read(services, before, bucket_ns) if before.end_ns > before.start_ns else rows[:0]
            )
            whole = pl.concat([earlier, rows.filter(pl.col("time_ns") < over.end_ns)])
            rows = pl.concat([rows, roll(whole, step_ns, self._clock.now_ns())])
        self._observations.append(rows)
        return len(rows)

    def rows(self, services: Sequence[str], window: TimeRange, bucket_ns: int) -> pl.DataFrame:
        """What would be stored: OBSERVATIONS rows of whole buckets.

        Raises:
            StoreError: the lake failed.
        """
        return observe.reduce(self._raw(services, window), window, bucket_ns, self._clock.now_ns())

    def snapshots(self, services: Sequence[str], processes: pl.DataFrame, window: TimeRange) -> pl.DataFrame:
        """What some processes held, profile by profile, in the shape of OBSERVATIONS rows.

        Args:
            services: of the processes.
            processes: columns type and instance, each pair once.
            window: when.

        Raises:
            StoreError: the lake failed.
        """
        types = [hash_one(text) for text in processes["type"].unique()]
        samples = self._samples(services, types, window)
        series = self._described(samples["series"]).join(processes, on=["type", "instance"], how="semi")
        spans = pl.DataFrame(schema=_SPANS)
        raw = Raw(samples, spans, series, self.symbols(services))
        return observe.reduce(raw, window, 1, self._clock.now_ns())

    def symbols(self, services: Sequence[str]) -> Symbols:
        """Stacks and frames of some services."""
        return self._lake.symbols([hash_one(name) for name in services])

    def _raw(self, services: Sequence[str], window: TimeRange) -> Raw:
        samples = self._samples(services, self._types(services), window)
        late = TimeRange(window.start_ns, window.end_ns + _LATE_SPANS_NS)
        spans = self._lake.spans_where(SpanFilter(late.start_ns, late.end_ns, tuple(services)), SPAN_COLUMNS)
        series = self._described(pl.concat([samples["series"], spans["series"]]))
        return Raw(samples, spans, series, self.symbols(services))

    def _types(self, services: Sequence[str]) -> list[int]:
        known = self._lake.profile_types()
        types = known.filter(pl.col("service").is_in(list(services)))["type"].unique()
        return [hash_one(text) for text in types if role_of(text) is not Role.NONE]

    def _samples(self, services: Sequence[str], types: Sequence[int], window: TimeRange) -> pl.DataFrame:
        if not types:
            return pl.DataFrame(schema=_SAMPLES)
        ids = tuple(hash_one(name) for name in services)
        wanted = SampleFilter(ids, tuple(types), window.start_ns, window.end_ns - 1)
        return self._lake.samples(wanted, SAMPLE_COLUMNS)

    def _described(self, ids: pl.Series) -> pl.DataFrame:
        series = self._lake.series(ids.unique().to_list())
        return series.select("series", "service_id", "service", "type").join(instances(series), on="series")
