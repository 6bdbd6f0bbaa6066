"""What the tests of the store share."""

from dataclasses import dataclass

import polars as pl

from correlate.model.queries import SampleFilter
from correlate.tables.tables import Tables, concat
from tests.support.rows import SECOND, T0, profile, spans, with_series

EVERYTHING = SampleFilter((), (), 0, 1 << 62)


@dataclass
class FixedClock:
    """A clock that stands still until told otherwise."""

    at_ns: int

    def now_ns(self) -> int:
        """The set time."""
        return self.at_ns


def ids_of(rows: pl.DataFrame) -> list[int]:
    """Span ids, sorted."""
    return sorted(rows["span"].to_list())


def payload(number: int, *, at_ns: int = T0) -> Tables:
    """One span and one profile of two samples; everything in it is told apart from other numbers."""
    rows = spans({"span": number, "trace_lo": number, "payload": number, "start_ns": at_ns + number})
    samples = [
        {"stack": f"main;work_{number}", "value": number, "span": number},
        {"stack": "main;rest", "value": number, "time_ns": at_ns + 3600 * SECOND * (number % 2) + number},
    ]
    return concat([with_series(rows), profile(samples, time_ns=at_ns + number * SECOND, labels={"n": str(number)})])
