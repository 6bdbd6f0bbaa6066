"""Go's pprof endpoints, scraped: each target in its turn, none able to delay another.

A thread belongs to a target while it is being scraped and to nobody else, and no scrape outlasts its limits, so what
a slow, dead or lying target costs is its own time. Threads, because a scrape mostly waits while a CPU profile is taken.
"""

import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace

import httpx

from connectors.endpoint import Endpoint, tls_context
from connectors.http import HttpSource, Timing
from connectors.pprof_profiles import chosen
from connectors.pprof_scrape import ScrapeOptions, TargetStatus, WatchedTarget
from connectors.pprof_targets import Directory, Discovery, Target
from connectors.transport import BoundedTransport, Budget
from correlate.errors import CorrelateError, SourceUnreachable
from correlate.model.payload import RawPayload
from correlate.model.queries import TimeRange
from correlate.ports import Clock, Finding

__all__ = ["PprofSource", "ScrapeOptions", "TargetStatus"]

Connect = Callable[[Target], httpx.BaseTransport]
Deliver = Callable[[RawPayload], object]


class PprofSource:
    """Processes that serve ``/debug/pprof``; a `Source` for one round, and a loop for rounds without end."""

    def __init__(
        self,
        name: str,
        discoveries: Sequence[Discovery],
        clock: Clock,
        *,
        options: ScrapeOptions | None = None,
        endpoint: Endpoint | None = None,
        connect: Connect | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: what the configuration calls the source.
            discoveries: who knows the targets.
            clock: the time of day.
            options: how to scrape.
            endpoint: credentials, certificates and headers for all targets; its URL, times and sizes are not used.
            connect: instead of the network.
            timing: clock, sleep and dice of the requests.

        Raises:
            ConfigError: a profile is not known.
        """
        self._name = name
        self._options = options or ScrapeOptions()
        self._kinds = chosen(self._options.profiles)
        self._directory = Directory(discoveries)
        self._clock = clock
        self._timing = timing or Timing()
        self._template = endpoint or Endpoint("http://target")
        self._budget = Budget(self._timing.monotonic_s)
        self._tls: ssl.SSLContext | None = None
        self._connect = connect or self._network
        self._watched: dict[str, WatchedTarget] = {}

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        return self._name

    def status(self) -> list[TargetStatus]:
        """A snapshot of all targets, by URL."""
        return sorted((watched.status for watched in self._watched.copy().values()), key=lambda status: status.url)

    @property
    def discovery_errors(self) -> tuple[str, ...]:
        """Why some targets could not be looked up the last time; the ones known before stay in force."""
        return self._directory.errors

    def close(self) -> None:
        """Close the connections."""
        for watched in self._watched.values():
            watched.close()

    def settled_until_ns(self, now_ns: int) -> int:
        """A scrape tells of now; nothing arrives later."""
        return now_ns

    def check(self) -> list[Finding]:
        """Look the targets up and ask each for one profile."""
        try:
            watched = self._refreshed()
        except CorrelateError as exc:
            return [Finding(ok=False, text=str(exc))]
        findings = [Finding(ok=False, text=error) for error in self._directory.errors]
        if not watched:
            return findings or [
                Finding(ok=False, text=f"{self._name} has no targets: name some, or a file or DNS name")
            ]
        with self._threads(len(watched)) as threads:
            return [*findings, *threads.map(WatchedTarget.check, watched)]

    def fetch(self, window: TimeRange) -> Iterator[RawPayload]:
        """Scrape, once and now, every target whose turn falls into the window.

        Raises:
            SourceUnreachable: no target could be looked up.
            ConfigError: an address is not of the form host:port.
        """
        watched = self._refreshed()
        if not watched and self._directory.errors:
            raise SourceUnreachable("; ".join(self._directory.errors))
        due = [each for each in watched if self._has_turn(each, window) and each.claim()]
        with self._threads(len(due)) as threads:
            for done in as_completed([threads.submit(each.scrape) for each in due]):
                yield from done.result()

    def run(self, deliver: Deliver, stop: threading.Event) -> None:
        """Scrape every target in its turn until told to stop.

        A target that is still being scraped when its next turn comes misses that turn. At the end the scrapes under
        way are waited for, which takes no longer than their limits.

        Args:
            deliver: takes the payloads, called from several threads; what it raises becomes the target's last error.
            stop: set it to end.

        Raises:
            ConfigError: an address is not of the form host:port.
        """
        with self._threads(self._options.max_concurrency) as threads:
            for each in self._turns(stop):
                if each.claim():
                    threads.submit(_scrape_for, each, deliver)

    def _turns(self, stop: threading.Event) -> Iterator[WatchedTarget]:
        """Targets, each at the time of its turn."""
        refresh_ns = round(self._options.refresh_s * 1e9)
        now_ns = looked_up_ns = self._clock.now_ns()
        watched = self._refreshed()
        while not stop.wait(min(0.05, self._options.interval_s / 20)):
            then_ns, now_ns = now_ns, self._clock.now_ns()
            if now_ns - looked_up_ns >= refresh_ns:
                looked_up_ns, watched = now_ns, self._refreshed()
            passed = TimeRange(then_ns, now_ns)
            yield from (each for each in watched if self._has_turn(each, passed))

    def _has_turn(self, watched: WatchedTarget, window: TimeRange) -> bool:
        return has_turn(watched.target, window, round(self._options.interval_s * 1e9))

    def _threads(self, wanted: int) -> ThreadPoolExecutor:
        count = max(1, min(wanted, self._options.max_concurrency))
        return ThreadPoolExecutor(count, thread_name_prefix=f"scrape-{self._name}")

    def _refreshed(self) -> list[WatchedTarget]:
        """Look the targets up; new ones begin, ones that are gone end."""
        known = self._watched
        targets = self._directory.targets()
        wanted = set(targets)
        kept = {url: watched for url, watched in known.items() if watched.target in wanted}
        self._watched = {target.url: kept.get(target.url) or self._new(target) for target in targets}
        for url in known.keys() - kept.keys():
            known[url].close()
        return list(self._watched.values())

    def _new(self, target: Target) -> WatchedTarget:
        limit_bytes = self._options.max_body_bytes
        endpoint = replace(self._template, url=target.url, max_retries=0, max_response_bytes=limit_bytes)
        http = HttpSource(self._name, endpoint, transport=self._connect(target), timing=self._timing)
        return WatchedTarget(target, http, self._kinds, self._options, self._clock, self._timing, self._budget)

    def _network(self, target: Target) -> httpx.BaseTransport:
        """A connection of its own. Reading the trusted certificates is slow: once for all, if one speaks TLS."""
        if target.scheme != "https":
            return BoundedTransport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self._budget, max_connections=2)
        self._tls = self._tls or tls_context(self._template)
        return BoundedTransport(self._tls, self._budget, max_connections=2)


def has_turn(target: Target, window: TimeRange, interval_ns: int) -> bool:
    """Whether a moment ``k * interval + phase of the target`` lies in a window."""
    phase_ns = target.phase_ns(interval_ns)
    last_turn_ns = (window.end_ns - 1 - phase_ns) // interval_ns * interval_ns + phase_ns
    return last_turn_ns >= window.start_ns


def _scrape_for(watched: WatchedTarget, deliver: Deliver) -> None:
    for payload in watched.scrape():
        try:
            deliver(payload)
        except CorrelateError as exc:
            watched.note(f"scraped but not stored: {exc}")
