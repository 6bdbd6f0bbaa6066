"""A sender that keeps a server busy over many connections, and notes what was acknowledged when."""

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.bench import payloads

_DOORS = {
    "pprof": ("/ingest?name=checkout&format=pprof", "application/octet-stream"),
    "spans": ("/v1/traces", "application/x-protobuf"),
}
_WARM_UP_S = 3.0


@dataclass
class _Tally:
    """What came back, from all threads.

    Attributes:
        acknowledged: when each positive answer came, and how long it took, seconds.
        refused: how often the server asked to try again later.
        failed: other answers, with the first of them.
    """

    acknowledged: list[tuple[float, float]] = field(default_factory=list)
    refused: int = 0
    failed: list[str] = field(default_factory=list)


def send(host: str, kind: str, size: int, connections: int, seconds: float) -> dict[str, Any]:
    """Send distinct payloads for some time.

    Args:
        host: host and port.
        kind: "pprof" or "spans".
        size: samples or spans in each payload.
        connections: how many requests wait for their answer at the same time.
        seconds: how long, after a warm-up.
    """
    make = {"pprof": payloads.cpu_profile, "spans": payloads.span_export}[kind]
    template = make(size, time.time_ns())
    begun_s, tally = time.perf_counter(), _Tally()
    until_s = begun_s + _WARM_UP_S + seconds
    threads = [
        threading.Thread(target=_send, args=(host, kind, template, seed, until_s, tally)) for seed in range(connections)
    ]
    cpu_s = time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = [took for at, took in tally.acknowledged if begun_s + _WARM_UP_S <= at <= until_s]
    p50, p99 = np.percentile(counted, [50, 99]).tolist() if counted else (0.0, 0.0)
    return {
        "payload_bytes": len(template.body),
        "all_count": len(tally.acknowledged),
        "per_s": len(counted) / seconds,
        "p50_s": p50,
        "p99_s": p99,
        "refused": tally.refused,
        "failed": tally.failed[:3],
        "client_cpu_s": time.process_time() - cpu_s,
    }


def _send(host: str, kind: str, template: payloads.Template, seed: int, until_s: float, tally: _Tally) -> None:
    path, media_type = _DOORS[kind]
    rng = np.random.default_rng(seed)
    connection = http.client.HTTPConnection(host, timeout=60)
    while time.perf_counter() < until_s:
        body = template.varied(rng, time.time_ns() - int(rng.integers(0, 10**9)))
        begun_s = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": media_type})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status == 200:
            now_s = time.perf_counter()
            tally.acknowledged.append((now_s, now_s - begun_s))
        elif answer.status in (429, 503):
            tally.refused += 1
            time.sleep(float(answer.headers.get("Retry-After", "1")))
        else:
            tally.failed.append(f"{answer.status} {said[:200]!r}")
            time.sleep(0.1)
