"""How far the clock of the host that took samples is off the clock of the host that timed spans.

Every sample that is known to lie in an interval says which offsets are possible: those that bring its time into it.
The offset that satisfies most samples wins (Marzullo's algorithm, which NTP uses to choose among servers). For a
sample that names a span the interval is that of the span; for one without a name it is any of those open on its thread.
Profiles that only say when they began and ended put a sample anywhere within some ten seconds: skews of less than that
leave no trace in them, and estimation is possible only where samples name short spans and clocks are far off.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins.activity import Pieces, intervals
from correlate.joins.steps import Breaks, Codes
from correlate.tables.ragged import positions_of
from correlate.units import human

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SEARCH_NS: Final = 2_000_000_000
"""How far offsets are looked for where samples name no span."""
SAMPLES: Final = 4_000
"""How many samples are looked at per process, evenly spread; more would not make the answer better."""
MAX_INTERVALS: Final = 2_000_000
"""How many intervals of offsets are swept over at most, to keep memory bounded."""
LEAST: Final = 10
"""Fewer samples than these are no evidence."""
SIGMAS: Final = 4.0
"""By how many standard deviations the best offset must beat no offset, and any other, to be believed."""


@dataclass(frozen=True, slots=True)
class Skew:
    """The skew between the clocks of a process's samples and spans.

    Attributes:
        process: its code.
        offset_ns: what must be added to samples' times to agree with those of spans.
        uncertainty_ns: how far the true offset may be from it, either way; None: nobody knows.
        evidence: how many samples it rests on.
        fitting: the part of them that the offset brings into their spans.
        significant: whether the offset is clearly better than none and than any other.
        reason: one sentence.
    """

    process: int
    offset_ns: int
    uncertainty_ns: int | None
    evidence: int
    fitting: float
    significant: bool
    reason: str


def estimate(samples: pl.DataFrame, spans: pl.DataFrame) -> list[Skew]:
    """Estimate the skew of each process that has samples and spans.

    Args:
        samples: SAMPLES rows and process.
        spans: SPANS rows and process.
    """
    both = set(spans["process"].unique().to_list()) & set(samples["process"].unique().to_list())
    mine = pl.col("process")
    return [
        _of_process(process, samples.filter(mine == process), spans.filter(mine == process))
        for process in sorted(both)  # few: one per instance of a service
        if process >= 0
    ]


def apply(samples: pl.DataFrame, skews: list[Skew]) -> pl.DataFrame:
    """Bring the times of samples to the clock of the spans, where the skew is significant."""
    offsets = {skew.process: skew.offset_ns for skew in skews if skew.significant}
    if not offsets:
        return samples
    offset = pl.col("process").replace_strict(offsets, default=0, return_dtype=pl.Int64)
    return samples.with_columns(time_ns=pl.col("time_ns") + offset)


def _of_process(process: int, samples: pl.DataFrame, spans: pl.DataFrame) -> Skew:
    offsets = _of_named(samples, spans)
    if offsets.samples < LEAST:
        offsets = _of_threads(samples, spans)
    if offsets.samples < LEAST:
        reason = f"only {offsets.samples} samples name a span, or have a time and a thread that spans know"
        return Skew(process, 0, None, offsets.samples, 0.0, False, f"{reason}: the clocks cannot be compared")
    return _peak(process, offsets)


class _Offsets(NamedTuple):
    """Which offsets are possible.

    Attributes:
        low_ns: where intervals of possible offsets begin; those of one sample do not overlap.
        high_ns: where they end, half open.
        samples: how many samples they are of.
        by_chance: how many samples a wrong offset may be expected to satisfy.
    """

    low_ns: I64
    high_ns: I64
    samples: int
    by_chance: float


def _of_named(samples: pl.DataFrame, spans: pl.DataFrame) -> _Offsets:
    """The offsets that bring samples into the spans they name."""
    named = _some(samples.filter(pl.col("span") != 0))
    row = _named_rows(named, spans)
    start, end = intervals(spans)
    named, row = named.filter(row >= 0), row[row >= 0]
    time, duration = named["time_ns"].to_numpy(), named["duration_ns"].to_numpy()
    low = start[row] - time - duration
    return _Offsets(low, np.maximum(end[row] - time, low + 1), len(named), 0.0)


def _named_rows(samples: pl.DataFrame, spans: pl.DataFrame) -> I64:
    """The row of the span that each sample names, -1 where it is not there. A sample may leave its trace open."""
    if not len(spans):
        return np.full(len(samples), -1)
    ids, wanted = spans["span"].to_numpy(), samples["span"].to_numpy()
    order = np.argsort(ids, kind="stable")
    row = order[np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)]
    hi, lo = samples["trace_hi"].to_numpy(), samples["trace_lo"].to_numpy()
    same = (spans["trace_hi"].to_numpy()[row] == hi) & (spans["trace_lo"].to_numpy()[row] == lo)
    return np.where((ids[row] == wanted) & (same | ((hi == 0) & (lo == 0))), row, -1)


def _of_threads(samples: pl.DataFrame, spans: pl.DataFrame, search_ns: int = SEARCH_NS) -> _Offsets:
    """The offsets within the search that bring samples into any span on their thread."""
    timed = samples.filter((pl.col("duration_ns") == 0) & (pl.col("thread") != 0))
    told = spans.filter((pl.col("thread") != 0) & (pl.col("duration_ns") > 0))
    timed = _some(timed.join(told.select("thread").unique(), on="thread", how="semi", maintain_order="left"))
    threads = Codes.of(told["thread"].to_numpy())
    open_ = _open(threads.code(told["thread"].to_numpy()), *intervals(told))
    lane, time = threads.code(timed["thread"].to_numpy()), timed["time_ns"].to_numpy()
    first, last = _near(open_, lane, time, search_ns)
    every = 1 + int((last - first).sum()) // MAX_INTERVALS
    first, last, time = first[::every], last[::every], time[::every]
    piece, lengths = positions_of(np.stack([first, last], axis=1).ravel(), 2 * np.arange(len(first)))
    at = np.repeat(time, lengths)
    low = np.maximum(open_.start_ns[piece] - at, -search_ns)
    high = np.minimum(open_.end_ns[piece] - at, search_ns)
    return _Offsets(low, high, len(time), float((high - low).sum()) / (2 * search_ns))


def _open(lane: I64, start_ns: I64, end_ns: I64) -> Pieces:
    """When any interval of a lane is open: the lane takes the place of a row."""
    breaks = Breaks.of(lane, start_ns, end_ns)
    is_open = np.append(breaks.running(np.ones(len(lane), np.int64)) > 0, False)
    opens = np.flatnonzero(is_open[:-1] & ~np.append(False, is_open[:-2]))
    closes = np.flatnonzero(~is_open[:-1] & np.append(False, is_open[:-2]))
    return Pieces(breaks.groups[opens], breaks.times[opens], breaks.times[closes])


def _near(pieces: Pieces, lane: I64, time_ns: I64, search_ns: int) -> tuple[I64, I64]:
    """The first and, behind the last, of the pieces of each time's lane that the search reaches."""
    ends, starts = (Breaks.of(pieces.row, at, at) for at in (pieces.end_ns - 1, pieces.start_ns))
    first = np.searchsorted(pieces.row, lane)
    before = ends.locate(lane, time_ns - search_ns - 1)
    behind = starts.locate(lane, time_ns + search_ns - 1)
    return np.where(before >= 0, before // 2 + 1, first), np.where(behind >= 0, behind // 2 + 1, first)


def _some(samples: pl.DataFrame) -> pl.DataFrame:
    return samples.gather_every(1 + len(samples) // SAMPLES)


class _Counts(NamedTuple):
    """How many samples each offset satisfies: from each of `offset_ns` to the next so many of `samples`."""

    offset_ns: I64
    samples: I64

    @classmethod
    def of(cls, offsets: _Offsets) -> "_Counts":
        low, high = np.sort(offsets.low_ns), np.sort(offsets.high_ns)
        at = np.unique(np.concatenate([low, high, np.zeros(1, np.int64)]))
        return cls(at, np.searchsorted(low, at, side="right") - np.searchsorted(high, at, side="right"))

    def around(self, peak: int, least: float) -> slice:
        """The stretch around a peak in which the count stays at some least."""
        below = np.flatnonzero(self.samples < least)
        place = int(np.searchsorted(below, peak))
        first = int(below[place - 1]) + 1 if place else 0
        return slice(first, int(below[place]) if place < len(below) else len(self.samples))


def _peak(process: int, offsets: _Offsets) -> Skew:
    """Judge the best offset against none and against the best of those that are elsewhere.

    Counts are binomial: the best satisfies k of n, give or take sqrt(k (1 - k/n)); another one's take is added to that.
    The stretch around the best within two of these is the uncertainty; elsewhere is where the count has been below half
    way down to what chance gives.
    """
    counts = _Counts.of(offsets)
    peak = int(np.argmax(counts.samples))
    best, none = int(counts.samples[peak]), int(counts.samples[np.searchsorted(counts.offset_ns, 0)])
    near = counts.around(peak, best - 2 * _noise(best, offsets.samples))
    hill = counts.around(peak, (best + offsets.by_chance) / 2)
    others = np.concatenate([counts.samples[: hill.start], counts.samples[hill.stop :]])
    rival = int(others.max(initial=int(offsets.by_chance)))
    low, high = int(counts.offset_ns[near.start]), int(counts.offset_ns[min(near.stop, len(counts.samples) - 1)])
    found = _Peak((low + high) // 2, (high - low + 1) // 2, best / offsets.samples, none / offsets.samples)
    if not _beats(best, rival, offsets.samples):
        reason = f"no offset of up to {human(SEARCH_NS, 'nanoseconds')} fits the samples better than all others"
        return Skew(process, 0, None, offsets.samples, found.before, False, f"{reason}: the clocks cannot be compared")
    if low <= 0 <= high or not _beats(best, none, offsets.samples):
        within = max(abs(low), abs(high))
        reason = f"the clocks of samples and spans agree within {human(within, 'nanoseconds')}"
        return Skew(process, 0, within, offsets.samples, found.before, False, reason)
    return Skew(process, found.offset_ns, found.within_ns, offsets.samples, found.part, True, _sentence(found, offsets))


class _Peak(NamedTuple):
    offset_ns: int
    within_ns: int
    part: float
    before: float


def _noise(count: int, samples: int) -> float:
    return math.sqrt(count * (1 - count / samples) + 1)


def _beats(best: int, other: int, samples: int) -> bool:
    return best - other >= SIGMAS * math.hypot(_noise(best, samples), _noise(other, samples))


def _sentence(found: _Peak, offsets: _Offsets) -> str:
    way = "behind" if found.offset_ns > 0 else "ahead of"
    size, within = (human(abs(ns), "nanoseconds") for ns in (found.offset_ns, found.within_ns))
    return (
        f"the samples' clock is {size} (± {within}) {way} the spans': corrected, {found.part:.0%} of "
        f"{offsets.samples:,} samples lie in their spans, {found.before:.0%} as they are"
    )
