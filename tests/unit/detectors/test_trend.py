"""Robust trends against their formulas, typed in."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.detectors.trend import inflation, robust_line, sen, trend

VALUES = st.lists(st.integers(-1000, 1000), min_size=2, max_size=14)


def slow_score_and_slope(times: list[float], values: list[float], strata: list[int]) -> tuple[int, float]:
    """Kendall's score and Sen's slope, pair by pair."""
    pairs = [(i, j) for i, j in combinations(range(len(values)), 2) if strata[i] == strata[j]]
    score = sum(int(np.sign(values[j] - values[i])) for i, j in pairs)
    return score, float(np.median([(values[j] - values[i]) / (times[j] - times[i]) for i, j in pairs]))


@given(VALUES, st.integers(0, 14))
def test_the_slope_is_the_median_of_all_pairs(values: list[int], cut: int) -> None:
    """Sen's slope within strata equals the slow twin's, and the sign of the score shows in p."""
    times = np.cumsum(np.arange(1.0, len(values) + 1))
    strata = (np.arange(len(values)) >= cut).astype(np.int64)
    if max(np.unique(strata, return_counts=True)[1]) < 2:
        return
    score, slope = slow_score_and_slope(list(times), [float(value) for value in values], list(strata))
    found = trend(times, np.array(values, float), strata)
    assert found.slope.per_s == pytest.approx(slope)
    assert sen(times, np.array(values, float), strata) == pytest.approx(slope)
    assert found.slope.low_per_s <= found.slope.per_s <= found.slope.high_per_s
    assert (found.p_ratio < 0.5) == (score > 1)


def test_p_is_kendalls_for_a_known_case() -> None:
    """Eight rising values: S = 28, variance 65.33, z = 3.34."""
    found = trend(np.arange(8.0), np.arange(8.0), np.zeros(8, np.int64))
    assert found.p_ratio == pytest.approx(0.00042, rel=0.02)


def test_a_drop_between_strata_does_not_count() -> None:
    """Two rising stretches with a restart between them rise."""
    values = np.concatenate([np.arange(8.0), np.arange(8.0)])
    found = trend(np.arange(16.0), values, np.repeat([0, 1], 8))
    assert found.slope.per_s == pytest.approx(1.0)
    assert found.p_ratio < 1e-4


def test_autocorrelation_makes_a_trend_less_certain() -> None:
    """Slow waves inflate the variance, white noise does not."""
    rng = np.random.default_rng(0)
    assert inflation(np.sin(np.arange(48) / 6)) > 2
    assert np.mean([inflation(rng.normal(size=48)) for _ in range(50)]) < 1.4


def test_false_positives_of_white_and_of_autocorrelated_noise_are_bounded() -> None:
    """At p < 0.01 white noise trips about as often as it should, strongly autocorrelated noise rarely."""
    rng = np.random.default_rng(1)
    times, strata = np.arange(40.0), np.zeros(40, np.int64)

    def noise(keep: float) -> np.ndarray:
        values = rng.normal(size=40)
        for at in range(1, 40):
            values[at] += keep * values[at - 1]
        return values

    assert np.mean([trend(times, noise(0.0), strata).p_ratio < 0.01 for _ in range(300)]) < 0.03
    assert np.mean([trend(times, noise(0.6), strata).p_ratio < 0.01 for _ in range(300)]) < 0.08


def test_a_robust_line_ignores_outliers() -> None:
    """A tenth of the points may be anything."""
    rng = np.random.default_rng(2)
    x = np.linspace(0, 1, 50)
    values = 3 + 2 * x + rng.normal(0, 0.01, 50)
    values[::10] += 50
    line = robust_line(np.column_stack([np.ones(50), x]), values)
    assert line.coefficients == pytest.approx([3, 2], abs=0.05)
    assert line.errors[1] < 0.05


@pytest.mark.parametrize("size", [0, 1])
def test_too_little_data_is_no_trend(size: int) -> None:
    """Without pairs the slope is 0 and p is 1."""
    found = trend(np.arange(float(size)), np.arange(float(size)), np.zeros(size, np.int64))
    assert (found.slope.per_s, found.p_ratio) == (0.0, 1.0)
