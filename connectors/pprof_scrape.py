"""One pprof target: scraped once at a time, within limits, with a record of how that went."""

import threading
from dataclasses import dataclass, replace
from typing import Final

from connectors.bodies import excerpt
from connectors.http import Call, HttpSource, Reply, Timing
from connectors.pprof_profiles import Kind, check_body
from connectors.pprof_targets import Target
from connectors.transport import Budget
from correlate.errors import SourceError, SourceRefused, SourceTooSlow
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.ports import Clock, Finding

_ABSENT: Final = 404
_UNABLE: Final = 500
"""net/http/pprof says so when a profile cannot be taken, for instance because somebody else is taking one."""
_ASK_AGAIN_SCRAPES: Final = 40
"""A profile that a target does not have is asked for again after this many scrapes: it may have been upgraded."""


@dataclass(frozen=True, slots=True)
class ScrapeOptions:
    """How to scrape.

    Attributes:
        profiles: last parts of the URLs.
        interval_s: from one scrape of a target to its next.
        timeout_s: longest time for one profile, on top of the time for which it watches; all profiles of a target
            together have one interval, or `timeout_s` and `cpu_seconds_s` if that is longer.
        cpu_seconds_s: how long the CPU profile watches; less than the interval, or spans between two stay unseen.
        max_concurrency: threads; no fewer than the targets, or the slow ones delay others.
        max_body_bytes: largest profile, compressed.
        max_raw_bytes: largest profile, uncompressed.
        refresh_s: how often the targets are looked up.
    """

    profiles: tuple[str, ...] = ("profile", "heap", "goroutine", "mutex", "block", "goroutineleak")
    interval_s: float = 15.0
    timeout_s: float = 4.0
    cpu_seconds_s: int = 10
    max_concurrency: int = 512
    max_body_bytes: int = 8 << 20
    max_raw_bytes: int = 64 << 20
    refresh_s: float = 30.0


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """What is known of one target.

    Attributes:
        url: identifies it.
        service: its service.
        up: whether the last scrape gave a profile.
        last_error: of the last scrape, empty when all went well.
        last_scrape_ns: when the last scrape began; 0: none yet.
        last_duration_s: how long it took.
        scrape_count: scrapes so far.
        failure_count: of them, those with an error.
        skipped_count: turns that came while the scrape before was still going on.
        absent: profiles that the target does not have.
    """

    url: str
    service: str
    up: bool = False
    last_error: str = ""
    last_scrape_ns: int = 0
    last_duration_s: float = 0.0
    scrape_count: int = 0
    failure_count: int = 0
    skipped_count: int = 0
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Outcome:
    payloads: list[RawPayload]
    absent: list[str]
    error: str


