"""The constants of the contention detector, with their reasons."""

from dataclasses import dataclass, replace
from typing import Final

from correlate.detectors.sensitivity import Sensitivity


@dataclass(frozen=True, slots=True)
class ContentionOptions:
    """When waiting and collecting are too much.

    Attributes:
        gc_watch_ratio: the collector's part of the CPU. Go's pacer gives its background workers a quarter of the
            processors while a cycle runs, so an average above a quarter means that it runs all the time.
        gc_page_ratio: at two fifths, assists slow requests down and little headroom is left before it thrashes.
        allocation_watch_ratio: the allocator's part, the collector's assists excluded; it never pages.
        lock_watch_ratio: time spent waiting for locks, of the time requests took.
        lock_page_ratio: the same for a page: most of a request is waiting for others.
        least_lock_cores: locks that hold up fewer goroutines than this on average do not matter.
        profiling_watch_ratio: the profiler's part of the CPU that is worth a look; it should cost below 5 %.
        profiling_page_ratio: the same for a page.
        hold_s: it must be so for this long.
        hold_ratio: in this part of the buckets of that time.
        least_hits: fewer samples of the profiler tell nothing.
        least_cores: a collector that works in an otherwise idle process harms nobody.
    """

    gc_watch_ratio: float = 0.25
    gc_page_ratio: float = 0.40
    allocation_watch_ratio: float = 0.30
    lock_watch_ratio: float = 0.20
    lock_page_ratio: float = 0.50
    least_lock_cores: float = 0.1
    profiling_watch_ratio: float = 0.05
    profiling_page_ratio: float = 0.10
    hold_s: float = 1800.0
    hold_ratio: float = 0.8
    least_hits: float = 200.0
    least_cores: float = 0.1

    def adjusted(self, sensitivity: Sensitivity) -> "ContentionOptions":
        """The same for a service whose owner wants to hear less or more."""
        return replace(
            self,
            gc_watch_ratio=sensitivity.limit(self.gc_watch_ratio),
            gc_page_ratio=sensitivity.limit(self.gc_page_ratio),
            allocation_watch_ratio=sensitivity.limit(self.allocation_watch_ratio),
            lock_watch_ratio=sensitivity.limit(self.lock_watch_ratio),
            lock_page_ratio=sensitivity.limit(self.lock_page_ratio),
            profiling_watch_ratio=sensitivity.limit(self.profiling_watch_ratio),
            profiling_page_ratio=sensitivity.limit(self.profiling_page_ratio),
        )

    def scaled(self, factor: float) -> "ContentionOptions":
        """The same limits on another clock."""
        return replace(self, hold_s=self.hold_s * factor)


PRODUCTION: Final = ContentionOptions()
DEMO: Final = PRODUCTION.scaled(1 / 60)
"""For a demonstration: a minute instead of an hour."""
