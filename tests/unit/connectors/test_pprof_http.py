"""Scraping pprof targets, against a process full of good and bad ones."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from connectors.endpoint import Endpoint
from connectors.pprof_http import PprofSource, ScrapeOptions, TargetStatus, has_turn
from connectors.pprof_targets import StaticTargets, target_of
from correlate.bootstrap import SystemClock
from correlate.errors import ConfigError, Overloaded, SourceUnreachable
from correlate.model.payload import PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from tests.fakes.pprof_server import pprof_servers

BAD = ["slow", "dead", "endless", "trickle", "html", "text", "empty", "truncated", "broken-gzip", "hangup"]
QUICK = ScrapeOptions(
    profiles=("heap", "goroutine", "mutex"),
    interval_s=0.4,
    timeout_s=0.5,
    cpu_seconds_s=0,
    max_body_bytes=1 << 20,
    refresh_s=60,
)
ALWAYS = TimeRange(0, 1 << 62)


@pytest.fixture(scope="module")
def targets() -> Iterator[dict[str, str]]:
    """host:port by mode."""
    modes = ["good", "old", "busy", "late", *BAD]
    with pprof_servers(modes) as addresses:
        yield dict(zip(modes, addresses, strict=True))


def source(addresses: list[str], options: ScrapeOptions = QUICK) -> PprofSource:
    discoveries = [StaticTargets(addresses, "checkout", {"region": "eu"})]
    return PprofSource("go", discoveries, SystemClock(), options=options)


def one_round(address: str, options: ScrapeOptions = QUICK) -> tuple[list[RawPayload], TargetStatus]:
    scraped = source([address], options)
    payloads = list(scraped.fetch(ALWAYS))
    scraped.close()
    return payloads, scraped.status()[0]


def test_a_scrape_brings_profiles_with_what_their_bytes_do_not_say(targets: dict[str, str]) -> None:
    """Service, name, labels, times, identity, and which types are cumulative travel as parameters."""
    payloads, status = one_round(targets["good"])
    heap, goroutine, mutex = payloads
    assert {payload.kind for payload in payloads} == {PayloadKind.PPROF}
    assert heap.body.startswith(b"\x1f\x8b")
    assert heap.params["service"] == "checkout"
    assert heap.params["name"] == "memory"
    assert heap.params["label.instance"] == targets["good"]
    assert heap.params["label.region"] == "eu"
    assert heap.params["from"] == heap.params["until"] == str(heap.received_ns)
    assert heap.params["target"] == f"http://{targets['good']}/debug/pprof/heap"
    assert heap.params["cumulative"] == "alloc_objects,alloc_space"
    assert goroutine.params["name"] == "goroutines"
    assert "cumulative" not in goroutine.params
    assert mutex.params["cumulative"] == "contentions,delay"
    assert (status.up, status.last_error, status.scrape_count) == (True, "", 1)
    assert 0 < status.last_duration_s < 0.5


def test_a_cpu_profile_covers_the_time_it_watched(targets: dict[str, str]) -> None:
    """The interval of a timed profile is that of the request."""
    payloads, _ = one_round(targets["good"], replace(QUICK, profiles=("profile",), cpu_seconds_s=1))
    params = payloads[0].params
    assert params["name"] == "process_cpu"
    assert 0.9e9 < int(params["until"]) - int(params["from"]) < 1.5e9


def test_a_profile_that_a_target_lacks_is_no_error(targets: dict[str, str]) -> None:
    """Older runtimes have no goroutineleak; that is noted and not asked for every time."""
    scraped = source([targets["old"]], replace(QUICK, profiles=("heap", "goroutineleak")))
    for _ in range(2):
        assert [payload.params["name"] for payload in scraped.fetch(ALWAYS)] == ["memory"]
    status = scraped.status()[0]
    assert (status.up, status.last_error, status.absent) == (True, "", ("goroutineleak",))
    scraped.close()


def test_a_profile_that_cannot_be_taken_leaves_the_others(targets: dict[str, str]) -> None:
    """Somebody else takes a CPU profile: the message says so, the heap profile is delivered."""
    payloads, status = one_round(targets["busy"], replace(QUICK, profiles=("heap", "profile"), cpu_seconds_s=1))
    assert [payload.params["name"] for payload in payloads] == ["memory"]
    assert status.up
    assert "cpu profiling already in use" in status.last_error


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("dead", "connection refused"),
        ("slow", "no complete answer in time"),
        ("trickle", "in time"),
        ("endless", "more than 1048576 bytes"),
        ("html", "HTML page"),
        ("text", "not a pprof profile"),
        ("empty", "not a pprof profile"),
        ("truncated", "ends early"),
        ("broken-gzip", "gzip"),
        ("hangup", "broke"),
    ],
)
def test_a_bad_target_is_down_for_a_reason(targets: dict[str, str], mode: str, said: str) -> None:
    """Nothing is delivered, the status says why, and it does not take longer than its limits."""
    began = time.monotonic()
    payloads, status = one_round(targets[mode], replace(QUICK, profiles=("heap",)))
    assert payloads == []
    assert (status.up, status.failure_count) == (False, 1)
    assert said in status.last_error
    assert status.url in status.last_error
    assert time.monotonic() - began < 1.5


def test_all_profiles_of_a_target_share_one_interval(targets: dict[str, str]) -> None:
    """A target that is slow each time, but never too slow, is left for its next turn."""
    payloads, status = one_round(targets["late"], replace(QUICK, interval_s=1.2))
    assert len(payloads) == 3
    payloads, status = one_round(targets["late"], replace(QUICK, interval_s=0.5))
    assert len(payloads) == 1
    assert "in time" in status.last_error
    watching = replace(QUICK, profiles=("heap", "goroutine", "profile"), cpu_seconds_s=1)
    payloads, status = one_round(targets["late"], watching)
    assert len(payloads) == 2
    assert "left no time in the interval for profile" in status.last_error


def test_bad_targets_do_not_delay_their_neighbours(targets: dict[str, str]) -> None:
    """While all the bad ones misbehave the good one is scraped in every interval."""
    scraped = source([targets[mode] for mode in (*BAD, "good")])
    arrivals: list[float] = []
    stop = threading.Event()

    def deliver(payload: RawPayload) -> None:
        if payload.params["name"] == "memory":
            arrivals.append(time.monotonic())

    thread = threading.Thread(target=scraped.run, args=(deliver, stop))
    thread.start()
    time.sleep(2.6)
    stop.set()
    thread.join(3)
    assert not thread.is_alive()
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert len(arrivals) >= 5
    assert max(gaps) < 0.75
    by_url = {status.url: status for status in scraped.status()}
    assert by_url[f"http://{targets['slow']}/debug/pprof"].skipped_count > 0
    assert {status.up for url, status in by_url.items() if targets["good"] not in url} == {False}
    scraped.close()


def test_what_the_store_refuses_is_the_targets_last_error(targets: dict[str, str]) -> None:
    """A full queue is told, and scraping goes on."""
    scraped = source([targets["good"]])
    stop = threading.Event()

    def full(_: RawPayload) -> None:
        raise Overloaded("the queue is full")

    thread = threading.Thread(target=scraped.run, args=(full, stop))
    thread.start()
    time.sleep(1.2)
    stop.set()
    thread.join(3)
    status = scraped.status()[0]
    assert status.scrape_count >= 2
    assert status.last_error == "scraped but not stored: the queue is full"
    scraped.close()


def test_checking_explains_every_target(targets: dict[str, str]) -> None:
    """One finding per target, good or bad, each naming the target."""
    modes = ["good", "dead", "html"]
    checked = source([targets[mode] for mode in modes])
    findings = checked.check()
    checked.close()
    assert [finding.ok for finding in findings] == [True, False, False]
    assert "serves heap" in findings[0].text
    assert "nothing listens there" in findings[1].text
    assert "login page" in findings[2].text


def test_turns_are_spread_and_the_same_after_a_restart() -> None:
    """Every target has one turn in each interval, at a phase that only its URL decides."""
    interval_ns = 15_000_000_000
    some = [target_of(f"10.0.0.{host}:6060", {}) for host in range(200)]
    phases = [target.phase_ns(interval_ns) for target in some]
    busiest = max(sum(second * 10**9 <= phase < (second + 1) * 10**9 for phase in phases) for second in range(15))
    assert busiest < 30
    for start_ns in (0, 7_777_777_777, 1_700_000_000_123_456_789):
        steps = [TimeRange(start_ns + k * 10**9, start_ns + (k + 1) * 10**9) for k in range(15)]
        assert all(sum(has_turn(target, step, interval_ns) for step in steps) == 1 for target in some)
    assert not has_turn(some[0], TimeRange(5, 5), interval_ns)


def test_mistakes_in_the_configuration_are_named() -> None:
    """An unknown profile, two that hold the same, an address that is a URL, no targets."""
    with pytest.raises(ConfigError, match="threadcreate not known; known are heap"):
        source([], replace(QUICK, profiles=("threadcreate",)))
    with pytest.raises(ConfigError, match="hold the same four types"):
        source([], replace(QUICK, profiles=("heap", "allocs")))
    findings = source(["http://localhost:6060/debug"]).check()
    assert [finding.ok for finding in findings] == [False]
    assert "must look like host:port" in findings[0].text
    assert "no targets" in source([]).check()[0].text


def test_targets_that_cannot_be_looked_up_are_an_error_of_the_source() -> None:
    """Without any target a pull fails instead of finding nothing."""

    class Nobody:
        def targets(self) -> list[object]:
            raise SourceUnreachable("targets.yml: no such file")

    scraped = PprofSource("go", [Nobody()], SystemClock(), endpoint=Endpoint("http://x", bearer_token="t"))  # type: ignore[list-item]
    with pytest.raises(SourceUnreachable, match="no such file"):
        list(scraped.fetch(ALWAYS))
    assert scraped.check()[0].text == "targets.yml: no such file"