class WatchedTarget:
    """A target, its connection, and what became of its scrapes."""

    def __init__(
        self,
        target: Target,
        http: HttpSource,
        kinds: list[Kind],
        options: ScrapeOptions,
        clock: Clock,
        timing: Timing,
        budget: Budget,
    ) -> None:
        """Nothing is sent yet.

        Args:
            target: which one.
            http: the connection, whose transport keeps to `budget`.
            kinds: what to ask for.
            options: how to scrape.
            clock: the time of day.
            timing: the clock of durations.
            budget: limits the time that a request takes on the network.
        """
        self.target = target
        self.status = TargetStatus(target.url, target.service)
        self._http = http
        self._kinds = kinds
        self._options = options
        self._clock = clock
        self._timing = timing
        self._budget = budget
        self._busy = threading.Lock()

    def claim(self) -> bool:
        """Take it for one scrape; False, and noted, when it is taken. A scrape gives it back."""
        free = self._busy.acquire(blocking=False)
        if not free:
            self.status = replace(self.status, skipped_count=self.status.skipped_count + 1)
        return free

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def note(self, error: str) -> None:
        """Record what went wrong after a scrape."""
        self.status = replace(self.status, last_error=error)

    def scrape(self) -> list[RawPayload]:
        """Fetch all profiles of a target that was claimed; what goes wrong ends up in the status."""
        try:
            started_ns, started_s = self._clock.now_ns(), self._timing.monotonic_s()
            outcome = self._all_profiles()
            self.status = replace(
                self.status,
                up=bool(outcome.payloads),
                last_error=outcome.error,
                last_scrape_ns=started_ns,
                last_duration_s=self._timing.monotonic_s() - started_s,
                scrape_count=self.status.scrape_count + 1,
                failure_count=self.status.failure_count + bool(outcome.error),
                absent=tuple(outcome.absent),
            )
            return outcome.payloads
        finally:
            self._busy.release()

    def check(self) -> Finding:
        """Ask for one profile that takes no time, and explain what came."""
        kind = replace(self._kinds[0], timed=False)
        try:
            reply = self._get(kind, self._options.timeout_s)
            if reply.status == _ABSENT:
                return Finding(ok=False, text=f"{reply.who} has no /{kind.path}; is the prefix of the path right?")
            self._check_body(reply, kind)
        except SourceError as exc:
            return Finding(ok=False, text=str(exc))
        return Finding(ok=True, text=f"{reply.who} serves {kind.path}: {len(reply.body)} bytes")

    def _all_profiles(self) -> _Outcome:
        """One profile after the other, all within one interval, so that slow targets do not miss their next turn."""
        longest_s = max(self._options.interval_s, self._options.cpu_seconds_s + self._options.timeout_s)
        ends_s = self._timing.monotonic_s() + longest_s
        ask_again = self.status.scrape_count % _ASK_AGAIN_SCRAPES == 0
        outcome = _Outcome([], [] if ask_again else list(self.status.absent), "")
        for kind in self._kinds:
            if kind.path in outcome.absent:
                continue
            try:
                payload = self._profile(kind, ends_s - self._timing.monotonic_s())
            except SourceError as exc:
                outcome = replace(outcome, error=outcome.error or str(exc))
                if exc.retry:  # it is the target that is in trouble, not this profile
                    break
                continue
            if payload is None:
                outcome.absent.append(kind.path)
            else:
                outcome.payloads.append(payload)
        return outcome

    def _profile(self, kind: Kind, left_s: float) -> RawPayload | None:
        started_ns = self._clock.now_ns()
        reply = self._get(kind, left_s)
        if reply.status == _ABSENT:
            return None
        self._check_body(reply, kind)
        return payload_of(self.target, kind, reply.body, started_ns, self._clock.now_ns())

    def _check_body(self, reply: Reply, kind: Kind) -> None:
        who = f"{reply.who}/{kind.path}"
        if reply.status == _UNABLE:
            raise SourceRefused(f"{who} cannot be taken now: {excerpt(reply.body)}")
        check_body(reply.body, self._options.max_raw_bytes, who)

    def _get(self, kind: Kind, left_s: float) -> Reply:
        watching_s = self._options.cpu_seconds_s if kind.timed else 0
        limit_s = min(self._options.timeout_s + watching_s, left_s)
        if limit_s <= watching_s:
            raise SourceTooSlow(
                f"{self.target.url} left no time in the interval for {kind.path}: its other profiles are slow; scrape "
                "fewer of them, or less often"
            )
        call = Call(
            "GET",
            f"/{kind.path}",
            {"seconds": watching_s} if kind.timed else {},
            "*/*",
            allow=frozenset({_ABSENT, _UNABLE}),
            timeout_s=limit_s,
            deadline_s=limit_s,
        )
        with self._budget.of(limit_s):
            return self._http.send(call)


def payload_of(target: Target, kind: Kind, body: bytes, from_ns: int, until_ns: int) -> RawPayload:
    """A profile with what its bytes do not say; one of the present has no length: it begins when it ends.

    The parameter ``cumulative`` names the sample types that count since the process started, ``target`` what they are
    to be compared with: the profile before with the same value.
    """
    params = {
        "service": target.service,
        "name": kind.name,
        "from": str(from_ns if kind.timed else until_ns),
        "until": str(until_ns),
        "target": f"{target.url}/{kind.path}",
        **{f"label.{key}": value for key, value in target.labels},
    }
    if kind.cumulative:
        params["cumulative"] = ",".join(kind.cumulative)
    return RawPayload(
        PayloadKind.PPROF, body, until_ns, Encoding.PROTOBUF, "application/octet-stream", "pprof-scrape", params
    )
