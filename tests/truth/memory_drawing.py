"""What the shapes of memory are drawn with: steps, high-water marks, lags, trailing sums."""

import numpy as np
from scipy.signal import lfilter

from tests.truth.memory_shapes import F64, Draft

MINUTES_PER_HOUR = 60


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two, every power of ten as likely as the next one."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def steps(t: F64, at_hours: F64, sizes: F64) -> F64:
    """The sum of steps of given sizes at given times."""
    order = np.argsort(at_hours)
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(sizes)[order])])
    result: F64 = sums[np.searchsorted(np.asarray(at_hours)[order], t, "right")]
    return result


def saturating(t: F64, tau_hours: float) -> F64:
    """1 - exp(-t / tau), 0 before t = 0."""
    result: F64 = 1 - np.exp(-np.maximum(t, 0) / tau_hours)
    return result


def lagged(values: F64, up_hours: float, down_hours: float) -> F64:
    """Follow values at different speeds up and down, beginning at the first one."""
    up, down = (1 - np.exp(-1 / (MINUTES_PER_HOUR * max(hours, 1e-3))) for hours in (up_hours, down_hours))
    result, now = np.empty(values.size), float(values[0])
    for at, value in enumerate(values):
        now += (up if value > now else down) * (value - now)
        result[at] = now
    return result


def trailing(values: F64, hours: float) -> F64:
    """The mean over the past hours, where nothing was before the beginning."""
    size = max(1, int(hours * MINUTES_PER_HOUR))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, values.size + 1)
    result: F64 = (sums[ends] - sums[np.maximum(ends - size, 0)]) / size
    return result


def wander(rng: np.random.Generator, size: int, tau_hours: float) -> F64:
    """A bounded random walk of deviation 1 that forgets within `tau_hours`."""
    keep = float(np.exp(-1 / (MINUTES_PER_HOUR * tau_hours)))
    start = rng.normal()
    noise = rng.normal(0, np.sqrt(1 - keep**2), size)
    return np.asarray(lfilter([1.0], [1.0, -keep], noise, zi=[keep * start])[0])


def relative_load(draft: Draft) -> F64:
    """Requests as a part of their mean."""
    return draft.requests / draft.requests.mean()


def served(draft: Draft) -> F64:
    """Hours of mean load that were served so far: time as a cache knows it."""
    return np.cumsum(relative_load(draft)) / MINUTES_PER_HOUR


def bursts(rng: np.random.Generator, size: int, per_hour: float, tail: float = 2.0) -> F64:
    """Heavy-tailed peaks of a minute each, 0 in between."""
    return rng.pareto(tail, size) * (rng.random(size) < per_hour / MINUTES_PER_HOUR)


def add_leak(draft: Draft, leak: float) -> None:
    """A leak of so many bytes per hour; in half of all series it leaks by request instead of by time."""
    by_request = draft.rng.random() < 0.5
    draft.value = draft.value + leak * (served(draft) if by_request else draft.t)
