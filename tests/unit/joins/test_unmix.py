"""Unmixing as a whole, on mixtures whose truth is known."""

import numpy as np
import polars as pl
import pytest

from correlate.joins.given import Refused
from correlate.joins.unmix import unmix
from correlate.joins.unmix_estimate import Estimate
from correlate.joins.unmix_result import Unmixed
from tests.unit.joins.mixtures import PERIOD_NS, Mixture, misplaced, mixture

UNSEEN = range(900, 906)
"""Seeds on which nothing was tuned."""


def solved(mixed: Mixture) -> Unmixed:
    """The solution, which must be there."""
    found = unmix(*mixed.given)
    assert isinstance(found, Unmixed)
    return found


def one(found: Unmixed, *operations: int) -> Estimate:
    """The estimate of some operations, which must be there."""
    estimate = found.estimate(np.array(operations))
    assert isinstance(estimate, Estimate), estimate
    return estimate


def in_order(found: Unmixed, mixed: Mixture) -> np.ndarray:
    """True hits by operation and stack of the solution."""
    return mixed.truth[:, (found.stacks + 13) // 7_919]


def by_window(found: Unmixed, operation: int) -> np.ndarray:
    """The profile of an operation if windows are shared out by active time."""
    seconds = found.activity.seconds
    shared: np.ndarray = found.counts.value.T @ (seconds[:, operation] / seconds.sum(axis=1))
    return shared


def test_profiles_are_found_better_than_by_sharing_windows_out() -> None:
    """After 60 windows of 6 operations at most a tenth of a profile is misplaced, each time less than by sharing."""
    errors = []
    for seed in UNSEEN:
        mixed = mixture(seed)
        found = solved(mixed)
        truth = in_order(found, mixed)
        for operation in range(6):
            error = misplaced(one(found, operation).value, truth[operation])
            assert error < misplaced(by_window(found, operation), truth[operation])
            errors.append(error)
    assert np.mean(errors) <= 0.10


def test_intervals_hold_the_true_shares() -> None:
    """Of the shares that matter, 93 to 99 of 100 lie in their intervals, on seeds that nothing was tuned on."""
    held = []
    for seed in UNSEEN:
        mixed = mixture(seed)
        found = solved(mixed)
        everyone, count = np.arange(len(found.stacks)), len(found.stacks)
        for operation, truth in enumerate(in_order(found, mixed)[:6]):
            shares, true = one(found, operation).shares(everyone, everyone, count), truth / truth.sum()
            matters = (true >= 0.01) | (shares.share >= 0.01)
            held.append(((true >= shares.low) & (true <= shares.high))[matters])
    assert 0.93 <= np.concatenate(held).mean() <= 0.99


def test_the_error_bound_is_on_the_safe_side() -> None:
    """On the mean an error is below its bound, and the bound is not more than four times as large."""
    bounds, errors = [], []
    for seed in UNSEEN:
        mixed = mixture(seed)
        found = solved(mixed)
        for operation, truth in enumerate(in_order(found, mixed)[:6]):
            estimate = one(found, operation)
            bounds.append(estimate.error_bound)
            errors.append(misplaced(estimate.value, truth))
    assert np.mean(errors) <= np.mean(bounds) <= 4 * np.mean(errors)


def test_nothing_is_added_and_nothing_lost() -> None:
    """The values of all operations and of the background make up the total of every stack."""
    mixed = mixture(1)
    found = solved(mixed)
    sums = found.background + sum(one(found, operation).value for operation in range(6))
    true = mixed.counts.group_by("stack").agg(pl.col("value").sum()).sort("stack")
    assert sums == pytest.approx(true["value"].to_numpy(), rel=1e-9)


def test_operations_taken_together_add_up() -> None:
    """The profile of two operations together is the sum of theirs."""
    found = solved(mixture(1))
    assert one(found, 0, 3).value == pytest.approx(one(found, 0).value + one(found, 3).value)


def test_the_share_of_each_sample_adds_up_to_the_profile() -> None:
    """What samples are given by window and stack is the value of the stack; what was never seen gets nothing."""
    mixed = mixture(1)
    found = solved(mixed)
    rows = mixed.counts
    share = found.shares(np.array([2]), rows["window"].to_numpy(), rows["stack"].to_numpy())
    assert share.min() >= 0
    assert share.max() <= 1 + 1e-9
    at = np.searchsorted(found.stacks, rows["stack"].to_numpy())
    value = np.bincount(at, share * rows["value"].to_numpy(), len(found.stacks))
    assert value == pytest.approx(one(found, 2).value)
    assert found.shares(np.array([2]), np.array([0, 10_000]), np.array([1, rows["stack"][0]])).tolist() == [0, 0]


def test_a_share_of_several_stacks_is_their_sum() -> None:
    """Groups may overlap; the group of all stacks has all of the profile and no doubt."""
    found = solved(mixture(1))
    estimate, stacks = one(found, 1), np.arange(len(found.stacks))
    shares = estimate.shares(np.concatenate([stacks, stacks[:10]]), np.repeat([0, 1], [len(stacks), 10]), 2)
    assert shares.share[0] == pytest.approx(1)
    assert shares.low[0] == pytest.approx(1, abs=1e-6)
    assert shares.share[1] == pytest.approx(estimate.value[:10].sum() / estimate.total)
    assert shares.low[1] <= shares.share[1] <= shares.high[1]


def test_equal_seeds_give_equal_answers() -> None:
    """Bootstrap draws depend on the seed alone."""
    mixed = mixture(2, windows=40, operations=3)
    first, second = (one(solved(mixed), 0) for _ in range(2))
    assert first.error_bound == second.error_bound
    assert (first.draws == second.draws).all()


def test_values_need_not_be_hits() -> None:
    """A profile in other units, the same for all stacks, is unmixed alike."""
    mixed = mixture(3, windows=40, operations=3)
    found = solved(mixed)
    bytes_each = mixed.counts.with_columns(pl.col("value") // PERIOD_NS * 4_096)
    other = unmix(bytes_each, mixed.windows, mixed.spans)
    assert isinstance(other, Unmixed)
    assert one(other, 1).value == pytest.approx(one(found, 1).value / PERIOD_NS * 4_096)


def test_several_processes_are_one_system() -> None:
    """Windows of another process of the same code count as well; spans of unknown processes do not."""
    first, second = mixture(4, windows=12, operations=3), mixture(4, windows=30, operations=3)
    windows = pl.concat(
        [first.windows, second.windows.with_columns(pl.col("window") + 100, process=pl.lit(1, pl.Int64))]
    )
    counts = pl.concat([first.counts, second.counts.with_columns(pl.col("window") + 100)])
    stray = first.spans.with_columns(process=pl.lit(-1, pl.Int64))
    spans = pl.concat([first.spans, second.spans.with_columns(process=pl.lit(1, pl.Int64)), stray])
    found = unmix(counts, windows, spans)
    assert isinstance(found, Unmixed)
    assert len(found.counts.windows) == 42
    assert found.activity.seconds.sum() == pytest.approx(first.seconds.sum() + second.seconds.sum(), rel=0.01)


def refused(mixed: Mixture) -> str:
    """The reason for which the whole is refused."""
    found = unmix(*mixed.given)
    assert isinstance(found, Refused)
    return found.reason


def test_too_few_windows_are_refused() -> None:
    """A handful of windows is refused as such, and more of them if there are many operations."""
    assert "only 6 windows" in refused(mixture(1, windows=6))
    assert "too few for 6 operations" in refused(mixture(1, windows=16))


def test_operations_that_vary_together_are_refused() -> None:
    """Where the activity of one operation follows from that of others, the reason says so and names them."""
    mixed = mixture(1, operations=3, together=True)
    found = unmix(*mixed.given, names={0: "GET /a", 1: "GET /b", 2: "GET /c"})
    assert isinstance(found, Unmixed)
    reason = found.estimate(np.array([0]))
    assert isinstance(reason, Refused)
    assert "do not tell 'GET /a' from the others" in reason.reason
    assert "correlation" in reason.reason


def test_spans_that_explain_nothing_are_refused() -> None:
    """The spans of one process do not explain the windows of another."""
    mixed, other = mixture(1), mixture(2)
    assert "does not explain" in refused(Mixture(mixed.counts, mixed.windows, other.spans, mixed.truth, mixed.seconds))


def test_spans_of_another_time_are_refused() -> None:
    """No span in any window: clocks or processes disagree."""
    mixed = mixture(1, operations=2, windows=20)
    late = mixed.spans.with_columns(pl.col("start_ns") + 10**15)
    found = unmix(mixed.counts, mixed.windows, late)
    assert isinstance(found, Refused)
    assert "no span was at work" in found.reason


def test_nothing_at_all_is_refused() -> None:
    """No samples, or no spans: a reason, no error."""
    mixed = mixture(1, operations=2, windows=20)
    assert isinstance(unmix(mixed.counts.clear(), mixed.windows, mixed.spans), Refused)
    assert isinstance(unmix(mixed.counts, mixed.windows, mixed.spans.clear()), Refused)
    found = solved(mixed)
    assert isinstance(found.estimate(np.array([77])), Refused)


def test_operations_without_hits_have_no_profile() -> None:
    """An operation that only waits gets next to nothing, and is told so."""
    mixed = mixture(5, operations=3)
    rng = np.random.default_rng(0)
    waiting = mixed.spans.sample(600, seed=1, with_replacement=True).with_columns(
        operation=pl.lit(9, pl.Int64),
        start_ns=pl.Series(mixed.windows["start_ns"][0] + rng.integers(0, 600 * 10**9, 600)),
        span=pl.Series(np.arange(10**9, 10**9 + 600)),
    )
    found = unmix(mixed.counts, mixed.windows, pl.concat([mixed.spans, waiting]))
    assert isinstance(found, Unmixed)
    assert isinstance(found.estimate(np.array([9])), Refused)


def test_small_operations_are_lumped_unless_wanted() -> None:
    """What is hardly ever at work shares a column with its like, except where the question is about it."""
    mixed = mixture(6)
    tiny = mixed.spans.head(40).with_columns(
        operation=pl.Series(np.arange(40) + 100),
        duration_ns=pl.lit(1_000_000, pl.Int64),
        span=pl.Series(np.arange(10**9, 10**9 + 40)),
    )
    spans = pl.concat([mixed.spans, tiny])
    found = unmix(mixed.counts, mixed.windows, spans)
    assert isinstance(found, Unmixed)
    assert found.design.lumped.sum() == 40
    mixed_in = found.estimate(np.arange(100, 140))
    assert isinstance(mixed_in, Refused)
    asked = unmix(mixed.counts, mixed.windows, spans, wanted=np.array([120]))
    assert isinstance(asked, Unmixed)
    assert not asked.design.lumped[np.flatnonzero(asked.operations == 120)[0]]


def test_a_pool_that_is_always_busy_is_unmixed_all_the_same() -> None:
    """An operation is at work when the others are not: that follows, and confuses nothing."""
    rng = np.random.default_rng(11)
    window_ns, windows, operations, stacks = 10_000_000_000, 60, 4, 5
    part = rng.dirichlet(np.full(operations, 2.0), windows)
    ends = np.rint(np.cumsum(part, axis=1) * window_ns).astype(np.int64)
    ends[:, -1] = window_ns
    starts = np.hstack([np.zeros((windows, 1), np.int64), ends[:, :-1]])
    base = (np.arange(windows) * window_ns)[:, None]
    operation = np.tile(np.arange(operations), windows)
    spans = pl.DataFrame(
        {
            "trace_hi": np.zeros(len(operation), np.int64),
            "trace_lo": 1 + np.arange(len(operation)),
            "span": 1 + np.arange(len(operation)),
            "parent": np.zeros(len(operation), np.int64),
            "start_ns": (base + starts).ravel(),
            "duration_ns": (ends - starts).ravel(),
            "process": np.ones(len(operation), np.int64),
            "operation": operation,
        }
    )
    hits = rng.poisson((part[:, :, None] * 1000 / stacks) * np.ones((1, 1, stacks)))
    window, owner, stack = (axis.ravel() for axis in np.indices(hits.shape))
    counts = pl.DataFrame(
        {"window": window, "stack": 1 + owner * stacks + stack, "value": hits.ravel(), "weight": hits.ravel()}
    )
    where = pl.DataFrame(
        {"window": np.arange(windows), "process": np.ones(windows, np.int64), "start_ns": base.ravel()}
    )
    found = unmix(counts, where.with_columns(end_ns=pl.col("start_ns") + window_ns), spans)
    assert isinstance(found, Unmixed)
    estimate = found.estimate(np.array([0]))
    assert isinstance(estimate, Estimate)
    mine = (found.stacks - 1) // stacks == 0
    assert estimate.value[mine].sum() / estimate.total > 0.95
