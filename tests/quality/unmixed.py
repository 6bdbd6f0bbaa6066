"""Unmixing: errors, intervals and refusals against worlds, beside sharing the same windows out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tests.quality.answers import percent
from tests.quality.measures import mean, text
from tests.quality.mixtures import Solved, mixture, solve
from tests.quality.report import Row, at_most, within
from tests.quality.scenes import Case, case
from tests.truth.world import F64, Bools, World

BUDGET = 0.10
COVERAGE = (0.93, 0.97)

_WORLD = World(labels="none", threads=False, timestamps=False, children=0.0, depth=1, duration_s=600.0)
BUDGETED = "6 operations, 60 windows"
CONDITIONS = {
    BUDGETED: _WORLD,
    "20 windows": _WORLD.but(duration_s=200.0),
    "180 windows": _WORLD.but(duration_s=1800.0),
    "load varies half as much": _WORLD.but(swing=0.25),
    "1 at a time": _WORLD.but(concurrency=1.0),
    "16 at a time": _WORLD.but(concurrency=16.0),
    "12 operations": _WORLD.but(operations=12),
    "with children": _WORLD.but(children=2.0, depth=2),
    "half the traces stored": _WORLD.but(trace_sampling=0.5),
    "3 processes, 20 windows each": _WORLD.but(processes=3, duration_s=200.0),
    "5 to 100 % on CPU": _WORLD.but(cpu_low=0.05, cpu_high=1.0),
    "steady load": _WORLD.but(swing=0.0),
}
_SEEN = 0.01
_BLOCKS = 4
"""Worlds for each seed where there are budgets: the intervals of a world are right or wrong together."""


@dataclass(frozen=True)
class _Run:
    solved: list[Solved]
    held: Bools


def score(seeds: Sequence[int]) -> Iterable[Row]:
    """The errors for each condition; where there are budgets also how often it beats sharing, and its intervals."""
    for condition, world in CONDITIONS.items():
        worlds = [seed + 100 * block for block in range(_BLOCKS if condition == BUDGETED else 1) for seed in seeds]
        runs = [_run(case(world.but(seed=seed))) for seed in worlds]
        yield _errors(condition, runs)
        if condition == BUDGETED:
            yield _better(condition, runs)
            yield _intervals(condition, runs)


def _run(observed: Case) -> _Run:
    mixed = mixture(observed)
    solved = solve(mixed)
    held = [_held(observed, operation, each) for operation, each in enumerate(solved) if each.estimate is not None]
    return _Run(solved, np.concatenate([*held, np.zeros(0, bool)]))


def _errors(condition: str, runs: Sequence[_Run]) -> Row:
    every = [each for run in runs for each in run.solved]
    told = [each for each in every if each.unmixed is not None]
    errors = [each.unmixed for each in told if each.unmixed is not None]
    more = (
        f"worst {text(max(errors, default=np.nan))}; shared out {mean(each.shared for each in every):.3f}; "
        f"refused {percent([each.unmixed is None for each in every])}; "
        f"error bound held {percent([each.held for each in told])}; "
        f"intervals hold {text(mean(np.concatenate([run.held for run in runs]).tolist()))}"
    )
    if condition == BUDGETED:
        return at_most("unmixed", condition, mean(errors), BUDGET, more)
    return Row("unmixed", condition, f"{text(mean(errors))} ({more})")


def _better(condition: str, runs: Sequence[_Run]) -> Row:
    """Unmixing against sharing, world by world and operation by operation."""
    pairs = [[(each.unmixed, each.shared) for each in run.solved if each.unmixed is not None] for run in runs]
    worlds = [mean(left for left, _ in some) < mean(right for _, right in some) for some in pairs if some]
    operations = [left < right for some in pairs for left, right in some]
    figure = f"{sum(worlds)} of {len(worlds)} worlds, {sum(operations)} of {len(operations)} operations"
    return Row("unmixed beats window", condition, figure, "every world", all(worlds))


def _intervals(condition: str, runs: Sequence[_Run]) -> Row:
    held = np.concatenate([run.held for run in runs])
    return within("intervals of unmixed", condition, float(held.mean()), *COVERAGE, f"{len(held):,} intervals of 95 %")


def _held(observed: Case, operation: int, solved: Solved) -> Bools:
    """For each stack with at least `_SEEN` of the operation's CPU time: does its interval hold the long-run share?"""
    assert solved.estimate is not None
    long_run = _long_run(observed, operation)
    shares = solved.shares_by_function(len(long_run))
    seen = long_run >= _SEEN
    return ((shares.low <= long_run) & (long_run <= shares.high))[seen]


def _long_run(observed: Case, operation: int) -> F64:
    """The share of each function in an operation, had it gone on for ever with the same mix of its kinds of spans."""
    kinds = observed.scene.world.kinds
    spent = np.bincount(observed.kind_of_span, observed.truth.cpu_ns, len(kinds.names)) * (kinds.root == operation)
    total: F64 = spent @ observed.truth.likely[:-1] / spent.sum()
    return total
