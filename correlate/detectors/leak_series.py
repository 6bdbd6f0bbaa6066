"""Series as the growth detectors take them, and their floors: the minimum per window, stratum by stratum."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from correlate.detectors.leak_options import LeakOptions
from correlate.detectors.trend import F64, I64


def _no_times() -> I64:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class MemorySeries:
    """Memory of one process (or the sum over the instances of a service), and what is known beside it.

    Attributes:
        service: the service's name.
        instance: the process; "" where the series is the whole service.
        time_ns: n times, ascending, nanoseconds since the Unix epoch.
        bytes: n values in bytes; NaN where nothing was measured.
        requests: n request counts of the time before each value, from the traces; None where there are no traces.
        instances: n numbers of running instances; None for a single process.
        restarts_ns: when the process started anew, same code.
        deploys_ns: when other code was deployed.
        limit_bytes: the memory limit, where known (per instance).
    """

    service: str
    instance: str
    time_ns: I64
    bytes: F64
    requests: F64 | None = None
    instances: F64 | None = None
    restarts_ns: I64 = field(default_factory=_no_times)
    deploys_ns: I64 = field(default_factory=_no_times)
    limit_bytes: float | None = None

    def until(self, time_ns: int) -> "MemorySeries":
        """What was known at a time."""
        size = int(np.searchsorted(self.time_ns, time_ns, "right"))
        return replace(
            self,
            time_ns=self.time_ns[:size],
            bytes=self.bytes[:size],
            requests=None if self.requests is None else self.requests[:size],
            instances=None if self.instances is None else self.instances[:size],
            restarts_ns=self.restarts_ns[self.restarts_ns <= time_ns],
            deploys_ns=self.deploys_ns[self.deploys_ns <= time_ns],
        )


@dataclass(frozen=True, slots=True)
class Windows:
    """How the points of a series fall into windows; a window never crosses a start or a deploy.

    Attributes:
        rows: which points are judged, ascending.
        heads: n positions in `rows` where a window begins.
        times_s: middle of each window, seconds since the first.
        strata: number of the stretch between two starts, per window.
        length_s: length of a window.
        expected_count: how many windows there would be if none lacked data.
    """

    rows: I64
    heads: I64
    times_s: F64
    strata: I64
    length_s: float
    expected_count: int

    @property
    def observed_s(self) -> float:
        """From the beginning of the first window to the end of the last."""
        return float(self.times_s[-1] - self.times_s[0]) + self.length_s if self.times_s.size else 0.0

    def floors(self, values: F64) -> F64:
        """The minimum of each window, along the last axis."""
        return np.minimum.reduceat(self._kept(values), self.heads, axis=-1)

    def means(self, values: F64) -> F64:
        """The mean of each window, along the last axis."""
        counts = np.diff(np.append(self.heads, self.rows.size))
        result: F64 = np.add.reduceat(self._kept(values), self.heads, axis=-1) / counts
        return result

    def _kept(self, values: F64) -> F64:
        """The values that are judged; a view where no point is left out in between, for matrices are large."""
        first, last = int(self.rows[0]), int(self.rows[-1]) + 1
        return values[..., first:last] if last - first == self.rows.size else values[..., self.rows]


def per_instance(series: MemorySeries) -> F64:
    """Bytes of one instance: a sum over instances grows when instances are added, and that is no leak."""
    return series.bytes if series.instances is None else series.bytes / np.maximum(series.instances, 1)


def load_of(series: MemorySeries, cut: Windows) -> F64 | None:
    """Mean requests that one instance served, per window; None without request counts."""
    if series.requests is None:
        return None
    instances = 1.0 if series.instances is None else np.maximum(series.instances, 1)
    return cut.means(np.nan_to_num(series.requests) / instances)


def windows(series: MemorySeries, options: LeakOptions, warm_up_s: float) -> Windows:
    """Cut what is judged of a series, and the day before it, into windows.

    Everything before the last deploy is other code and is left out; a restart begins a stratum. Of each stratum the
    warm-up is left out, also of the first one: nothing says how long the process had been running.
    """
    known = np.flatnonzero(np.isfinite(series.bytes))
    if known.size == 0:
        return Windows(known, known, np.zeros(0), known, options.floor_s, 0)
    time_s = (series.time_ns - series.time_ns[known[-1]]) / 1e9
    begins_s = _begins(series, time_s)
    stratum = np.searchsorted(begins_s, time_s[known], "right")
    begin = np.concatenate([time_s[:1], begins_s])[stratum]
    kept = (time_s[known] >= -options.lookback_s - options.day_s) & (time_s[known] >= begin + warm_up_s)
    deploys = series.deploys_ns[series.deploys_ns <= series.time_ns[-1]]
    if deploys.size:
        kept &= series.time_ns[known] >= deploys[-1]
    return _cut(known[kept], time_s[known[kept]], stratum[kept], _length(time_s[known], options))


def _begins(series: MemorySeries, time_s: F64) -> F64:
    """When strata begin, in seconds: at restarts and deploys."""
    starts = np.concatenate([series.restarts_ns, series.deploys_ns]).astype(np.int64)
    begins = (starts - series.time_ns[0]) / 1e9 + time_s[0]
    return np.unique(begins[(begins > time_s[0]) & (begins <= time_s[-1])])


def _length(time_s: F64, options: LeakOptions) -> float:
    """The window's length: as wished, but not shorter than the series' own interval; without floors, point by point."""
    interval = float(np.median(np.diff(time_s))) if time_s.size > 1 else 0.0
    return max(options.floor_s, interval * 1.01) if options.floor_s > 0 else max(interval / 2, 1e-3)


def _cut(rows: I64, time_s: F64, stratum: I64, length_s: float) -> Windows:
    if rows.size == 0:
        return Windows(rows, rows, np.zeros(0), rows, length_s, 0)
    first = np.flatnonzero(np.diff(stratum, prepend=stratum[0] - 1))
    origin = np.repeat(time_s[first], np.diff(np.append(first, rows.size)))
    number = np.floor((time_s - origin) / length_s + 1e-9).astype(np.int64)
    lasts = np.append(first[1:] - 1, rows.size - 1)
    expected = int((number[lasts] + 1).sum())
    full = _full(stratum * (1 << 32) + number)
    rows, number, origin, stratum = rows[full], number[full], origin[full], stratum[full]
    heads = _changes(stratum * (1 << 32) + number)
    middles = (origin + (number + 0.5) * length_s)[heads]
    return Windows(rows, heads, middles - middles[0], stratum[heads], length_s, expected)


def _changes(key: I64) -> I64:
    return np.flatnonzero(np.diff(key, prepend=key[0] - 1))


def _full(key: I64) -> npt.NDArray[np.bool_]:
    """Points in windows with at least half of the usual number: the minimum of a few points lies too high."""
    heads = _changes(key)
    counts = np.diff(np.append(heads, key.size))
    return np.repeat(counts * 2 >= np.median(counts), counts)
