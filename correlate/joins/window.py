"""Samples of a process shared out among the spans that were at work in it meanwhile.

The evidence is weak: same process, same time. It rests on one assumption, that whatever was burned in a window was
burned by spans in proportion to the time they were at work there. *At work* is open and not waiting for a child; spans
of kind CLIENT whose far end is not among the spans count as at work, which gives them more than they deserve.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins.activity import Pieces, intervals, outside, parent_rows
from correlate.joins.given import Given, Refused
from correlate.joins.steps import Codes, Steps, blocks
from correlate.tables import hashing
from correlate.tables.distinct import number_values
from correlate.units import human

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FLOOR: Final = 0.05
"""The least certainty (mean share) that is worth an answer: at less, 19 parts of 20 are somebody else's."""

ADVICE: Final = ": ask for their operation as a whole, by the method unmixed"
"""What can be done where too little was at work for the spans to share out."""

BUSIER: Final = 2.0
"""How many times busier than the chosen spans the error bound lets all others be. Spans at work differ in how much of
that time they are on the CPU; in simulated services this covered what shares were off by."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of each window every group of spans gets.

    Attributes:
        window: for each SAMPLES row its row in `matrix`.
        matrix: windows x groups, 0 to 1; what a row lacks of 1 is unattributed.
    """

    window: I64
    matrix: F64

    def of(self, group: int) -> F64:
        """The share of one group in each SAMPLES row."""
        column: F64 = self.matrix[self.window, group]
        return column


def share(
    samples: pl.DataFrame,
    spans: pl.DataFrame,
    chosen: Bools,
    ns_per_value: float | None = None,
    instances: int = 1,
    floor: float = FLOOR,
) -> Given | Refused:
    """Give the chosen spans their part of every sample whose time overlaps theirs.

    Of each sample the chosen spans get the share s, and of that again the part s was theirs if everything in the window
    was mixed at random: the certainty, sum(value s²) / sum(value s), is 1 where they were alone and 1/n among n equally
    busy ones. Below `floor` nothing is given. The error bound allows for others being busier than they look, see
    `doubt`, and for the luck of few samples, see `error_bound`: of many samples 0 alone, 2/3 between two, 6/7 among
    four. Where several instances may hide behind one process, it is as if
    the spans' part were that many times smaller. Spans that nobody stored are not in the bound.

    Args:
        samples: SAMPLES rows and process.
        spans: SPANS rows and process: all that ran meanwhile, not only the chosen ones.
        chosen: which of the spans are asked for.
        ns_per_value: for types that measure time, how many nanoseconds a value of 1 is; None for others.
        instances: how many instances one process code may lump together, see `process.Processes`.
        floor: the least certainty that is given at all.
    """
    shares = operation_shares(samples, spans, chosen.astype(np.int64), 2, ns_per_value)
    mine = shares.of(1)
    value = np.abs(samples["value"].to_numpy()).astype(np.float64)
    given = float((value * mine).sum())
    if given == 0:
        return Refused("none of these spans was at work in its process while samples were taken there")
    certainty = float((value * mine**2).sum()) / given / instances
    figures = _figures(samples, mine, certainty, instances)
    if certainty < floor:
        return Refused(figures + ADVICE)
    bound = error_bound(value * mine, doubt(mine / instances), samples["weight"].to_numpy())
    return Given(mine, np.full(len(samples), -1), bound, figures, shares.of(0) + mine)


def doubt(share: F64) -> F64:
    """Which part of what is given by a share may be others', if they burn up to `BUSIER` times as much while at work.

    With shares s and 1 - s of the time at work, s / (s + BUSIER (1 - s)) of what was burned is by the first.
    """
    return 1.0 - share / (share + BUSIER * (1.0 - share))


def error_bound(given: F64, wrong: F64, hits: I64) -> float:
    """The largest part of what was given that may be wrong, with the luck of few samples.

    The mean of the parts that are right, q, is taken down by 1.64 standard errors, reckoned on its logarithm so that it
    stays above 0: q exp(-1.64 sqrt((1 - q) / (q n))). One answer in twenty or so is worse. n is the effective number of
    hits, sum(given)² / sum(given² / hits), after Kish.

    Args:
        given: the value given of each sample.
        wrong: the part of it that may be wrong.
        hits: how many hits of the profiler each sample stands for.
    """
    total = float(given.sum())
    right = 1.0 - min(1.0, float((given * wrong).sum()) / total)
    effective = max(1.0, total**2 / float((given**2 / np.maximum(hits, 1)).sum()))
    return 1.0 - right * math.exp(-1.64 * math.sqrt((1.0 - right) / (right * effective))) if right > 0 else 1.0


def _figures(samples: pl.DataFrame, mine: F64, certainty: float, instances: int) -> str:
    length = samples["duration_ns"].to_numpy()[mine > 0]
    typical = float(np.median(length))
    windows = f"in the profiles' windows of {human(typical, 'nanoseconds')}" if typical else "at the samples' times"
    lumped = f", of which up to {instances} instances are not told apart" if instances > 1 else ""
    return f"the spans were {_percent(certainty * instances)} of what was at work in their process {windows}{lumped}"


def _percent(part: float) -> str:
    return f"{part:.0%}" if part >= 0.1 else f"{100 * part:.2g}%"


