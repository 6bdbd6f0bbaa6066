"""Run a world: its spans and samples as tables, and the owner of every sample."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from correlate.tables import hashing
from correlate.tables.build import HEADS, Linked, build
from correlate.tables.schema import ATTRIBUTES, EVIDENCE_LABEL, KIND_STRING, SPANS
from correlate.tables.series import series_of_resources
from correlate.tables.tables import Tables
from tests.truth.load import NOBODY, Bursts, Spans, play, requests
from tests.truth.stacks import Code
from tests.truth.world import F64, I64, T0, Bools, World

CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
NOT_STORED = -2
"""The owner of a sample whose span did not reach the store."""

_EXPORT = 512


@dataclass(frozen=True)
class Truth:
    """What no join is told.

    Attributes:
        owner: for each sample the row of its span in `Scene.spans`, -1: nobody's (background), NOT_STORED.
        root: the same for the root of that span's trace.
        kind: for each sample the row of its span's name in `names`, -1: nobody's.
        operation: for each sample the row of its root span's name in `names`, -1: nobody's.
        stack: for each sample the row of its stack in `paths`.
        names: names of all kinds of spans; the world's operations come first.
        paths: stacks as function names, root first.
        likely: how likely a span of each kind is found in each stack, were the world to go on for ever, shape
            (kinds + 1, paths); the last line is the garbage collector. Without the planted change.
        cpu_ns: for each stored span how long it was itself on the CPU.
        offset_ns: for each host how far the profiler's clock is ahead of that of its spans.
    """

    owner: I64
    root: I64
    kind: I64
    operation: I64
    stack: I64
    names: list[str]
    paths: list[tuple[str, ...]]
    likely: F64
    cpu_ns: I64
    offset_ns: I64


@dataclass(frozen=True)
class Scene:
    """A world as it was observed.

    Attributes:
        world: what was simulated.
        spans: SPANS rows and `process`, the number of the instance.
        tables: what a store gets; `tables.samples` is in the order of `truth`.
        sample_process: the instance of each sample.
        truth: who owns what.
    """

    world: World
    spans: pl.DataFrame
    tables: Tables
    sample_process: I64
    truth: Truth

    @cached_property
    def samples(self) -> pl.DataFrame:
        """SAMPLES rows and `process`."""
        return self.tables.samples.with_columns(process=pl.Series(self.sample_process))


@dataclass(frozen=True)
class _Ticks:
    """Samples by process and time; times by the profiler's clock, nanoseconds since the epoch."""

    burst: I64
    true_ns: I64
    time_ns: I64


def simulate(world: World) -> Scene:
    """Run a world. The same world gives the same scene."""
    every, bursts = play(world, requests(world))
    offset_ns = _offsets(world)
    ticks = _ticks(world, bursts, offset_ns)
    kept = np.flatnonzero(_stored(world, every))
    row_of = np.append(np.full(len(every.kind), NOT_STORED), NOBODY)  # row -1, nobody, takes the end
    row_of[kept] = np.arange(len(kept))
    owner = bursts.owner[ticks.burst]
    ids = _ids(world, every)
    code = Code.draw(world)
    kind = np.append(every.kind, -1)[owner]
    stack = code.pick(world.rng(6), kind, ticks.true_ns * 2 >= world.duration_ns)
    profiles = build(_linked(world, code, every, bursts, ticks, ids, stack))
    spans, resources = _spans(world, every, ids, kept)
    spent = np.bincount(bursts.owner + 1, bursts.end_ns - bursts.start_ns, len(every.kind) + 1)[1:]
    truth = Truth(
        owner=row_of[owner],
        root=row_of[np.append(every.root, NOBODY)[owner]],
        kind=kind,
        operation=np.append(world.kinds.root, -1)[kind],
        stack=stack,
        names=world.kinds.names,
        paths=code.paths,
        likely=code.likely(),
        cpu_ns=spent[kept].astype(np.int64),
        offset_ns=offset_ns,
    )
    return Scene(world, spans, _whole(profiles, spans, resources), bursts.process[ticks.burst], truth)


def _whole(profiles: Tables, spans: pl.DataFrame, resources: pl.DataFrame) -> Tables:
    return Tables(
        spans=spans.drop("process"),
        samples=profiles.samples,
        stacks=profiles.stacks,
        frames=profiles.frames,
        series=pl.concat([profiles.series, resources]).unique("series", maintain_order=True),
        profiles=profiles.profiles,
    )


def _offsets(world: World) -> I64:
    """How far the profiler's clock of each host is ahead."""
    sign = world.rng(7).choice([-1, 1], world.hosts)
    return (sign * round(world.skew_ms * 1e6)).astype(np.int64)


