"""Many spans at once, over HTTP: a cohort chosen by a query, and an hour of a service joined without labels."""

import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from tests.bench.generate import SAMPLES_A_SPAN
from tests.bench.ingest import watched
from tests.bench.report import Measured, at_most, say
from tests.bench.store import COHORT, HOT, HOUR_NS, Filled
from tests.bench.unlabelled import Hour, filled_hour
from tests.support.server import served

COHORT_MS, JOIN_S = 300.0, 10.0
_REPEATS = 7


def cohort(store: Filled) -> list[Measured]:
    """Ten thousand spans by service, name and duration, to a flame graph with intervals."""
    spans = store.samples // 5 // SAMPLES_A_SPAN
    least_ns = round(200e6 - 180e6 * min(1.0, COHORT / spans))  # durations are uniform from 20 to 200 ms
    query = f'{{ resource.service.name = "{HOT.name}" && name = "GET /items" && duration >= {least_ns}ns }}'
    params = {"q": query, "from": str(store.hour_ns), "to": str(store.hour_ns + HOUR_NS)}
    say("cohort over HTTP")
    with served(Path(store.folder)) as server, httpx.Client(base_url=server.url, timeout=120.0) as client:
        times_ms, answer = _asked(client, params)
    chosen, samples = answer["cohort"]["chosen"], answer["coverage"]["samples"]
    what = f"{chosen:,} of {spans:,} spans by a query, {samples:,} samples, over HTTP"
    more = f"best {min(times_ms):.0f}, first {times_ms[0]:.0f}; scope subtree, with intervals"
    return [at_most("cohort", what, float(np.median(times_ms[1:])), COHORT_MS, "ms", more)]


def join(folder: Path) -> list[Measured]:
    """An hour at 100 Hz and 50 threads with 200 spans a second, no labels: by thread and time, unmixed, shared out."""
    hour = filled_hour(folder / "hour")
    return [line for method in ("thread_time", "unmixed", "window") for line in _joined(hour, method)]


def _joined(hour: Hour, method: str) -> list[Measured]:
    say(f"join: {method}")
    query = f'{{ resource.service.name = "{hour.service}" && name = "operation-0" }}'
    params = {"q": query, "from": str(hour.start_ns), "to": str(hour.start_ns + HOUR_NS), "method": method}
    with (
        served(hour.folder, retention_days="36500") as server,
        watched(server.process.pid) as watch,
        httpx.Client(base_url=server.url, timeout=600.0) as client,
    ):
        begun_s, cpu_s = time.perf_counter(), watch.cpu_s()
        found = client.get("/api/v1/cohorts/profile", params=params)
        took_s, cpu_s = time.perf_counter() - begun_s, watch.cpu_s() - cpu_s
        answer = found.json()
        peak = f"peak {max(watch.rss_mib):.0f} MiB"
    what = f"{method}, {hour.samples:,} samples, {hour.spans:,} spans, over HTTP"
    if found.status_code != httpx.codes.OK:
        return [Measured("join", what, f"{answer.get('detail', found.text)[:90]} ({took_s:.1f} s)")]
    share = answer["total"] / hour.true_value
    more = f"{took_s:.1f} s on the clock, {peak}; {share:.3f} of what is truly the operation's was given to it"
    return [at_most("join", what, cpu_s, JOIN_S, "s CPU", more)]


def _asked(client: httpx.Client, params: dict[str, str]) -> tuple[list[float], dict[str, Any]]:
    times_ms = []
    for _ in range(_REPEATS):
        begun_s = time.perf_counter()
        answer = client.get("/api/v1/cohorts/profile", params=params)
        times_ms.append((time.perf_counter() - begun_s) * 1e3)
        answer.raise_for_status()
    return times_ms, answer.json()
