"""Intervals: against slow formulas, at the edges, and how often they hold the truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from correlate.flame.intervals import Interval, cost_interval, difference, ratio, share_interval
from correlate.flame.moments import Moments, of_matrix
from tests.quality import significance as quality

spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=3, max_size=12)


def sums(own: list[int], rest: list[int]) -> Moments:
    """The sums of one column whose spans also spent something elsewhere."""
    y, x = np.array(own, float), np.array(own, float) + np.array(rest, float)
    return of_matrix(sparse.csr_array(y[:, None]), x, int(x.sum()))


@given(spans)
def test_residuals_are_those_of_a_loop(pairs: list[tuple[int, int]]) -> None:
    """The sparse sums give the leverage-corrected residual sum of squares of a plain loop."""
    own, rest = map(list, zip(*pairs, strict=True))
    found = sums(own, rest)
    total = sum(own) + sum(rest)
    if total:
        share = sum(own) / total
        slow = sum(
            (y - share * (y + z)) ** 2 / max(1 - (y + z) / total, 1 / len(pairs))
            for y, z in zip(own, rest, strict=True)
        )
        assert found.residual[0] == pytest.approx(slow, rel=1e-6, abs=1e-6 * (1 + found.yy[0]))


@given(spans)
def test_limits_lie_around_the_figure_and_within_what_is_possible(pairs: list[tuple[int, int]]) -> None:
    """A share is between 0 and 1, a cost not negative, and the figure itself between its limits."""
    own, rest = map(list, zip(*pairs, strict=True))
    found = sums(own, rest)
    for interval, most in ((share_interval(found), 1.0), (cost_interval(found), np.inf)):
        low, value, high = interval.low[0], interval.value[0], interval.high[0]
        if any(own):
            assert 0 <= low <= value <= high <= most
        elif sum(rest):
            assert (low, value) == (0, 0)
            assert np.isnan(high)


def test_more_spans_say_more() -> None:
    """Four times the spans, half the width."""
    few, many = (share_interval(sums([3, 0, 5, 1] * count, [4, 6, 2, 2] * count)) for count in (25, 100))
    assert (few.high - few.low)[0] / (many.high - many.low)[0] == pytest.approx(2, rel=0.05)


def test_samples_of_one_span_are_not_counted_as_evidence_of_many() -> None:
    """Spans that are all one thing or all another say less than their samples alone would."""
    mixed, lumped = sums([5, 5] * 20, [5, 5] * 20), sums([10, 0] * 20, [0, 10] * 20)
    widths = [float((found.high - found.low)[0]) for found in map(share_interval, (mixed, lumped))]
    assert widths[1] > 3 * widths[0]


def test_one_span_knows_nothing_of_others() -> None:
    """The figure is there, its limits are not."""
    for found in (share_interval(sums([3], [1])), cost_interval(sums([3], [1]))):
        assert found.value[0] > 0
        assert np.isnan([found.low[0], found.high[0]]).all()


def test_two_spans_give_wide_limits() -> None:
    """Honest, if not useful."""
    found = share_interval(sums([3, 1], [5, 5]))
    assert found.high[0] - found.low[0] > 0.7


def test_what_is_in_every_sample_is_not_quite_certain() -> None:
    """A share of one has an interval below it that shrinks with the number of samples."""
    found = share_interval(sums([5] * 30, [0] * 30))
    assert found.high[0] == 1
    assert 0.95 < found.low[0] < 1


def test_what_no_span_has_is_bounded_by_what_others_have_of_it() -> None:
    """With about two and a half spans' usual value, and not at all when nothing is known."""
    found = cost_interval(sums([0] * 50, [10] * 50), typical=np.array([20.0]))
    assert found.low[0] == 0
    assert found.high[0] == pytest.approx(2.51 * 20 / 50, rel=0.01)


def test_differences_and_ratios_carry_the_errors_of_both_sides() -> None:
    """Errors add up as squares; a ratio to nothing is not a number."""
    left, right = (Interval(*(np.array([x]) for x in figures)) for figures in ((10, 7, 13), (20, 16, 24)))
    found = difference(left, right)
    assert (found.value[0], found.low[0], found.high[0]) == (10, 5, 15)
    times = ratio(left, right)
    assert times.value[0] == pytest.approx(2)
    assert times.low[0] < 2 < times.high[0]
    nothing = Interval(*(np.zeros(1),) * 3)
    assert np.isnan(ratio(nothing, right).value[0])


@pytest.mark.parametrize(("span_count", "mean_samples"), [(30, 5.0), (300, 1.5)])
def test_limits_hold_the_truth_as_often_as_they_say(span_count: int, mean_samples: float) -> None:
    """Over cohorts with a known truth, 93 to 97 % of the 95 % intervals do."""
    shares, costs = quality.coverage(range(100), span_count, mean_samples)
    assert 0.93 <= shares <= 0.97
    assert 0.93 <= costs <= 0.97
