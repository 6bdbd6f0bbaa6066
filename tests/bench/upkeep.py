"""What is cheap to look at: the size of what is stored, and the time until an empty server is ready."""

import time
from pathlib import Path

from tests.bench.ingest import Watched
from tests.bench.report import Measured, at_most, say
from tests.bench.store import Filled
from tests.support.server import served

BYTES_A_SAMPLE, READY_S = 6.0, 3.0
_OF_SAMPLES = ("samples", "stacks", "frames", "series", "profiles")
_STARTS = 3


def size(store: Filled) -> list[Measured]:
    """Bytes of the merged files."""
    sizes = store.table_bytes()
    of_samples = sum(sizes.get(name, 0) for name in _OF_SAMPLES)
    more = f"samples alone {sizes['samples'] / store.samples:.2f}"
    spans = f"{sizes['spans'] / max(1, store.spans):.1f} bytes a span, {store.spans:,} spans"
    loaded = f"{store.samples / store.load_s:,.0f} samples/s with their spans, merging included"
    return [
        at_most("size", "samples and symbols, a sample", of_samples / store.samples, BYTES_A_SAMPLE, "bytes", more),
        Measured("size", "  spans", spans),
        Measured("size", "  filling the store", loaded),
    ]


def ready(folder: Path) -> list[Measured]:
    """From the command to the first good answer of /readyz, on an empty folder."""
    times_s, cpu_s = [], []
    for number in range(_STARTS):
        say(f"ready: start {number + 1} of {_STARTS}")
        begun_s = time.perf_counter()
        with served(folder / f"empty-{number}") as server:
            times_s.append(time.perf_counter() - begun_s)
            cpu_s.append(Watched(server.process.pid).cpu_s())
    times_s.sort()
    more = f"best {times_s[0]:.2f}, {min(cpu_s):.2f} of CPU time"
    return [at_most("ready", "empty, median", times_s[_STARTS // 2], READY_S, "s", more)]
