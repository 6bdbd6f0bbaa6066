"""The outlook: what mixtures of lines, curves and steps expect of tomorrow."""

import numpy as np
import pytest

from correlate.detectors.leak_curves import curves
from correlate.detectors.leak_forecast import outlook, straight_part
from correlate.detectors.leak_mixtures import LEAST_POINTS, Growth
from correlate.detectors.leak_steps import effective_count, rising_steps

HOURS = np.arange(0, 24, 0.5)
NONE = np.zeros(HOURS.size, np.int64)
DAY = 24.0


def growth(values: np.ndarray, noise: float = 1.0, beside: np.ndarray | None = None, seed: int = 0) -> Growth:
    """A day of floors every half an hour, with noise; hours take the place of seconds."""
    noisy = values + np.random.default_rng(seed).normal(0, noise, values.size)
    return Growth(noisy, NONE[: values.size], (HOURS[: values.size],), grain=0.1, beside=beside)


def test_a_straight_line_goes_on() -> None:
    """3 an hour are 72 tomorrow, and nearly all of that is sure."""
    found = outlook(growth(3 * HOURS), DAY)
    assert found is not None
    assert found.likely_growth == pytest.approx(72, rel=0.05)
    assert 50 < found.sure_growth <= found.likely_growth
    assert (found.curve, found.steps_count) == ("line", 0)


@pytest.mark.parametrize(
    ("values", "tomorrow"),
    [
        (100 * (1 - np.exp(-HOURS / 5)), 1.0),
        (30 * np.log1p(4 * HOURS), 21.0),
        (100 / (1 + np.exp((10 - HOURS) / 1.5)), 0.0),
        (5 * np.minimum(HOURS, 15), 0.0),
    ],
)
def test_what_slows_down_is_expected_to(values: np.ndarray, tomorrow: float) -> None:
    """Saturation, logarithm, sigmoid and an end: tomorrow brings little more than the curve says, of 100 so far."""
    found = outlook(growth(values, 0.5), DAY)
    assert found is not None
    assert found.sure_growth <= found.likely_growth < tomorrow + 12


def test_steps_are_not_expected_again() -> None:
    """Three steps without any growth between them are found and leave nothing to come."""
    values = 30.0 * (HOURS > 5) + 40 * (HOURS > 11) + 30 * (HOURS > 18)
    found = outlook(growth(values), DAY)
    assert found is not None
    assert found.steps_count == 3
    assert found.likely_growth < 10


def test_steps_are_found_where_they_are() -> None:
    """Beside a line, and only upwards; a plain line has none."""
    base = np.column_stack([np.ones(HOURS.size), HOURS / 24])
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 1, HOURS.size)
    assert rising_steps(base, 3 * HOURS + noise, NONE, 0.1).size == 0
    assert rising_steps(base, 3 * HOURS + 30 * (HOURS >= 9) + noise, NONE, 0.1).tolist() == [18]
    assert rising_steps(base, 3 * HOURS - 30 * (HOURS >= 9) + noise, NONE, 0.1).size == 0


def test_the_interval_holds_the_slope_as_often_as_it_says_or_more() -> None:
    """A line beside a cache that fills, in noise that wanders: widened for what real series hold beside that."""
    inside = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        noise = np.zeros(HOURS.size)
        for at in range(1, HOURS.size):
            noise[at] = 0.5 * noise[at - 1] + rng.normal(0, 1)
        found = straight_part(growth(3 * HOURS + 40 * (1 - np.exp(-HOURS / 2)) + noise, 0.0))
        assert found is not None
        inside.append(found.low_per_s <= 3 <= found.high_per_s)
    assert np.mean(inside) >= 0.93


def test_the_load_is_taken_out_by_a_factor_of_its_own() -> None:
    """A daily swing beside the leak leaves the leak as it is."""
    load = np.sin(2 * np.pi * (HOURS - 9) / 24)
    found = straight_part(growth(3 * HOURS + 40 * load, 0.5, beside=load[:, None]))
    assert found is not None
    assert found.per_s == pytest.approx(3, rel=0.1)


def test_every_stratum_begins_anew() -> None:
    """A leak between restarts is a line in each; a drop between them is none."""
    strata = (HOURS >= 12).astype(np.int64)
    values = 3 * (HOURS % 12) + np.random.default_rng(2).normal(0, 0.5, HOURS.size)
    found = outlook(Growth(values, strata, (HOURS,), 0.1), DAY)
    assert found is not None
    assert found.likely_growth == pytest.approx(72, rel=0.1)


def test_few_points_say_nothing() -> None:
    """Below the least number there is no outlook and no slope; at it there is, and nothing fails without any noise."""
    few = growth(HOURS[: LEAST_POINTS - 1])
    assert (outlook(few, DAY), straight_part(few)) == (None, None)
    assert outlook(growth(np.zeros(LEAST_POINTS), 0.0), DAY) is not None


def test_curves_know_what_is_ahead() -> None:
    """Each curve's rise after the last point is what its formula says there; ages of other clocks scale."""
    found, scaled = curves(HOURS, DAY), curves(HOURS * 3600, DAY * 3600)
    kink = found.names.index("kink")
    assert found.ahead[kink] == 0
    assert not found.rising[kink]
    assert (found.ahead >= 0).all()
    assert scaled.ahead == pytest.approx(found.ahead)
    assert scaled.values == pytest.approx(found.values)


def test_independent_points_are_fewer_where_residuals_hang_together() -> None:
    """White noise counts almost fully, a slow wave hardly."""
    rng = np.random.default_rng(3)
    assert np.mean([effective_count(rng.normal(size=48)) for _ in range(40)]) > 35
    assert effective_count(np.sin(np.arange(48) / 8)) < 12
    assert effective_count(np.zeros(10)) == 10
