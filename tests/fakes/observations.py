"""Observations in memory."""

from collections.abc import Sequence

import polars as pl

from correlate.model.queries import TimeRange
from correlate.tables.schema import OBSERVATIONS


class FakeObservations:
    """Implements `ports.Observations`."""

    def __init__(self) -> None:
        self.rows = pl.DataFrame(schema=OBSERVATIONS)

    def append(self, rows: pl.DataFrame) -> None:
        """Replace what was there of the same buckets."""
        unit = ["service", "type", "time_ns", "duration_ns"]
        self.rows = pl.concat([self.rows.join(rows, on=unit, how="anti"), rows])

    def read(
        self, services: Sequence[str], window: TimeRange, duration_ns: int, *, types: Sequence[str] = ()
    ) -> pl.DataFrame:
        """By everything that is asked."""
        inside = (pl.col("time_ns") >= window.start_ns) & (pl.col("time_ns") < window.end_ns)
        found = self.rows.filter(inside & pl.col("service").is_in(services) & (pl.col("duration_ns") == duration_ns))
        return found.filter(pl.col("type").is_in(types)) if types else found
