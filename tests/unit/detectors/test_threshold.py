"""Limits with duration and hysteresis."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.detectors.sensitivity import Sensitivity
from correlate.detectors.threshold import (
    LIMITS,
    PRODUCTION,
    LevelSeries,
    Limit,
    Quantity,
    above_since,
    judge,
    judge_all,
)
from correlate.model.verdicts import Tier

MINUTE_NS = 60 * 10**9


def _series(values: list[float], quantity: Quantity = Quantity.CPU) -> LevelSeries:
    times = np.arange(len(values)) * MINUTE_NS
    return LevelSeries("shop", "shop-1", quantity, times, np.array(values, dtype=float), MINUTE_NS)


@pytest.mark.parametrize(
    ("quantity", "value", "tier"),
    [
        (Quantity.CPU, 0.9, Tier.PAGE),
        (Quantity.CPU, 0.8, Tier.WATCH),
        (Quantity.MEMORY, 0.95, Tier.PAGE),
        (Quantity.GOROUTINES, 60_000, Tier.PAGE),
        (Quantity.GOROUTINES, 12_000, Tier.WATCH),
        (Quantity.GC_PAUSE, 60e6, Tier.PAGE),
        (Quantity.PROFILING, 0.12, Tier.PAGE),
    ],
)
def test_levels_above_their_limit_are_told(quantity: Quantity, value: float, tier: Tier) -> None:
    """The limits of the guide: the target is a watch, the alarm a page."""
    verdict = judge(_series([value] * 40, quantity))
    assert verdict is not None
    assert verdict.tier is tier
    assert verdict.figures["lasted_s"] == 2400


def test_moments_are_no_news() -> None:
    """Neither a short time above, nor no data."""
    assert judge(_series([0.2] * 50 + [0.99] * 10)) is None
    assert judge(_series([])) is None
    assert judge(_series([float("nan")] * 30)) is None


def test_swinging_about_the_limit_does_not_ring_twice() -> None:
    """It is over only when it stayed below a lower limit."""
    verdict = judge(_series([0.2] * 10 + [0.9] * 20 + [0.80, 0.86] * 10))
    assert verdict is not None
    assert verdict.tier is Tier.PAGE
    assert verdict.figures["lasted_s"] == 40 * 60
    assert judge(_series([0.9] * 20 + [0.2] * 10)) is None


def test_a_gap_ends_it() -> None:
    """Nobody knows what was in between."""
    times = np.concatenate([np.arange(20), np.arange(60, 65)]) * MINUTE_NS
    assert judge(LevelSeries("s", "", Quantity.CPU, times, np.full(25, 0.95), MINUTE_NS)) is None


def test_the_loudest_comes_first() -> None:
    """Several levels at once."""
    found = judge_all([_series([0.75] * 30), _series([0.95] * 30, Quantity.MEMORY)])
    assert [verdict.tier for verdict in found] == [Tier.PAGE, Tier.WATCH]
    assert {verdict.subject for verdict in found} == {"memory shop-1", "cpu shop-1"}


def test_sensitivity_changes_how_long_it_must_last() -> None:
    """Limits are limits."""
    low = PRODUCTION.adjusted(Sensitivity.LOW).limits[Quantity.CPU]
    assert low.page == LIMITS[Quantity.CPU].page
    assert low.hold_s > LIMITS[Quantity.CPU].hold_s


@given(st.lists(st.sampled_from([0.2, 0.8, 0.95]), max_size=60), st.lists(st.booleans(), min_size=60, max_size=60))
def test_the_state_is_that_of_a_slow_machine(values: list[float], gaps: list[bool]) -> None:
    """Vectorised and step by step agree, with gaps."""
    limit = Limit(0.7, 0.85, clear_ratio=0.9, hold_s=180, clear_s=120)
    steps = [10 if gap and at % 7 == 0 else 1 for at, gap in zip(range(len(values)), gaps, strict=False)]
    times = np.cumsum(steps).astype(np.int64) * MINUTE_NS
    seen = above_since(times, np.array(values), 0.85, limit, MINUTE_NS) if values else None
    assert seen == _slowly(times.tolist(), values, limit)


def _slowly(times: list[int], values: list[float], limit: Limit) -> int | None:
    high = low = since = None
    for at, (time, value) in enumerate(zip(times, values, strict=True)):
        if at and time - times[at - 1] > 3 * MINUTE_NS:
            high = low = since = None
        high = (high if high is not None else time) if value > 0.85 else None
        low = (low if low is not None else time) if value < 0.85 * limit.clear_ratio else None
        if low is not None and time - low + MINUTE_NS >= limit.clear_s * 1e9:
            since = None
        if high is not None and since is None and time - high + MINUTE_NS >= limit.hold_s * 1e9:
            since = high
    return since
