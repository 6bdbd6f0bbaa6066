"""Goroutine leaks: certain, probable, and simply too many."""

from dataclasses import replace

import numpy as np

from correlate.detectors.goroutine import CountSeries, judge, judge_counts, judge_leaked
from correlate.model.verdicts import Site, Tier
from tests.support.memory_series import START_NS

HOURS = np.arange(0, 24, 1 / 12)


def counts(extra: dict[int, np.ndarray], stacks: int = 20, usual: float = 30.0) -> CountSeries:
    """Goroutine profiles of a day, every five minutes; `extra` is added to stacks by number."""
    mean = np.full((stacks, HOURS.size), usual)
    for number, more in extra.items():
        mean[number] += more
    seen = np.random.default_rng(0).poisson(mean).astype(float)
    sites = tuple(Site(f"stack_{number}") for number in range(stacks))
    return CountSeries("shop", "shop-1", START_NS + (HOURS * 3.6e12).astype(np.int64), seen, sites)


def test_one_stack_that_only_grows_pages() -> None:
    """A hundred more an hour in one place, for a day."""
    verdict = judge_counts(counts({3: 100 * HOURS}))
    assert verdict is not None
    assert (verdict.tier, verdict.subject) == (Tier.PAGE, "stack_3")
    assert 95 < verdict.figures["growth_count_per_hour"] < 105
    assert verdict.figures["concentration_ratio"] > 0.9


def test_growth_everywhere_is_work() -> None:
    """When twenty stacks grow alike, more is being done; no single place hangs."""
    assert judge_counts(counts(dict.fromkeys(range(20), 15 * HOURS))) is None


def test_healthy_pools_are_silent() -> None:
    """Steady pools, a pool that was added, and bursts."""
    bursts = 2000.0 * (np.random.default_rng(1).random(HOURS.size) < 0.05)
    assert judge_counts(counts({})) is None
    assert judge_counts(counts({2: 500.0 * (HOURS > 11)})) is None
    assert judge_counts(counts({2: bursts})) is None


def test_absolute_limits_hold_without_any_trend() -> None:
    """10,000 goroutines are a watch, 50,000 a page."""
    tiers = [judged and judged.tier for judged in (judge_counts(counts({}, usual=each)) for each in (400, 600, 3000))]
    assert tiers == [None, Tier.WATCH, Tier.PAGE]


def test_any_leaked_goroutine_is_certain() -> None:
    """One sample of the goroutineleak profile pages; none says nothing."""
    sites = (Site("a"), Site("b"))
    verdict = judge_leaked("shop", np.array([0.0, 1.0]), sites)
    assert verdict is not None
    assert (verdict.tier, [site.function for site in verdict.sites]) == (Tier.PAGE, ["b"])
    assert judge_leaked("shop", np.zeros(2), sites) is None


def test_certainty_wins_and_keeps_the_figures_of_the_growth() -> None:
    """Both at once: one verdict, with the proof first and the growth beside it."""
    series = counts({3: 100 * HOURS})
    leaked = judge_leaked("shop", np.array([5.0]), (Site("stack_3"),))
    verdict = judge(series, leaked)
    assert verdict is not None
    assert verdict.guards[0].name == "proof"
    assert {"leaked_count", "growth_count_per_hour"} <= verdict.figures.keys()
    assert judge(None, None) is None
    assert judge(series, None) == judge_counts(series)


def test_no_profiles_no_verdict() -> None:
    """An empty series is no error."""
    series = counts({})
    empty = replace(series, time_ns=series.time_ns[:0], counts=series.counts[:, :0])
    assert judge_counts(empty) is None
