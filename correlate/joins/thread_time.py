"""Samples with a time and a thread, given to the span that was open on that thread at that time."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins.activity import ancestor_rows, intervals, outside, parent_rows
from correlate.joins.given import Given, Refused
from correlate.joins.steps import Breaks, Codes, blocks
from correlate.units import human

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MARGIN_NS: Final = 1_000_000
"""How far a sample's time may be off by default: a sampler's pass over all threads, two clocks of one host."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Which span a thread works for, over time.

    On a thread the innermost open span owns the time: a span loses the time of its children on the same thread (and of
    descendants there, where spans between them ran elsewhere) and keeps that of children on other threads. Where spans
    that are not each other's ancestors are open on one thread at once, they take turns in a way nobody recorded (an
    event loop): then nobody owns the time.

    A span without a thread owns time on a thread only while it is the one span open in its process that has no open
    descendant there; if an ancestor in the same process has a thread, then on that thread only.

    Attributes:
        processes: codes of the processes of the spans.
        threads: codes of their threads.
        lanes: times at which the owner of a thread may change, grouped by process and thread.
        lane_owner: from each of `lanes` to the next the row of the owner, -1: none, -2: several.
        halls: times at which the sole open span of a process may change, grouped by process.
        hall_owner: from each of `halls` to the next the row of the sole span if it has no thread, else -1.
        hall_thread: the thread it is tied to by an ancestor, 0: any.
    """

    processes: Codes
    threads: Codes
    lanes: Breaks
    lane_owner: I64
    halls: Breaks
    hall_owner: I64
    hall_thread: I64

    @classmethod
    def of(cls, spans: pl.DataFrame) -> "Owners":
        """Sweep over the spans once.

        Args:
            spans: trace_hi, trace_lo, span, parent, start_ns, duration_ns, thread and process.
        """
        process, thread = spans["process"].to_numpy(), spans["thread"].to_numpy()
        up = parent_rows(spans)
        processes, threads = Codes.of(process[process >= 0]), Codes.of(thread[thread != 0])
        hall = processes.code(process)
        lane = _lane(hall, threads.code(thread), threads)
        lanes, lane_owner = _owned(spans, lane, up)
        halls, sole = _owned(spans, hall if (thread == 0).any() else np.full(len(hall), -1), up)
        row = np.maximum(sole, 0)
        nameless = (sole >= 0) & (thread[row] == 0)
        tied = _tied(process, thread, up)[row]
        return cls(processes, threads, lanes, lane_owner, halls, np.where(nameless, sole, -1), tied)

    def at(self, process: I64, thread: I64, time_ns: I64) -> I64:
        """The row of the span that owns each time on each thread, -1: none, -2: several claim it."""
        owner = np.full(len(process), -1)
        for block in blocks(len(process)):
            owner[block] = self._at(process[block], thread[block], time_ns[block])
        return owner

    def of_samples(self, samples: pl.DataFrame) -> I64:
        """The row of the span that owns each sample, -1: none, -2: several claim it."""
        columns = ("process", "thread", "time_ns", "duration_ns")
        process, thread, time, duration = (samples[name].to_numpy() for name in columns)
        timed = (duration == 0) & (thread != 0) & (process >= 0)
        if timed.all():
            return self.at(process, thread, time)
        owner = np.full(len(samples), -1)
        owner[timed] = self.at(process[timed], thread[timed], time[timed])
        return owner

    def _at(self, process: I64, thread: I64, time_ns: I64) -> I64:
        hall = self.processes.code(process)
        lane = _lane(hall, self.threads.code(thread), self.threads)
        owner = _taken(self.lane_owner, self.lanes.locate(lane, time_ns))
        if not len(self.hall_owner):
            return owner
        at = self.halls.locate(hall, time_ns)
        tied = _taken(self.hall_thread, at)
        sole = np.where((tied == 0) | (tied == thread), _taken(self.hall_owner, at), -1)
        return np.where((sole >= 0) & (thread != 0), sole, owner)


def _lane(hall: I64, thread: I64, threads: Codes) -> I64:
    """One code per process and thread, -1 where either is unknown."""
    return np.where((hall >= 0) & (thread >= 0), hall * max(1, len(threads.values)) + thread, -1)


def _owned(spans: pl.DataFrame, group: I64, parent_row: I64) -> tuple[Breaks, I64]:
    """Where the owner of a group may change, and who it is from there on: -1 none, -2 several.

    The sum of the rows of the open pieces is the row of the piece, where just one is open.
    """
    nearest = ancestor_rows(parent_row, lambda rows, above: group[rows] == group[above])
    pieces = outside(*intervals(spans), np.where(group >= 0, nearest, -1))
    pieces = pieces.where(group[pieces.row] >= 0)
    breaks = Breaks.of(group[pieces.row], pieces.start_ns, pieces.end_ns)
    count, rows = breaks.running(np.ones(len(pieces.row), np.int64)), breaks.running(pieces.row)
    return breaks, np.where(count == 1, rows, np.where(count == 0, -1, -2))


def _tied(process: I64, thread: I64, parent_row: I64) -> I64:
    """The thread of each span's nearest ancestor in its process that has one, 0 without."""
    above = ancestor_rows(parent_row, lambda rows, at: (process[rows] == process[at]) & (thread[at] != 0))
    return np.where(above >= 0, thread[above], 0)


def _taken(values: I64, at: I64) -> I64:
    return np.where(at >= 0, values[at], -1) if len(values) else np.full(len(at), -1)


def owners(samples: pl.DataFrame, spans: pl.DataFrame) -> I64:
    """The row of the span that owns each sample, -1 where nobody does or it is in doubt.

    Args:
        samples: time_ns, duration_ns, thread and process; only samples with a time of their own and a thread count.
        spans: trace_hi, trace_lo, span, parent, start_ns, duration_ns, thread and process.
    """
    return np.maximum(Owners.of(spans).of_samples(samples), -1)


