"""The profile of a span over HTTP, warm, with everything stored."""

import time
from pathlib import Path

import httpx
import numpy as np

from tests.bench.ingest import watched
from tests.bench.report import Measured, at_most, say
from tests.bench.store import Filled
from tests.support.server import served

P50_MS, P99_MS = 15.0, 50.0
_WARM_UP, _ASKED = 300, 1000


def span(store: Filled) -> list[Measured]:
    """Ask for random labelled spans, one after the other, over one connection."""
    say(f"span: {_ASKED} questions")
    with (
        served(Path(store.folder)) as server,
        watched(server.process.pid) as watch,
        httpx.Client(base_url=server.url, trust_env=False, timeout=60.0) as client,
    ):
        first_ms = _asked(client, store.asked[:1])[0]
        warm_up = store.asked[1 : 1 + _WARM_UP]
        _asked(client, warm_up)
        cpu_s = watch.cpu_s()
        times_ms = _asked(client, store.asked[1 + _WARM_UP :][:_ASKED])
        cpu_ms = (watch.cpu_s() - cpu_s) * 1e3 / len(times_ms)
        http_ms = np.median([_timed(client, "/healthz")[0] for _ in range(200)])
    p50, p90, p99 = np.percentile(times_ms, [50, 90, 99]).tolist()
    stored = f"{store.samples:,} samples and {store.spans:,} spans stored"
    more = f"p90 {p90:.1f}, least {min(times_ms):.1f}, {cpu_ms:.1f} ms CPU of the server; an empty answer {http_ms:.1f}"
    return [
        at_most("span", f"p50 of {len(times_ms)}, {stored}", p50, P50_MS, "ms", more),
        at_most("span", "  p99", p99, P99_MS, "ms", f"most {max(times_ms):.0f}; the very first {first_ms:.0f}"),
        Measured("span", "  peak memory of serve", f"{max(watch.rss_mib):.0f} MiB"),
    ]


def _asked(client: httpx.Client, spans: list[tuple[str, str]]) -> list[float]:
    """Milliseconds of each question; every one must have an answer."""
    times_ms = []
    for trace_id, span_id in spans:
        took_ms, answer = _timed(client, f"/api/v1/spans/{trace_id}/{span_id}/profile?scope=subtree")
        answer.raise_for_status()
        times_ms.append(took_ms)
    return times_ms


def _timed(client: httpx.Client, path: str) -> tuple[float, httpx.Response]:
    begun_s = time.perf_counter()
    answer = client.get(path)
    return (time.perf_counter() - begun_s) * 1e3, answer
