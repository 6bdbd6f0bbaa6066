"""A store filled the way ingest fills it: group commits, files merged on the way and when their hour is over."""

import json
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from deltalake import DeltaTable

from correlate.errors import Overloaded
from correlate.model.ids import TraceId, format_span_id
from correlate.ports import Receipt
from correlate.storage.lake import LakeStore, open_lake
from correlate.tables.tables import Tables
from tests.bench.generate import Service
from tests.bench.report import say

HOUR_NS = 3600 * 10**9
WINDOWS = 360  # of ten seconds, in an hour
HOURS = 4
OTHERS = 8
INSTANCES = 10
HOT = Service("checkout")
COHORT = 10_000
_ASKED = 4000
_PENDING = 4


@dataclass(frozen=True)
class Filled:
    """A store and what to ask it.

    Attributes:
        folder: the data folder; the lake is in ``lake``.
        samples: samples stored.
        spans: spans stored.
        hour_ns: the start of the hour in which `HOT` has a fifth of all samples.
        asked: trace and span ids, as in URLs, of random spans of all services and hours.
        cohort: span ids of random spans of `HOT` in that hour.
        load_s: how long filling took, seconds.
    """

    folder: str
    samples: int
    spans: int
    hour_ns: int
    asked: list[tuple[str, str]]
    cohort: list[int]
    load_s: float

    @property
    def lake_url(self) -> str:
        """Where the lake is."""
        return f"{self.folder}/lake"

    def table_bytes(self) -> dict[str, int]:
        """The bytes of the active files of each table."""
        tables = [path for path in Path(self.lake_url, "default").iterdir() if (path / "_delta_log").is_dir()]
        return {path.name: sum(DeltaTable(path).get_add_actions()["size_bytes"].to_pylist()) for path in tables}


class ShiftedClock:
    """The machine's clock, some time ahead."""

    def __init__(self, ahead_ns: int = 0) -> None:
        self._ahead_ns = ahead_ns

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns() + self._ahead_ns


def filled(folder: Path, samples: int) -> Filled:
    """The store in a folder, filled now unless it is already."""
    noted = folder / f"bench-{samples}.json"
    if not noted.exists():
        folder.mkdir(parents=True, exist_ok=True)
        noted.write_text(json.dumps(asdict(_fill(folder, samples))))
    return Filled(**json.loads(noted.read_text()) | {"folder": str(folder)})


def _fill(folder: Path, samples: int) -> Filled:
    begun_s, rng = time.perf_counter(), np.random.default_rng(7)
    start_ns = (time.time_ns() // HOUR_NS - HOURS - 1) * HOUR_NS
    asked: list[tuple[str, str]] = []
    cohort: list[int] = []
    stored = spans = 0
    with open_lake(f"{folder}/lake", clock=ShiftedClock()) as lake:
        lake.maintenance.start()
        waiting: deque[Future[Receipt]] = deque()
        for service, tables in _load(start_ns, samples):
            waiting.append(_submit(lake, tables, waiting))
            stored, spans = stored + len(tables.samples), spans + len(tables.spans)
            asked += _some(tables, rng, 1 + _ASKED * len(tables.samples) // samples)
            if service is HOT and len(tables.spans):
                cohort += rng.choice(tables.spans["span"].to_numpy(), 1 + COHORT // 60).tolist()
            _tell(stored, samples, len(tables.samples))
        while waiting:
            waiting.popleft().result()
        lake.maintenance.stop()
    _close_hours(folder)
    rng.shuffle(asked)
    hour_ns = start_ns + (HOURS - 1) * HOUR_NS
    return Filled(str(folder), stored, spans, hour_ns, asked, cohort[:COHORT], time.perf_counter() - begun_s)


def _load(start_ns: int, samples: int) -> Iterator[tuple[Service, Tables]]:
    """Minute by minute what all services send; the hot one sends in the last hour only."""
    others = [Service(f"service-{i}") for i in range(OTHERS)]
    stacks = {}
    for service in [*others, HOT]:
        symbols, stacks[service.name] = service.symbols()
        yield service, symbols
    a_window = max(INSTANCES, samples * 4 // 5 // (OTHERS * HOURS * WINDOWS))
    hot_window = max(INSTANCES, samples // 5 // WINDOWS)
    for hour in range(HOURS):
        at_ns = start_ns + hour * HOUR_NS
        loads = [
            (service, service.load(stacks[service.name], at_ns, WINDOWS, a_window, INSTANCES, hash((i, hour)) % 2**32))
            for i, service in enumerate(others)
        ]
        if hour == HOURS - 1:
            loads.append((HOT, HOT.load(stacks[HOT.name], at_ns, WINDOWS, hot_window, INSTANCES, 99)))
        for minute in zip(*(load for _, load in loads), strict=True):
            yield from zip((service for service, _ in loads), minute, strict=True)


def _submit(lake: LakeStore, tables: Tables, waiting: "deque[Future[Receipt]]") -> "Future[Receipt]":
    while len(waiting) >= _PENDING * (OTHERS + 1):
        waiting.popleft().result()
    while True:
        try:
            return lake.submit(tables)
        except Overloaded:
            waiting.popleft().result()


def _some(tables: Tables, rng: np.random.Generator, count: int) -> list[tuple[str, str]]:
    """Ids of a few spans, as URLs spell them."""
    if not len(tables.spans):
        return []
    rows = tables.spans[rng.integers(0, len(tables.spans), count).tolist()]
    return [
        (str(TraceId(hi, lo)), format_span_id(span))
        for hi, lo, span in rows.select("trace_hi", "trace_lo", "span").rows()
    ]


def _tell(stored: int, samples: int, step: int) -> None:
    if stored * 10 // samples > (stored - step) * 10 // samples:
        say(f"filling the store: {stored:,} of {samples:,} samples")


def _close_hours(folder: Path) -> None:
    """Merge as happens when an hour is over and nothing arrives any more."""
    say("filling the store: merging")
    with open_lake(f"{folder}/lake", clock=ShiftedClock(2 * HOUR_NS)) as lake:
        while lake.maintenance.run_once().merged:
            pass
