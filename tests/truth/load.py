"""Requests, the spans they open, and the times in which each span is on the CPU.

Requests arrive at random (a Poisson process for each operation and interval). A request is cut into stretches of its
own work and children, which are cut in turn; no span works while a child of it does. A stretch of own work is a burst
on the CPU, a wait, and another burst. Times are nanoseconds since the world began.
"""

from dataclasses import dataclass

import numpy as np

from tests.truth.threads import assign, queued
from tests.truth.world import I64, SECOND, Bools, World

SHORTEST_NS, LONGEST_NS = 200_000, 20 * SECOND
NOBODY = -1
COLLECTOR = 90_000
"""The number of the first garbage collector's thread in a process."""

_COLLECTION_NS = 20e6


@dataclass(frozen=True)
class Spans:
    """Spans by row: the roots first, then level by level.

    Attributes:
        kind: which of the world's kinds it is.
        parent: row of the parent, -1 for a root.
        root: row of the root.
        process: where it ran.
        start_ns: when it began.
        end_ns: when it ended.
        thread: number within its process of the thread in which it began.
    """

    kind: I64
    parent: I64
    root: I64
    process: I64
    start_ns: I64
    end_ns: I64
    thread: I64


@dataclass(frozen=True)
class Bursts:
    """Times on the CPU: `owner` is a span's row or NOBODY, `thread` a number within the process."""

    owner: I64
    process: I64
    thread: I64
    start_ns: I64
    end_ns: I64


@dataclass(frozen=True)
class _Pieces:
    """Stretches of the spans of one level, in order: own work at even positions, children at odd ones.

    `owner` is a row of the level, `run` numbers what a request does in one thread without leaving it.
    """

    owner: I64
    position: I64
    start_ns: I64
    end_ns: I64


def requests(world: World) -> Spans:
    """The requests of all processes, by process and arrival; in `thread` is nothing yet."""
    rng, kinds = world.rng(2), world.kinds
    steps = max(1, round(world.duration_s / world.swing_s))
    step_ns = world.duration_ns / steps
    factor = np.exp(rng.normal(0, world.swing, (world.operations, steps)) - world.swing**2 / 2)
    expected = (world.concurrency * kinds.share / kinds.mean_ns * step_ns)[:, None] * factor
    counts = rng.poisson(np.broadcast_to(expected, (world.processes, *expected.shape)))
    process, kind, step = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    arrival = ((step + rng.random(len(step))) * step_ns).astype(np.int64)
    order = np.lexsort((arrival, process))
    process, kind, arrival = process[order], kind[order], arrival[order]
    lengths = kinds.median_ns[kind] * np.exp(rng.normal(0, world.span_sigma, len(kind)))
    duration = np.clip(lengths, SHORTEST_NS, LONGEST_NS).astype(np.int64)
    start = queued(process, arrival, duration, world.pool) if world.pool else arrival
    rows, none = np.arange(len(kind)), np.full(len(kind), -1)
    return Spans(kind, none, rows, process, start, start + duration, none)


def play(world: World, roots: Spans) -> tuple[Spans, Bursts]:
    """Cut requests into spans and bursts, and give them threads."""
    rng = world.rng(3)
    pieces, aside = _fanned_out(world, rng, _cut(world, rng, roots))
    run = _runs(world, rng, pieces, aside)
    thread_of_run = _threads(run, pieces, roots)
    level, level_run, first_row = roots, run[pieces.position == 0], 0
    levels, span_runs, bursts = [], [], []
    for depth in range(world.depth):
        if depth:
            pieces = _cut(world, rng, level)
            run = level_run[pieces.owner]
        own = pieces.position % 2 == 0
        bursts.append(_bursts(world, rng, level, pieces, own, thread_of_run[run], first_row))
        levels.append(level)
        span_runs.append(level_run)
        level, level_run, first_row = _children(world, level, pieces, first_row), run[~own], first_row + len(level.kind)
    threads = thread_of_run[np.concatenate(span_runs)]
    columns = {name: np.concatenate([getattr(each, name) for each in levels]) for name in _BUT_THREAD}
    return Spans(**columns, thread=threads), joined([*bursts, _collections(world, bursts)])


_BUT_THREAD = ("kind", "parent", "root", "process", "start_ns", "end_ns")


def joined(parts: list[Bursts]) -> Bursts:
    """All bursts, without empty ones."""
    names = ("owner", "process", "thread", "start_ns", "end_ns")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    kept = columns["end_ns"] > columns["start_ns"]
    return Bursts(**{name: column[kept] for name, column in columns.items()})


