"""Memory of real systems: shapes drawn from how runtimes, caches, stores and traffic behave, in two groups.

All were written before the detector was looked at again, and then split by a fixed rule: group A may be looked at and
tuned on, group B not before everything else is fixed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from tests.truth import memory_caches as caches
from tests.truth import memory_runtimes as runtimes
from tests.truth import memory_traffic as traffic
from tests.truth.memory_drawing import add_leak
from tests.truth.memory_shapes import Draft, Shape


@dataclass(frozen=True)
class System:
    """A way memory behaves.

    Attributes:
        draw: the shape; adds the leak it is asked for.
        hours: how long it is watched when it leaks nothing.
        in_heap: whether what it adds is seen by in-use heap profiles, at one call site.
        harmless: whether there is a version without a leak that is worth a test.
        leaking: whether there is one with a leak.
    """

    draw: Shape
    hours: float = 24.0
    in_heap: bool = True
    harmless: bool = True
    leaking: bool = True


def _outside(draw: Callable[[Draft], None], hours: float = 24.0) -> System:
    """Memory that heap profiles do not see: the collector's, the allocator's, the kernel's."""
    return System(_with_leak(draw), hours, in_heap=False)


def _held(draw: Callable[[Draft], None], hours: float = 24.0) -> System:
    """Memory that the program holds."""
    return System(_with_leak(draw), hours)


def _with_leak(draw: Callable[[Draft], None]) -> Shape:
    def both(draft: Draft, leak: float) -> None:
        draw(draft)
        add_leak(draft, leak)

    return both


def _leak(draw: Shape) -> System:
    return System(draw, harmless=False)


SYSTEMS: dict[str, System] = {
    "JVM heap sizing": _outside(runtimes.jvm_heap_sizing),
    "old generation": _outside(runtimes.old_generation, 48),
    "JIT code cache": _outside(runtimes.jit_code_cache),
    "class loading": _outside(runtimes.class_loading),
    "malloc arenas": _outside(runtimes.malloc_arenas, 48),
    "Python arenas": _outside(runtimes.python_arenas, 48),
    "Go heap goal": _outside(runtimes.go_heap_goal, 48),
    "buffer pool": _held(runtimes.buffer_pool),
    "heap holes": _outside(runtimes.heap_holes, 48),
    "heap breathing": _outside(runtimes.heap_breathing, 48),
    "huge pages": _outside(runtimes.huge_pages),
    "thread stacks": _outside(runtimes.thread_stacks),
    "reloaded model": _held(runtimes.reloaded_model),
    "interned strings": _held(runtimes.interned_strings, 48),
    "Zipf cache": _held(caches.zipf_cache, 48),
    "expiring cache": _held(caches.expiring_cache, 48),
    "sessions": _held(caches.sessions),
    "metric labels": _held(caches.metric_labels),
    "prepared statements": _held(caches.prepared_statements),
    "LSM store": _outside(caches.lsm_store),
    "page cache": _outside(caches.page_cache, 48),
    "mapped file": _outside(caches.mapped_file, 48),
    "log backlog": _held(caches.log_backlog),
    "merged segments": _held(caches.merged_segments, 48),
    "reference data": _held(caches.reference_data),
    "connection pool": _held(caches.connection_pool, 48),
    "write buffers": _held(caches.write_buffers),
    "canary ramp": _held(traffic.canary_ramp, 36),
    "weekday": _held(traffic.weekday, 96),
    "tenants move in": _held(traffic.tenants_move_in),
    "flags on and off": _held(traffic.flags_on_and_off, 48),
    "failover": _held(traffic.failover),
    "backfill": _held(traffic.backfill),
    "nightly batches": _held(traffic.nightly_batches, 72),
    "scale-in": _held(traffic.scale_in),
    "launch": _held(traffic.launch),
    "release train": System(_with_leak(traffic.release_train), 48, leaking=False),
    "morning rise": _held(traffic.morning_rise, 48),
    "jobs by the clock": _held(traffic.jobs_by_the_clock, 48),
    "leak on errors": _leak(traffic.leak_on_errors),
    "leak at work": _leak(traffic.leak_at_work),
    "leak by cron": _leak(traffic.leak_by_cron),
    "leak trimmed": _leak(traffic.leak_trimmed),
    "leak after flag": _leak(traffic.leak_after_flag),
    "leak by tenant": _leak(traffic.leak_by_tenant),
    "leak in native code": _leak(traffic.leak_in_native_code),
}


def group_of(name: str) -> str:
    """A or B, by the first bit of the name's SHA-256."""
    return "AB"[sha256(name.encode()).digest()[0] >> 7]


def group(letter: str) -> dict[str, System]:
    """The systems of one group."""
    return {name: system for name, system in SYSTEMS.items() if group_of(name) == letter}
