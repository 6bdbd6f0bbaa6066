"""What traffic, operators and schedules do to memory, and ways to leak that are not a straight line."""

import numpy as np

from tests.truth.memory_drawing import lagged, log_uniform, relative_load, saturating, steps, wander
from tests.truth.memory_shapes import F64, MB, Draft


def _follow(draft: Draft, megabytes: float) -> None:
    """Memory follows the load late and less than in proportion."""
    held = relative_load(draft) ** draft.rng.uniform(0.5, 1)
    up = draft.rng.uniform(0.1, 1.5)
    draft.value = draft.value + lagged(held, up, up * draft.rng.uniform(1, 4)) * megabytes * MB


def canary_ramp(draft: Draft) -> None:
    """A new version gets 1, 5, 10, 25, 50, 100 % of the traffic, within hours or a day."""
    at = np.sort(draft.rng.uniform(0, log_uniform(draft.rng, 4, 24), 5))
    share: F64 = np.array([0.01, 0.05, 0.1, 0.25, 0.5, 1.0])[np.searchsorted(at, draft.t, "right")]
    draft.requests = draft.requests * share
    _follow(draft, draft.rng.uniform(30, 120))


def weekday(draft: Draft) -> None:
    """Two quiet days, then a working week begins."""
    begin = draft.rng.uniform(20, 44)
    level = np.where(draft.t < begin, draft.rng.uniform(0.3, 0.6), 1.0)
    draft.requests = draft.requests * lagged(level, 1.0, 1.0)
    _follow(draft, draft.rng.uniform(30, 120))


def tenants_move_in(draft: Draft) -> None:
    """Tenants are moved to this process during some hours; each brings its data."""
    count = int(draft.rng.integers(10, 60))
    at = draft.rng.normal(draft.rng.uniform(5, 16), draft.rng.uniform(1, 4), count)
    sizes = draft.rng.lognormal(0, 0.8, count)
    share = steps(draft.t, at, sizes / sizes.sum())
    draft.requests = draft.requests * (1 + draft.rng.uniform(0.2, 1) * share)
    draft.value = draft.value + share * draft.rng.uniform(50, 250) * MB


def flags_on_and_off(draft: Draft) -> None:
    """Features are switched on and off; each needs memory of its own while it is on."""
    for _ in range(int(draft.rng.integers(2, 6))):
        begin, hours = draft.rng.uniform(0, draft.t[-1]), log_uniform(draft.rng, 2, 30)
        on = (draft.t > begin) & (draft.t < begin + hours)
        draft.value = draft.value + draft.rng.uniform(10, 60) * MB * on


def failover(draft: Draft) -> None:
    """A neighbour dies: twice the load for hours, new keys in the cache; not all of it goes away again."""
    begin, hours = draft.rng.uniform(3, 16), log_uniform(draft.rng, 1, 12)
    away = (draft.t > begin) & (draft.t < begin + hours)
    draft.requests = draft.requests * (1 + draft.rng.uniform(0.5, 1) * away)
    held = lagged(away * 1.0, log_uniform(draft.rng, 0.3, 3), log_uniform(draft.rng, 0.5, 24))
    draft.value = draft.value + held * draft.rng.uniform(40, 200) * MB
    _follow(draft, draft.rng.uniform(10, 60))


def backfill(draft: Draft) -> None:
    """History is read in for hours; afterwards it is given back, at once or bit by bit."""
    begin, hours = draft.rng.uniform(1, 12), log_uniform(draft.rng, 1, 10)
    rise = np.clip((draft.t - begin) / hours, 0, 1)
    left = 1 - saturating(draft.t - begin - hours, log_uniform(draft.rng, 0.1, 6))
    draft.value = draft.value + rise * np.minimum(left, 1) * draft.rng.uniform(50, 250) * MB


