"""Memory series whose truth is known: a leak of so many bytes per hour, or a harmless shape that looks like one.

Shapes follow what real services do: garbage-collected saw-tooth, warm-up, cache fill, daily load, steps, restarts,
scaling, gaps (`memory_shapes`), and what runtimes, caches and traffic do (`memory_systems`). Which of them constants
were chosen on is said there and in `tests/quality/leaks.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy.signal import lfilter

from correlate.detectors.leak_series import MemorySeries
from correlate.detectors.leak_sites import SiteSeries
from correlate.model.verdicts import Site
from tests.truth.memory_shapes import F64, MB, SHAPES, Draft, Shape
from tests.truth.memory_systems import SYSTEMS

HOUR_NS = 3_600 * 10**9
MINUTE_NS = 60 * 10**9
START_NS = 1_790_000_000 * 10**9 // HOUR_NS * HOUR_NS


@dataclass(frozen=True)
class Labelled:
    """A series with its truth.

    Attributes:
        shape: name of the shape.
        series: what a detector sees.
        leak_bytes_per_hour: 0 for harmless ones.
        onset_hours: when the leak begins.
        hours: how much there is in all.
        value: live bytes of one instance, without the collector's saw-tooth and noise.
    """

    shape: str
    series: MemorySeries
    leak_bytes_per_hour: float = 0.0
    onset_hours: float = 0.0
    hours: float = 24.0
    value: F64 = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class LabelledHeap:
    """Heap profiles by call site with their truth.

    Attributes:
        truth: the process as a whole.
        heap: what a detector sees.
        leaking_site: name of the site that leaks; "" when none does.
    """

    truth: Labelled
    heap: SiteSeries
    leaking_site: str


def labelled_heap(shape: str, seed: int, leak_mb_per_hour: float = 0.0, hours: float = 24.0) -> LabelledHeap:
    """Heap profiles every five minutes: 200 to 800 sites, one holds what the shape adds, another one what leaks.

    Values carry the noise of a sampling heap profiler (one sample per 512 KiB), which moves slowly, as sampled
    objects live on.
    """
    truth = labelled(shape, seed, leak_mb_per_hour, hours)
    plain = labelled(shape, seed, 0.0, hours, noise_of=leak_mb_per_hour)
    rng = np.random.default_rng([seed, 77])
    every = slice(0, None, 5)
    grown = np.maximum(plain.value - plain.value.min(), 0)[every]
    leaked = np.maximum(truth.value - plain.value, 0)[every]
    count = int(rng.integers(200, 800))
    weights = rng.lognormal(0, 1.5, count)
    held = np.repeat((weights / weights.sum() * plain.value.min())[:, None], grown.size, axis=1)
    held[0] += grown if shape not in SYSTEMS or SYSTEMS[shape].in_heap else 0.0
    held[1] += leaked
    noise = np.array([_ar1(rng, grown.size, 0.97, 1.0) for _ in range(count)])
    seen_bytes = np.maximum(held + noise * np.sqrt(held * (512 << 10)), 0)
    sites = tuple(Site(f"site_{number}", "shop.py", number) for number in range(count))
    series = truth.series
    total = MemorySeries(
        service=series.service,
        instance=series.instance,
        time_ns=series.time_ns[every],
        bytes=seen_bytes.sum(axis=0),
        requests=None if series.requests is None else series.requests[every],
        restarts_ns=series.restarts_ns,
        deploys_ns=series.deploys_ns,
        limit_bytes=series.limit_bytes,
    )
    return LabelledHeap(truth, SiteSeries(total, seen_bytes, sites), "site_1" if leak_mb_per_hour else "")


def labelled(
    shape: str,
    seed: int,
    leak_mb_per_hour: float = 0.0,
    hours: float = 24.0,
    *,
    traces: bool = True,
    noise_of: float | None = None,
) -> Labelled:
    """One series of a shape; the same seed gives the same series, with `noise_of` that of another leak rate."""
    rate = leak_mb_per_hour if noise_of is None else noise_of
    rng = np.random.default_rng([seed, sum(shape.encode()), int(rate * 10), int(hours)])
    t = np.arange(0, hours, 1 / 60)
    base = 200 * MB * rng.uniform(0.6, 1.6)
    phase = rng.uniform(0, 24)
    requests = rng.uniform(200, 3000) * (1 + rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * (t - phase) / 24))
    draft = Draft(rng, t, base, np.full(t.size, base), requests)
    _drawing(shape)(draft, leak_mb_per_hour * MB)
    return _finished(draft, shape, leak_mb_per_hour * MB, hours, traces)


def _drawing(shape: str) -> Shape:
    return SYSTEMS[shape].draw if shape in SYSTEMS else SHAPES[shape]


def _finished(draft: Draft, shape: str, leak: float, hours: float, traces: bool) -> Labelled:
    rng, t = draft.rng, draft.t
    value = draft.value + _gc(rng, t) + _ar1(rng, t.size, 0.9, 2 * MB)
    value += 0.02 * draft.base * draft.requests / draft.requests.mean()
    missing = draft.missing if draft.missing is not None else np.zeros(t.size, bool)
    missing = missing | (rng.random(t.size) < 0.01)
    value = np.where(missing, np.nan, np.maximum(value, 1 * MB))
    time_ns = START_NS + (t * HOUR_NS).astype(np.int64)
    counts = rng.poisson(draft.requests).astype(np.float64)
    series = MemorySeries(
        service="shop",
        instance="shop-1",
        time_ns=time_ns,
        bytes=value * (draft.instances if draft.instances is not None else 1),
        requests=counts if traces else None,
        instances=draft.instances,
        restarts_ns=START_NS + (np.array(draft.restarts) * HOUR_NS).astype(np.int64),
        deploys_ns=START_NS + (np.array(draft.deploys) * HOUR_NS).astype(np.int64),
        limit_bytes=float(np.nanmax(value) * rng.uniform(1.3, 3)) if rng.random() < 0.5 and leak == 0 else 1024 * MB,
    )
    return Labelled(shape, series, leak, _onset(draft, shape, hours), hours, draft.value)


def _onset(draft: Draft, shape: str, hours: float) -> float:
    if shape in {"leak begins later", "leak after flag"}:
        return hours / 3
    return draft.deploys[0] if draft.deploys else 0.0


def _gc(rng: np.random.Generator, t: F64) -> F64:
    """Young collections: 20 MB up and down every few minutes."""
    return 20 * MB * ((t * rng.uniform(4, 15) + rng.random()) % 1)


def _ar1(rng: np.random.Generator, size: int, keep: float, deviation: float) -> F64:
    noise = rng.normal(0, deviation * np.sqrt(1 - keep**2), size)
    return np.asarray(lfilter([1.0], [1.0, -keep], noise))


def looks(hours: float = 24.0, step_hours: float = 1.0) -> Iterator[float]:
    """When a detector looks, in hours after the start."""
    yield from np.arange(step_hours, hours + 1e-9, step_hours)


def seen(truth: Labelled, hours: float) -> MemorySeries:
    """What was known at a time."""
    return truth.series.until(START_NS + int(hours * HOUR_NS) - 1)
