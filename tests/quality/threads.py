"""The join by thread and time: samples given to the right span, against hops and clocks that differ."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from correlate.joins import skew, thread_time
from correlate.joins.given import Refused
from tests.quality.answers import Answer, bounds
from tests.quality.report import Row
from tests.quality.scenes import Case, case
from tests.truth.world import World

_THREADED = World(labels="none", duration_s=60.0, concurrency=8.0)
_HOPS = (0.0, 0.1, 0.3, 1.0)
_SKEWS_MS = (0.0, 5.0, 20.0, 100.0, 500.0)


def score(seeds: Sequence[int]) -> Iterable[Row]:
    """Samples given to the right span, against hops between threads and clocks that differ."""
    for hop_ratio in _HOPS:
        world = _THREADED.but(hop_ratio=hop_ratio)
        yield _row(f"hops {hop_ratio:g}", [case(world.but(seed=seed)) for seed in seeds])
    world = _THREADED.but(fan_out=0.5, children=4.0)
    yield _row("children at the same time", [case(world.but(seed=seed)) for seed in seeds])
    world = _THREADED.but(trace_sampling=0.5)
    yield _row("half the traces stored", [case(world.but(seed=seed)) for seed in seeds])
    for skew_ms in _SKEWS_MS:
        world = _THREADED.but(skew_ms=skew_ms, processes=2, hosts=2)
        yield from _clock_rows(f"clocks {skew_ms:g} ms apart", world, seeds)
    world = _THREADED.but(skew_ms=500.0, processes=2, hosts=2, hop_ratio=0.3, labels="root", label_loss=0.9)
    yield from _clock_rows("clocks 500 ms apart, hops 0.3, a tenth labelled", world, seeds)


def _clock_rows(condition: str, world: World, seeds: Sequence[int]) -> Iterable[Row]:
    cases = [case(world.but(seed=seed)) for seed in seeds]
    yield _row(condition, cases)
    found = [_corrected(each) for each in cases]
    off_ms = max(off_ms for _, off_ms in found)
    yield _row(f"{condition}, corrected", [each for each, _ in found], f"; at most {off_ms:.1f} ms left")


def _corrected(observed: Case) -> tuple[Case, float]:
    """The case with the clocks brought together, and by how much they still differ at most, milliseconds."""
    skews = skew.estimate(observed.samples, observed.spans)
    samples = skew.apply(observed.samples, skews)
    true = observed.samples["time_ns"].to_numpy() - observed.scene.truth.offset_ns[observed.host_of_sample]
    left_ms = float(np.abs(samples["time_ns"].to_numpy() - true).max()) / 1e6
    return replace(observed, samples=samples), left_ms


def _row(condition: str, cases: Sequence[Case], more: str = "") -> Row:
    found = [_by_thread(each) for each in cases]
    told = [each for each in found if each is not None]
    if not told:
        return Row("thread and time", condition, f"refused {len(found)} of {len(found)}")
    right, given, true = np.sum(told, axis=0)
    figure = f"{right / given:.3f} of what is given is right; {right / true:.3f} of all is found"
    more = f"; refused {len(found) - len(told)} of {len(found)}; {_bounds(cases)}{more}"
    return Row("thread and time", condition, figure + more)


def _bounds(cases: Sequence[Case]) -> str:
    """How the stated bounds fare when each operation is asked for alone."""
    answers = []
    for observed in cases:
        masks = [observed.operation_of_span == each for each in range(observed.scene.world.operations)]
        joined = [thread_time.join(observed.samples, observed.spans, mask) for mask in masks]
        answers += [Answer.of(observed, mask, given) for mask, given in zip(masks, joined, strict=True)]
    return bounds([answer for answer in answers if not answer.refused])


def _by_thread(observed: Case) -> tuple[float, float, float] | None:
    """CPU time given to the right span, given at all, and to be given; None when the join refuses."""
    given = thread_time.join(observed.samples, observed.spans, np.ones(len(observed.spans), bool))
    if isinstance(given, Refused):
        return None
    amount = observed.value * given.share
    right = (given.owner == observed.owner) & (given.owner >= 0)
    return float(amount[right].sum()), float(amount.sum()), float(observed.value[observed.owner >= 0].sum())
