"""Two api processes, three workers and two clocks over one lake, one database and one broker, all of them real.

A worker is killed, the broker goes away and comes back empty, and the clocks start every pull twice. Nothing is lost
and nothing is stored twice.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from deltalake import DeltaTable

from tests.fakes.tempo import FakeSpan, FakeTempo
from tests.support.postgres import postgres
from tests.support.seaweed import Bucket, seaweed
from tests.support.server import free_port
from tests.support.tempo import tempo_on_socket
from tests.support.valkey import Valkey, valkey

pytestmark = pytest.mark.slow

PUSH_S = 14.0
OUTAGE_S = 60.0
NS = 1_000_000_000


class Traffic:
    """Writes traces of three spans into a Tempo; the third of each comes a second late."""

    def __init__(self, tempo: FakeTempo) -> None:
        self.lock = threading.Lock()
        self.pushed: set[str] = set()
        self._tempo = tempo
        self._late: list[tuple[float, FakeSpan]] = []
        self._dice = random.Random(7)

    def run(self, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self._trace()
            self._flush(time.monotonic())
            time.sleep(0.02)
        self._flush(float("inf"))

    def _trace(self) -> None:
        trace, now = f"{self._dice.getrandbits(128):032x}", time.time_ns()
        spans = [
            FakeSpan(trace, f"{self._dice.getrandbits(64) | 1:016x}", "shop", f"step {i}", now - 50_000_000, now)
            for i in range(3)
        ]
        self._late.append((time.monotonic() + 1.0, spans[2]))
        self._push(spans[:2])

    def _flush(self, until: float) -> None:
        due = [span for at, span in self._late if at <= until]
        self._late = [(at, span) for at, span in self._late if at > until]
        self._push(due)

    def _push(self, spans: list[FakeSpan]) -> None:
        with self.lock:
            self._tempo.now_ns = time.time_ns()
            self._tempo.push(spans)
        self.pushed |= {span.span_id for span in spans}


@contextmanager
def processes(
    folder: Path, more_env: Mapping[str, str], **settings: str
) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `correlate …` with settings; all are gone at the end."""
    env = os.environ | more_env | {f"CORRELATE_{name.upper()}": value for name, value in settings.items()}
    started: list[subprocess.Popen[bytes]] = []

    def start(*args: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "correlate.cli.main", *args]
        with (folder / f"{args[0]}-{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for(probe: Callable[[], Any], seconds: float, what: str) -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := probe():
                return answer
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.2)


def stored_spans(lake: Bucket) -> pl.DataFrame:
    """Every row of the spans table, as any reader of Delta tables sees it."""
    options = lake.env | {"AWS_ALLOW_HTTP": "true"} if lake.env else None
    files = DeltaTable(f"{lake.url}/default/spans", storage_options=options).file_uris()
    return pl.read_parquet(files, columns=["span", "payload"], storage_options=options)


def source(api: str) -> dict[str, Any]:
    """How the source is, asked at one api."""
    found = httpx.get(f"{api}/api/v1/sources", timeout=10).json()["sources"]
    return dict(found[0]) if found else {}


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a state database."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/state.db"
    else:
        with postgres() as url:
            yield url


@contextmanager
def lake(kind: str, folder: Path) -> Iterator[Bucket]:
    """Where the lake is."""
    if kind == "folder":
        yield Bucket(str(folder / "lake"), {})
    else:
        with seaweed(folder / "weed") as bucket:
            yield bucket


@pytest.mark.parametrize(
    ("database_kind", "lake_kind"), [("postgresql", "folder"), ("sqlite", "folder"), ("postgresql", "s3")]
)
def test_nothing_is_lost_and_nothing_is_twice(tmp_path: Path, database_kind: str, lake_kind: str) -> None:
    """Through a killed worker, a lost broker, and two clocks."""
    tempo = FakeTempo(now_ns=time.time_ns())
    traffic = Traffic(tempo)
    with ExitStack() as stack:
        broker: Valkey = stack.enter_context(valkey())
        config = {"name": "tempo", "kind": "tempo", "url": stack.enter_context(tempo_on_socket(tempo, traffic.lock))}
        pace = {"lag_s": 3, "every_s": 0.5, "step_s": 5, "backfill_s": 30, "deadline_s": 10}
        bucket = stack.enter_context(lake(lake_kind, tmp_path))
        start = stack.enter_context(
            processes(
                tmp_path,
                bucket.env,
                broker_url=broker.url,
                state_url=stack.enter_context(database(database_kind, tmp_path)),
                lake_url=bucket.url,
                data_dir=str(tmp_path / "data"),
                sources=json.dumps([config | pace]),
                lease_s="3",
                otlp_grpc="off",
                otlp_http="off",
            )
        )
        ports = [free_port(), free_port()]
        apis = [f"http://127.0.0.1:{port}" for port in ports]
        for port in ports:
            start("api", "--http", f"127.0.0.1:{port}")
        workers = [start("worker", "--threads", "2") for _ in range(3)]
        start("beat")
        start("beat")
        wait_for(lambda: source(apis[0]).get("pulls"), 60, "the first pull")
        pushing = threading.Thread(target=traffic.run, args=(PUSH_S,))
        pushing.start()
        time.sleep(4)
        workers[0].kill()
        time.sleep(2)
        broker.kill()
        time.sleep(OUTAGE_S)
        broker.start()
        pushing.join()
        done_ns = time.time_ns()
        wait_for(lambda: source(apis[1])["until_ns"] > done_ns, 90, "the last pull")
        status = source(apis[1])
        rows = stored_spans(bucket)
    assert status["dead"] == 0
    assert {f"{span % (1 << 64):016x}" for span in rows["span"].to_list()} == traffic.pushed
    assert len(rows) == len(traffic.pushed) > 500
