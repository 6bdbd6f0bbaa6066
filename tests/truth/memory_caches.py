"""What caches, stores and files do to the memory of a process that leaks nothing."""

import numpy as np

from tests.truth.memory_drawing import (
    bursts,
    lagged,
    log_uniform,
    relative_load,
    saturating,
    served,
    steps,
    trailing,
    wander,
)
from tests.truth.memory_shapes import F64, MB, Draft


def zipf_cache(draft: Draft) -> None:
    """A cache of keys of unequal popularity: ever fewer requests bring a new key, until it is full (or not yet)."""
    keys = np.geomspace(1, 1e7, 400)
    weight = np.gradient(keys)
    popularity = keys ** -draft.rng.uniform(0.6, 1.2)
    popularity /= (popularity * weight).sum()
    seen_requests = served(draft)[:, None] * log_uniform(draft.rng, 1e4, 1e6)
    distinct = ((1 - np.exp(-popularity * seen_requests)) * weight).sum(axis=1)
    filled = np.minimum(distinct / distinct[min(draft.t.size, 1440) - 1], draft.rng.uniform(0.3, 1.5))
    draft.value = draft.value + draft.rng.uniform(50, 250) * MB * filled


def expiring_cache(draft: Draft) -> None:
    """Entries live for one of the usual times; memory is what arrived within it."""
    hours = float(draft.rng.choice([0.25, 0.5, 1, 2, 4, 6, 8, 12, 24]))
    draft.value = draft.value + trailing(relative_load(draft), hours) * draft.rng.uniform(40, 200) * MB


def sessions(draft: Draft) -> None:
    """Clients stay connected for hours: their number follows the load late, and begins with nobody."""
    stay = log_uniform(draft.rng, 1, 10)
    clients = lagged(np.concatenate([[0.0], relative_load(draft)]), stay, stay)[1:]
    draft.value = draft.value + clients * draft.rng.uniform(40, 150) * MB


def metric_labels(draft: Draft) -> None:
    """A registry of metrics: distinct label sets, ever fewer of them new, and some for each deploy of a neighbour."""
    scale = log_uniform(draft.rng, 0.1, 3)
    draft.value = draft.value + draft.rng.uniform(5, 20) * MB * np.log1p(served(draft) / scale)
    count = int(draft.rng.integers(0, 5))
    at = draft.rng.uniform(0, draft.t[-1], count)
    draft.value = draft.value + steps(draft.t, at, draft.rng.uniform(2, 10, count) * MB)


def prepared_statements(draft: Draft) -> None:
    """Every connection caches statements; connections are renewed after some time, each at another moment."""
    count, life = int(draft.rng.integers(10, 60)), log_uniform(draft.rng, 0.5, 8)
    tau = log_uniform(draft.rng, 0.3, 6)
    age = (draft.t[None, :] + draft.rng.uniform(0, life, count)[:, None]) % life
    age = np.minimum(age, draft.t[None, :])
    held = saturating(age, tau).sum(axis=0)
    draft.value = draft.value + held * draft.rng.uniform(1, 5) * MB


def lsm_store(draft: Draft) -> None:
    """Memtables fill and are flushed, a block cache fills up, compactions need room for a while."""
    period = log_uniform(draft.rng, 0.2, 3)
    tables = draft.rng.uniform(20, 80) * MB * ((draft.t / period + draft.rng.random()) % 1)
    blocks = draft.rng.uniform(40, 200) * MB * saturating(served(draft), log_uniform(draft.rng, 1, 8))
    compactions = draft.rng.uniform(10, 60) * MB * (bursts(draft.rng, draft.t.size, 0.3) > 0)
    draft.value = (
        draft.value + tables + blocks + np.convolve(compactions, np.ones(20))[: draft.t.size].clip(max=60 * MB)
    )


def page_cache(draft: Draft) -> None:
    """Written files count as memory until they are rotated away, which happens by size or by the clock."""
    every = float(draft.rng.choice([0.5, 1, 2, 4, 6, 8, 12, 24]))
    written = served(draft) if draft.rng.random() < 0.5 else draft.t
    size = draft.rng.uniform(40, 200) * MB
    kept = draft.rng.uniform(0, 0.4)
    fresh = (written / every + draft.rng.random()) % 1
    draft.value = draft.value + size * (kept + (1 - kept) * fresh)


def mapped_file(draft: Draft) -> None:
    """Pages of a mapped file count once touched; a compaction maps a new file."""
    touched, tau = np.empty(draft.t.size), log_uniform(draft.rng, 1, 8)
    begin, start = 0.0, 0.0
    while begin < draft.t[-1] + 1:
        end = begin + log_uniform(draft.rng, 3, 40)
        inside = (draft.t >= begin) & (draft.t < end)
        touched[inside] = start + (1 - start) * saturating((draft.t - begin)[inside], tau)
        begin, start = end, draft.rng.uniform(0.1, 0.7)
    draft.value = draft.value + draft.rng.uniform(50, 250) * MB * touched


def log_backlog(draft: Draft) -> None:
    """A slow sink: what is to be written piles up for hours, then drains within minutes."""
    level = np.zeros(draft.t.size)
    for _ in range(int(draft.rng.integers(1, 5))):
        begin, hours = draft.rng.uniform(0, draft.t[-1]), log_uniform(draft.rng, 0.5, 6)
        rate, drain = draft.rng.uniform(5, 40) * MB, draft.rng.uniform(0.1, 1)
        since = draft.t - begin
        level += rate * np.clip(np.minimum(since, hours * (1 - (since - hours) / drain)), 0, None)
    draft.value = draft.value + level


def merged_segments(draft: Draft) -> None:
    """An index in memory: segments are added by the load and merged by tiers; merging drops what was deleted."""
    size, rate, factor = 0.0, draft.rng.uniform(5, 25) * MB / 60, draft.rng.uniform(0.4, 0.8)
    limit = draft.rng.uniform(30, 120) * MB
    level = np.empty(draft.t.size)
    for at, load in enumerate(relative_load(draft)):
        size += rate * load
        if size > limit:
            size, limit = size * factor, limit * draft.rng.uniform(0.9, 1.1)
        level[at] = size
    draft.value = draft.value + level


def reference_data(draft: Draft) -> None:
    """Tables of regions, tenants, currencies are loaded when first asked for: some at once, some after a day."""
    count = int(draft.rng.integers(15, 100))
    first = draft.rng.exponential(1, count) * draft.rng.lognormal(1.0, 1.5, count)
    sizes = draft.rng.lognormal(0, 1, count)
    draft.value = draft.value + steps(draft.t, first, sizes / sizes.sum()) * draft.rng.uniform(50, 250) * MB


def connection_pool(draft: Draft) -> None:
    """Connections are opened at peaks and closed after being idle for long."""
    peaks = relative_load(draft) * (1 + 0.3 * np.abs(wander(draft.rng, draft.t.size, 1)))
    open_ = lagged(peaks, 0.02, log_uniform(draft.rng, 0.3, 24))
    draft.value = draft.value + np.floor(20 * open_) * draft.rng.uniform(1, 5) * MB


def write_buffers(draft: Draft) -> None:
    """Partitions of a producer get buffers as topics come into use, then all have one."""
    count = int(draft.rng.integers(20, 200))
    width, middle = draft.rng.uniform(0.5, 4), draft.rng.uniform(0, 12)
    level: F64 = steps(draft.t, draft.rng.normal(middle, width, count), np.full(count, 1.0 / count))
    draft.value = draft.value + level * draft.rng.uniform(30, 160) * MB
