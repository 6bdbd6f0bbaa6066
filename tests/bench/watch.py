"""What watching costs: five minutes of some services observed, stored and judged by all detectors, by CPU time."""

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from correlate.detectors.observe_roll import roll
from correlate.detectors.registry import DETECTORS
from correlate.model.queries import TimeRange
from correlate.services.judging import Judging, Manner, Wish
from correlate.services.leak_operations import SiteOperations
from correlate.services.observe import Observe
from correlate.services.watch import Means, Watch
from correlate.storage.lake import LakeStore, open_lake
from correlate.storage.state import open_state
from correlate.storage.state_pulls import SqlLeases, SqlWatermarks
from correlate.tables.hashing import hash_one
from correlate.tables.tables import Tables, concat
from tests.bench.generate import Service
from tests.bench.isolated import call
from tests.bench.report import Measured, at_most, say
from tests.support.store import FixedClock

MS_A_SERVICE_MINUTE: Final = 48.0
"""5,000 services within a minute on four cores."""

SERVICES: Final = 16
DAYS: Final = 3
HEAP: Final = "memory:inuse_space:bytes:space:bytes"
_BUCKET_NS: Final = 300 * 10**9
_HOUR_NS: Final = 3600 * 10**9
_WINDOWS: Final = 30
_HITS: Final = 500
_START_NS: Final = 1_795_392_000 * 10**9


def watch(folder: Path) -> list[Measured]:
    """One bucket of services with three days of history."""
    say(f"watch: {SERVICES} services with {DAYS} days of history")
    found = call("tests.bench.watch:measure", one_core=True, folder=str(folder / "watch"))
    parts = ", ".join(f"{name} {each:.0f}" for name, each in found["detectors_ms"].items())
    more = f"a bucket of 5 minutes takes {found['bucket_ms']:.0f} ms of CPU; reducing {found['reduce_ms']:.0f}, {parts}"
    return [
        at_most("watch", "one service, one minute, CPU", found["minute_ms"], MS_A_SERVICE_MINUTE, "ms", more),
        Measured(
            "watch", "  observations of a bucket", f"{found['rows']:.0f} rows a service, {found['verdicts']} verdicts"
        ),
    ]


def measure(folder: str) -> dict[str, Any]:
    """Fill a lake, then watch one more bucket of every service; in a process of its own."""
    clock = FixedClock(_START_NS + DAYS * 24 * _HOUR_NS)
    with (
        open_lake(f"{folder}/lake", clock=clock) as lake,
        open_state(f"sqlite:///{folder}/state.db", clock=clock) as state,
    ):
        names = _filled(lake, clock.at_ns - _BUCKET_NS)
        manner = Manner(settle_ns=0)
        observe = Observe(lake, lake.observations, clock)
        _history(lake, observe, names, clock.at_ns)
        marks = SqlWatermarks(state, clock)
        for name in names:
            marks.advance("watch", name, None, clock.at_ns - _BUCKET_NS)
        timed = [_Timed(detector) for detector in DETECTORS]
        wish = Wish()
        judging = Judging(observe, manner, lambda _service: lambda _detector: wish, SiteOperations(lake).add, timed)
        means = Means(lake, lake.observations, marks, SqlLeases(state, clock), clock)
        watching = Watch(means, observe, judging, lambda *_: None, manner, holder="bench")
        begun_s = time.process_time()
        report = watching.once()
        spent_ms = (time.process_time() - begun_s) * 1e3 / report.services
        begun_s = time.process_time()
        rows = observe.rows(names, TimeRange(clock.at_ns - _BUCKET_NS, clock.at_ns), _BUCKET_NS)
        reduce_ms = (time.process_time() - begun_s) * 1e3 / report.services
    return {
        "minute_ms": spent_ms / (_BUCKET_NS / 60e9),
        "bucket_ms": spent_ms,
        "reduce_ms": reduce_ms,
        "rows": len(rows) / report.services,
        "verdicts": report.verdicts,
        "detectors_ms": {each.name: each.spent_s * 1e3 / report.services for each in timed},
    }


class _Timed:
    """A detector whose CPU time is added up."""

    def __init__(self, detector: Any) -> None:
        self._detector = detector
        self.name = detector.name
        self.by_steps = detector.by_steps
        self.spent_s = 0.0

    def judge(self, case: Any) -> Any:
        begun_s = time.process_time()
        found = self._detector.judge(case)
        self.spent_s += time.process_time() - begun_s
        return found


def _filled(lake: LakeStore, start_ns: int) -> list[str]:
    """One bucket of what services send: CPU samples with labels, heap profiles, spans."""
    names = [f"service-{number}" for number in range(SERVICES)]
    for number, name in enumerate(names):
        service = Service(name)
        symbols, stacks = service.symbols()
        minutes = list(service.load(stacks, start_ns, _WINDOWS, _HITS, 1, number))
        heap = [_heap(each, service, number) for each in minutes]
        series = symbols.series.with_columns(series=pl.lit(service.id ^ 3), type=pl.lit(HEAP), type_id=hash_one(HEAP))
        lake.submit(concat([symbols, Tables(series=series), *minutes, *heap])).result()
    return names


def _heap(minute: Tables, service: Service, seed: int) -> Tables:
    """The same stacks as a profile of what is held, every ten seconds, without labels."""
    rng = np.random.default_rng(seed)
    none = (pl.lit(0, pl.Int64).alias(name) for name in ("trace_hi", "trace_lo", "span"))
    known = {"type": hash_one(HEAP), "series": service.id ^ 3}
    samples = minute.samples.unique(["profile", "stack"], maintain_order=True).with_columns(
        *none,
        pl.col("profile") ^ 1,
        *(pl.lit(each, pl.Int64).alias(name) for name, each in known.items()),
        evidence=pl.lit(0, pl.Int8),
    )
    values = pl.Series("value", rng.integers(1 << 10, 1 << 18, len(samples)), dtype=pl.Int64)
    profiles = minute.profiles.with_columns(pl.col("profile") ^ 1, type=pl.lit(HEAP))
    return Tables(samples=samples.with_columns(values), profiles=profiles)


def _history(lake: LakeStore, observe: Observe, names: list[str], end_ns: int) -> None:
    """Three days like the bucket that is there, with some noise, written hour by hour."""
    last = observe.rows(names, TimeRange(end_ns - _BUCKET_NS, end_ns), _BUCKET_NS)
    rng = np.random.default_rng(3)
    numbers = ("value", "self", "floor", "spans", "busy_ns")
    for hour in range(DAYS * 24):
        buckets = []
        for bucket in range(_HOUR_NS // _BUCKET_NS):
            at_ns = end_ns - (DAYS * 24 - hour) * _HOUR_NS + bucket * _BUCKET_NS
            noise = pl.Series("noise", rng.normal(1, 0.05, len(last)))
            columns = [(pl.col(name) * noise).cast(pl.Int64).alias(name) for name in numbers]
            buckets.append(last.with_columns(*columns, time_ns=pl.lit(at_ns)))
        whole = pl.concat(buckets)
        rolled = roll(whole, Manner().step_ns, end_ns)
        lake.observations.append(pl.concat([whole, rolled]))
