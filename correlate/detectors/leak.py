"""The memory-leak detector: one verdict from the memory of a process and from its heap profiles.

Memory alone tells that something leaks; heap profiles tell where, and free the answer from what the garbage collector
and the allocator do. Where only one of them is there, it is enough.
"""

from dataclasses import replace

from correlate.detectors.leak_baseline import judge_baseline
from correlate.detectors.leak_options import DEMO, PRODUCTION, LeakOptions
from correlate.detectors.leak_series import MemorySeries
from correlate.detectors.leak_sites import SiteSeries, judge_sites
from correlate.detectors.leak_total import DETECTOR, explain_total, judge_total
from correlate.model.verdicts import Verdict

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
    if total is None or where is None:
        return _unseen(total) if heap is not None and total is not None else total or where
    if where.tier.rank >= total.tier.rank:
        limits = {name: value for name, value in total.figures.items() if name.startswith("limit")}
        return replace(where, figures={**where.figures, **limits})
    return replace(total, sites=where.sites, subject=where.subject, headline=f"{total.headline}; {where.headline}")


def _unseen(total: Verdict) -> Verdict:
    return replace(total, headline=f"{total.headline}, outside of what heap profiles see")
