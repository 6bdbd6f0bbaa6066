"""An hour of a service whose profiler knows threads and times and no labels: 50 threads, 100 Hz, 200 spans a second."""

import json
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from correlate.storage.lake import open_lake
from correlate.tables import hashing
from correlate.tables.schema import ATTRIBUTES, PROFILES, SAMPLES, SERIES, SPANS
from correlate.tables.tables import Tables, check
from tests.bench.generate import CPU, PERIOD_NS, Service
from tests.bench.report import say
from tests.bench.store import HOUR_NS, ShiftedClock

THREADS, OPERATIONS, SPANS_A_SECOND = 50, 6, 200
_MINUTE_NS = 60 * 10**9
_REQUEST_NS = THREADS * 4 * 10**9 // SPANS_A_SECOND  # every thread is always busy; a request is a root and 3 children


@dataclass(frozen=True)
class Hour:
    """What was stored, and what is true of it.

    Attributes:
        folder: the data folder.
        service: its name.
        start_ns: when the hour begins.
        samples: samples stored.
        spans: spans stored.
        true_value: CPU nanoseconds of the samples that belong to requests of ``operation-0``.
    """

    folder: Path
    service: str
    start_ns: int
    samples: int
    spans: int
    true_value: int


def filled_hour(folder: Path) -> Hour:
    """The hour in a folder, filled now unless it is already."""
    noted = folder / "hour.json"
    if not noted.exists():
        folder.mkdir(parents=True, exist_ok=True)
        noted.write_text(json.dumps(asdict(_fill(folder)), default=str))
    return Hour(**json.loads(noted.read_text()) | {"folder": folder})


def _fill(folder: Path) -> Hour:
    say("filling an hour without labels")
    service, rng = Service("unlabelled"), np.random.default_rng(11)
    start_ns = (time.time_ns() // HOUR_NS - 2) * HOUR_NS
    symbols, stacks = service.symbols()
    load = np.exp(rng.normal(0, 0.7, (360, OPERATIONS)))  # the mix of operations is drawn anew every 10 s
    samples = spans = true = 0
    with open_lake(f"{folder}/lake", clock=ShiftedClock()) as lake:
        lake.submit(symbols).result()
        waiting: deque[Any] = deque()
        for minute in range(60):
            mix = load[minute * 6 : minute * 6 + 6]
            tables, mine = _minute(service, stacks, rng, start_ns + minute * _MINUTE_NS, mix)
            waiting.append(lake.submit(tables))
            samples, spans, true = samples + len(tables.samples), spans + len(tables.spans), true + mine
            while len(waiting) > 2:
                waiting.popleft().result()
        while waiting:
            waiting.popleft().result()
    with open_lake(f"{folder}/lake", clock=ShiftedClock(2 * HOUR_NS)) as lake:
        while lake.maintenance.run_once().merged:
            pass
    return Hour(folder, service.name, start_ns, samples, spans, true)


def _minute(service: Service, stacks: Any, rng: np.random.Generator, start_ns: int, mix: Any) -> tuple[Tables, int]:
    """A minute of requests back to back on every thread, and of samples every 10 ms on every thread."""
    requests = _MINUTE_NS // _REQUEST_NS
    thread, number = (each.ravel() for each in np.meshgrid(np.arange(THREADS), np.arange(requests), indexing="ij"))
    begin = start_ns + number * _REQUEST_NS
    part = np.minimum((number * _REQUEST_NS) // (10 * 10**9), 5)
    odds = np.cumsum(mix / mix.sum(axis=1, keepdims=True), axis=1)
    operation = (rng.random(len(number))[:, None] > odds[part]).sum(axis=1)
    ids = rng.integers(1, 2**62, (3, len(number)), dtype=np.int64)
    ticks = np.arange(start_ns, start_ns + _MINUTE_NS, PERIOD_NS)
    when = np.tile(ticks, THREADS)
    owner = np.repeat(np.arange(THREADS), len(ticks)) * requests + (when - start_ns) // _REQUEST_NS
    own = operation[np.minimum(owner, len(operation) - 1)]
    pick = (rng.beta(1, 8, len(when)) * (len(stacks) // OPERATIONS)).astype(np.int64)
    columns = {
        "service": np.full(len(when), service.id),
        "type": np.full(len(when), hashing.hash_one(CPU)),
        "series": np.full(len(when), service.id ^ 1),
        "profile": np.full(len(when), start_ns ^ service.id),
        "time_ns": when,
        "duration_ns": np.zeros(len(when), np.int64),
        "thread": 1000 + np.repeat(np.arange(THREADS), len(ticks)),
        "stack": stacks[own * (len(stacks) // OPERATIONS) + pick],
        "value": np.full(len(when), PERIOD_NS),
        "weight": np.ones(len(when), np.int64),
    }
    samples = pl.DataFrame(columns).with_columns(
        pl.lit(0).alias(name) for name in ("trace_hi", "trace_lo", "span", "evidence")
    )
    spans = pl.concat([_spans(service, ids, thread, begin, operation, child) for child in range(4)])
    profile = _profile(service, start_ns, samples)
    tables = Tables(
        samples=samples.select(pl.col(name).cast(kind) for name, kind in SAMPLES.items()),
        spans=spans,
        profiles=profile,
        series=pl.DataFrame([[0, service.id, service.name, 0, "", []]], schema=SERIES, orient="row"),
    )
    return check(tables), int((own == 0).sum()) * PERIOD_NS


def _spans(service: Service, ids: Any, thread: Any, begin: Any, operation: Any, child: int) -> pl.DataFrame:
    """The roots (0), or the first, second or third children of all requests."""
    step = _REQUEST_NS // 5
    names = [
        f"operation-{number}" if child == 0 else f"operation-{number} step {child}" for number in range(OPERATIONS)
    ]
    columns = {
        "trace_hi": ids[0],
        "trace_lo": ids[1],
        "span": ids[2] + child,
        "parent": np.zeros(len(begin), np.int64) if child == 0 else ids[2],
        "name": pl.Series(names)[operation],
        "start_ns": begin + child * step,
        "duration_ns": np.full(len(begin), _REQUEST_NS if child == 0 else step),
        "thread": 1000 + thread,
        "payload": begin,
    }
    fixed = {"service": service.name, "kind": 2, "status": 0, "status_message": "", "profile_ref": ""}
    fixed |= {"series": 0, "scope": "bench"}
    empty = pl.lit([], dtype=ATTRIBUTES).alias("attributes")
    return pl.DataFrame(columns).select(
        empty
        if name == "attributes"
        else (pl.col(name) if name in columns else pl.lit(fixed[name])).cast(kind).alias(name)
        for name, kind in SPANS.items()
    )


def _profile(service: Service, start_ns: int, samples: pl.DataFrame) -> pl.DataFrame:
    row = {
        **dict.fromkeys(("profile_hi", "profile_lo", "labelled", "ambiguous", "received_ns"), 0),
        "profile": start_ns ^ service.id,
        "service": service.name,
        "type": CPU,
        "time_ns": start_ns,
        "duration_ns": _MINUTE_NS,
        "period": PERIOD_NS,
        "sample_rows": len(samples),
        "sample_count": len(samples),
        "total": len(samples) * PERIOD_NS,
        "format": "otlp 1.10",
        "sender": "bench",
    }
    return pl.DataFrame([row]).select(pl.col(name).cast(kind) for name, kind in PROFILES.items())
