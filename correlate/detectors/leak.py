"""The memory-leak detector: one verdict from the memory of a process and from its heap profiles.

Memory alone tells that something leaks; heap profiles tell where, and free the answer from what the garbage collector
and the allocator do. Where only one of them is there, it is enough.
"""

from dataclasses import replace

import numpy as np

from correlate.detectors.leak_baseline import judge_baseline
from correlate.detectors.leak_options import DEMO, HOUR_S, PRODUCTION, LeakOptions
from correlate.detectors.leak_series import MemorySeries, windows
from correlate.detectors.leak_sites import SiteSeries, judge_sites
from correlate.detectors.leak_total import DETECTOR, explain_total, judge_total
from correlate.model.verdicts import Guard, Tier, Verdict
from correlate.units import human

__all__ = [
    "DEMO",
    "DETECTOR",
    "PRODUCTION",
    "LeakOptions",
    "MemorySeries",
    "SiteSeries",
    "explain_total",
    "judge",
    "judge_baseline",
    "judge_sites",
    "judge_total",
]


def judge(memory: MemorySeries | None, heap: SiteSeries | None, options: LeakOptions = PRODUCTION) -> Verdict | None:
    """Tell whether a process leaks, and where; None when neither memory nor heap profiles say so.

    The louder of the two answers wins; sites are named whenever the heap knows them. When memory grows and no site
    of the heap does, the headline says so: native memory or fragmentation, which heap profiles do not see.
    """
    total = None if memory is None else judge_total(memory, options)
    where = None if heap is None else judge_sites(heap, options)
    if total is not None and where is None and heap is not None and _told(heap, options):
        return _outside(total, options)
    if total is None or where is None:
        return total or where
    if where.tier.rank >= total.tier.rank:
        limits = {name: value for name, value in total.figures.items() if name.startswith("limit")}
        return replace(where, figures={**where.figures, **limits})
    return replace(total, sites=where.sites, subject=where.subject, headline=f"{total.headline}; {where.headline}")


def _told(heap: SiteSeries, options: LeakOptions) -> bool:
    """Whether heap profiles were there for long enough to say anything."""
    return windows(heap.total, options, options.warm_up_s).observed_s >= options.watch_observed_s


def _outside(total: Verdict, options: LeakOptions) -> Verdict:
    """What no call site holds is most often the allocator's or the kernel's: a page takes a day, or a near limit."""
    seen_s, left_s = (total.figures.get(name, np.inf) * HOUR_S for name in ("observed_hours", "limit_in_hours"))
    enough = seen_s >= options.outside_observed_s or left_s <= options.urgent_eta_s
    reason = f"no call site grows; {human(seen_s * 1e9, 'nanoseconds')} after warm-up"
    return replace(
        total,
        tier=total.tier if enough or total.tier is not Tier.PAGE else Tier.WATCH,
        headline=f"{total.headline}, outside of what heap profiles see",
        guards=(*total.guards, Guard("outside the heap", enough, reason)),
    )