def _cut(world: World, rng: np.random.Generator, level: Spans) -> _Pieces:
    """Cut spans at their children: own work, child, own work, child … own work."""
    children = world.kinds.child_count[level.kind]
    counts = 2 * children + 1
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    owner = np.repeat(np.arange(len(counts)), counts)
    position = np.arange(len(owner)) - offsets[:-1][owner]
    is_child = position % 2 == 1
    part = np.where(is_child, world.child_ratio, np.where(children[owner] > 0, 1 - world.child_ratio, 1.0))
    weight = rng.gamma(2.0, 1.0, len(owner))
    sums = np.bincount(owner * 2 + is_child, weight, 2 * len(counts))
    ends = np.cumsum(weight * part / sums[owner * 2 + is_child])
    length = level.end_ns - level.start_ns
    share = np.minimum(ends - owner, 1.0)  # the parts of every span add up to 1
    end = level.start_ns[owner] + np.rint(share * length[owner]).astype(np.int64)
    end[offsets[1:] - 1] = level.end_ns
    start = np.concatenate([np.zeros(1, np.int64), end[:-1]])[: len(end)]
    start[offsets[:-1]] = level.start_ns
    return _Pieces(owner, position, start, np.maximum(end, start))


def _fanned_out(world: World, rng: np.random.Generator, pieces: _Pieces) -> tuple[_Pieces, Bools]:
    """Let some pairs of children run at the same time; also which pieces run beside what the request does meanwhile.

    Both children then take all of the time from the start of the first to the end of the second, and the work of the
    request between them is left out.
    """
    is_first = (pieces.position % 4 == 1) & (rng.random(len(pieces.owner)) < world.fan_out)
    is_first[-3:] = False
    first = np.flatnonzero(is_first)
    first = first[
        (pieces.owner[first + 3] == pieces.owner[first]) & (pieces.position[first + 3] > pieces.position[first])
    ]
    start, end = pieces.start_ns.copy(), pieces.end_ns.copy()
    end[first] = end[first + 1] = start[first + 1] = end[first + 2]
    start[first + 2] = start[first]
    aside = np.zeros(len(start), bool)
    aside[first] = True
    return _Pieces(pieces.owner, pieces.position, start, end), aside


def _runs(world: World, rng: np.random.Generator, pieces: _Pieces, aside: Bools) -> I64:
    """Number what each request does without leaving its thread; what runs aside has a number of its own."""
    hops = rng.random(len(pieces.owner)) < world.hop_ratio
    begins = (pieces.position == 0) | (hops & ~aside)
    run = np.cumsum(begins) - 1
    run[aside] = begins.sum() + np.arange(aside.sum())
    return run


def _threads(run: I64, pieces: _Pieces, roots: Spans) -> I64:
    """The thread of each run: one that nobody else is in."""
    count = int(run.max()) + 1 if len(run) else 0
    process, start, end = np.zeros(count, np.int64), np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    process[run] = roots.process[pieces.owner]
    np.minimum.at(start, run, pieces.start_ns)
    np.maximum.at(end, run, pieces.end_ns)
    return assign(process, start, end)


def _children(world: World, level: Spans, pieces: _Pieces, first_row: int) -> Spans:
    """The spans of the next level."""
    at = pieces.position % 2 == 1
    owner, number = pieces.owner[at], pieces.position[at] // 2
    return Spans(
        kind=world.kinds.first_child[level.kind[owner]] + number,
        parent=owner + first_row,
        root=level.root[owner],
        process=level.process[owner],
        start_ns=pieces.start_ns[at],
        end_ns=pieces.end_ns[at],
        thread=np.full(len(owner), -1),
    )


def _bursts(
    world: World, rng: np.random.Generator, level: Spans, pieces: _Pieces, own: Bools, thread: I64, first_row: int
) -> Bursts:
    """Two bursts for every stretch of own work, at its ends."""
    owner, start, end = pieces.owner[own], pieces.start_ns[own], pieces.end_ns[own]
    ratio = world.kinds.cpu[level.kind[owner]] * np.exp(rng.normal(0, 0.25, len(owner)))
    busy = np.minimum(ratio, 1.0) * (end - start)
    before = (busy * rng.random(len(owner))).astype(np.int64)
    after = busy.astype(np.int64) - before
    return Bursts(
        owner=np.tile(owner + first_row, 2),
        process=np.tile(level.process[owner], 2),
        thread=np.tile(thread[own], 2),
        start_ns=np.concatenate([start, end - after]),
        end_ns=np.concatenate([start + before, end]),
    )


def _collections(world: World, bursts: list[Bursts]) -> Bursts:
    """What the garbage collectors of each process do: bursts that never overlap in one thread."""
    rng = world.rng(4)
    ratio = world.background_ratio / (1 - world.background_ratio)
    total_ns = sum(int((each.end_ns - each.start_ns).sum()) for each in bursts) / world.processes * ratio
    lanes = max(1, int(np.ceil(total_ns / (0.5 * world.duration_ns))))
    columns = []
    for process, lane in np.ndindex(world.processes, lanes):
        lengths = rng.exponential(_COLLECTION_NS, round(total_ns / lanes / _COLLECTION_NS)).astype(np.int64)
        idle_ns = max(0, world.duration_ns - int(lengths.sum()))
        start = np.sort(rng.integers(0, idle_ns + 1, len(lengths))) + np.cumsum(lengths) - lengths
        who, where, thread = (np.full(len(lengths), value) for value in (NOBODY, process, COLLECTOR + lane))
        columns.append(Bursts(who, where, thread, start, start + lengths))
    return joined(columns)
