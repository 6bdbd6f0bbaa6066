"""Counts of goroutines by stack whose truth is known: pools and bursts are harmless, one growing stack is not."""

from dataclasses import dataclass, replace

import numpy as np

from correlate.detectors.goroutine import CountSeries
from correlate.model.verdicts import Site
from tests.truth.memory import HOUR_NS, START_NS

POOLS = ("steady pools", "pools follow the load", "bursts", "new pool", "many more of everything")
"""Harmless shapes."""


@dataclass(frozen=True)
class LabelledCounts:
    """A series of counts with its truth: the stack that leaks, "" for none, and how many an hour."""

    shape: str
    series: CountSeries
    leaking_site: str
    leak_count_per_hour: float


def labelled_counts(shape: str, seed: int, leak_per_hour: float = 0.0, hours: float = 24.0) -> LabelledCounts:
    """Goroutine profiles every five minutes of a service with forty stacks; the second one leaks, when one does."""
    rng = np.random.default_rng([seed, sum(shape.encode()), int(leak_per_hour)])
    t = np.arange(0, hours, 1 / 12)
    usual = rng.lognormal(2, 1.3, 40)
    requests = rng.uniform(500, 3000) * (1 + rng.uniform(0.1, 0.4) * np.sin(2 * np.pi * (t - rng.uniform(0, 24)) / 24))
    mean = np.repeat(usual[:, None], t.size, axis=1)
    if shape == "pools follow the load":
        mean *= requests / requests.mean()
    if shape == "bursts":
        mean[0] += 2000 * (rng.random(t.size) < 0.05)
    if shape == "new pool":
        mean[0] += rng.uniform(300, 2000) * (t > rng.uniform(4, 18))
    if shape == "many more of everything":
        mean *= 1 + 3 * np.clip((t - rng.uniform(0, 4)) / rng.uniform(2, 8), 0, 1)
    mean[1] += leak_per_hour * t
    counts = rng.poisson(mean).astype(float)
    sites = tuple(Site(f"stack_{number}") for number in range(40))
    time_ns = START_NS + (t * HOUR_NS).astype(np.int64)
    series = CountSeries("shop", "shop-1", time_ns, counts, sites, requests=rng.poisson(requests).astype(float))
    return LabelledCounts(shape, series, "stack_1" if leak_per_hour else "", leak_per_hour)


def counts_until(series: CountSeries, hours: float) -> CountSeries:
    """What was known at a time."""
    size = int(np.searchsorted(series.time_ns, START_NS + int(hours * HOUR_NS)))
    requests = None if series.requests is None else series.requests[:size]
    return replace(series, time_ns=series.time_ns[:size], counts=series.counts[:, :size], requests=requests)
