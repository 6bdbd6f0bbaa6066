"""Standing in front of another backend: what was accepted reaches it, whatever happens to either side."""

import gzip
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.support.requests import on_wire, span, spans_request
from tests.support.server import Served, served

Answer = Callable[[bytes], int]
QUICK = {"commit_linger_s": "0.02"}


class Upstream:
    """A backend that answers as it is told and remembers what it took."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: 200
        self.pause_s = 0.0
        self.taken: list[bytes] = []
        self.seen: list[tuple[str, dict[str, str]]] = []


@contextmanager
def upstream(port: int = 0) -> Iterator[tuple[Upstream, str]]:
    """Run a backend while the block lasts."""
    told = Upstream()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            time.sleep(told.pause_s)
            status = told.answer(body)
            told.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            if status == HTTPStatus.OK:
                told.taken.append(body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.send_header("retry-after", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def body(number: int) -> bytes:
    """A request with one span, now."""
    return on_wire(spans_request(span(number + 1, number + 1, start_ns=time.time_ns())))


def post(url: str, one: bytes, client: httpx.Client | None = None) -> bool:
    """Whether a request was accepted."""
    try:
        headers = {"content-type": "application/x-protobuf", "user-agent": "the-sender/1"}
        answer = (client or httpx).post(f"{url}/v1/traces", content=one, headers=headers, timeout=10)
    except httpx.HTTPError:
        return False
    return answer.status_code == HTTPStatus.OK


def targets(*entries: dict[str, Any]) -> dict[str, str]:
    """The setting `forward` as the environment spells it."""
    return QUICK | {"forward": orjson.dumps(entries).decode()}


def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait until something is so."""
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)


def waiting(server: Served, target: str) -> float:
    """How many payloads wait for a target, from the metrics."""
    text = httpx.get(f"{server.url}/metrics").text
    (line,) = [line for line in text.splitlines() if line.startswith(f'correlate_forward_waiting{{target="{target}"}}')]
    return float(line.rpartition(" ")[2])


def test_everything_accepted_arrives_through_kill_9_and_a_bad_upstream(tmp_path: Path) -> None:
    """The backend is down, slow, busy and picky, the process is killed in the middle: at least once, in order."""
    accepted: list[bytes] = []
    with upstream() as (backend, url):
        settings = targets({"name": "back", "kind": "otlp_http", "url": url, "timeout_s": 2})
        poison = body(1000)
        moods = iter([503, 429, 502, 200, 503, 200])
        backend.answer = lambda _: next(moods, 503)
        with served(tmp_path / "data", **settings) as server:
            for number in range(12):
                one = body(number)
                if post(server.url, one):
                    accepted.append(one)
            assert post(server.url, poison)
            server.kill()
        backend.answer = lambda got: 400 if got == poison else 200
        backend.pause_s = 0.005
        with served(tmp_path / "data", **settings) as server:
            with ThreadPoolExecutor(4) as pool:
                more = [body(2000 + number) for number in range(8)]
                done = pool.map(lambda one: post(server.url, one), more)
                accepted += [one for one, ok in zip(more, done, strict=True) if ok]
            server.kill()
        with served(tmp_path / "data", **settings) as server:
            eventually(lambda: waiting(server, "back") == 0)
            assert server.terminate() == 0
    assert len(accepted) == 20
    assert set(accepted) <= set(backend.taken)
    assert len(backend.taken) - len(set(backend.taken)) <= 4  # one can be under way at each kill
    firsts = list(dict.fromkeys(one for one in backend.taken if one in accepted[:12]))
    assert firsts == accepted[:12]
    assert poison not in backend.taken
    letters = (tmp_path / "data/forward/back/refused.jsonl").read_bytes().splitlines()
    assert {orjson.loads(line)["reason"].partition(" answered ")[2][:3] for line in letters} == {"400"}
    path, headers = backend.seen[0]
    assert path == "/v1/traces"
    assert headers["user-agent"] == "the-sender/1"
    assert headers["content-type"] == "application/x-protobuf"