def nightly_batches(draft: Draft) -> None:
    """A batch at the same hour each night; the allocator keeps a part of what it needed."""
    start, kept = draft.rng.uniform(0, 24), draft.rng.uniform(0, 0.4)
    level = np.zeros(draft.t.size)
    for day in range(-1, int(draft.t[-1] // 24) + 1):
        begin, hours = start + 24 * day + draft.rng.normal(0, 0.2), log_uniform(draft.rng, 1, 5)
        since = draft.t - begin
        running = (since > 0) & (since < hours)
        level = np.maximum(level, np.where(running, since / hours, kept * (since >= hours)))
    draft.value = draft.value + level * draft.rng.uniform(50, 250) * MB


def scale_in(draft: Draft) -> None:
    """Instances are taken away one after the other, and those that stay have more to do; the series is their sum."""
    first = int(draft.rng.integers(4, 9))
    at = np.sort(draft.rng.uniform(1, 22, first // 2))
    draft.instances = first - np.searchsorted(at, draft.t).astype(np.float64)
    share = (first / draft.instances) ** draft.rng.uniform(0.5, 1)
    draft.value = draft.value + lagged(share, 0.7, 0.7) * draft.rng.uniform(20, 80) * MB


def launch(draft: Draft) -> None:
    """Traffic grows all day, two- or threefold, beneath its daily cycle."""
    draft.requests = draft.requests * (1 + draft.rng.uniform(0.5, 2) * draft.t / draft.t[-1])
    _follow(draft, draft.rng.uniform(20, 90))


def release_train(draft: Draft) -> None:
    """A deploy every few hours, each with its warm-up and with a little more code."""
    at = 0.0
    since, extra = draft.t.copy(), np.zeros(draft.t.size)
    while (at := at + log_uniform(draft.rng, 4, 16)) < draft.t[-1]:
        draft.deploys.append(at)
        since = np.where(draft.t >= at, draft.t - at, since)
        extra += draft.rng.uniform(-5, 15) * MB * (draft.t >= at)
    warm = saturating(since, log_uniform(draft.rng, 0.3, 4))
    draft.value = draft.value + extra + draft.rng.uniform(40, 160) * MB * warm


def morning_rise(draft: Draft) -> None:
    """What is watched begins at night: the load rises for half a day, and memory late behind it."""
    swing, phase = draft.rng.uniform(0.4, 0.9), draft.rng.uniform(-2, 2)
    draft.requests = draft.requests.mean() * (1 - swing * np.cos(2 * np.pi * (draft.t + phase) / 24))
    _follow(draft, draft.rng.uniform(40, 150))


def jobs_by_the_clock(draft: Draft) -> None:
    """Jobs every few hours of different sizes; memory stays at what the last ones needed."""
    every = float(draft.rng.choice([1, 2, 3, 4, 6]))
    number = np.floor(draft.t / every + draft.rng.random()).astype(int)
    size = draft.rng.lognormal(0, 0.6, number.max() + 1)[number]
    draft.value = draft.value + lagged(size, 0.3, log_uniform(draft.rng, 1, 12)) * draft.rng.uniform(15, 50) * MB


def leak_on_errors(draft: Draft, leak: float) -> None:
    """Each failed request leaks, and failures come in bursts of minutes."""
    rate = np.exp(1.2 * wander(draft.rng, draft.t.size, 0.3)) * (draft.rng.random(draft.t.size) < 0.3)
    draft.value = draft.value + leak * draft.t[-1] * np.cumsum(rate) / rate.sum()


def leak_at_work(draft: Draft, leak: float) -> None:
    """Only office hours leak, and the night leaks next to nothing."""
    hour = (draft.t + draft.rng.uniform(0, 24)) % 24
    rate = 0.1 + 1.0 * ((hour > 8) & (hour < 19))
    draft.requests = draft.requests.mean() * lagged(rate, 0.5, 0.5)
    draft.value = draft.value + leak * draft.t[-1] * np.cumsum(rate) / rate.sum()


def leak_by_cron(draft: Draft, leak: float) -> None:
    """A job every few hours leaks all at once."""
    every = draft.rng.uniform(2, 5)
    draft.value = draft.value + leak * every * np.floor(draft.t / every + draft.rng.random())


def leak_trimmed(draft: Draft, leak: float) -> None:
    """Some of what leaks hangs on soft references: a part of what came last is given back now and then."""
    every, part = draft.rng.uniform(2, 6), draft.rng.uniform(0.2, 0.5)
    fresh = (draft.t / every + draft.rng.random()) % 1
    draft.value = draft.value + leak * (draft.t + every * part * fresh / (1 - part))


def leak_after_flag(draft: Draft, leak: float) -> None:
    """A third into the series a feature is switched on that needs memory once, and leaks from then on."""
    since = draft.t - draft.t[-1] / 3
    draft.value = draft.value + draft.rng.uniform(5, 40) * MB * (since > 0) + leak * np.maximum(since, 0)


def leak_by_tenant(draft: Draft, leak: float) -> None:
    """Only some tenants' requests leak, and these come as they like: rates change every other hour."""
    rate = np.exp(0.7 * wander(draft.rng, draft.t.size, 2))
    draft.value = draft.value + leak * draft.t[-1] * np.cumsum(rate) / rate.sum()


def leak_in_native_code(draft: Draft, leak: float) -> None:
    """A straight line beside an allocator that keeps what peaks needed."""
    peaks = relative_load(draft) + 0.2 * wander(draft.rng, draft.t.size, 1)
    draft.value = draft.value + lagged(peaks, 0.02, 10) * draft.rng.uniform(10, 40) * MB + leak * draft.t
