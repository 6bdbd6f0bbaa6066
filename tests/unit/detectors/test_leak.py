"""Verdicts on memory: growth, limit, restarts, load, sites."""

from dataclasses import replace

import numpy as np
import pytest

from correlate.detectors.leak import DEMO, PRODUCTION, SiteSeries, judge, judge_baseline, judge_sites, judge_total
from correlate.model.verdicts import Site, Tier
from tests.support.memory_series import HOURS, MB, START_NS, series

BASE = np.full(HOURS.size, 200 * MB)
LEAK = BASE + 5 * MB * HOURS


def heap(sites: int = 300, leak_mb: float = 5.0, at: int = 7) -> SiteSeries:
    """Heap profiles every minute: sites of all sizes, one of which leaks."""
    rng = np.random.default_rng(3)
    held = rng.lognormal(12, 2, (sites, 1)) * (1 + rng.normal(0, 0.05, (sites, HOURS.size)))
    held[at] += leak_mb * MB * HOURS
    total = replace(series(BASE), bytes=held.sum(axis=0))
    return SiteSeries(total, held, tuple(Site(f"site_{number}") for number in range(sites)))


def test_a_leak_pages_with_its_rate_and_the_time_to_the_limit() -> None:
    """5 MB/h below a limit of 500 MB: the truth lies within the stated intervals."""
    verdict = judge_total(series(LEAK, limit_bytes=500 * MB))
    assert verdict is not None
    assert verdict.tier is Tier.PAGE
    figures = verdict.figures
    assert figures["growth_bytes_per_hour"] == pytest.approx(5 * MB, rel=0.02)
    assert figures["growth_low_bytes_per_hour"] <= 5 * MB <= figures["growth_high_bytes_per_hour"]
    assert 0.97 * figures["limit_in_low_hours"] <= (500 - 320) / 5 <= 1.03 * figures["limit_in_high_hours"]
    assert "per hour" in verdict.headline
    assert "limit" in verdict.headline
    assert verdict.minimum_detectable is not None
    assert 0 < verdict.minimum_detectable < 1 * MB


def test_a_near_limit_pages_earlier() -> None:
    """Where the limit is three hours away nobody should wait for ten hours of evidence."""
    load = np.full(HOURS.size, 100.0)
    fast = series((BASE + 40 * MB * HOURS)[:460], requests=load, limit_bytes=560 * MB)
    without = series((BASE + 40 * MB * HOURS)[:460], requests=load)
    assert [judged and judged.tier for judged in (judge_total(fast), judge_total(without))] == [Tier.PAGE, Tier.WATCH]


def test_restarts_do_not_hide_a_leak() -> None:
    """A process that is killed every eight hours leaks between the restarts."""
    starts = START_NS + (np.array([8.0, 16.0]) * 3.6e12).astype(np.int64)
    verdict = judge_total(series(BASE + 12 * MB * (HOURS % 8), restarts_ns=starts))
    assert verdict is not None
    assert verdict.figures["growth_bytes_per_hour"] == pytest.approx(12 * MB, rel=0.05)


def test_a_deploy_ends_what_was_before_it() -> None:
    """A leak that the last deploy repaired is silent."""
    deploy = START_NS + np.array([12 * 3600 * 10**9])
    assert judge_total(series(BASE + 10 * MB * np.minimum(HOURS, 12), deploys_ns=deploy)) is None
    assert judge_total(series(np.where(HOURS < 12, LEAK, BASE), deploys_ns=deploy)) is None


def test_memory_that_follows_the_load_is_silent_and_a_leak_beneath_it_is_not() -> None:
    """Requests explain the daily swing; what remains is the leak."""
    load = 100 * (1 + 0.5 * np.sin(2 * np.pi * (HOURS - 9) / 24))
    swing = BASE + 1 * MB * load
    assert judge_total(series(swing, requests=load)) is None
    verdict = judge_total(series(swing + 5 * MB * HOURS, requests=load))
    assert verdict is not None
    assert verdict.figures["growth_bytes_per_hour"] == pytest.approx(5 * MB, rel=0.1)


def test_without_requests_yesterday_tells_the_daily_cycle() -> None:
    """Two days of a daily swing: the same hour of yesterday was as high."""
    hours = np.arange(0, 48, 1 / 30)
    swing = 200 * MB + 60 * MB * np.sin(2 * np.pi * (hours - 11) / 24)
    time_ns = START_NS + (hours * 3.6e12).astype(np.int64)
    still = replace(series(BASE), time_ns=time_ns, bytes=swing)
    for at in range(40, 49):
        verdict = judge_total(still.until(START_NS + int(at * 3.6e12)))
        assert verdict is None or verdict.tier is Tier.WATCH
    leaking = judge_total(replace(still, bytes=swing + 5 * MB * hours))
    assert leaking is not None


