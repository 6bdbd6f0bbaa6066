"""The growth detectors on what real services recorded."""

import json
from pathlib import Path

import pytest

from correlate.demo import traffic
from correlate.detectors import goroutine
from correlate.detectors.leak import DEMO, PRODUCTION, SiteSeries, judge, judge_sites, judge_total
from correlate.detectors.leak_options import DEMO_GOROUTINES
from correlate.formats import registry
from correlate.formats.inflate import GZIP_MAGIC, gunzip
from correlate.model.payload import PayloadKind, RawPayload
from correlate.model.verdicts import Tier
from correlate.tables.tables import Tables, concat
from tests.support.profiles_over_time import over_time

GO = Path(__file__).parents[2] / "golden" / "go-checkout"


def pushed(path: Path) -> Tables:
    """All profiles that a Pyroscope client pushed, as recorded."""
    bodies = [(each.body, each.received_at_s) for each in traffic.read(path) if each.carries_profiles]
    return concat(
        registry.read(
            RawPayload(
                PayloadKind.PYROSCOPE_PUSH, gunzip(body) if body.startswith(GZIP_MAGIC) else body, int(at_s * 1e9)
            )
        )
        for body, at_s in bodies
    )


def scraped(state: str, profile: str) -> Tables:
    """All scrapes of one pprof endpoint of the Go service in one state."""
    index = json.loads((GO / "index.json").read_text())["recordings"]
    chosen = [each for each in index if each["file"].startswith(f"{state}-{profile}-")]
    return concat(
        registry.read(
            RawPayload(
                PayloadKind.PPROF,
                (GO / each["file"]).read_bytes(),
                each["until_ns"],
                params={"service": "go-checkout", "from": str(each["from_ns"]), "until": str(each["until_ns"])},
            )
        )
        for each in chosen
    )


@pytest.fixture(scope="module")
def python_heap(request: pytest.FixtureRequest) -> SiteSeries:
    """In-use heap of the recorded Python checkout, 125 s."""
    path = Path(__file__).parents[4] / "shared" / "data" / "recorded-clients" / "checkout.jsonl.gz"
    if not path.is_file():
        pytest.skip("needs the recording checkout.jsonl.gz in shared/data beside the repository")
    return over_time(pushed(path), "inuse_space", "checkout")


def test_two_minutes_of_a_violent_leak_earn_a_watch_and_no_page(python_heap: SiteSeries) -> None:
    """With production constants nothing pages after two minutes, but 3 GB/h in one function is told."""
    verdict = judge_sites(python_heap, PRODUCTION)
    assert verdict is not None
    assert verdict.tier is Tier.WATCH
    assert verdict.subject == "remember_session"
    assert 2e9 < verdict.figures["growth_bytes_per_hour"] < 5e9
    assert judge_total(python_heap.total, PRODUCTION) is None


def test_on_the_demonstrations_clock_the_leak_pages_and_nothing_else_does(python_heap: SiteSeries) -> None:
    """With demo constants `remember_session` is paged, alone among all sites."""
    verdict = judge(python_heap.total, python_heap, DEMO)
    assert verdict is not None
    assert (verdict.tier, verdict.subject) == (Tier.PAGE, "remember_session")
    assert [site.function for site in verdict.sites] == ["remember_session"]


def test_the_go_heap_leak_is_found_and_the_healthy_run_is_silent() -> None:
    """`rememberSession` is named after 20 s; two healthy heap profiles say nothing."""
    verdict = judge_sites(over_time(scraped("leaking", "heap"), "inuse_space"), DEMO)
    assert verdict is not None
    assert verdict.sites[0].function.endswith("rememberSession")
    assert judge_sites(over_time(scraped("healthy", "heap"), "inuse_space"), DEMO) is None


def test_the_go_goroutine_leak_is_found_by_its_counts() -> None:
    """One blocked stack grows: probable; the healthy run is silent."""
    series = _counts(over_time(scraped("leaking", "goroutine"), "goroutine"))
    verdict = goroutine.judge_counts(series, DEMO_GOROUTINES)
    assert verdict is not None
    assert verdict.sites[0].function.endswith("askWarehouse")
    assert (
        goroutine.judge_counts(_counts(over_time(scraped("healthy", "goroutine"), "goroutine")), DEMO_GOROUTINES)
        is None
    )


def test_the_goroutineleak_profile_is_certain() -> None:
    """Any sample of it pages; an empty one says nothing."""
    heap = over_time(scraped("leaking", "goroutineleak"), "goroutineleak")
    verdict = goroutine.judge_leaked("go-checkout", heap.by_site[:, -1], heap.sites)
    assert verdict is not None
    assert (verdict.tier, verdict.figures["leaked_count"] > 100) == (Tier.PAGE, True)
    assert verdict.sites[0].function.endswith("askWarehouse")
    assert scraped("healthy", "goroutineleak").samples.is_empty()


def _counts(series: SiteSeries) -> goroutine.CountSeries:
    total = series.total
    return goroutine.CountSeries("go-checkout", "go-1", total.time_ns, series.by_site, series.sites)
