"""Hotspots and strange instances."""

from dataclasses import replace

import numpy as np

from correlate.detectors.hotspot import judge, judge_fleet
from correlate.detectors.hotspot_options import PRODUCTION
from correlate.detectors.sensitivity import Sensitivity
from correlate.detectors.shares import OperationSeries
from correlate.model.verdicts import Tier
from tests.quality.hotspots import instances, service


def _rng() -> np.random.Generator:
    return np.random.default_rng(5)


def test_a_large_share_is_a_watch() -> None:
    """What may always have been there is information."""
    (verdict,) = judge(service(_rng(), 0.5, "rank_items"))
    assert (verdict.subject, verdict.tier) == ("rank_items", Tier.WATCH)
    assert verdict.held_back_by == ("new or grown",)
    assert 0.4 < verdict.figures["share_ratio"] < 0.6


def test_a_large_share_that_is_new_is_a_page() -> None:
    """With enough known from before, half of the CPU that was not there is one."""
    series = service(_rng(), 0.1, "rank_items", buckets=120)
    own = series.own.copy()
    own[-14:, 0] = 1.5 * own[-14:].sum(axis=1)
    grown = replace(series, own=own, total=own, whole=own.sum(axis=1))
    (verdict,) = judge(grown)
    assert (verdict.subject, verdict.tier) == ("rank_items", Tier.PAGE)
    assert "before" in verdict.headline


def test_waiting_and_the_runtime_are_no_hotspots() -> None:
    """Frames of waiting threads, of collectors and of interpreters are left out."""
    for name in ("epoll_wait", "runtime.futex", "<idle>", "_PyEval_EvalFrameDefault", "runtime.gcBgMarkWorker"):
        assert judge(service(_rng(), 0.6, name)) == (), name


def test_a_burst_is_none() -> None:
    """It must be so for an hour."""
    assert judge(service(_rng(), 0.1, "rank_items", bursts=0.5)) == ()


def test_too_few_samples_say_nothing() -> None:
    """Ninety samples are no share, and no data is no error."""
    series = service(_rng(), 0.5, "rank_items")
    assert judge(replace(series, hits=np.full(24, 3.0))) == ()
    assert judge(series.between(0, 0)) == ()


def test_an_operation_of_several_may_be_hot() -> None:
    """Operations are judged where there are three of them."""
    series = service(_rng(), 0.1, "rank_items")
    values = series.whole[:, None] * np.array([0.8, 0.1, 0.1])
    operations = OperationSeries(("a", "b", "c"), values, np.ones((24, 3)), values)
    (verdict,) = judge(series, operations)
    assert verdict.subject == "a"
    assert verdict.sites[0].operations == ("a",)


def test_a_strange_instance_is_named_with_its_function() -> None:
    """Another profile, or dearer requests."""
    (verdict,) = judge_fleet(instances(_rng(), "profile"))
    assert (verdict.subject, verdict.tier) == ("shop-7", Tier.WATCH)
    (verdict,) = judge_fleet(instances(_rng(), "cost"))
    assert verdict.subject == "shop-7"
    assert "times as much" in verdict.headline


def test_siblings_that_differ_are_normal() -> None:
    """Shards each have work of their own: of a hundred such fleets at most five are suspected of anything."""
    for spread in (0.08, 0.5):
        fleets = [instances(np.random.default_rng([9, draw]), "", spread=spread) for draw in range(100)]
        assert sum(bool(judge_fleet(each)) for each in fleets) <= 5


def test_three_instances_have_no_usual_one() -> None:
    """There are too few to tell."""
    assert judge_fleet(instances(_rng(), "profile", count=3)) == ()


def test_sensitivity_moves_limits_within_their_range() -> None:
    """A limit on a share stays one."""
    low, high = (PRODUCTION.adjusted(each) for each in (Sensitivity.LOW, Sensitivity.HIGH))
    assert 0 < high.function_share_ratio < PRODUCTION.function_share_ratio < low.function_share_ratio < 1