def test_added_instances_are_no_leak() -> None:
    """A sum over instances is divided by their number."""
    instances = np.where(HOURS > 12, 4.0, 2.0)
    assert judge_total(series(BASE * instances, instances=instances)) is None


@pytest.mark.parametrize("values", [np.zeros(0), np.full(3, 1e8), np.full(1440, np.nan), np.full(1440, 1e8)])
def test_little_or_dull_data_says_nothing(values: np.ndarray) -> None:
    """Empty, short, missing and constant series are no error."""
    assert judge_total(series(values)) is None


def test_the_site_that_leaks_is_named_first() -> None:
    """Among 300 sites the one that keeps what it allocates; the others are not mentioned."""
    verdict = judge_sites(heap())
    assert verdict is not None
    assert (verdict.tier, [site.function for site in verdict.sites]) == (Tier.PAGE, ["site_7"])
    assert verdict.sites[0].growth_per_hour == pytest.approx(5 * MB, rel=0.05)
    assert verdict.sites[0].share_ratio == 1.0


def test_no_site_no_verdict() -> None:
    """Sites that only flicker are silent."""
    assert judge_sites(heap(leak_mb=0.0)) is None


def test_memory_and_heap_give_one_verdict() -> None:
    """The heap names the site; memory that grows outside of the heap is said to do so."""
    both = judge(series(LEAK, limit_bytes=500 * MB), heap())
    assert both is not None
    assert (both.subject, "limit_in_hours" in both.figures) == ("site_7", True)
    outside = judge(series(LEAK), heap(leak_mb=0.0))
    assert outside is not None
    assert "outside of what heap profiles see" in outside.headline
    assert judge(series(BASE), None) is None


def test_growth_outside_of_the_heap_takes_a_day_to_page() -> None:
    """What no call site holds is most often an allocator's: sixteen hours are a watch, a day or a near limit a page."""
    still, load = heap(leak_mb=0.0), np.full(HOURS.size, 100.0)
    early = START_NS + 16 * 3600 * 10**9
    for memory, until, tier in (
        (series(LEAK, requests=load), early, Tier.WATCH),
        (series(LEAK, requests=load), START_NS + 24 * 3600 * 10**9, Tier.PAGE),
        (series(BASE + 30 * MB * HOURS, requests=load, limit_bytes=740 * MB), early, Tier.PAGE),
    ):
        alone, verdict = judge(memory.until(until), None), judge(memory.until(until), still.until(until))
        assert alone is not None
        assert verdict is not None
        assert (alone.tier, verdict.tier) == (Tier.PAGE, tier)
        assert "outside" in verdict.headline


def test_heap_profiles_that_have_just_begun_hold_nothing_back() -> None:
    """An hour of them says nothing about where memory grows."""
    late = heap(leak_mb=0.0)
    fresh = SiteSeries(
        replace(late.total, time_ns=late.total.time_ns[-60:], bytes=late.total.bytes[-60:]),
        late.by_site[:, -60:],
        late.sites,
    )
    memory = series(LEAK, requests=np.full(HOURS.size, 100.0))
    verdict = judge(memory.until(START_NS + 16 * 3600 * 10**9), fresh)
    assert verdict is not None
    assert verdict.tier is Tier.PAGE


def test_options_keep_their_sense_on_another_clock() -> None:
    """The demo judges two minutes as production judges a day."""
    scaled = PRODUCTION.scaled(0.5)
    assert (scaled.page_observed_s, scaled.least_growth) == (PRODUCTION.page_observed_s / 2, PRODUCTION.least_growth)
    quick = replace(series(BASE + 50 * MB * HOURS), time_ns=START_NS + np.arange(HOURS.size) * 10**8)
    verdict = judge_total(quick, DEMO)
    assert verdict is not None
    assert verdict.tier is Tier.PAGE
    assert judge_total(quick, PRODUCTION) is None


def test_the_simple_rule_is_as_simple_as_it_says() -> None:
    """50 % above the start alerts, whatever the shape; a restart sets the start anew."""
    warm = series(np.where(HOURS < 1, 200 * MB, 320 * MB))
    assert judge_baseline(warm, 0.5) is not None
    assert judge_baseline(warm, 0.7) is None
    assert judge_baseline(replace(warm, restarts_ns=warm.time_ns[100:101]), 0.5) is None
