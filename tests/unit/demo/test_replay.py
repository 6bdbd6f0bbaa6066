"""Replays over real sockets, against a server that does what the test wants."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from correlate.demo import replay as replay_module
from correlate.demo.replay import replay
from correlate.demo.traffic import Recorded
from correlate.errors import ConfigError, SourceUnreachable
from tests.fakes.server import serving

Seen = list[tuple[str, dict[str, str], bytes]]


@contextmanager
def server(answer: Callable[[int], Response]) -> Iterator[tuple[str, Seen]]:
    """A server that answers its n-th request as told, and remembers what it was sent."""
    app, seen, lock = FastAPI(), Seen(), threading.Lock()

    @app.post("/{path:path}")
    async def take(request: Request) -> Response:
        body = await request.body()
        with lock:
            seen.append((request.url.path, dict(request.headers), body))
            return answer(len(seen) - 1)

    with serving(app) as port:
        yield f"http://127.0.0.1:{port}/", seen


def ok(_number: int) -> Response:
    """Everything is accepted."""
    return Response()


def some(count: int) -> list[Recorded]:
    """Requests that differ in their bodies."""
    headers = {"content-type": "application/proto", "content-encoding": "gzip", "user-agent": "client/1"}
    return [Recorded(float(n), "/push.v1.PusherService/Push", headers, str(n).encode()) for n in range(count)]


def bodies(seen: Seen) -> list[str]:
    """What arrived, in order of arrival."""
    return [body.decode() for _, _, body in seen]


def test_requests_arrive_as_they_were_sent() -> None:
    """Path, body and the recorded headers arrive unchanged, in order when there is one connection."""
    with server(ok) as (url, seen):
        report = replay(some(5), url, concurrency=1)
    assert bodies(seen) == list("01234")
    path, headers, _ = seen[0]
    assert path == "/push.v1.PusherService/Push"
    assert (headers["content-encoding"], headers["user-agent"]) == ("gzip", "client/1")
    assert (report.sent, report.accepted, report.rejected, report.retried) == (5, 5, 0, 0)


def test_progress_is_told_once_per_request() -> None:
    """The listener hears 1 of n to n of n."""
    told: list[tuple[int, int]] = []
    with server(ok) as (url, _):
        replay(some(7), url, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 7) for done in range(1, 8)]


def test_shuffled_order_follows_the_seed() -> None:
    """The same seed gives the same order, which is not the recorded one."""
    orders = []
    for _ in range(2):
        with server(ok) as (url, seen):
            replay(some(30), url, order="shuffled", seed=3, concurrency=1)
        orders.append(bodies(seen))
    assert orders[0] == orders[1] != [str(n) for n in range(30)]
    assert sorted(orders[0], key=int) == [str(n) for n in range(30)]


def test_a_share_of_requests_is_repeated() -> None:
    """Repeats are sent byte for byte again and count as sent; a share of one repeats everything."""
    with server(ok) as (url, seen):
        assert replay(some(3), url, repeat_share=1.0, concurrency=1).sent == 6
    assert bodies(seen) == list("001122")
    with server(ok) as (url, seen):
        report = replay(some(40), url, repeat_share=0.3, seed=1)
    assert 40 < report.sent == len(seen) < 70


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again(status: int) -> None:
    """Retryable statuses are retried after the time the server names, and everything is accepted in the end."""
    busy = Response(status_code=status, headers={"retry-after": "0"})
    with server(lambda n: busy if n < 3 else Response()) as (url, seen):
        report = replay(some(2), url, concurrency=1)
    assert bodies(seen) == ["0", "0", "0", "0", "1"]
    assert (report.accepted, report.retried, report.rejected) == (2, 3, 0)


def test_a_server_that_stays_busy_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last attempt the request counts as rejected, with the reason."""
    monkeypatch.setattr(replay_module, "MAX_ATTEMPTS", 3)
    with server(lambda _: Response("full", 503, {"retry-after": "0"})) as (url, seen):
        report = replay(some(1), url)
    assert (len(seen), report.rejected, report.retried) == (3, 1, 2)
    assert report.reasons == ("/push.v1.PusherService/Push: 503 full",)


def test_a_refusal_is_final_and_costs_only_itself() -> None:
    """A 400 is not retried; the other requests are sent all the same."""
    with server(lambda n: Response("too old", 400) if n == 1 else Response()) as (url, _):
        report = replay(some(4), url, concurrency=1)
    assert (report.sent, report.accepted, report.rejected, report.retried) == (4, 3, 1, 0)
    assert report.reasons == ("/push.v1.PusherService/Push: 400 too old",)


def test_waits_grow_and_are_bounded() -> None:
    """Without a wish of the server waits double up to a limit; its wish is bounded too, nonsense is ignored."""
    assert [replay_module._wait_s(None, n, 1.0) for n in (0, 1, 2, 20)] == [0.1, 0.2, 0.4, 10.0]
    busy = [httpx.Response(503, headers={"retry-after": wish}) for wish in ("2", "9999", "Wed, 21 Oct 2026", "-1")]
    assert [replay_module._wait_s(answer, 0, 1.0) for answer in busy] == [2.0, 10.0, 0.1, 0.1]


def test_an_unreachable_server_stops_the_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listening is one clear error after a few attempts, however many requests there are."""
    monkeypatch.setattr(replay_module, "MAX_ATTEMPTS", 2)
    with server(ok) as (url, _):
        pass
    with pytest.raises(SourceUnreachable, match="is `correlate serve` running there"):
        replay(some(50), url)


def test_a_connection_that_breaks_once_is_forgiven() -> None:
    """A transport error in the middle is retried like a busy server."""
    attempts: list[int] = []

    def flaky(request: httpx.Request) -> httpx.Response:
        attempts.append(1)
        if len(attempts) == 1:
            raise httpx.ReadError("connection reset", request=request)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(flaky)) as client:
        report = replay(some(1), "http://server", client=client)
        assert not client.is_closed
    assert (report.accepted, report.retried) == (1, 1)


@pytest.mark.parametrize("url", ["ftp://server", "server:8080", "http://[::1"])
def test_what_is_not_a_url_is_said_at_once(url: str) -> None:
    """No attempt is made to reach something that has no HTTP address."""
    with pytest.raises(ConfigError, match="not the URL of an HTTP server"):
        replay(some(3), url)
