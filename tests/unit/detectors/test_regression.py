"""The regression detector on services whose truth is known, and its kernels against slow twins."""

from dataclasses import replace

import numpy as np
import pytest

from correlate.detectors.fdr import step_up
from correlate.detectors.regression import judge
from correlate.detectors.regression_filters import causes
from correlate.detectors.regression_levels import releases
from correlate.detectors.regression_look import look
from correlate.detectors.regression_options import PRODUCTION
from correlate.detectors.sensitivity import Sensitivity
from correlate.detectors.shares import FunctionSeries, blocks, scatter, usual_callers
from correlate.detectors.steps import find_steps, without_spikes
from correlate.model.verdicts import Site, Tier
from tests.truth import functions


def _paged(truth: functions.Labelled) -> set[str]:
    found = judge(truth.series, truth.operations)
    return {verdict.subject for verdict in found if verdict.tier is Tier.PAGE}


def test_a_function_that_got_slower_pages_by_its_name() -> None:
    """The verdict names function, growth, since when, and what would have been seen."""
    truth = functions.labelled("own code", 3, 2.0)
    verdict = judge(truth.series, truth.operations)[0]
    assert (verdict.subject, verdict.tier) == (truth.cause, Tier.PAGE)
    assert verdict.figures["growth_low_ratio"] < 1.0 < verdict.figures["growth_high_ratio"] + 0.3
    onset_ns = truth.series.time_ns[truth.onset]
    assert abs(verdict.figures["since_ns"] - onset_ns) < 3600e9
    assert verdict.minimum_detectable is not None
    assert 0 < verdict.minimum_detectable < 1.0
    assert verdict.sites[0].function == truth.cause


def test_a_release_that_made_it_slower_is_named() -> None:
    """The headline tells the release the change came with."""
    truth = functions.labelled("own code with release", 4, 2.0)
    assert "with release 1.2 after 1.1" in judge(truth.series, truth.operations)[0].headline


@pytest.mark.parametrize("shape", [*functions.HARMLESS, *functions.SHIFTS])
def test_what_is_no_regression_does_not_page(shape: str) -> None:
    """Spikes, load, slow hosts, optimisations and moved cost are silent."""
    assert not _paged(functions.labelled(shape, 7))


def test_moved_cost_is_told_as_moved() -> None:
    """The filter names where the cost came from."""
    truth = functions.labelled("renamed", 1)
    seen = look(truth.series, truth.operations, PRODUCTION)
    assert seen is not None
    own = np.argsort(-seen.growth[1 : 1 + functions.FUNCTIONS])[0] + 1
    assert not seen.filters.moved(int(own)).passed
    assert seen.filters.moved(int(own)).reason.startswith("moved from function_")


def test_shares_tell_it_without_traces() -> None:
    """Without request counts the share of the CPU is judged."""
    truth = functions.without_traces(functions.labelled("own code", 3, 2.0))
    verdict = judge(truth.series)[0]
    assert verdict.subject == truth.cause
    assert "of the total" in verdict.headline


def test_too_little_says_nothing() -> None:
    """Empty and short series have no regressions."""
    truth = functions.labelled("own code", 3, 2.0)
    assert judge(truth.series.between(0, 0)) == ()
    assert judge(truth.series.between(0, 8)) == ()


def test_a_silent_profiler_is_no_data() -> None:
    """Buckets without samples count for nothing, whatever the requests did."""
    truth = functions.labelled("quiet", 3)
    gone = truth.series.time_ns < truth.series.time_ns[200]
    own, total = (np.where(gone[:, None], each, 0) for each in (truth.series.own, truth.series.total))
    silent = replace(
        truth.series,
        own=own,
        total=total,
        whole=np.where(gone, truth.series.whole, 0),
        hits=np.where(gone, truth.series.hits, 0),
    )
    assert not [each for each in judge(silent, truth.operations) if each.tier is Tier.PAGE]


def test_sensitivity_moves_effects_and_chances() -> None:
    """Low asks for more of both, high for less."""
    low, high = (PRODUCTION.adjusted(each) for each in (Sensitivity.LOW, Sensitivity.HIGH))
    assert low.least_growth_ratio > PRODUCTION.least_growth_ratio > high.least_growth_ratio
    assert low.page_fdr_ratio < PRODUCTION.page_fdr_ratio < high.page_fdr_ratio
    assert PRODUCTION.scaled(0.5).page_after_s == PRODUCTION.page_after_s / 2


