"""The parts of unmixing, against slow twins."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.joins.unmix_check import foretold
from correlate.joins.unmix_design import Activity, activity, design
from correlate.joins.unmix_draws import FEWEST_DRAWS, draw, reach
from correlate.joins.unmix_owners import Candidates
from correlate.joins.unmix_solve import LEAST_SPREAD, fit, solve
from correlate.joins.unmix_stacks import Counts, added
from tests.support.rows import T0
from tests.unit.joins.mixtures import spans


def likelihood(activity_s: np.ndarray, hits: np.ndarray, rate: np.ndarray) -> float:
    """Logarithm of the probability of counts, up to a constant."""
    expected = activity_s @ rate
    return float((hits * np.log(np.maximum(expected, 1e-300)) - expected).sum())


def system(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activity, hits and true rates."""
    rng = np.random.default_rng(seed)
    activity_s = rng.gamma(2.0, 2.0, (30, 4))
    rate = rng.gamma(0.3, 3.0, (4, 25))
    return activity_s, rng.poisson(activity_s @ rate).astype(np.float64), rate


@pytest.mark.parametrize("seed", range(4))
def test_long_steps_reach_what_many_short_ones_reach(seed: int) -> None:
    """The likelihood is within half a unit of that after 20,000 plain rounds."""
    activity_s, hits, _ = system(seed)
    even = np.tile(hits.sum(axis=0) / activity_s.sum(), (4, 1))
    plain = even
    for _ in range(20_000):
        ratio = hits / np.maximum(activity_s @ plain, 1e-300)
        plain = plain * (activity_s.T @ ratio) / activity_s.sum(axis=0)[:, None]
    fast = solve(activity_s, hits, even, 40)
    assert fast.min() >= 0
    assert likelihood(activity_s, hits, fast) >= likelihood(activity_s, hits, plain) - 0.5


def test_without_noise_the_rates_are_found() -> None:
    """Counts that are exactly what the model expects give the rates back, and no scale."""
    activity_s, _, rate = system(1)
    exact = activity_s @ rate
    found = fit(activity_s, exact, exact)
    assert found.rate.sum(axis=1) == pytest.approx(rate.sum(axis=1), rel=0.05)
    assert found.scale == pytest.approx(np.ones(30), abs=0.05)
    assert found.spread == LEAST_SPREAD


def test_what_a_window_does_to_all_is_not_blamed_on_one() -> None:
    """Windows whose hits are halved for everybody get half the scale."""
    rng = np.random.default_rng(3)
    activity_s, _, rate = system(3)
    halved = np.where(np.arange(30) % 3 == 0, 0.5, 1.0)
    hits = rng.poisson(20 * halved[:, None] * (activity_s @ rate)).astype(np.float64)
    found = fit(activity_s, hits, hits)
    ratio = found.scale[halved == 0.5].mean() / found.scale[halved == 1.0].mean()
    assert ratio == pytest.approx(0.5, abs=0.05)
    assert found.spread > LEAST_SPREAD


def test_a_stack_that_follows_one_operation_is_its_own() -> None:
    """A stack of one operation goes to it, one that all share to all."""
    rng = np.random.default_rng(5)
    activity_s = rng.gamma(2.0, 2.0, (60, 3))
    rate = np.zeros((3, 40))
    rate[np.arange(36) % 3, np.arange(36)] = 3.0
    rate[:, 36:] = 1.0
    hits = rng.poisson(activity_s @ rate).astype(np.float64)
    found = fit(activity_s, hits, hits)
    scaled = activity_s * found.scale[:, None]
    candidates = Candidates.of(scaled, found.rate, np.ones(60))
    owned = candidates.weigh(hits)
    parts = candidates.divide(hits.sum(axis=0), owned.weight)
    assert owned.weight.sum(axis=1) == pytest.approx(np.ones(40))
    assert owned.kinds.sum() == pytest.approx(1)
    assert parts.sum(axis=0) == pytest.approx(hits.sum(axis=0))
    assert parts[np.arange(36) % 3, np.arange(36)].sum() > 0.97 * hits[:, :36].sum()
    assert (parts[:, 36:] > 0.15 * parts[:, 36:].sum(axis=0)).all()


def test_windows_are_foretold_by_what_made_them_only() -> None:
    """Activity that made the counts foretells them; the same in another order does not."""
    activity_s, hits, _ = system(7)
    assert foretold(activity_s, hits) > 3
    assert foretold(np.roll(activity_s, 7, axis=0), hits) < 3


