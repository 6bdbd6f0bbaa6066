"""Profiles of operations that share a process: by unmixing its windows, and by sharing them out.

Both are asked the same: for each operation, which functions its CPU time was spent in. The error is half the L1
distance between the answered and the true shares of the functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from correlate.joins import unmix, window
from correlate.joins.given import Given, Refused
from correlate.joins.unmix_estimate import Estimate, Shares
from correlate.joins.unmix_result import Unmixed
from tests.quality.measures import profile, share_error
from tests.quality.scenes import Case
from tests.truth.world import F64, I64


@dataclass(frozen=True)
class Mixture:
    """A process whose samples name nobody.

    Attributes:
        samples: SAMPLES rows and process; times are those of uploads.
        spans: SPANS rows and process.
        names: of the operations.
        operation_of_span: which of them each span serves, below 0: none.
        operation_of_sample: which of them each sample truly served, below 0: none.
        function: a number for the innermost function of each sample.
    """

    samples: pl.DataFrame
    spans: pl.DataFrame
    names: Sequence[str]
    operation_of_span: I64
    operation_of_sample: I64
    function: I64

    @property
    def value(self) -> F64:
        """CPU time of each sample, nanoseconds."""
        return self.samples["value"].to_numpy().astype(np.float64)

    @cached_property
    def function_of_stack(self) -> pl.DataFrame:
        """The number of the innermost function of each stack: columns stack and function."""
        return self.samples.select("stack", function=pl.Series(self.function)).unique("stack").sort("stack")

    def profile(self, weight: F64) -> F64:
        """CPU time by function; `weight` says how much of each sample counts."""
        return profile(self.function, self.value * weight, int(self.function.max()) + 1)

    def true(self, operation: int) -> F64:
        """What an operation truly spent, by function."""
        return self.profile((self.operation_of_sample == operation).astype(np.float64))


@dataclass(frozen=True)
class Solved:
    """What came of one operation.

    Attributes:
        shared: the error of its profile when windows are shared out by active time; 1 where that was refused.
        unmixed: the error of its unmixed profile; None where that was refused.
        estimate: the unmixed profile.
        function: the number of the innermost function of each stack of it.
    """

    shared: float
    unmixed: float | None
    estimate: Estimate | None
    function: I64

    def shares_by_function(self, count: int) -> Shares:
        """The shares of all functions, with intervals; only where nothing was refused."""
        assert self.estimate is not None
        return self.estimate.shares(np.arange(len(self.function)), self.function, count)

    @property
    def held(self) -> bool:
        """Whether the stated error bound holds."""
        return self.estimate is not None and self.unmixed is not None and self.unmixed <= self.estimate.error_bound


def mixture(observed: Case) -> Mixture:
    """A simulated world. Every stack ends in a function of its own, so stacks number functions."""
    return Mixture(
        observed.samples,
        observed.spans,
        observed.truth.names[: observed.scene.world.operations],
        observed.operation_of_span,
        observed.truth.operation,
        observed.truth.stack,
    )


def solve(mixed: Mixture) -> list[Solved]:
    """Unmix, and share out, for each operation."""
    found = _unmixed(mixed)
    return [_solved(mixed, found, operation) for operation in range(len(mixed.names))]


def _solved(mixed: Mixture, found: Unmixed | Refused, operation: int) -> Solved:
    true = mixed.true(operation)
    given = window.share(mixed.samples, mixed.spans, mixed.operation_of_span == operation)
    shared = share_error(mixed.profile(given.share), true) if isinstance(given, Given) else 1.0
    told = found if isinstance(found, Refused) else found.estimate(np.array([operation]))
    if isinstance(found, Refused) or isinstance(told, Refused):
        return Solved(shared, None, None, np.zeros(0, np.int64))
    known = mixed.function_of_stack
    function = known["function"].to_numpy()[np.searchsorted(known["stack"].to_numpy(), found.stacks)]
    return Solved(shared, share_error(profile(function, told.value, len(true)), true), told, function)


def _unmixed(mixed: Mixture) -> Unmixed | Refused:
    """The windows are the uploads of each process."""
    key = ["process", "time_ns", "duration_ns"]
    windows = mixed.samples.select(key).unique().sort(key).with_row_index("window")
    windows = windows.with_columns(pl.col("window").cast(pl.Int64))
    named = mixed.samples.join(windows, on=key, maintain_order="left")
    counts = named.group_by("window", "stack").agg(pl.col("value").sum(), pl.col("weight").cast(pl.Int64).sum())
    intervals = windows.select(
        "window", "process", start_ns="time_ns", end_ns=pl.col("time_ns") + pl.col("duration_ns")
    )
    return unmix.unmix(counts, intervals, mixed.spans.with_columns(operation=pl.Series(mixed.operation_of_span)))