def test_weak_evidence_says_how_much_more_it_takes() -> None:
    """A service with few samples has a large detectable growth, and needs more of them."""
    truth = functions.labelled("quiet", 2, cores=0.02)
    seen = look(truth.series, truth.operations, PRODUCTION)
    assert seen is not None
    assert np.median(seen.detectable[1:]) > PRODUCTION.least_growth_ratio
    assert np.median(seen.missing_hits[1:]) > 0


def test_chance_of_a_step_is_no_smaller_than_it_should_be() -> None:
    """On autocorrelated noise, p below 5 % is found in about 5 % of the columns or fewer."""
    rng = np.random.default_rng(1)
    for keep in (0.0, 0.5, 0.9):
        values = functions.ar1(rng, 144, 400, keep, 1.0)
        found = find_steps(
            values, np.ones(144), np.ones((144, 1)), np.arange(12, 142), np.zeros(400), np.full(400, -np.inf)
        )
        assert float((found.p_ratio < 0.05).mean()) <= 0.08


def test_rises_are_differences_of_means() -> None:
    """Without covariates, the rise at a cut is what a slow twin computes."""
    values = np.random.default_rng(2).normal(5, 1, (40, 3))
    calm = without_spikes(values, np.zeros(3))
    cuts = np.arange(5, 36)
    found = find_steps(values, np.ones(40), np.ones((40, 1)), cuts, np.zeros(3), np.zeros(3))
    slow = np.array([calm[cut:].mean(axis=0) - calm[:cut].mean(axis=0) for cut in cuts])
    assert found.rises == pytest.approx(slow)


def test_spikes_are_pulled_in_and_steps_are_not() -> None:
    """One and two rows that stick out go, a new level stays."""
    values = np.ones((60, 1)) + np.random.default_rng(3).normal(0, 0.01, (60, 1))
    values[20:22] += 50
    values[40:] += 5
    calm = without_spikes(values, np.zeros(1))
    assert calm[20:22].max() < 1.2
    assert calm[40:].min() > 5.5


def test_step_up_is_the_textbook_procedure() -> None:
    """Adjusted probabilities are the least rate at which the sorted test passes."""
    p = np.random.default_rng(4).random(30) ** 2
    order = np.sort(p)
    slow = [min(order[k:] * p.size / np.arange(k + 1, p.size + 1)) for k in range(p.size)]
    assert np.sort(step_up(p)) == pytest.approx(np.minimum(slow, 1))


def test_of_a_chain_of_callers_the_cause_is_blamed() -> None:
    """A callee that explains a diluted caller is the cause; a caller whose callees grew alike is one itself."""
    callers = np.array([-1, 0, 1])
    assert causes(callers, np.array([1.0, 1.0, 1.0]), np.array([0.1, 0.3, 1.0]), 0.7) == [2]
    both = np.array([-1, 0, 0])
    assert causes(both, np.array([1.0, 0.5, 0.4]), np.array([0.5, 0.5, 0.5]), 0.7) == [0]
    assert sorted(causes(both, np.array([1.0, 0.5, 0.4]), np.array([0.1, 0.5, 0.5]), 0.7)) == [1, 2]


def test_buckets_are_added_up_to_blocks() -> None:
    """The newest bucket ends a block, the oldest remainder falls off, mixed releases have no name."""
    series = _flat(7, ("a", "a", "a", "b", "b", "b", "b"))
    made = blocks(series, most=3)
    assert made.time_ns.tolist() == series.time_ns[[1, 4]].tolist()
    assert made.whole.tolist() == [3.0, 3.0]
    assert made.versions == ("", "b")
    assert made.bucket_ns == 3 * series.bucket_ns


def test_releases_are_found_across_buckets_without_name() -> None:
    """A bucket in which both ran belongs to the change."""
    assert releases(_flat(6, ("a", "a", "", "b", "b", "b"))).tolist() == [2]
    assert releases(_flat(3, ())).tolist() == []


def test_rows_become_matrices_and_stacks_become_callers() -> None:
    """Values of the same place are added up; the nearest caller with a row of its own counts."""
    rows, columns = np.array([0, 0, 1]), np.array([1, 1, 0])
    made = scatter(rows, columns, np.array([1.0, 2.0, 5.0]), (2, 2))
    assert made.tolist() == [[0.0, 3.0], [5.0, 0.0]]
    stacks = [("main", "a"), ("main", "a", "x", "b"), ()]
    assert usual_callers(stacks, ("a", "b", "c")).tolist() == [-1, 0, -1]


def _flat(count: int, versions: tuple[str, ...]) -> FunctionSeries:
    ones = np.ones((count, 1))
    times = functions.START_NS + np.arange(count) * functions.BUCKET_NS
    whole = np.ones(count)
    return FunctionSeries("s", times, functions.BUCKET_NS, (Site("f"),), ones, ones, whole, whole, versions=versions)
