"""Profiles by function over days whose truth is known: one function gets slower, or something harmless happens.

Costs follow what real services do: a tree of functions with unequal shares, load by the hour of the day, slow common
noise (neighbours, clock rates) and noise of each function, spikes, releases with a warm-up, and the counting noise of
a profiler with one sample per 10 ms. Constants were chosen with seeds of `TUNED`.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from correlate.detectors.shares import FunctionSeries, OperationSeries
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Site

BUCKET_NS = 300 * 10**9
START_NS = 1_790_000_000 * 10**9 // BUCKET_NS * BUCKET_NS
HIT_NS = 10_000_000.0
FUNCTIONS = 100
OPERATIONS = ("POST /checkout", "GET /items", "GET /health")

HARMLESS = ("quiet", "release", "spikes", "went away", "all slower", "optimised", "other mix", "load doubles")
SHIFTS = ("renamed", "extracted", "inlined", "moved to sibling")
REGRESSIONS = ("own code", "own code with release", "called more often", "new function")


@dataclass(frozen=True)
class Labelled:
    """A service with its truth.

    Attributes:
        shape: what was planted.
        series: what a detector sees.
        operations: the same by operation.
        cause: the function that got more expensive; "" when none did.
        onset: the bucket at which it did.
        growth_ratio: by how much, relative to itself, what it calls included.
        hits: expected profiler samples of it per bucket, before.
    """

    shape: str
    series: FunctionSeries
    operations: OperationSeries
    cause: str = ""
    onset: int = 0
    growth_ratio: float = 0.0
    hits: float = 0.0

    def until(self, bucket: int) -> tuple[FunctionSeries, OperationSeries]:
        """What was known when that many buckets were complete."""
        return self.series.between(0, bucket), self.operations.between(0, bucket)


def labelled(shape: str, seed: int, factor: float = 1.5, hours: float = 36.0, cores: float = 2.0) -> Labelled:
    """One service of a shape; the same seed gives the same service.

    Args:
        shape: of `HARMLESS`, `SHIFTS` or `REGRESSIONS`.
        seed: of everything random.
        factor: what the cost of the planted function is multiplied by.
        hours: how much there is.
        cores: CPU time used per second, on average: what the profiler's noise follows from.
    """
    rng = np.random.default_rng([seed, sum(shape.encode()), round(factor * 1000)])
    n = int(hours * 12)
    parents, cost = _tree(rng)
    row = _victim(rng, parents, cost)
    onset = int(n * rng.uniform(0.55, 0.8))
    load = _load(rng, n, doubled=onset if shape == "load doubles" else n)
    costs = np.repeat(cost[None, :], n, axis=0) * np.exp(ar1(rng, n, FUNCTIONS, 0.8, 0.04))
    sibling = int(rng.choice(np.setdiff1d(np.arange(1, FUNCTIONS), [row, parents[row]])))
    _plant(shape, costs, parents, (row, sibling), onset, factor)
    costs *= np.exp(ar1(rng, n, 1, 0.95, 0.05))
    _spikes(rng, costs, 0.02 if shape == "spikes" else 0.003)
    released = [int(rng.uniform(0.1, 0.5) * n)] + ([onset] if "release" in shape else [])
    for at in released:
        costs[at : at + 4] *= 1 + rng.uniform(0.1, 0.6) * np.exp(-np.arange(len(costs[at : at + 4])))[:, None]
    mix = _mix(rng, n, onset if shape == "other mix" else n)
    owned = _owned(rng, parents)
    owned[[sibling, parents[row]]] = owned[row]  # moved code is still called by the same operations
    plan = Plan(shape, parents, owned, tuple(released), row, onset, factor)
    return _seen(plan, rng, costs, (load * _scale(cores, costs, load))[:, None] * mix)


def _tree(rng: np.random.Generator) -> tuple[I64, F64]:
    """Functions in the order of a walk from the root; costs follow a power law, inner ones cost less themselves."""
    parents = np.array([-1] + [int(rng.integers(max(0, i - 12), i)) for i in range(1, FUNCTIONS)])
    cost = rng.permutation(1.0 / np.arange(1, FUNCTIONS + 1) ** 1.1)
    cost[np.unique(parents[parents >= 0])] *= 0.3
    return parents, cost / cost.sum()


def _victim(rng: np.random.Generator, parents: I64, cost: F64) -> int:
    leaf = np.setdiff1d(np.arange(FUNCTIONS), parents)
    fit = leaf[(cost[leaf] > 0.015) & (cost[leaf] < 0.25)]
    return int(rng.choice(fit))


def _load(rng: np.random.Generator, n: int, doubled: int) -> F64:
    hours = np.arange(n) / 12
    daily = 1 + rng.uniform(0.2, 0.6) * np.sin(2 * np.pi * (hours - rng.uniform(0, 24)) / 24)
    load = daily * np.exp(ar1(rng, n, 1, 0.9, 0.08))[:, 0]
    load[doubled:] *= 2
    return load


def _scale(cores: float, costs: F64, load: F64) -> float:
    return cores * BUCKET_NS / float((costs.sum(axis=1) * load).mean())


def ar1(rng: np.random.Generator, n: int, columns: int, keep: float, deviation: float) -> F64:
    """Columns of stationary AR(1) noise."""
    noise = rng.normal(0, deviation * np.sqrt(1 - keep**2), (n + 50, columns))
    return np.asarray(lfilter([1.0], [1.0, -keep], noise, axis=0))[50:]


def _spikes(rng: np.random.Generator, costs: F64, rate: float) -> None:
    """Single buckets in which one function costs several times as much."""
    for at in np.flatnonzero(rng.random(len(costs)) < rate):
        costs[at, rng.integers(FUNCTIONS)] += rng.uniform(0.05, 0.5)


def _plant(shape: str, costs: F64, parents: I64, rows: tuple[int, int], onset: int, factor: float) -> None:
    row, sibling = rows
    if shape in {"own code", "own code with release"}:
        costs[onset:, row] *= factor
    elif shape == "called more often":
        costs[onset:, below(parents, int(parents[row]))] *= factor
    elif shape == "new function":
        costs[onset:, row] *= factor - 1
        costs[:onset, row] = 0
    elif shape == "went away":
        costs[onset : onset + 3 + row % 12, row] *= 3
    elif shape == "all slower":
        costs[onset:] *= 1.3
    elif shape == "optimised":
        costs[onset:, np.argmax(costs[0])] *= 0.3
    elif shape in {"renamed", "extracted", "inlined", "moved to sibling"}:
        _shift(shape, costs, parents, row, onset, sibling)


def _shift(shape: str, costs: F64, parents: I64, row: int, onset: int, sibling: int) -> None:
    """Cost goes to another function, and none is added."""
    part = 1.0 if shape == "renamed" else 0.6
    to = {"inlined": int(parents[row])}.get(shape, sibling)
    if shape in {"extracted", "moved to sibling", "renamed"}:
        parents[to] = row if shape == "extracted" else parents[row]
    if shape == "renamed":
        costs[:onset, to] = 0
        costs[onset:, to] = 0
    costs[onset:, to] += part * costs[onset:, row]
    costs[onset:, row] *= 1 - part


def below(parents: I64, row: int) -> I64:
    """A function and everything that it calls, however deep."""
    return np.array([each for each in range(parents.size) if each == row or row in _callers(parents, each)])


def _mix(rng: np.random.Generator, n: int, changed: int) -> F64:
    base = rng.dirichlet([8, 8, 2])
    parts = np.exp(np.log(base)[None, :] + ar1(rng, n, 3, 0.8, 0.05))
    parts[changed:, 0] *= 2.0
    return parts / parts.sum(axis=1, keepdims=True)


def _owned(rng: np.random.Generator, parents: I64) -> F64:
    """How much a request of each operation uses each function (f x o), relative to the mean operation."""
    tops = rng.integers(0, 3, parents.size)
    owner = tops.copy()
    for each in range(1, parents.size):
        owner[each] = owner[parents[each]] if parents[each] > 0 else tops[each]
    result = np.full((parents.size, 3), 0.2)
    result[np.arange(parents.size), owner] = 2.0
    return result


@dataclass(frozen=True)
class Plan:
    """What is known before the profiler looks: the shape, who calls whom, who owns what, releases, and the plant."""

    shape: str
    parents: I64
    owned: F64
    released: tuple[int, ...]
    row: int
    onset: int
    factor: float


def _seen(plan: Plan, rng: np.random.Generator, costs: F64, asked: F64) -> Labelled:
    """Samples and spans of costs per request (n x f) and a load by operation (n x o)."""
    mix = asked / asked.sum(axis=1, keepdims=True)
    load, owned, parents = asked.sum(axis=1), plan.owned, plan.parents
    per_request = asked @ owned.T / (mix.mean(axis=0) @ owned.T)
    hits = rng.poisson(np.maximum(costs * per_request, 0) / HIT_NS).astype(np.float64)
    own = hits * HIT_NS
    total = own.copy()
    for each in range(FUNCTIONS - 1, 0, -1):
        for caller in _callers(parents, each):
            total[:, caller] += own[:, each]
    scale = 2000 * 300 / 60 / load.mean()
    spans = rng.poisson(asked * scale).astype(np.float64)
    by_operation = np.stack(
        [(own * owned[:, k] * mix[:, k : k + 1] / (mix @ owned.T)).sum(axis=1) for k in range(3)], axis=1
    )
    versions = np.zeros(len(load), dtype=np.int64)
    for at in plan.released:
        versions[at:] += 1
    series = FunctionSeries(
        service="shop",
        time_ns=START_NS + np.arange(len(load)) * BUCKET_NS,
        bucket_ns=BUCKET_NS,
        sites=tuple(Site(f"function_{number}", "shop.py", number) for number in range(FUNCTIONS)),
        own=own,
        total=total,
        whole=own.sum(axis=1),
        hits=hits.sum(axis=1),
        requests=spans.sum(axis=1),
        versions=tuple(f"1.{number}" for number in versions),
        parents=parents,
    )
    operations = OperationSeries(OPERATIONS, by_operation, spans, spans * 50e6)
    if plan.shape not in REGRESSIONS:
        return Labelled(plan.shape, series, operations, onset=plan.onset)
    guilty = int(parents[plan.row]) if plan.shape == "called more often" else plan.row
    seen = float(hits[: plan.onset, below(parents, guilty)].sum()) / plan.onset
    return Labelled(plan.shape, series, operations, f"function_{guilty}", plan.onset, plan.factor - 1, seen)


def _callers(parents: I64, row: int) -> list[int]:
    found = []
    while (row := int(parents[row])) >= 0 and row not in found:
        found.append(row)
    return found


def without_traces(truth: Labelled) -> Labelled:
    """The same service without request counts."""
    return replace(truth, series=replace(truth.series, requests=None))