def join(samples: pl.DataFrame, spans: pl.DataFrame, chosen: Bools, margin_ns: int = MARGIN_NS) -> Given | Refused:
    """Give samples to the chosen spans by thread and time.

    The error bound is the part of what was given that rests on too little: samples that would go elsewhere if their
    time were off by `margin_ns` either way (the end of a span may be the beginning of somebody else's work), and of
    what a span without a thread was given those samples that are not on its busiest thread (background threads run
    whoever is open). To that is added the part of the samples in spans' time that several unrelated spans of a thread
    claim: where threads pass from span to span that often, they do so unseen too (a span that moves on to another
    thread leaves its first one to others). What threads do for spans that nobody stored is not in the bound.

    Args:
        samples: SAMPLES rows and process.
        spans: SPANS rows and process: all that ran meanwhile, not only the chosen ones.
        chosen: which of the spans are asked for.
        margin_ns: uncertainty of the samples' times against the spans': clock skew and the sampler's delay.

    Returns:
        Shares of 0 and 1. Where threads and times are known and no sample was taken on the spans' threads while they
        were open, nothing is given: they were waiting.
    """
    lines = Owners.of(spans)
    owner = lines.of_samples(samples)
    given = (owner >= 0) & chosen[owner] if len(chosen) else owner >= 0
    lacking = "" if given.any() else _lacking(samples, spans.filter(chosen), lines)
    if lacking:
        return Refused(lacking)
    mine = samples.filter(given)
    unsure = elsewhere(mine, chosen, lines, margin_ns)
    stray = _stray(mine, owner[given], spans)
    here = samples["process"].is_in(mine["process"].unique().implode()).to_numpy()
    contested = here & (owner == -2)
    bound = min(1.0, _part(mine, unsure | stray) + _part(samples, contested, here & (owner != -1)))
    reason = _sentence(mine, int(contested.sum()), _part(mine, unsure), _part(mine, stray), margin_ns)
    claimed = (owner >= 0).astype(np.float64)
    return Given(given.astype(np.float64), np.where(given, owner, -1), bound, reason, claimed)


def _lacking(samples: pl.DataFrame, asked: pl.DataFrame, lines: Owners) -> str:
    """What the evidence lacks to give the spans asked for anything, in a sentence; "" if they were waiting."""
    here = samples.filter(pl.col("process").is_in(asked["process"].unique().implode()) & (pl.col("process") >= 0))
    if here.is_empty():
        return "no sample comes from a process of these spans"
    timed = here.filter(pl.col("duration_ns") == 0)
    if timed.is_empty():
        return "the profiles say when they were taken, not when each of their samples was"
    if not timed["thread"].to_numpy().any():
        return "the samples do not say their thread"
    if not asked["thread"].to_numpy().any():
        return "the spans do not say their thread, and none was ever the only one open in its process"
    if not _meet(timed, lines):
        return "no thread of these spans' processes is known by the same id to the profiler"
    return ""


def _meet(samples: pl.DataFrame, lines: Owners) -> bool:
    """Whether spans and samples know any thread in common."""
    pairs = samples.select("process", "thread").unique()
    hall, thread = lines.processes.code(pairs["process"].to_numpy()), lines.threads.code(pairs["thread"].to_numpy())
    return bool(np.isin(_lane(hall, thread, lines.threads), lines.lanes.groups[lines.lanes.groups >= 0]).any())


def elsewhere(mine: pl.DataFrame, chosen: Bools, lines: Owners, margin_ns: int) -> Bools:
    """Which samples of the chosen spans would not be theirs if their time were off by the margin.

    Args:
        mine: SAMPLES rows with a time and a thread, and process.
        chosen: which of the spans are asked for.
        lines: who owns which time, of these spans.
        margin_ns: how far times may be off, either way.
    """
    process, thread, time = (mine[name].to_numpy() for name in ("process", "thread", "time_ns"))
    either = [lines.at(process, thread, time + shift) for shift in (-margin_ns, margin_ns)]
    early, late = ((owner >= 0) & chosen[owner] for owner in either)
    stay: Bools = early & late
    return ~stay


def _stray(mine: pl.DataFrame, owner: I64, spans: pl.DataFrame) -> Bools:
    """Which samples a span without a thread was given that are not on its busiest thread."""
    nameless: Bools = spans["thread"].to_numpy()[owner] == 0
    if not nameless.any():
        return nameless
    frame = mine.select("thread", "value", owner=pl.Series(owner))
    value = pl.col("value").sum().over("owner", "thread")
    less: Bools = frame.select(value < value.max().over("owner")).to_series().to_numpy()
    return less & nameless


def _part(samples: pl.DataFrame, wanted: Bools, among: Bools | None = None) -> float:
    """The part of the value that some samples make up, among all or some others."""
    value = np.abs(samples["value"].to_numpy()).astype(np.float64)
    whole = value.sum() if among is None else value[among].sum()
    return float(value[wanted].sum() / max(1.0, whole))


def _sentence(mine: pl.DataFrame, contested: int, elsewhere: float, stray: float, margin_ns: int) -> str:
    if mine.is_empty():
        return "no sample was taken on these spans' threads while they were open: they were waiting"
    found = f"{len(mine):,} samples were taken on these spans' threads while they were the innermost open there"
    edge = f"; {elsewhere:.0%} lie within {human(margin_ns, 'nanoseconds')} of somebody else's time"
    loose = f"; {stray:.0%} are on other threads than the spans' busiest" if stray else ""
    doubt = f"; {contested:,} samples that several spans of one thread claim were given to nobody" if contested else ""
    return found + edge + loose + doubt
