"""Locks, garbage collection, allocation and the profiler's own cost."""

from dataclasses import replace

import numpy as np
import pytest

from correlate.detectors.contention import judge_locks, judge_rising, judge_runtime, profiling_share
from correlate.detectors.contention_options import PRODUCTION
from correlate.detectors.frame_kinds import ALLOCATION, COLLECTOR, IDLE, INTERPRETER, PROFILER, kind_mask
from correlate.detectors.runtime_share import kind_values
from correlate.detectors.sensitivity import Sensitivity
from correlate.detectors.shares import OperationSeries
from correlate.model.verdicts import Tier
from tests.quality.hotspots import service
from tests.truth import functions


def _rng() -> np.random.Generator:
    return np.random.default_rng(6)


@pytest.mark.parametrize(("share", "tier"), [(0.31, Tier.WATCH), (0.6, Tier.PAGE)])
@pytest.mark.parametrize(
    "name", ["runtime.gcBgMarkWorker", "GCTaskThread::run", "gc_collect_main", "WKS::gc_heap::mark"]
)
def test_a_busy_collector_is_told(name: str, share: float, tier: Tier) -> None:
    """Above a quarter a watch, far above a page, whatever the language."""
    (verdict,) = judge_runtime(service(_rng(), share, name))
    assert (verdict.subject, verdict.tier) == ("garbage collection", tier)
    assert verdict.sites[0].function == name


def test_allocation_watches_and_never_pages() -> None:
    """There is nothing to wake anybody for."""
    (verdict,) = judge_runtime(service(_rng(), 0.7, "runtime.mallocgc"))
    assert (verdict.subject, verdict.tier) == ("allocation", Tier.WATCH)


def test_a_costly_profiler_is_told() -> None:
    """Above a tenth it is a page."""
    series = service(_rng(), 0.2, "runtime.sigprof")
    (verdict,) = judge_runtime(series)
    assert (verdict.subject, verdict.tier) == ("profiling", Tier.PAGE)
    assert 0.1 < np.nanmean(profiling_share(series)) < 0.3


def test_bursts_idle_processes_and_little_data_are_silent() -> None:
    """A collection now and then is what collectors do."""
    assert judge_runtime(service(_rng(), 0.1, "runtime.gcBgMarkWorker", bursts=0.5)) == ()
    series = service(_rng(), 0.6, "runtime.gcBgMarkWorker")
    assert (
        judge_runtime(replace(series, own=series.own / 1e3, total=series.total / 1e3, whole=series.whole / 1e3)) == ()
    )
    assert judge_runtime(series.between(0, 2)) == ()
    assert judge_runtime(series.between(0, 0)) == ()


def test_what_is_called_by_the_collector_is_counted_once() -> None:
    """Totals of functions below others of the kind are in the others' already."""
    series = service(_rng(), 0.3, "runtime.gcBgMarkWorker").between(0, 1)
    sites = (series.sites[0], replace(series.sites[1], function="runtime.scanobject"), *series.sites[2:])
    total = series.total.copy()
    total[0, 0] = series.own[0, :2].sum()
    parents = np.full(len(sites), -1)
    parents[1] = 0
    seen = replace(series, sites=sites, total=total, parents=parents)
    assert kind_values(seen, COLLECTOR)[0] == pytest.approx(series.own[0, :2].sum())


def test_waiting_for_locks_counts_against_the_time_of_requests() -> None:
    """By operation where it is known."""
    delays = service(_rng(), 0.3, "sync.(*Mutex).Unlock")
    values = delays.whole[:, None] * np.array([0.9, 0.1])
    operations = OperationSeries(
        ("slow", "fast"), values, np.ones((24, 2)), np.repeat(delays.whole[:, None] * 1.5, 2, 1)
    )
    (verdict,) = judge_locks(delays, operations)
    assert (verdict.subject, verdict.tier) == ("locks in slow", Tier.PAGE)
    unknown = replace(operations, values=np.zeros((24, 2)))
    (verdict,) = judge_locks(delays, unknown)
    assert (verdict.subject, verdict.tier) == ("locks", Tier.WATCH)
    assert judge_locks(delays, None) == ()


def test_delays_that_rise_are_told_as_waiting() -> None:
    """With the rules of regressions, for quantities that vary more."""
    truth = functions.labelled("own code", 3, 8.0)
    (verdict, *_) = judge_rising(truth.series, truth.operations)
    assert verdict.detector == "contention"
    assert verdict.subject == f"waiting in {truth.cause}"


def test_names_are_told_apart() -> None:
    """Application code is of no kind."""
    names = ("rank_items", "shop.gc_report", "main.handle", "json.dumps", "free_shipping", "checkout.idle_carts")
    assert not kind_mask(names, IDLE, COLLECTOR, ALLOCATION, PROFILER, INTERPRETER).any()


def test_sensitivity_moves_limits() -> None:
    """Low means higher limits."""
    assert PRODUCTION.adjusted(Sensitivity.LOW).gc_watch_ratio > PRODUCTION.gc_watch_ratio
