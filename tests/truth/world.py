"""What a simulated world is like: one service, its operations, threads, clocks, and what the profiler sees of them."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SECOND = 1_000_000_000
T0 = 1_795_000_000 * SECOND
"""When every world begins, nanoseconds since the Unix epoch."""


@dataclass(frozen=True)
class World:
    """One service, and how it is observed.

    Attributes:
        seed: everything random follows from it.
        duration_s: for how long requests arrive.
        operations: how many kinds of request there are.
        span_ms: median length of a request; the medians of the operations lie within a factor of two of it.
        span_sigma: spread of the lengths of one operation's requests (sigma of their logarithm).
        concurrency: mean number of requests in flight in each process.
        swing: how much each operation's rate varies between intervals (sigma of its logarithm); 0: steady.
        swing_s: length of those intervals.
        children: mean number of child spans of a request, usually one after the other; operations differ.
        depth: levels of spans; 1: roots only. The children of children are half as many.
        child_ratio: share of a span's time that its children take, where it has some.
        fan_out: chance that two neighbouring children of a request run at the same time, one in another thread.
        cpu_low: lowest share of its own time that an operation spends on the CPU; the rest it sleeps or waits.
        cpu_high: highest.
        hz: samples a second of each running thread.
        periodic: ticks come at equal intervals, all threads of a process at once; else at random.
        timestamps: samples carry their own time; else only that of their upload.
        window_s: length of an upload.
        threads: spans and samples carry thread ids.
        hop_ratio: chance that a request goes on in another thread when a child begins or ends.
        pool: threads that serve requests, which queue for them; 0: as many as needed.
        processes: instances of the service, all alike.
        hosts: machines, each with a clock of its own; processes take turns.
        skew_ms: how far the profiler's clock of each host is off that of its spans, ahead or behind.
        labels: which span a sample names: "every" its own, "root" the root of its trace, "none".
        label_loss: share of the samples that lost their label.
        trace_sampling: share of the traces that reach the store; the samples of the others stay.
        background_ratio: share of all CPU time that belongs to no span (garbage collection in a thread of its own).
        stacks: different stacks of an operation.
        zipf: how unequal they are: the k-th weighs k to the power of minus this.
        shared_ratio: share of an operation's CPU time in stacks that all operations have in common.
        planted: factor by which one stack of the first operation grows in the second half of the time; 1: none.
    """

    seed: int = 1
    duration_s: float = 60.0
    operations: int = 6
    span_ms: float = 100.0
    span_sigma: float = 0.6
    concurrency: float = 4.0
    swing: float = 0.5
    swing_s: float = 10.0
    children: float = 2.0
    depth: int = 2
    child_ratio: float = 0.5
    fan_out: float = 0.0
    cpu_low: float = 0.3
    cpu_high: float = 0.9
    hz: float = 100.0
    periodic: bool = True
    timestamps: bool = True
    window_s: float = 10.0
    threads: bool = True
    hop_ratio: float = 0.0
    pool: int = 0
    processes: int = 1
    hosts: int = 1
    skew_ms: float = 0.0
    labels: str = "root"
    label_loss: float = 0.0
    trace_sampling: float = 1.0
    background_ratio: float = 0.03
    stacks: int = 40
    zipf: float = 1.1
    shared_ratio: float = 0.2
    planted: float = 1.0
    service: str = "checkout"

    def but(self, **changes: Any) -> "World":
        """The same world with something changed."""
        return replace(self, **changes)

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose, so that a change in one place leaves the others as they were."""
        return np.random.default_rng([self.seed, purpose])

    @property
    def duration_ns(self) -> int:
        """For how long requests arrive."""
        return round(self.duration_s * SECOND)

    @property
    def period_ns(self) -> int:
        """Time between two samples of a thread that runs."""
        return round(SECOND / self.hz)

    @property
    def window_ns(self) -> int:
        """Length of an upload."""
        return round(self.window_s * SECOND)

    @cached_property
    def kinds(self) -> "Kinds":
        """The operations, and the child operations of each."""
        return Kinds.draw(self)


@dataclass(frozen=True)
class Kinds:
    """All kinds of spans: the operations first, then each one's children, level by level.

    Attributes:
        names: span names.
        root: the operation each belongs to.
        first_child: the kind of a kind's first child; its other children follow.
        child_count: how many children a span of this kind has.
        median_ns: median length, for the operations.
        mean_ns: mean length, for the operations.
        share: share of the requests in flight, for the operations.
        cpu: share of its own time spent on the CPU.
    """

    names: list[str]
    root: I64
    first_child: I64
    child_count: I64
    median_ns: F64
    mean_ns: F64
    share: F64
    cpu: F64

    @classmethod
    def draw(cls, world: World) -> "Kinds":
        """Invent the operations of a world."""
        rng, count = world.rng(1), world.operations
        names, root, first, children = _family(world, rng)
        median_ns = world.span_ms * 1e6 * 2.0 ** rng.uniform(-1, 1, count)
        shares = rng.dirichlet(np.full(count, 4.0))
        return cls(
            names=names,
            root=np.array(root),
            first_child=np.array(first),
            child_count=np.array(children),
            median_ns=median_ns,
            mean_ns=median_ns * np.exp(world.span_sigma**2 / 2),
            share=shares,
            cpu=rng.uniform(world.cpu_low, world.cpu_high, len(names)),
        )


def _family(world: World, rng: np.random.Generator) -> tuple[list[str], list[int], list[int], list[int]]:
    """Names, root, first child and number of children of every kind; few by nature."""
    names = [f"POST /operation-{number}" for number in range(world.operations)]
    root, first, children = list(range(world.operations)), [], []
    level_ends = [len(names)]
    for depth in range(world.depth):
        begin = 0 if depth == 0 else level_ends[-2]
        mean = world.children / 2**depth if depth < world.depth - 1 else 0.0
        for kind in range(begin, level_ends[-1]):
            count = int(rng.integers(0, round(2 * mean) + 1))
            first.append(len(names))
            children.append(count)
            names += [f"{names[kind]} step {step + 1}" for step in range(count)]
            root += [root[kind]] * count
        level_ends.append(len(names))
    return names, root, first, children
