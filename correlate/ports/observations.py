"""What detectors look at: kept per service and bucket of time."""

from collections.abc import Sequence
from typing import Protocol

import polars as pl

from correlate.model.queries import TimeRange


class Observations(Protocol):
    """Keeps OBSERVATIONS rows. What is written of a service, profile type and bucket replaces what was there."""

    def append(self, rows: pl.DataFrame) -> None:
        """Store OBSERVATIONS rows; when it returns, every reader sees them.

        Raises:
            StoreError: they could not be committed; writing them again does no harm.
        """
        ...

    def read(
        self, services: Sequence[str], window: TimeRange, *, types: Sequence[str] = (), kinds: Sequence[int] = ()
    ) -> pl.DataFrame:
        """OBSERVATIONS rows of some services whose bucket begins in a window, the latest writing only, in no order.

        Args:
            services: their names.
            window: when.
            types: profile type ids, ``""`` for spans; empty: all.
            kinds: OBSERVED_*; empty: all.
        """
        ...
