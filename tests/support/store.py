"""What the tests of the store share."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from correlate.model.queries import SampleFilter
from correlate.tables.schema import SAMPLES, SPANS
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


def many_samples(count: int, seed: int) -> pl.DataFrame:
    """Random samples of three services over two hours, some long, some without ids."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.integers(0, 5, count) for name in SAMPLES}
    columns["time_ns"] = T0 + rng.integers(0, 7200, count) * SECOND
    columns["duration_ns"] = rng.choice([0, 0, 10 * SECOND], count)
    columns["span"] = rng.integers(-(2**63), 2**63 - 1, 40)[rng.integers(0, 40, count)]
    columns["profile"] = rng.integers(1, 2**62, count)
    return pl.DataFrame(columns).select(pl.col(name).cast(kind) for name, kind in SAMPLES.items())


def many_spans(count: int, seed: int) -> pl.DataFrame:
    """Random spans of 30 traces over two hours."""
    rng = np.random.default_rng(seed)
    traces = rng.integers(-(2**63), 2**63 - 1, 30)[rng.integers(0, 30, count)]
    rows = spans(*({"span": i + 1} for i in range(count))).with_columns(
        trace_hi=pl.Series(traces),
        trace_lo=pl.Series(traces // 3),
        start_ns=pl.Series(T0 + rng.integers(0, 7200, count) * SECOND),
        duration_ns=pl.Series(rng.choice([1, SECOND, 600 * SECOND], count)),
        payload=pl.Series(rng.integers(1, 20, count) + seed * 100),
    )
    return rows.select(list(SPANS))
