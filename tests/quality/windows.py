"""The join by time window: shares of CPU time against the number of requests at a time."""

from collections.abc import Iterable, Sequence

import numpy as np

from correlate.joins import window
from tests.quality.answers import Answer, bounds, percent, share_error_of
from tests.quality.measures import mean, spread, text
from tests.quality.report import Row, at_most
from tests.quality.scenes import ASKED, Case, case, some_roots
from tests.truth.world import Bools, World

LADDER = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BUDGET = 0.15
BUDGET_AT = 4

_BLIND = World(labels="none", span_ms=100.0, threads=False)
_HARDER = {
    "10 s windows, 5 to 100 % on CPU": _BLIND.but(duration_s=120.0, timestamps=False, cpu_low=0.05, cpu_high=1.0),
    "timestamps, half the traces stored": _BLIND.but(duration_s=120.0, trace_sampling=0.5),
    "timestamps, a fifth in the background": _BLIND.but(duration_s=120.0, background_ratio=0.2),
}


def score(seeds: Sequence[int]) -> Iterable[Row]:
    """Shares of CPU time of operations and of single requests, against the number of requests at a time."""
    for timestamps in (True, False):
        for concurrency in LADDER:
            seconds = float(np.clip(480 / concurrency, 10 if timestamps else 20, 120))
            world = _BLIND.but(concurrency=float(concurrency), timestamps=timestamps, duration_s=seconds)
            condition = f"{concurrency} at a time, {'timestamps' if timestamps else '10 s windows'}"
            yield _row(condition, world, [case(world.but(seed=seed)) for seed in seeds])
    for condition, world in _HARDER.items():
        yield _row("4 at a time, " + condition, world, [case(world.but(seed=seed)) for seed in seeds])


def _row(condition: str, world: World, cases: Sequence[Case]) -> Row:
    operations = [[_shared(each, mask) for mask in _operations(each)] for each in cases]
    requests = [[_shared(each, mask) for mask in _requests(each)] for each in cases]
    errors = [share_error_of(answers) for answers in operations]
    every = [answer for answers in (*operations, *requests) for answer in answers]
    told = [answer for answer in every if not answer.refused]
    more = (
        f"{spread(errors)}; single requests {text(mean(map(share_error_of, requests)))}; "
        f"refused {percent(_refused(operations))} and {percent(_refused(requests))}; "
        f"{bounds(told)}"
    )
    if world.concurrency == BUDGET_AT and world not in _HARDER.values():
        return at_most("window", condition, mean(errors), BUDGET, more)
    return Row("window", condition, f"{text(mean(errors))} ({more})")


def _shared(observed: Case, chosen: Bools) -> Answer:
    return Answer.of(observed, chosen, window.share(observed.samples, observed.spans, chosen))


def _operations(observed: Case) -> list[Bools]:
    """The spans of each operation, children included."""
    return [observed.operation_of_span == each for each in range(observed.scene.world.operations)]


def _requests(observed: Case) -> list[Bools]:
    """The spans of some requests, children included."""
    few = int(np.clip(600 / observed.scene.world.concurrency, 6, ASKED))
    return [observed.root_of_span == root for root in some_roots(observed, np.ones(len(observed.spans), bool), few)]


def _refused(answers: Sequence[Sequence[Answer]]) -> list[bool]:
    return [answer.refused for some in answers for answer in some]
