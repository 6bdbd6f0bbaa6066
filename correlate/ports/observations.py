"""What detectors look at: kept per service and bucket of time."""

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from correlate.model.queries import TimeRange


class Observations(Protocol):
    """Keeps OBSERVATIONS rows. What is written of a service, profile type and bucket replaces what was there.

    Buckets may be of several lengths beside each other: short ones, and the same time in long ones.
    """

    def append(self, rows: pl.DataFrame) -> None:
        """Store OBSERVATIONS rows; when it returns, every reader sees them.

        Raises:
            StoreError: they could not be committed; writing them again does no harm.
        """
        ...

    def read(
        self, services: Sequence[str], window: TimeRange, duration_ns: int, *, types: Sequence[str] = ()
    ) -> pl.DataFrame:
        """OBSERVATIONS rows of some services whose bucket begins in a window, the latest writing only, in no order.

        Args:
            services: their names.
            window: when.
            duration_ns: length of the buckets.
            types: profile type ids, ``""`` for spans; empty: all.
        """
        ...
