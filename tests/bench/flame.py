"""From stored samples to a flame graph: all of a service's hour, and those of a cohort of spans."""

import time
from typing import Any

import numpy as np

from correlate.flame import tree
from correlate.model.queries import SampleFilter
from correlate.storage.lake import LakeStore, open_lake
from correlate.tables.hashing import hash_one
from tests.bench.generate import CPU
from tests.bench.isolated import call
from tests.bench.report import Measured, at_most, say
from tests.bench.store import HOT, HOUR_NS, Filled, ShiftedClock

FLAME_MS = 300.0
_REPEATS = 9
_PARTS = ("sums", "symbols", "tree")


def hour(store: Filled) -> list[Measured]:
    """One service, one hour."""
    return _lines("hour", store, [])


def cohort(store: Filled) -> list[Measured]:
    """Chosen spans of one service in one hour."""
    return _lines("cohort", store, store.cohort)


def _lines(row: str, store: Filled, spans: list[int]) -> list[Measured]:
    lines = []
    for cores, one_core in (("all cores", False), ("one core", True)):
        say(f"{row}: {cores}")
        found = call(
            "tests.bench.flame:measure", one_core=one_core, url=store.lake_url, hour_ns=store.hour_ns, spans=spans
        )
        of = f"{len(spans):,} spans, {found['samples']:,} samples" if spans else f"{found['samples']:,} samples"
        parts = ", ".join(f"{part} {found[part]:.0f}" for part in _PARTS)
        more = f"best {found['best']:.0f}, CPU time {found['cpu']:.0f}; {parts}; first {found['first']:.0f}"
        lines.append(at_most(row, f"{of} to {found['nodes']:,} nodes, {cores}", found["median"], FLAME_MS, "ms", more))
    return lines


def measure(url: str, hour_ns: int, spans: list[int]) -> dict[str, Any]:
    """Answer again and again; milliseconds."""
    wanted = SampleFilter((HOT.id,), (hash_one(CPU),), hour_ns, hour_ns + HOUR_NS - 1, tuple(spans))
    with open_lake(url, clock=ShiftedClock()) as lake:
        begun_s = time.process_time()
        runs = np.array([_once(lake, wanted) for _ in range(_REPEATS)])
        cpu_ms = (time.process_time() - begun_s) * 1e3 / _REPEATS
        rows = lake.stack_sums(wanted)
        nodes = _grown(lake, rows)
        sample_count = int(rows["weight"].sum())
    sums = runs.sum(axis=1)
    parts = dict(zip(_PARTS, np.median(runs[1:], axis=0).tolist(), strict=True))
    return {
        **parts,
        "median": float(np.median(sums[1:])),
        "best": float(sums.min()),
        "first": float(sums[0]),
        "cpu": cpu_ms,
        "samples": sample_count,
        "nodes": len(nodes),
    }


def _once(lake: LakeStore, wanted: SampleFilter) -> list[float]:
    times_s = [time.perf_counter()]
    rows = lake.stack_sums(wanted)
    times_s.append(time.perf_counter())
    lake.symbols([HOT.id])
    times_s.append(time.perf_counter())
    _grown(lake, rows)
    times_s.append(time.perf_counter())
    return [float(took_s) * 1e3 for took_s in np.diff(times_s)]


def _grown(lake: LakeStore, rows: Any) -> tree.Tree:
    return tree.build(
        lake.symbols([HOT.id]), rows["stack"].to_numpy(), rows["value"].to_numpy(), rows["weight"].to_numpy()
    )
