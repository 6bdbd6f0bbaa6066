"""What the detectors of CPU see of a service: values by function, by operation and by instance, bucket by bucket.

All values are plain arrays that can be filled from rows (bucket, name, own, value, weight): see `scatter`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from correlate.detectors.frame_kinds import IDLE, kind_mask
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Site

MOST_BLOCKS: Final = 144
"""Series are added up to at most so many blocks: more would cost time and tell nothing about persistent changes."""


@dataclass(frozen=True, slots=True)
class FunctionSeries:
    """A profile's value by function over time.

    Attributes:
        service: the service's name.
        time_ns: n begins of buckets, ascending, nanoseconds since the Unix epoch.
        bucket_ns: how long a bucket is.
        sites: f functions; their names are distinct.
        own: n x f values in the function itself; 0 where it was not seen.
        total: n x f values in the function with what it calls.
        whole: n values of all functions, the small ones that are not named here included.
        hits: n numbers of the profiler's samples; 0 where there was no profile.
        requests: n numbers of requests (spans without a parent in the service); None without traces.
        versions: n release names; "" where not known, or where several ran in one bucket.
        parents: f rows of the usual caller; -1 where not known.
        unit: of the values: ``nanoseconds`` for CPU time, ``bytes`` for allocation.
    """

    service: str
    time_ns: I64
    bucket_ns: int
    sites: tuple[Site, ...]
    own: F64
    total: F64
    whole: F64
    hits: F64
    requests: F64 | None = None
    versions: tuple[str, ...] = ()
    parents: I64 = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    unit: str = "nanoseconds"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the functions."""
        return tuple(site.function for site in self.sites)

    def until(self, time_ns: int) -> "FunctionSeries":
        """What was known at a time: whole buckets only."""
        return self.between(0, int(np.searchsorted(self.time_ns, time_ns - self.bucket_ns, side="right")))

    def between(self, begin: int, end: int) -> "FunctionSeries":
        """Buckets by number."""
        cut = slice(begin, end)
        return replace(
            self,
            time_ns=self.time_ns[cut],
            own=self.own[cut],
            total=self.total[cut],
            whole=self.whole[cut],
            hits=self.hits[cut],
            requests=None if self.requests is None else self.requests[cut],
            versions=self.versions[cut],
        )

    def busy(self) -> "FunctionSeries":
        """The same without frames of waiting threads, which belong to no CPU time."""
        idle = kind_mask(self.names, IDLE)
        if not idle.any():
            return self
        waited = self.own[:, idle].sum(axis=1)
        worked = np.maximum(self.whole - waited, 0.0)
        hits = self.hits * worked / np.maximum(self.whole, 1e-9)
        own = np.where(idle, 0.0, self.own)
        return replace(self, own=own, total=np.minimum(self.total, worked[:, None]), whole=worked, hits=hits)


@dataclass(frozen=True, slots=True)
class OperationSeries:
    """CPU time and requests by operation, on the time axis of a FunctionSeries.

    Attributes:
        names: o operations.
        values: n x o values of the profile in spans of the operation, their descendants included.
        requests: n x o numbers of spans.
        busy_ns: n x o sums of the spans' durations.
    """

    names: tuple[str, ...]
    values: F64
    requests: F64
    busy_ns: F64

    def between(self, begin: int, end: int) -> "OperationSeries":
        """Buckets by number."""
        cut = slice(begin, end)
        return replace(self, values=self.values[cut], requests=self.requests[cut], busy_ns=self.busy_ns[cut])


@dataclass(frozen=True, slots=True)
class InstanceShares:
    """What each instance of a service did in the same stretch of time.

    Attributes:
        service: the service's name.
        instances: k instances.
        names: f functions.
        own: k x f values in the function itself.
        whole: k values of all functions.
        hits: k numbers of the profiler's samples.
        requests: k numbers of requests; None without traces.
    """

    service: str
    instances: tuple[str, ...]
    names: tuple[str, ...]
    own: F64
    whole: F64
    hits: F64
    requests: F64 | None = None


def scatter(rows: I64, columns: I64, values: F64, shape: tuple[int, int]) -> F64:
    """Add values up in a matrix: `values[i]` at row `rows[i]` and column `columns[i]`, 0 elsewhere."""
    flat = np.bincount(rows * shape[1] + columns, weights=values, minlength=shape[0] * shape[1])
    return np.asarray(flat, dtype=np.float64).reshape(shape)


def usual_callers(stacks: Sequence[Sequence[str]], names: Sequence[str]) -> I64:
    """For each function the row of its nearest caller that has a row itself; -1 where there is none.

    Args:
        stacks: for each function one of its stacks, root first, itself last; empty where not known.
        names: the functions, in the order of the stacks.
    """
    rows = {name: row for row, name in enumerate(names)}
    callers = (
        next((rows[caller] for caller in reversed(stack[:-1]) if rows.get(caller, row) != row), -1)
        for row, stack in enumerate(stacks)
    )
    return np.fromiter(callers, np.int64, len(names))


def blocks(series: FunctionSeries, most: int = MOST_BLOCKS) -> FunctionSeries:
    """Add buckets up, the same number for each block, so that at most `most` are left; the oldest may fall off."""
    size = -(-series.time_ns.size // most)
    if size <= 1:
        return series
    skip = series.time_ns.size % size
    starts = np.arange(skip, series.time_ns.size, size)
    return replace(
        series,
        time_ns=series.time_ns[starts],
        bucket_ns=series.bucket_ns * size,
        own=summed(series.own, starts, size),
        total=summed(series.total, starts, size),
        whole=summed(series.whole, starts, size),
        hits=summed(series.hits, starts, size),
        requests=None if series.requests is None else summed(series.requests, starts, size),
        versions=_joint(series.versions, starts, size),
    )


def operation_blocks(series: OperationSeries, most: int = MOST_BLOCKS) -> OperationSeries:
    """The same for operations."""
    count = series.values.shape[0]
    size = -(-count // most)
    starts = np.arange(count % size if size else 0, count, max(size, 1))
    parts = (summed(each, starts, size) for each in (series.values, series.requests, series.busy_ns))
    return OperationSeries(series.names, *parts)


def summed(values: F64, starts: I64, row_count: int) -> F64:
    """Sums of so many rows each, from each start on."""
    if not starts.size:
        return values[:0]
    kept = values[int(starts[0]) :]
    return np.asarray(kept.reshape(starts.size, row_count, *values.shape[1:]).sum(axis=1), dtype=np.float64)


def _joint(versions: tuple[str, ...], starts: I64, row_count: int) -> tuple[str, ...]:
    """The release of each block; "" where it changed within."""
    groups = (set(versions[start : start + row_count]) for start in starts.tolist()) if versions else ()
    return tuple(group.pop() if len(group) == 1 else "" for group in groups)
