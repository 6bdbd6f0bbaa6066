"""Sustained ingest over real sockets into a server that commits before it answers, and what it costs the server."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.bench import payloads
from tests.bench.isolated import result_of, start
from tests.bench.report import Measured, at_least, at_most, say
from tests.support.server import Served, served

MB_S, SPANS_S, RSS_MIB = 40.0, 60_000.0, 1024.0
FLAT = 1.15  # the last quarter of the time against the second
_EVERY_S = 0.25
_TICKS_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Load(NamedTuple):
    """What a client sends: kind, samples or spans in a payload, and connections."""

    row: str
    kind: str
    size: int
    connections: int


PPROF = Load("ingest", "pprof", payloads.PUSH_SAMPLES, 32)
SPANS = (Load("spans", "spans", 512, 64), Load("spans", "spans", 5000, 16))


class Watched:
    """Memory and CPU time of another process, sampled."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")
        self.rss_mib: list[float] = []
        self._stop = threading.Event()

    def cpu_s(self) -> float:
        """CPU time so far, of all its threads."""
        after_name = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / _TICKS_S

    def run(self) -> None:
        """Sample until `stop`."""
        while not self._stop.wait(_EVERY_S):
            resident = int((self._proc / "statm").read_text().split()[1])
            self.rss_mib.append(resident * _PAGE_BYTES / 2**20)

    def stop(self) -> None:
        """Sample no more."""
        self._stop.set()

    @property
    def growth(self) -> float:
        """The last quarter of the samples against the second one: 1 is flat."""
        quarter = len(self.rss_mib) // 4
        return float(np.median(self.rss_mib[-quarter:]) / np.median(self.rss_mib[quarter : 2 * quarter]))


@contextmanager
def watched(pid: int) -> Iterator[Watched]:
    """Watch a process until the block is left."""
    watch = Watched(pid)
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        thread.join()


def ingest(folder: Path, seconds: float) -> list[Measured]:
    """Push profiles."""
    return _measured(PPROF, folder, seconds)


def spans(folder: Path, seconds: float) -> list[Measured]:
    """Export spans, in batches as SDKs send them and as collectors do."""
    return [line for load in SPANS for line in _measured(load, folder, seconds)]


def _measured(load: Load, folder: Path, seconds: float) -> list[Measured]:
    say(f"{load.row}: {load.kind}, {load.size} in a payload, {load.connections} connections, {seconds:g} s")
    with served(folder / f"{load.kind}-{load.size}") as server, watched(server.process.pid) as watch:
        cpu_s, before_mib = watch.cpu_s(), _first_rss(watch)
        found = result_of(_client(server, load, seconds))
        cpu_s = watch.cpu_s() - cpu_s
    if found["failed"]:
        say(f"{load.row}: refused for good: {found['failed']}")
    sent_mb = found["all_count"] * found["payload_bytes"] / 1e6
    mb_s = found["per_s"] * found["payload_bytes"] / 1e6
    more = f"answers p50 {found['p50_s']:.2f} s, p99 {found['p99_s']:.2f} s; {found['refused']} told to wait"
    of = f"{load.kind}, {load.size:,} in {found['payload_bytes'] / 1e6:.2f} MB"
    samples_s = f"{found['per_s'] * load.size:,.0f} samples/s; {more}"
    rate = (
        at_least(load.row, of, mb_s, MB_S, "MB/s", samples_s)
        if load.kind == "pprof"
        else at_least(load.row, of, found["per_s"] * load.size, SPANS_S, "spans/s", f"{mb_s:.0f} MB/s; {more}")
    )
    server_ms = f"{cpu_s / sent_mb * 1e3:.1f} ms CPU of the server and {found['client_cpu_s'] / sent_mb * 1e3:.1f} of"
    cost = Measured(load.row, "  CPU time", f"{server_ms} the client per MB, {_per_unit(found, load, cpu_s)}")
    peak = at_most(load.row, "  peak memory of serve", max(watch.rss_mib), RSS_MIB, "MiB", f"idle {before_mib:.0f}")
    flat = at_most(load.row, "  growth of its memory", watch.growth, FLAT, "x", "last quarter to second")
    return [rate, cost, peak, flat]


def _client(server: Served, load: Load, seconds: float) -> Any:
    return start(
        "tests.bench.client:send",
        host=server.url.removeprefix("http://"),
        kind=load.kind,
        size=load.size,
        connections=load.connections,
        seconds=seconds,
    )


def _first_rss(watch: Watched) -> float:
    while not watch.rss_mib:
        threading.Event().wait(_EVERY_S)
    return watch.rss_mib[0]


def _per_unit(found: dict[str, Any], load: Load, cpu_s: float) -> str:
    unit = {"pprof": "sample", "spans": "span"}[load.kind]
    return f"{cpu_s / max(1, found['all_count'] * load.size) * 1e6:.2f} µs a {unit}"
