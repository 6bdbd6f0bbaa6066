"""Recorded requests sent again, over real sockets, as patiently as a well-behaved client."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event
from typing import Final, Literal

import httpx
import numpy as np

from correlate.demo.traffic import Recorded
from correlate.errors import ConfigError, SourceUnreachable

Order = Literal["recorded", "shuffled"]
Progress = Callable[[int, int], None]
"""Called with requests done and requests in all."""

MAX_ATTEMPTS: Final = 8
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 10.0
_KEPT_REASONS: Final = 5


@dataclass(frozen=True, slots=True)
class ReplayReport:
    """What became of a replay.

    Attributes:
        sent: requests sent, repeats included, retries not.
        accepted: those answered with 2xx.
        rejected: those refused for good, or still refused after the last attempt.
        retried: attempts beyond the first of each request.
        seconds: how long it all took.
        reasons: the first few distinct reasons of refusals.
    """

    sent: int
    accepted: int
    rejected: int
    retried: int
    seconds: float
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Outcome:
    refusal: str
    retries: int


def replay(
    requests: Iterable[Recorded],
    base_url: str,
    *,
    order: Order = "recorded",
    repeat_share: float = 0.0,
    seed: int = 0,
    concurrency: int = 4,
    on_progress: Progress | None = None,
    client: httpx.Client | None = None,
) -> ReplayReport:
    """Post requests to the paths they were recorded at, as fast as the server takes them.

    Args:
        requests: what to send; leave requests out by filtering them before.
        base_url: scheme, host and port of the server.
        order: as given, or shuffled by `seed`. With several connections the order of arrival is only roughly kept.
        repeat_share: share of requests, 0 to 1, that are sent twice, as clients do after a timeout.
        seed: decides order, repeats and the jitter of waits.
        concurrency: connections used at once.
        on_progress: told after each request how many of how many are done.
        client: an httpx client to use instead of a new one; it stays open.

    Raises:
        SourceUnreachable: the server does not answer.
        ConfigError: `base_url` is not an HTTP URL.
    """
    plan = _plan(list(requests), order, repeat_share, seed)
    begun_s = time.perf_counter()
    with ExitStack() as opened:
        sender = _Sender(client or opened.enter_context(_client()), base_url.rstrip("/"), seed)
        outcomes = _send_all(sender, plan, concurrency, on_progress)
    return _report(outcomes, time.perf_counter() - begun_s)


def _client() -> httpx.Client:
    # Proxies named in the environment are not asked: the server is nearly always on this machine.
    return httpx.Client(timeout=60.0, trust_env=False)


def _plan(requests: list[Recorded], order: Order, repeat_share: float, seed: int) -> list[Recorded]:
    """Every request once or twice, repeats right after the first unless shuffled."""
    rng = np.random.default_rng(seed)
    times = 1 + (rng.random(len(requests)) < repeat_share)
    places = np.repeat(np.arange(len(requests)), times)
    if order == "shuffled":
        places = rng.permutation(places)
    return [requests[place] for place in places]


def _send_all(
    sender: "_Sender", plan: Sequence[Recorded], concurrency: int, on_progress: Progress | None
) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    with ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="replay") as pool:
        sending: list[Future[_Outcome]] = [pool.submit(sender.send, n, request) for n, request in enumerate(plan)]
        try:
            for done in as_completed(sending):
                outcomes.append(done.result())
                if on_progress:
                    on_progress(len(outcomes), len(plan))
        except BaseException:  # the first failure, or ctrl-c, stops the others too
            sender.stop()
            pool.shutdown(cancel_futures=True)
            raise
    return outcomes


def _report(outcomes: Sequence[_Outcome], seconds: float) -> ReplayReport:
    refusals = [outcome.refusal for outcome in outcomes if outcome.refusal]
    return ReplayReport(
        sent=len(outcomes),
        accepted=len(outcomes) - len(refusals),
        rejected=len(refusals),
        retried=sum(outcome.retries for outcome in outcomes),
        seconds=seconds,
        reasons=tuple(dict.fromkeys(refusals))[:_KEPT_REASONS],
    )


class _Sender:
    """Sends single requests until they are answered for good; used by several threads at once."""

    def __init__(self, client: httpx.Client, base_url: str, seed: int) -> None:
        self._client = client
        self._base_url = base_url
        self._seed = seed
        self._stopped = Event()

    def stop(self) -> None:
        """Wait no more between attempts: nobody is interested any longer."""
        self._stopped.set()

    def send(self, number: int, request: Recorded) -> _Outcome:
        rng = np.random.default_rng((self._seed, number))
        for attempt in range(MAX_ATTEMPTS):
            answer = self._post(request, last=self._is_last(attempt))
            if answer is not None and answer.status_code not in _RETRYABLE:
                return _Outcome("" if answer.is_success else _reason(request, answer), attempt)
            if self._is_last(attempt):
                break
            self._stopped.wait(_wait_s(answer, attempt, float(rng.uniform(0.5, 1.0))))
        return _Outcome(_reason(request, answer), attempt)

    def _is_last(self, attempt: int) -> bool:
        return attempt + 1 == MAX_ATTEMPTS or self._stopped.is_set()

    def _post(self, request: Recorded, *, last: bool) -> httpx.Response | None:
        """One attempt; None when the server did not answer and it is worth another one."""
        try:
            return self._client.post(self._base_url + request.path, content=request.body, headers=dict(request.headers))
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise ConfigError(f"{self._base_url!r} is not the URL of an HTTP server: {error}") from error
        except httpx.TransportError as error:
            if last:
                raise SourceUnreachable(
                    f"{self._base_url} does not answer ({error}); is `correlate serve` running there?"
                ) from error
            return None


def _wait_s(answer: httpx.Response | None, attempt: int, jitter: float) -> float:
    """Seconds until the next attempt: what the server asks for, else exponential backoff with jitter."""
    asked = "" if answer is None else answer.headers.get("retry-after", "")
    if asked.replace(".", "", 1).isdecimal():
        return min(float(asked), _LONGEST_WAIT_S)
    return jitter * min(_FIRST_WAIT_S * (1 << attempt), _LONGEST_WAIT_S)


def _reason(request: Recorded, answer: httpx.Response | None) -> str:
    if answer is None:
        return f"{request.path}: no answer"
    return f"{request.path}: {answer.status_code} {answer.text[:200]}".strip()
