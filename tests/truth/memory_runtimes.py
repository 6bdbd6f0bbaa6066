"""What runtimes and allocators do to the memory of a process that leaks nothing."""

import numpy as np

from tests.truth.memory_drawing import (
    bursts,
    lagged,
    log_uniform,
    relative_load,
    saturating,
    served,
    steps,
    wander,
)
from tests.truth.memory_shapes import MB, Draft


def jvm_heap_sizing(draft: Draft) -> None:
    """The collector's ergonomics commit more heap, step by step, most of it early."""
    count = int(draft.rng.integers(3, 9))
    at = np.array([log_uniform(draft.rng, 0.3, 20) for _ in range(count)])
    draft.value = draft.value + steps(draft.t, at, draft.rng.lognormal(3.0, 0.6, count) * MB)


def old_generation(draft: Draft) -> None:
    """Garbage is promoted for hours until a collection of the old generation; no two cycles are alike."""
    period = log_uniform(draft.rng, 1.5, 16)
    rate = draft.rng.uniform(60, 250) * MB / period
    age = np.empty(draft.t.size)
    begin, end = -draft.rng.random() * period, 0.0
    while begin < draft.t[-1]:
        end = begin + period * draft.rng.uniform(0.8, 1.2)
        inside = (draft.t >= begin) & (draft.t < end)
        age[inside] = (draft.t - begin)[inside]
        begin = end
    draft.value = draft.value + rate * age


def jit_code_cache(draft: Draft) -> None:
    """Compiled code piles up ever more slowly."""
    rise = draft.rng.uniform(20, 120) * MB
    draft.value = draft.value + rise * saturating(draft.t, log_uniform(draft.rng, 0.5, 8))


def class_loading(draft: Draft) -> None:
    """Classes are loaded at their first use: many small steps, ever rarer."""
    count = int(draft.rng.integers(20, 80))
    at = np.array([log_uniform(draft.rng, 0.02, 30) for _ in range(count)])
    draft.value = draft.value + steps(draft.t, at, draft.rng.lognormal(0.3, 0.7, count) * MB)


def malloc_arenas(draft: Draft) -> None:
    """Threads get arenas of their own; there are as many as ever ran at once, and they stay."""
    busy = relative_load(draft) * np.exp(0.3 * wander(draft.rng, draft.t.size, 0.3))
    busy = busy + 0.3 * bursts(draft.rng, draft.t.size, 2)
    arenas = np.minimum(np.floor(8 * np.maximum.accumulate(busy)), draft.rng.integers(16, 65))
    draft.value = draft.value + arenas * draft.rng.uniform(2, 8) * MB


def python_arenas(draft: Draft) -> None:
    """Arenas are taken at once and given back only when they happen to be empty: slowly."""
    demand = relative_load(draft) + 0.25 * wander(draft.rng, draft.t.size, 2)
    held = lagged(demand, 0.02, log_uniform(draft.rng, 6, 48))
    draft.value = draft.value + held * draft.rng.uniform(20, 90) * MB


def go_heap_goal(draft: Draft) -> None:
    """The heap goal is twice what lives, which follows a load that grows over the day; memory goes back slowly."""
    growth = draft.rng.uniform(0, 0.6)
    draft.requests = draft.requests * (1 + growth * draft.t / draft.t[-1])
    live = relative_load(draft) ** draft.rng.uniform(0.6, 1)
    draft.value = draft.value + lagged(2 * live, 0.2, log_uniform(draft.rng, 0.7, 5)) * draft.rng.uniform(20, 70) * MB


def buffer_pool(draft: Draft) -> None:
    """Each of some pooled buffers grows to the largest message it ever saw."""
    slots = int(draft.rng.integers(16, 128))
    messages = draft.rng.pareto(draft.rng.uniform(1.3, 2.5), (slots, draft.t.size)) * draft.rng.uniform(20, 200) * 1e3
    largest = np.maximum.accumulate(np.minimum(messages, 4 * MB), axis=1)
    draft.value = draft.value + largest.sum(axis=0)


def heap_holes(draft: Draft) -> None:
    """Fragmentation goes on with a power of time below one; nobody knows how long the process had been up."""
    power, before = draft.rng.uniform(0.25, 0.7), log_uniform(draft.rng, 0.1, 24)
    rise = draft.rng.uniform(20, 110) * MB
    draft.value = draft.value + rise * ((draft.t + before) ** power - before**power) / 24**power


def heap_breathing(draft: Draft) -> None:
    """Uncommitting collectors and soft limits let memory wander within bounds."""
    slow = wander(draft.rng, draft.t.size, log_uniform(draft.rng, 2, 10))
    draft.value = draft.value + draft.rng.uniform(8, 35) * MB * slow


def huge_pages(draft: Draft) -> None:
    """The kernel collapses small pages into huge ones, from some time on, until there are none left."""
    begin = draft.rng.uniform(0, 8)
    tau = log_uniform(draft.rng, 1, 10)
    draft.value = draft.value + draft.rng.uniform(20, 150) * MB * saturating(draft.t - begin, tau)


def thread_stacks(draft: Draft) -> None:
    """A pool has as many threads as were ever needed of late; idle ones end after a while."""
    needed = relative_load(draft) * (1 + 0.2 * wander(draft.rng, draft.t.size, 0.5))
    needed = needed + 0.5 * bursts(draft.rng, draft.t.size, 1)
    draft.value = draft.value + lagged(needed, 0.01, log_uniform(draft.rng, 0.2, 8)) * draft.rng.uniform(20, 80) * MB


def reloaded_model(draft: Draft) -> None:
    """A model is loaded anew every few hours: for minutes there are two, and no two are of the same size."""
    every = log_uniform(draft.rng, 2, 12)
    number = np.floor(draft.t / every + draft.rng.random()).astype(int)
    sizes = draft.rng.uniform(50, 150) * MB * draft.rng.uniform(0.8, 1.2, number.max() + 1)
    fresh = np.diff(number, prepend=number[0]) > 0
    both = np.convolve(fresh, np.ones(12))[: draft.t.size] > 0
    draft.value = draft.value + sizes[number] * (1 + both)


def interned_strings(draft: Draft) -> None:
    """Distinct strings by Heaps' law: a power of what was served, from an unknown age on."""
    power, before = draft.rng.uniform(0.3, 0.7), log_uniform(draft.rng, 0.1, 24)
    rise = draft.rng.uniform(15, 90) * MB
    draft.value = draft.value + rise * ((served(draft) + before) ** power - before**power) / 24**power