def _ticks(world: World, bursts: Bursts, offset_ns: I64) -> _Ticks:
    """When the profiler finds a burst on the CPU."""
    rng, period = world.rng(8), world.period_ns
    if world.periodic:
        phase = rng.integers(0, period, world.processes)[bursts.process]
        first = -((phase - bursts.start_ns) // period)  # the first tick at or after the start
        counts = -((phase - bursts.end_ns) // period) - first
        burst = np.repeat(np.arange(len(counts)), counts)
        number = np.arange(len(burst)) - (np.cumsum(counts) - counts)[burst]
        true = phase[burst] + (first[burst] + number) * period
    else:
        counts = rng.poisson((bursts.end_ns - bursts.start_ns) / period)
        burst = np.repeat(np.arange(len(counts)), counts)
        length = (bursts.end_ns - bursts.start_ns)[burst]
        true = bursts.start_ns[burst] + (rng.random(len(burst)) * length).astype(np.int64)
    order = np.lexsort((true, bursts.process[burst]))
    burst, true = burst[order], true[order]
    return _Ticks(burst, true, T0 + true + offset_ns[bursts.process[burst] % world.hosts])


def _stored(world: World, spans: Spans) -> Bools:
    """Whether each span's trace reaches the store."""
    chosen: Bools = world.rng(9).random(len(spans.kind))[spans.root] < world.trace_sampling
    return chosen


def _ids(world: World, spans: Spans) -> dict[str, I64]:
    """Trace and span ids, never 0."""
    rng, count = world.rng(10), len(spans.kind)
    drawn = rng.integers(1, 2**63 - 1, (3, count))
    signed = drawn * rng.choice([-1, 1], (3, count))
    own = {"trace_hi": signed[0][spans.root], "trace_lo": signed[1][spans.root], "span": signed[2]}
    return own | {"parent": np.append(signed[2], 0)[spans.parent], "root": signed[2][spans.root]}


def _linked(
    world: World, code: Code, spans: Spans, bursts: Bursts, ticks: _Ticks, ids: dict[str, I64], stack: I64
) -> Linked:
    """The uploads of all processes; each process uploads at a moment of its own."""
    process = bursts.process[ticks.burst]
    phase = world.rng(11).integers(0, world.window_ns, world.processes)
    window = (ticks.time_ns - T0 + phase[process]) // world.window_ns
    offsets, frames, symbols = code.linked()
    heads, head = np.unique(np.stack([process, window]), axis=1, return_inverse=True)
    begin = T0 + heads[1] * world.window_ns - phase[heads[0]]
    named = _named(world, spans, bursts.owner[ticks.burst])
    samples = {
        "head": head.ravel(),
        "stack": stack,
        "labelset": np.full(len(stack), -1),
        "time_ns": ticks.time_ns if world.timestamps else begin[head.ravel()],
        "duration_ns": np.full(len(stack), 0 if world.timestamps else world.window_ns),
        "thread": _thread_ids(world, process, bursts.thread[ticks.burst]),
        **{name: np.append(ids[name], 0)[named] for name in ("trace_hi", "trace_lo", "span")},
        "evidence": np.where(named >= 0, EVIDENCE_LABEL, 0),
        "value": np.full(len(stack), world.period_ns),
        "weight": np.ones(len(stack), np.int64),
    }
    return Linked(
        heads=_heads(world, heads[0], begin),
        samples=pl.DataFrame(samples),
        labelsets=pl.Series([], dtype=ATTRIBUTES),
        stack_offsets=offsets,
        stack_frames=frames,
        frames=symbols,
    )


def _named(world: World, spans: Spans, owner: I64) -> I64:
    """The row of the span whose label each sample carries, -1 without."""
    rng = world.rng(12)
    lost = (rng.random(len(owner)) < world.label_loss) | (world.labels == "none")
    named = np.append(spans.root, NOBODY)[owner] if world.labels == "root" else owner
    return np.where(lost, NOBODY, named)


def _thread_ids(world: World, process: I64, number: I64) -> I64:
    return 1000 + process * 100_000 + number if world.threads else np.zeros(len(number), np.int64)


def _heads(world: World, process: I64, begin_ns: I64) -> pl.DataFrame:
    columns = {
        "labels": [resource(world, each) for each in process.tolist()],
        "service": world.service,
        "type": CPU,
        "time_ns": begin_ns,
        "duration_ns": world.window_ns,
        "period": world.period_ns,
        "profile_hi": 0,
        "profile_lo": 0,
        "format": "pprof",
        "sender": "tests.truth",
        "received_ns": begin_ns + world.window_ns,
    }
    return pl.DataFrame(columns, schema_overrides=HEADS).select(list(HEADS))


def resource(world: World, process: int) -> list[dict[str, Any]]:
    """The attributes that tell one instance from another, as ATTRIBUTES."""
    texts = {
        "host.name": f"host-{process % world.hosts}",
        "process.pid": str(4000 + process),
        "service.instance.id": f"{world.service}-{process}",
    }
    return [{"key": key, "value": value, "kind": KIND_STRING} for key, value in texts.items()]


def _spans(world: World, spans: Spans, ids: dict[str, I64], kept: I64) -> tuple[pl.DataFrame, pl.DataFrame]:
    """SPANS rows of those that reached the store, with `process`; and the SERIES rows of their resources."""
    labels = pl.Series([resource(world, each) for each in range(world.processes)], dtype=ATTRIBUTES)
    series_ids, series = series_of_resources(pl.Series([world.service] * world.processes), labels)
    process, parent = spans.process[kept], spans.parent[kept]
    names = pl.Series(world.kinds.names)
    columns = {
        **{name: ids[name][kept] for name in ("trace_hi", "trace_lo", "span", "parent")},
        "name": names.gather(spans.kind[kept]),
        "kind": np.where(parent < 0, 2, 1),
        "start_ns": T0 + spans.start_ns[kept],
        "duration_ns": spans.end_ns[kept] - spans.start_ns[kept],
        "thread": _thread_ids(world, process, spans.thread[kept]),
        "series": series_ids[process],
        "payload": hashing.mix(np.arange(len(kept)) // _EXPORT + 1).view(np.int64),
        "process": process,
    }
    fixed = {"service": world.service, "status": 0, "status_message": "", "profile_ref": "", "scope": "tests.truth"}
    frame = pl.DataFrame(columns).with_columns(
        *(pl.lit(value).alias(name) for name, value in fixed.items()), attributes=pl.lit([], dtype=ATTRIBUTES)
    )
    return frame.select(*(pl.col(name).cast(kind) for name, kind in SPANS.items()), "process"), series
