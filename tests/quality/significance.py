"""Are the stated intervals, error rates and ranks of cohort comparisons what they claim to be? Spans with known truth.

Spans differ in length (lognormal, many short and few long ones), each has its own mixture of functions, and samples of
one span are therefore alike. What a cohort's share and cost of each function really are is known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.flame.significance import Comparison, compare, intervals
from correlate.flame.spent import Spent, by_function
from correlate.tables.symbols import Symbols
from tests.quality.measures import mean
from tests.quality.report import Row, at_most, within
from tests.support.trees import symbols

F64 = npt.NDArray[np.float64]

PERIOD_NS = 10_000_000
MOST_SAMPLES = 20
PLANTED = "work_1_1"  # 9 % of the work
UNRELATED = tuple(f"{kind}_{package}" for kind in ("work", "package") for package in (0, 2, 3, 4, 5))
REPEATS = 40
"""Cohorts drawn per seed: rates need many."""


@dataclass(frozen=True)
class World:
    """A program: its stacks, and how much of the work each of them is on average.

    Attributes:
        stacks: function names, root first.
        symbols: the same as tables; stack ids count from 1.
        part: of the work, per stack.
        alike: how even the mixtures of different spans are; small numbers make each span unlike the next.
    """

    stacks: tuple[tuple[str, ...], ...]
    symbols: Symbols
    part: F64
    alike: float = 10.0

    def share(self, name: str) -> float:
        """The part of the work that a function is on the stack of."""
        return float(self.part[self.having(name)].sum())

    def having(self, name: str) -> npt.NDArray[np.bool_]:
        """Which stacks have a function."""
        return np.array([name in stack for stack in self.stacks])


@cache
def world() -> World:
    """Six packages of four functions; every other one ends in a helper that other packages use as well."""
    stacks = [
        ("main", "handle", f"package_{package}", f"work_{package}_{work}", *([f"help_{work}"] * helped))
        for package in range(6)
        for work in range(4)
        for helped in (0, 1)
    ]
    part = 1 / np.arange(3, 3 + len(stacks)) ** 1.2
    part = np.random.default_rng(5).permutation(part)
    return World(tuple(stacks), symbols(stacks), part / part.sum())


def cohort(rng: np.random.Generator, span_count: int, mean_samples: float, times: float = 1.0) -> Spent:
    """What some spans spent; `PLANTED` takes `times` as long as usual."""
    known = world()
    lengths = _lengths(rng, span_count, mean_samples)
    mixture = rng.gamma(known.alike * known.part, size=(span_count, len(known.part))) + 1e-12
    hits = rng.multinomial(lengths, mixture / mixture.sum(axis=1, keepdims=True))
    if times > 1:
        planted = known.having(PLANTED)
        hits[:, planted] += rng.poisson((times - 1) * hits[:, planted])
    span, stack = np.nonzero(hits)
    weight = hits[span, stack]
    columns = {"stack": stack + 1, "value": weight * PERIOD_NS, "weight": weight, "cluster": span}
    return by_function(pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Int64)), span_count, known.symbols)


def _lengths(rng: np.random.Generator, count: int, mean_samples: float) -> npt.NDArray[np.int64]:
    expected = mean_samples * np.exp(rng.normal(0, 1, count) - 0.5)
    return np.minimum(rng.poisson(expected), MOST_SAMPLES)


@cache
def mean_length(mean_samples: float) -> float:
    """Samples per span on average, the cut at `MOST_SAMPLES` included."""
    return float(_lengths(np.random.default_rng(1), 1_000_000, mean_samples).mean())


def coverage(seeds: Sequence[int], span_count: int, mean_samples: float) -> tuple[float, float]:
    """How often the true share, and the true cost per span, lie within their 95 % limits.

    Of functions with at least five samples expected in the cohort: of rarer ones little can be said, and is.
    """
    known = world()
    length = mean_length(mean_samples)
    inside: list[tuple[bool, bool]] = []
    for seed in seeds:
        found = intervals(cohort(np.random.default_rng([1, seed]), span_count, mean_samples))
        for name, share_low, share_high, cost_low, cost_high in found.select(
            "name", "share_low", "share_high", "cost_low", "cost_high"
        ).rows():
            share = known.share(name)
            if share < 1 - 1e-9 and share * length * span_count >= 5:
                cost = share * length * PERIOD_NS
                inside.append((share_low <= share <= share_high, cost_low <= cost <= cost_high))
    shares, costs = np.mean(inside, axis=0)
    return float(shares), float(costs)


def equal(seed: int, left_count: int, right_count: int, mean_samples: float) -> Comparison:
    """Compare two cohorts of the same kind."""
    rng = np.random.default_rng([2, seed])
    return compare(cohort(rng, left_count, mean_samples), cohort(rng, right_count, mean_samples), seed=seed)


def planted(seed: int, left_count: int, right_count: int, mean_samples: float, times: float = 2.0) -> Comparison:
    """Compare with a cohort in which `PLANTED` takes longer."""
    rng = np.random.default_rng([3, seed])
    return compare(cohort(rng, left_count, mean_samples), cohort(rng, right_count, mean_samples, times), seed=seed)


def any_frame(found: Comparison) -> bool:
    """Whether a comparison reports a frame in either respect."""
    return bool(((found.frames["cost_q"] <= found.fdr) | (found.frames["share_q"] <= found.fdr)).any())


def false_part(found: Comparison) -> float:
    """The part of the significant functions that the planted change has nothing to do with."""
    chosen = found.frames.filter("significant")["name"]
    return sum(name.startswith(UNRELATED) for name in chosen) / max(len(chosen), 1)


def score(seeds: Sequence[int]) -> Iterator[Row]:
    """Everything that is promised about cohorts."""
    draws = [seed * REPEATS + repeat for seed in seeds for repeat in range(REPEATS)]
    for span_count, mean_samples in ((30, 5.0), (100, 1.5), (300, 5.0), (1000, 1.5)):
        shares, costs = coverage(draws, span_count, mean_samples)
        where = f"{span_count} spans of {mean_samples:g} samples"
        yield within("coverage of 95 % intervals", f"shares, {where}", shares, 0.93, 0.97)
        yield within("coverage of 95 % intervals", f"costs per span, {where}", costs, 0.93, 0.97)
    for left_count, right_count in ((200, 200), (550, 48)):
        found = [equal(draw, left_count, right_count, 5.0) for draw in draws]
        either = f"cost or share: {mean(map(any_frame, found)):.3f}"
        reported = mean(bool(one.frames["significant"].any()) for one in found)
        yield at_most("equal cohorts with a frame", f"{left_count} and {right_count} spans", reported, 0.05, either)
    found = [planted(draw, 600, 600, 5.0) for draw in draws]
    missed = mean(one.frames["name"][0] != PLANTED for one in found)
    yield at_most("planted 2x frame not first", "600 and 600 spans, 9 % of the work", missed, 0.05)
    wrong = mean(map(false_part, found))
    yield at_most("wrong ones among the frames", "600 and 600 spans, one frame planted", wrong, 0.05)
