"""pprof bytes to tables, on one core."""

import time
from typing import Any

from correlate.formats import registry
from correlate.model.payload import PayloadKind, RawPayload
from tests.bench import payloads
from tests.bench.isolated import call
from tests.bench.report import Measured, at_least, say

MB_S, SAMPLES_S = 100.0, 1e6
_SECONDS = 4.0
_TIME_NS = 1_700_000_000_000_000_000


def decode() -> list[Measured]:
    """Decode, link and hash profiles as a push of raw pprof does."""
    lines = []
    for kind in ("cpu", "heap"):
        say(f"decode: {kind} profile")
        found = call("tests.bench.decode:measure", one_core=True, kind=kind)
        of = f"{kind} profile, {found['samples']:,} samples, {found['bytes'] / 1e6:.2f} MB raw"
        spread = f"best {found['bytes'] / 1e6 / found['best_s']:.0f}, {found['median_s'] * 1e3:.1f} ms each"
        lines += [
            at_least("decode", of, found["bytes"] / 1e6 / found["median_s"], MB_S, "MB/s", spread),
            at_least("decode", "  its samples", found["samples"] / found["median_s"], SAMPLES_S, "samples/s"),
        ]
    return lines


def measure(kind: str) -> dict[str, Any]:
    """Read one profile again and again; CPU time of this process, which is what one core is busy with."""
    make, count = {
        "cpu": (payloads.cpu_profile, payloads.CPU_SAMPLES),
        "heap": (payloads.heap_profile, payloads.HEAP_SAMPLES),
    }[kind]
    body = make(count, _TIME_NS).body
    payload = RawPayload(
        PayloadKind.PYROSCOPE_INGEST, body, _TIME_NS + 10**10, params={"name": "checkout", "format": "pprof"}
    )
    rows = len(registry.read(payload).samples)
    times_s = []
    end_s = time.perf_counter() + _SECONDS
    while time.perf_counter() < end_s:
        begun_s = time.process_time()
        registry.read(payload)
        times_s.append(time.process_time() - begun_s)
    times_s.sort()
    return {
        "bytes": len(body),
        "samples": count,
        "rows": rows,
        "median_s": times_s[len(times_s) // 2],
        "best_s": times_s[0],
    }