def operation_shares(
    samples: pl.DataFrame, spans: pl.DataFrame, group: I64, groups: int, ns_per_value: float | None = None
) -> Shares:
    """Share every sample out among groups of spans, for instance operations, all at once.

    For a sample with a time of its own: the part of a group among the spans at work at that time. For one with a window
    [t, t + d): the integral over that part, the time the group was at work over that of all spans. Where the thread is
    known on both sides only spans of that thread, and spans of unknown thread, take part.

    Nobody burns more CPU than there were threads at work: where the samples of a window amount to more time than
    spans were at work in it, the rest was done for nobody (background) and every share shrinks accordingly.

    Args:
        samples: process, thread, time_ns, duration_ns and value.
        spans: SPANS rows and process.
        group: the group of each span, 0 … groups - 1; negative: takes part, but in no group's column.
        groups: how many there are. Memory grows with windows x groups; samples with times of their own are a
            window each.
        ns_per_value: for types that measure time, how many nanoseconds a value of 1 is.
    """
    work = _Work.of(spans, np.where(group < 0, groups, group), groups + 1)
    everyone = _Asked(*(samples[name].to_numpy() for name in ("process", "thread", "time_ns", "duration_ns")))
    tells = work.tells_threads(everyone.process, everyone.thread)
    told = everyone._replace(thread=np.where(tells, everyone.thread, 0))
    if told.duration_ns.any():
        asked, window = _distinct(*told)
    else:  # samples with times of their own hardly repeat
        asked, window = told, np.arange(len(samples))
    amounts = work.amounts(asked)
    total = amounts.sum(axis=1)
    explained = total
    if ns_per_value is not None:
        measured = np.bincount(window, np.abs(samples["value"].to_numpy()) * ns_per_value, len(total))
        explained = np.where(asked.duration_ns > 0, np.maximum(total, measured), total)
    matrix = np.divide(amounts, explained[:, None], out=np.zeros_like(amounts), where=total[:, None] > 0)
    return Shares(window, matrix[:, :groups])


class _Asked(NamedTuple):
    """Windows of threads of processes; thread 0: of all threads."""

    process: I64
    thread: I64
    time_ns: I64
    duration_ns: I64

    def part(self, block: slice | Bools) -> "_Asked":
        return _Asked(*(column[block] for column in self))


def _distinct(*columns: I64) -> tuple[_Asked, I64]:
    """The distinct rows, and which of them each row is."""
    first, which = number_values(hashing.combine(columns))
    return _Asked(*(column[first] for column in columns)), which


@dataclass(frozen=True, slots=True)
class _Work:
    """How many spans of each group were at work over time, by process and by thread of a process.

    Attributes:
        processes: codes of the processes of the spans.
        threads: codes of their threads; 0 is always among them.
        groups: how many groups there are.
        by_process: one step function per process and group.
        by_thread: one per process, thread and group; thread 0: those of unknown thread.
        told: the pairs of process and thread that spans know.
        has_loose: whether there are spans of unknown thread.
    """

    processes: Codes
    threads: Codes
    groups: int
    by_process: Steps
    by_thread: Steps
    told: I64
    has_loose: bool

    @classmethod
    def of(cls, spans: pl.DataFrame, group: I64, groups: int) -> "_Work":
        process, thread = spans["process"].to_numpy(), spans["thread"].to_numpy()
        processes, threads = Codes.of(process[process >= 0]), Codes.of(np.append(thread, 0))
        hall = processes.code(process)
        lane = hall * len(threads.values) + threads.code(thread)
        pieces = outside(*intervals(spans), parent_rows(spans))
        pieces = pieces.where(hall[pieces.row] >= 0)
        return cls(
            processes,
            threads,
            groups,
            _steps(pieces, hall * groups + group),
            _steps(pieces, lane * groups + group),
            np.unique(lane[(hall >= 0) & (thread != 0)]),
            bool((thread == 0).any()),
        )

    def tells_threads(self, process: I64, thread: I64) -> Bools:
        """Which samples are of processes whose threads spans and samples both know."""
        hall = self.processes.code(process)
        known = np.isin(self._lane(hall, thread), self.told) & (thread != 0) & (hall >= 0)
        return np.isin(hall, np.unique(hall[known]))

    def amounts(self, asked: _Asked) -> F64:
        """How long each group was at work in windows, nanoseconds; how many of it at instants: windows x groups."""
        found = np.empty((len(asked.process), self.groups))
        for block in blocks(len(found), self.groups):
            found[block] = self._amounts(asked.part(block))
        return found

    def _amounts(self, asked: _Asked) -> F64:
        hall, told = self.processes.code(asked.process), asked.thread != 0
        found = np.empty((len(hall), self.groups))
        if not told.all():
            found[~told] = self._asked(self.by_process, hall[~told], asked.part(~told))
        if told.any():
            part, own = asked.part(told), hall[told]
            found[told] = self._asked(self.by_thread, self._lane(own, part.thread), part)
            if self.has_loose:
                found[told] += self._asked(self.by_thread, self._lane(own, np.zeros_like(own)), part)
        return found

    def _lane(self, hall: I64, thread: I64) -> I64:
        code = self.threads.code(thread)
        return np.where((hall >= 0) & (code >= 0), hall * len(self.threads.values) + code, -1)

    def _asked(self, steps: Steps, code: I64, asked: _Asked) -> F64:
        """One row per question, one column per group."""
        which = np.where(code[:, None] >= 0, code[:, None] * self.groups + np.arange(self.groups), -1).ravel()
        start, length = np.repeat(asked.time_ns, self.groups), np.repeat(asked.duration_ns, self.groups)
        instant = length == 0
        found = np.empty(len(which))
        found[instant] = steps.at(which[instant], start[instant])
        spread = ~instant
        found[spread] = steps.integral(which[spread], start[spread], (start + length)[spread])
        return found.reshape(-1, self.groups)


def _steps(pieces: Pieces, group: I64) -> Steps:
    return Steps.of(group[pieces.row], pieces.start_ns, pieces.end_ns)
