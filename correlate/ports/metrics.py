"""Systems that measure services themselves: levels of CPU, memory, goroutines and pauses."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import polars as pl

from correlate.model.queries import TimeRange

LEVELS: Final = MappingProxyType(
    {
        "service": pl.String,
        "quantity": pl.String,  # cpu and memory (of what may be used, 1 is all), goroutines, gc_pause (seconds),
        # memory_limit_bytes
        "instance": pl.String,  # of the process, "": not told
        "time_ns": pl.Int64,  # begin of the bucket
        "value": pl.Float64,  # over the bucket, finite
    }
)
"""What is measured, one row per service, quantity, instance and bucket."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What a source said.

    Attributes:
        rows: LEVELS rows.
        problems: one sentence for each quantity that it could not tell.
    """

    rows: pl.DataFrame
    problems: tuple[str, ...] = ()


class MetricsSource(Protocol):
    """A system that is asked for levels."""

    @property
    def name(self) -> str:
        """What it is called in the log."""
        ...

    def levels(self, window: TimeRange, step_ns: int) -> Measured:
        """The levels of all services it knows.

        Args:
            window: whole buckets.
            step_ns: their length, whole seconds.

        Raises:
            SourceError: it could not be asked.
        """
        ...
