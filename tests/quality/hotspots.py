"""Hotspots, strange instances, garbage collection and limits against simple rules, on data whose truth is known.

Each rule is scored by its gain (Youden's J): what it finds of what is there, minus what it reports of what is not.
Constants were chosen on seeds of `TUNED`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from correlate.detectors import contention, hotspot, threshold
from correlate.detectors.shares import FunctionSeries, InstanceShares
from correlate.detectors.threshold import LevelSeries, Quantity
from correlate.model.verdicts import Site, Tier
from tests.quality.report import Row
from tests.truth.functions import BUCKET_NS, HIT_NS, START_NS, ar1

REPEATS = 20
GAIN_BUDGET = 0.9
FUNCTIONS = 60


def score(seeds: Sequence[int]) -> Iterator[Row]:
    """Every row."""
    draws = [seed * REPEATS + repeat for seed in seeds for repeat in range(REPEATS)]
    yield from _rows("hotspot: a function above a quarter of the CPU", _HOT, _hot, draws)
    yield from _rows("hotspot: an instance that is not like the others", _FLEET, _fleet, draws)
    yield from _rows("contention: garbage collection above a quarter", _GC, _collected, draws)
    yield from _rows("threshold: CPU above 85 % for good", _LEVEL, _levels, draws)


def service(
    rng: np.random.Generator, share: float, name: str, buckets: int = 24, bursts: float = 0.0
) -> FunctionSeries:
    """Two hours of a service; one function has a share on average, and `bursts` in a few buckets."""
    cost = rng.dirichlet(np.full(FUNCTIONS, 0.4)) * np.exp(ar1(rng, buckets, FUNCTIONS, 0.7, 0.1))
    cost = np.where(cost > 0.2, 0.2, cost)
    cost /= cost.sum(axis=1, keepdims=True)
    of_one = np.clip(share * np.exp(ar1(rng, buckets, 1, 0.7, 0.08)[:, 0]), 0, 0.95)
    of_one[-3:] += bursts
    cost *= (1 - of_one)[:, None]
    hits = rng.poisson(np.column_stack([of_one, cost]) * rng.uniform(700, 3000)).astype(np.float64)
    own = hits * HIT_NS * 5
    names = (name, *(f"function_{number}" for number in range(FUNCTIONS)))
    return FunctionSeries(
        service="shop",
        time_ns=START_NS + np.arange(buckets) * BUCKET_NS,
        bucket_ns=BUCKET_NS,
        sites=tuple(Site(each) for each in names),
        own=own,
        total=own,
        whole=own.sum(axis=1),
        hits=hits.sum(axis=1),
    )


def instances(rng: np.random.Generator, strange: str, count: int = 8, spread: float = 0.08) -> InstanceShares:
    """An hour of siblings; the last one is strange, in what it does or in what a request costs; `spread` is natural."""
    usual = rng.dirichlet(np.full(FUNCTIONS, 0.3))
    shares = usual * np.exp(rng.normal(0, spread, (count, FUNCTIONS)))
    if strange == "profile":
        shares[-1, rng.integers(FUNCTIONS)] += rng.uniform(0.13, 0.5)
    shares /= shares.sum(axis=1, keepdims=True)
    requests = rng.poisson(rng.uniform(3000, 9000, count)).astype(np.float64)
    cost = np.exp(rng.normal(0, 0.6 * spread, count))
    cost[-1] *= rng.uniform(1.5, 2.5) if strange == "cost" else 1.0
    hits = rng.poisson(shares * (cost * requests)[:, None]).astype(np.float64)
    return InstanceShares(
        service="shop",
        instances=tuple(f"shop-{number}" for number in range(count)),
        names=tuple(f"function_{number}" for number in range(FUNCTIONS)),
        own=hits * HIT_NS,
        whole=hits.sum(axis=1) * HIT_NS,
        hits=hits.sum(axis=1),
        requests=requests,
    )


def level(rng: np.random.Generator, mean: float, bursts: bool) -> LevelSeries:
    """Six hours of CPU use, a value a minute; bursts reach the ceiling for some minutes."""
    values = mean + 0.05 * ar1(rng, 360, 1, 0.9, 1.0)[:, 0]
    if bursts:
        for at in rng.integers(0, 350, 12):
            values[at : at + int(rng.integers(1, 8))] = 0.97
        values[-4:] = 0.97
    minute_ns = 60 * 10**9
    return LevelSeries(
        "shop", "shop-1", Quantity.CPU, START_NS + np.arange(360) * minute_ns, values.clip(0, 1), minute_ns
    )


def _hot(draw: int) -> Iterator[tuple[bool, FunctionSeries]]:
    rng = np.random.default_rng([1, draw])
    yield True, service(rng, rng.uniform(0.32, 0.6), "rank_items")
    yield False, service(rng, rng.uniform(0.02, 0.18), "rank_items", bursts=0.3)
    yield False, service(rng, rng.uniform(0.3, 0.6), "epoll_wait")


def _fleet(draw: int) -> Iterator[tuple[bool, InstanceShares]]:
    rng = np.random.default_rng([2, draw])
    yield False, instances(rng, "")
    yield False, instances(rng, "", spread=0.5)  # shards: every instance has work of its own
    yield True, instances(rng, "profile")
    yield True, instances(rng, "cost")


def _collected(draw: int) -> Iterator[tuple[bool, FunctionSeries]]:
    rng = np.random.default_rng([3, draw])
    yield True, service(rng, rng.uniform(0.32, 0.6), "runtime.gcBgMarkWorker")
    yield False, service(rng, rng.uniform(0.02, 0.18), "runtime.gcBgMarkWorker", bursts=0.3)


def _levels(draw: int) -> Iterator[tuple[bool, LevelSeries]]:
    rng = np.random.default_rng([4, draw])
    yield True, level(rng, rng.uniform(0.92, 0.97), bursts=False)
    yield False, level(rng, rng.uniform(0.3, 0.6), bursts=True)


def _always(seen: object) -> bool:
    return seen is not None


def _never(seen: object) -> bool:
    return seen is None


def _last(seen: FunctionSeries) -> bool:
    """Any function above a quarter in the last bucket."""
    return bool((seen.own[-1] > 0.25 * seen.whole[-1]).any())


def _last_collected(seen: FunctionSeries) -> bool:
    return bool(seen.own[-1, 0] > 0.25 * seen.whole[-1])


def _three_sigma(seen: InstanceShares) -> bool:
    """Any function of any instance more than three deviations from the mean of all."""
    shares = seen.own / seen.whole[:, None]
    return bool((np.abs(shares - shares.mean(axis=0)) > 2.4 * shares.std(axis=0) + 1e-9).any())


def _distance(seen: InstanceShares) -> bool:
    """Any instance more than 30 % dearer than the mean, or with 10 points of one function more than the mean."""
    cost = seen.whole / (np.ones(seen.whole.size) if seen.requests is None else seen.requests)
    shares = seen.own / seen.whole[:, None]
    return bool((cost > 1.3 * cost.mean()).any() or (shares > shares.mean(axis=0) + 0.1).any())


def _above(seen: LevelSeries) -> bool:
    return bool(seen.values[-1] > 0.85)


_HOT: Mapping[str, Callable[[FunctionSeries], bool]] = {
    "ours": lambda seen: bool(hotspot.judge(seen)),
    "always": _always,
    "never": _never,
    "last bucket": _last,
}
_FLEET: Mapping[str, Callable[[InstanceShares], bool]] = {
    "ours": lambda seen: bool(hotspot.judge_fleet(seen)),
    "always": _always,
    "never": _never,
    "3 sigma": _three_sigma,
    "mean + 10 points or 30 %": _distance,
}
_GC: Mapping[str, Callable[[FunctionSeries], bool]] = {
    "ours": lambda seen: any(each.subject == "garbage collection" for each in contention.judge_runtime(seen)),
    "always": _always,
    "never": _never,
    "last bucket": _last_collected,
}
_LEVEL: Mapping[str, Callable[[LevelSeries], bool]] = {
    "ours": lambda seen: (found := threshold.judge(seen)) is not None and found.tier is Tier.PAGE,
    "always": _always,
    "never": _never,
    "last value": _above,
}


def _rows(
    what: str,
    rules: Mapping[str, Callable[[Any], bool]],
    cases: Callable[[int], Iterator[tuple[bool, Any]]],
    draws: Sequence[int],
) -> Iterator[Row]:
    gains: dict[str, float] = {}
    for name, rule in rules.items():
        said = np.array([(there, rule(seen)) for draw in draws for there, seen in cases(draw)], dtype=bool)
        found, wrong = float(said[said[:, 0], 1].mean()), float(said[~said[:, 0], 1].mean())
        gains[name] = found - wrong
        figure = f"gain {gains[name]:.3f} (found {found:.3f}, wrong {wrong:.3f}, {len(said)} cases)"
        if name == "ours":
            yield Row(what, "with harmless look-alikes", figure, f"≥ {GAIN_BUDGET:g}", gains[name] >= GAIN_BUDGET)
        else:
            budget = f"ours ({gains['ours']:.3f}) gains more"
            yield Row(f"{what}: {name}", "same cases", figure, budget, gains["ours"] > gains[name])