def test_draws_scatter_about_the_truth() -> None:
    """Each draw has as many hits as fell into its windows, and the draws centre on the estimate."""
    activity_s, hits, rate = system(2)
    found = fit(activity_s, hits, hits)
    scaled = activity_s * found.scale[:, None]
    owned = Candidates.of(scaled, found.rate, np.ones(30)).weigh(hits)
    draws = draw(scaled, hits, found.rate, owned, seed=1)
    assert draws.shape[0] >= FEWEST_DRAWS
    assert draws.shape[1:] == rate.shape
    assert draws.sum(axis=(1, 2)).mean() == pytest.approx(hits.sum(), rel=0.1)
    assert reach(60, 7) > reach(1_000, 7) > 1.96


piece = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(-50, 400), st.integers(0, 120), st.integers(-1, 5))


@settings(max_examples=60)
@given(st.lists(piece, min_size=1, max_size=12))
def test_activity_is_what_counting_nanoseconds_gives(pieces: list[tuple[int, int, int, int, int]]) -> None:
    """Time at work by window and operation equals that counted nanosecond by nanosecond; gaps and overlaps allowed."""
    process, operation, start, length, parent = (np.array(column, np.int64) for column in zip(*pieces, strict=True))
    numbers = np.arange(1, len(pieces) + 1)
    parent = np.where((parent >= 0) & (parent + 1 < numbers), parent + 1, 0)
    rows = spans(np.zeros(len(pieces)), np.zeros(len(pieces)), operation).with_columns(
        trace_hi=pl.lit(1, pl.Int64),
        trace_lo=pl.lit(1, pl.Int64),
        parent=pl.Series(parent),
        start_ns=pl.Series(T0 + start),
        duration_ns=pl.Series(length),
        process=pl.Series(process),
    )
    edges = [(0, 0, 100), (0, 100, 130), (1, 20, 300), (2, 350, 500), (0, 110, 200)]
    windows = pl.DataFrame(edges, schema=["process", "start_ns", "end_ns"], orient="row").with_columns(
        pl.col("start_ns") + T0, pl.col("end_ns") + T0
    )
    found = activity(rows, windows)
    true = np.zeros((len(edges), 4))
    for row, (where, begin, end) in enumerate(edges):
        for at in np.flatnonzero(process == where):
            for now in range(max(begin, start[at]), min(end, start[at] + length[at])):
                waits = any(
                    parent[child] == numbers[at] and start[child] <= now < start[child] + length[child]
                    for child in range(len(pieces))
                )
                true[row, operation[at]] += 0 if waits else 1e-9
    kept = true.sum(axis=0) > 0
    assert found.operations.tolist() == np.flatnonzero(kept).tolist()
    assert found.seconds == pytest.approx(true[:, kept], abs=1e-12)


def test_columns_are_the_busiest_operations() -> None:
    """As many columns as the windows allow, the wanted before all others, the rest together, the background last."""
    seconds = np.tile(np.array([5.0, 1.0, 4.0, 3.0, 2.0]), (16, 1))
    found = Activity(np.array([10, 11, 12, 13, 14]), seconds)
    chosen = design(found, np.full(16, 9.0), np.array([11]))
    assert chosen.columns.shape == (16, 4)
    assert chosen.columns[0].tolist() == [1.0, 5.0, 9.0, 9.0]
    assert chosen.column_of.tolist() == [1, 0, 2, 2, 2]
    assert chosen.lumped.tolist() == [False, False, True, True, True]
    assert chosen.lumped_ratio == pytest.approx(9 / 15)
    more = Activity(found.operations, np.tile(seconds, (2, 1)))
    assert not design(more, np.full(32, 9.0), np.array([], np.int64)).lumped.any()


def test_counts_keep_all_value() -> None:
    """Rare stacks share the last column; rows without value or hits do not count."""
    rows = pl.DataFrame(
        [(3, 50, 700, 7), (3, 60, 100, 1), (5, 50, 300, 3), (5, 70, 200, 2), (5, 80, 0, 4), (9, 50, -1, 1)],
        schema=["window", "stack", "value", "weight"],
        orient="row",
    )
    counts = Counts.of(rows)
    assert counts.windows.tolist() == [3, 5]
    assert counts.stacks.tolist() == [50, 60, 70]
    assert counts.hits.tolist() == [[7, 1], [3, 2]]
    assert counts.coarse().sum() == counts.hits.sum()
    assert added(np.array([[1.0, 2.0, 4.0]]), np.array([1, 0, 1])).tolist() == [[2.0, 5.0]]