def test_a_backend_that_is_down_is_in_nobodys_way(tmp_path: Path) -> None:
    """Senders get their answers as fast as without it; a full queue is counted; everything else arrives later."""
    with upstream() as (backend, url):
        backend.answer = lambda _: 503
        settings = targets(
            {"name": "full", "kind": "otlp_http", "url": url, "max_bytes": 800},
            {"name": "hangs", "kind": "otlp_http", "url": url, "timeout_s": 1},
        )
        with served(tmp_path / "data", **settings) as server:
            started = time.monotonic()
            assert all(post(server.url, body(number)) for number in range(12))
            assert time.monotonic() - started < 15
            metrics = httpx.get(f"{server.url}/metrics").text
            assert waiting(server, "hangs") == 12
            dropped = [line for line in metrics.splitlines() if line.startswith("correlate_forward_dropped_total")]
            assert any('"full"' in line and not line.endswith(" 0.0") for line in dropped)
            assert any('"hangs"' in line and line.endswith(" 0.0") for line in dropped)
            assert server.terminate() == 0


@pytest.mark.parametrize("kind", [pytest.param("otlp_http", marks=pytest.mark.slow), "otlp_grpc"])
def test_a_second_correlate_holds_the_same(tmp_path: Path, kind: str) -> None:
    """Spans and Pyroscope pushes sent to the first can be asked for at the second."""
    with served(tmp_path / "back", **QUICK) as back:
        url = back.url if kind == "otlp_http" else f"http://{back.grpc}"
        settings = targets(
            {"name": "spans", "kind": kind, "url": url}, {"name": "profiles", "kind": "pyroscope", "url": back.url}
        )
        with served(tmp_path / "front", **settings) as front:
            for number in range(10):
                assert post(front.url, body(number))
            now_s = int(time.time())
            query = {"name": "shop.cpu{region=eu}", "from": now_s - 10, "until": now_s, "sampleRate": "100"}
            folded = httpx.post(f"{front.url}/ingest", params=query, content=b"main;work 7\nmain;rest 3\n")
            assert folded.status_code == HTTPStatus.OK, folded.text
            eventually(lambda: waiting(front, "spans") == waiting(front, "profiles") == 0)
            there, here = (
                httpx.get(f"{server.url}/api/v1/{what}").json()
                for what in ("profile-types",)
                for server in (back, front)
            )
            assert there == here
            assert [t["total"] for t in there["profile_types"]] == [100_000_000]
            spans = httpx.get(f"{back.url}/api/v1/services").json()["services"]
            assert {each["service"]: each["span_count"] for each in spans} == {"shop": 10}


def test_the_pipeline_is_for_what_is_stored_not_for_what_is_passed_on(tmp_path: Path) -> None:
    """A service that is left out here is answered with a remark, and reaches the backend untouched."""
    steps = [{"name": "no shops", "exclude": {"attributes": [{"key": "service.name", "value": "shop"}]}}]
    with upstream() as (backend, url):
        settings = targets({"name": "back", "kind": "otlp_http", "url": url})
        with served(tmp_path / "data", **settings, pipeline=orjson.dumps(steps).decode()) as server:
            one = body(1)
            for _ in range(2):
                assert post(server.url, one)
            eventually(lambda: backend.taken == [one, one])
            assert httpx.get(f"{server.url}/api/v1/services").json()["services"] == []
            metrics = httpx.get(f"{server.url}/metrics").text
            assert 'correlate_pipeline_dropped_total{signal="spans",step="no shops"} 2.0' in metrics
            now_s = int(time.time())
            folded = httpx.post(
                f"{server.url}/ingest",
                params={"name": "shop.cpu", "from": now_s - 10, "until": now_s},
                content=b"main;work 7\n",
            )
            assert folded.status_code == HTTPStatus.OK
            assert "no shops" in folded.headers["x-correlate-rejected-profiles"]
