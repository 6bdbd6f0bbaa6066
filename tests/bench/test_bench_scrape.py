"""What scraping costs: 200 targets every 15 seconds, a twentieth of them bad."""

import resource
import threading
import time

import pytest

from connectors.pprof_http import PprofSource, ScrapeOptions
from connectors.pprof_targets import StaticTargets
from correlate.bootstrap import SystemClock
from correlate.model.payload import RawPayload
from tests.fakes.pprof_server import pprof_servers

BAD = ["slow", "dead", "endless", "trickle", "html", "text", "empty", "truncated", "broken-gzip", "hangup"]
GOOD_COUNT = 190
ROUNDS = 3


def cpu_s() -> float:
    """CPU time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@pytest.mark.bench
def test_200_targets_every_15_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """Every good target delivers all six profiles in every round, on a small part of a core."""
    options = ScrapeOptions()
    arrivals: list[float] = []

    def deliver(payload: RawPayload) -> None:
        arrivals.append(time.monotonic())

    with pprof_servers(["good"] * GOOD_COUNT + BAD) as addresses:
        scraped = PprofSource("go", [StaticTargets(addresses, "shop")], SystemClock(), options=options)
        stop = threading.Event()
        thread = threading.Thread(target=scraped.run, args=(deliver, stop))
        before_s, began_s = cpu_s(), time.monotonic()
        thread.start()
        time.sleep(ROUNDS * options.interval_s)
        used_s, took_s = cpu_s() - before_s, time.monotonic() - began_s
        stop.set()
        thread.join()
        good = [status for status in scraped.status() if status.up]
        scraped.close()
    threads_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with capsys.disabled():
        print(
            f"\n{len(arrivals)} profiles in {took_s:.0f} s, {used_s / took_s:.3f} of a core, max RSS {threads_kib} KiB"
        )
    assert len(good) == GOOD_COUNT
    assert {status.scrape_count for status in good} == {ROUNDS}
    assert {status.skipped_count for status in good} == {0}
    assert used_s / took_s < 0.5
