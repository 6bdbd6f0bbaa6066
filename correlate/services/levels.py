"""Levels that profiles do not tell, asked for where they are measured, as rows of OBSERVATIONS."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
import polars as pl

from correlate.errors import SourceError
from correlate.model.queries import TimeRange
from correlate.ports import LEVELS, Clock, Measured, MetricsSource
from correlate.tables.hashing import hash_text
from correlate.tables.schema import OBSERVATIONS, OBSERVED_TOTAL

_LOG: Final = logging.getLogger(__name__)

FACTORS: Final = MappingProxyType(
    {"cpu": 1e6, "memory": 1e6, "gc_pause": 1e9, "goroutines": 1, "memory_limit_bytes": 1}
)
"""Observations are whole numbers: millionths, nanoseconds, counts, bytes."""

_PAUSE_S: Final = 60.0
_FRESH_S: Final = 60.0
_MOST_ANSWERS: Final = 4
_MOST: Final = float(1 << 53)


@dataclass(frozen=True, slots=True)
class LevelCounts:
    """What became of the questions of this process.

    Attributes:
        answered: windows that were answered.
        failed: windows that were asked for and not answered.
        skipped: windows that were not asked for, so soon after a failure.
        refused: quantities that were left out of an answer.
    """

    answered: int = 0
    failed: int = 0
    skipped: int = 0
    refused: int = 0


class Levels:
    """Asks a source for levels. Safe to use from many threads, of which one asks at a time.

    The answer holds all services and is kept for a minute, so that many batches of services with the same window cost
    one question. A source that does not answer costs its time limit once a minute; what was observed meanwhile has
    no levels.
    """

    def __init__(self, clock: Clock, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Without a source there are no levels, see `asking`.

        Args:
            clock: when rows are written.
            monotonic_s: seconds since any moment, never going back.
        """
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._source: MetricsSource | None = None
        self._lock = threading.Lock()
        self._answers: dict[tuple[TimeRange, int], tuple[float, pl.DataFrame]] = {}
        self._silent_until_s = float("-inf")
        self._problems: tuple[str, ...] = ()
        self._counts = LevelCounts()

    @property
    def counts(self) -> LevelCounts:
        """What became of the questions so far."""
        return self._counts

    @contextmanager
    def asking(self, source: MetricsSource | None) -> Iterator[None]:
        """Ask a source until the block is left; None: nobody."""
        self._source = source
        try:
            yield
        finally:
            self._source = None
            self._answers = {}

    def rows(self, services: Sequence[str], window: TimeRange, bucket_ns: int) -> pl.DataFrame:
        """OBSERVATIONS rows of whole buckets of some services; none where nobody answers."""
        source = self._source
        if source is None:
            return pl.DataFrame(schema=OBSERVATIONS)
        with self._lock:
            found = self._answer(source, window, bucket_ns)
        return observed(found.filter(pl.col("service").is_in(list(services))), bucket_ns, self._clock.now_ns())

    def _answer(self, source: MetricsSource, window: TimeRange, bucket_ns: int) -> pl.DataFrame:
        now_s = self._monotonic_s()
        asked_s, rows = self._answers.get((window, bucket_ns), (float("-inf"), None))
        if rows is not None and now_s < asked_s + _FRESH_S:
            return rows
        nothing = pl.DataFrame(schema=dict(LEVELS))
        if now_s < self._silent_until_s:
            self._counts = replace(self._counts, skipped=self._counts.skipped + 1)
            return nothing
        try:
            measured = source.levels(window, bucket_ns)
        except Exception as exc:  # noqa: BLE001  whatever is wrong there, services are watched all the same
            self._missed(source.name, exc)
            return nothing
        self._note(source.name, measured)
        self._answers = dict([*self._answers.items(), ((window, bucket_ns), (now_s, measured.rows))][-_MOST_ANSWERS:])
        return measured.rows

    def _missed(self, name: str, exc: Exception) -> None:
        self._silent_until_s = self._monotonic_s() + _PAUSE_S
        self._counts = replace(self._counts, failed=self._counts.failed + 1)
        known = isinstance(exc, SourceError)
        _LOG.warning("no levels from %s, asked again in a minute: %s", name, exc, exc_info=None if known else exc)

    def _note(self, name: str, measured: Measured) -> None:
        refused = self._counts.refused + len(measured.problems)
        self._counts = replace(self._counts, answered=self._counts.answered + 1, refused=refused)
        if measured.problems != self._problems:
            for problem in measured.problems:
                _LOG.warning("%s does not tell a level: %s", name, problem)
            self._problems = measured.problems


def observed(levels: pl.DataFrame, bucket_ns: int, written_ns: int) -> pl.DataFrame:
    """LEVELS rows as OBSERVATIONS rows: one per process, quantity and bucket, of several the largest."""
    known = levels.filter(
        pl.col("quantity").is_in(list(FACTORS)) & pl.col("value").is_finite() & (pl.col("value") >= 0)
    )
    most = known.group_by("service", "quantity", "instance", "time_ns").agg(pl.col("value").max())
    factor = pl.col("quantity").replace_strict(dict(FACTORS), return_dtype=pl.Float64)
    value = (pl.col("value") * factor).clip(upper_bound=_MOST).round().cast(pl.Int64)
    own = {
        "service_id": pl.lit(pl.Series(hash_text(most["service"]))),
        "type": pl.concat_str(pl.lit("metric:"), "quantity"),
        "instance": pl.lit(pl.Series(_instance(most))),
        "duration_ns": pl.lit(bucket_ns),
        "kind": pl.lit(OBSERVED_TOTAL),
        "name": pl.col("instance"),
        "value": value,
        "floor": value,
        "weight": pl.lit(1),
        "instances": pl.lit(1),
        "written_ns": pl.lit(written_ns),
        "service": pl.col("service"),
        "time_ns": pl.col("time_ns"),
    }
    return most.select(
        own.get(name, pl.lit("" if kind == pl.String else 0)).cast(kind).alias(name)
        for name, kind in OBSERVATIONS.items()
    )


def _instance(rows: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """As `joins.instances` does, so that a process has the same hash wherever it has the same name."""
    text = rows.select(pl.concat_str("service", pl.col("instance").str.to_lowercase(), separator="\n")).to_series()
    return hash_text(text) | np.int64(1)
