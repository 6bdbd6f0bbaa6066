"""Contention: time lost in waiting for locks, in collecting garbage, in allocating, and in being profiled.

Lock and block delays come from Go's mutex and block profiles and their like: nanoseconds that threads or goroutines
were held up. Against a limit they are held as a part of the time that requests took; whether they rise is the question
of the regression detector, asked of delays instead of CPU time. Block profiles have no limit: an idle worker that waits
for its next job is blocked, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.detectors import regression
from correlate.detectors.contention_options import PRODUCTION, ContentionOptions
from correlate.detectors.frame_kinds import ALLOCATION, COLLECTOR, PROFILER, kind_mask
from correlate.detectors.regression_options import RegressionOptions
from correlate.detectors.runtime_share import kind_values
from correlate.detectors.shares import FunctionSeries, OperationSeries
from correlate.detectors.trend import F64
from correlate.model.verdicts import Guard, Site, Tier, Verdict
from correlate.units import human

DETECTOR: Final = "contention"

_RISING: Final = RegressionOptions(
    settle_s=1800.0,  # cold pools and caches make threads wait
    least_growth_ratio=0.5,  # delays are heavy-tailed: a few long waits are a large part of them
    least_share_ratio=0.1,
    least_service_ratio=0.5,
)
"""When delays rise: delays vary far more than CPU time does."""

_TOP: Final = 5


@dataclass(frozen=True, slots=True)
class Part:
    """A part of something over time.

    Attributes:
        subject: what it is: the finding's name.
        values: n values.
        whole: n values of what it is a part of.
        watch_ratio: above this it is a watch.
        page_ratio: above this it is a page; 2 for never.
        sites: places in the code.
    """

    subject: str
    values: F64
    whole: F64
    watch_ratio: float
    page_ratio: float
    sites: tuple[Site, ...]


def judge_runtime(series: FunctionSeries, options: ContentionOptions = PRODUCTION) -> tuple[Verdict, ...]:
    """Tell whether the collector, the allocator or the profiler takes too much of the CPU.

    Args:
        series: CPU time by function.
        options: the constants.
    """
    busy = series.busy()
    recent = _recent(busy, options)
    used = float(busy.whole[recent].sum())
    spanned_ns = np.count_nonzero(recent) * busy.bucket_ns
    if float(busy.hits[recent].sum()) < options.least_hits or used < options.least_cores * spanned_ns:
        return ()
    found = (_held(busy, part, recent, options) for part in _parts(busy, options))
    return tuple(verdict for verdict in found if verdict is not None)


def judge_locks(
    delays: FunctionSeries, operations: OperationSeries | None, options: ContentionOptions = PRODUCTION
) -> tuple[Verdict, ...]:
    """Tell whether requests wait for locks for too large a part of their time.

    Args:
        delays: of a mutex profile: nanoseconds of waiting by function.
        operations: the same by operation where it is known, else zeros; with the time that requests took.
        options: the constants.
    """
    recent = _recent(delays, options)
    spanned_ns = np.count_nonzero(recent) * delays.bucket_ns
    if operations is None or float(delays.whole[recent].sum()) < options.least_lock_cores * spanned_ns:
        return ()
    sites = _largest(delays, np.ones(len(delays.sites), dtype=bool), recent)
    parts = [
        Part(f"locks in {name}", delay, busy, options.lock_watch_ratio, options.lock_page_ratio, sites)
        for name, delay, busy in zip(operations.names, operations.values.T, operations.busy_ns.T, strict=True)
    ]
    ratios = (options.lock_watch_ratio, options.lock_page_ratio)
    whole = Part("locks", delays.whole, operations.busy_ns.sum(axis=1), *ratios, sites)
    found = [_held(delays, part, recent, options) for part in parts]
    if not any(found):
        found = [_held(delays, whole, recent, options)]
    return tuple(verdict for verdict in found if verdict is not None)


def judge_rising(
    delays: FunctionSeries, operations: OperationSeries | None = None, options: RegressionOptions = _RISING
) -> tuple[Verdict, ...]:
    """Tell where requests wait longer than they did: regressions of delays, watches unless confirmed for long.

    Args:
        delays: of a mutex or block profile: nanoseconds of waiting by function.
        operations: the same by operation.
        options: the constants of the regression detector, for delays.
    """
    found = regression.judge(delays, operations, options)
    return tuple(
        replace(
            verdict, detector=DETECTOR, subject=f"waiting in {verdict.subject}", headline=f"waiting: {verdict.headline}"
        )
        for verdict in found
    )


def profiling_share(series: FunctionSeries) -> F64:
    """The profiler's part of the CPU time of each bucket, by its own frames; NaN where there was no profile."""
    share = kind_values(series, PROFILER) / np.maximum(series.whole, 1e-9)
    return np.where(series.whole > 0, share, np.nan)


def _parts(series: FunctionSeries, options: ContentionOptions) -> Iterator[Part]:
    recent = _recent(series, options)
    names = series.names
    collected = kind_values(series, COLLECTOR)
    made = np.maximum(kind_values(series, COLLECTOR, ALLOCATION) - collected, 0.0)
    for subject, values, kind, watch, page in (
        ("garbage collection", collected, COLLECTOR, options.gc_watch_ratio, options.gc_page_ratio),
        ("allocation", made, ALLOCATION, options.allocation_watch_ratio, 2.0),
        (
            "profiling",
            kind_values(series, PROFILER),
            PROFILER,
            options.profiling_watch_ratio,
            options.profiling_page_ratio,
        ),
    ):
        yield Part(subject, values, series.whole, watch, page, _largest(series, kind_mask(names, kind), recent))


def _recent(series: FunctionSeries, options: ContentionOptions) -> npt.NDArray[np.bool_]:
    if not series.time_ns.size:
        return np.zeros(0, dtype=bool)
    end = int(series.time_ns[-1]) + series.bucket_ns
    return np.asarray(series.time_ns >= min(end - int(options.hold_s * 1e9), end - series.bucket_ns))


def _held(
    series: FunctionSeries, part: Part, recent: npt.NDArray[np.bool_], options: ContentionOptions
) -> Verdict | None:
    values, whole = part.values[recent], part.whole[recent]
    if np.count_nonzero(recent) * series.bucket_ns < options.hold_s * 1e9 or not whole.sum() > 0:
        return None
    share = float(values.sum() / whole.sum())
    rows = values / np.maximum(whole, 1e-9)
    for tier, bound in ((Tier.PAGE, part.page_ratio), (Tier.WATCH, part.watch_ratio)):
        held = float((rows > bound).mean())
        if share > bound and held >= options.hold_ratio:
            return _verdict(series, part, tier, (share, bound, held))
    return None


def _verdict(series: FunctionSeries, part: Part, tier: Tier, found: tuple[float, float, float]) -> Verdict:
    share, bound, held = found
    of = "the time requests take" if part.subject.startswith("locks") else "the CPU time"
    lasted = human(series.bucket_ns * float(series.time_ns.size), "nanoseconds")
    return Verdict(
        detector=DETECTOR,
        service=series.service,
        subject=part.subject,
        tier=tier,
        headline=f"{part.subject} takes {share:.0%} of {of} of {series.service}, above {bound:.0%}",
        figures={"share_ratio": share, "limit_ratio": bound},
        sites=part.sites,
        guards=(Guard("persistence", True, f"above the limit in {held:.0%} of the buckets; {lasted} are known"),),
    )


def _largest(series: FunctionSeries, mask: npt.NDArray[np.bool_], recent: npt.NDArray[np.bool_]) -> tuple[Site, ...]:
    """The functions of a kind with most of their own, largest first."""
    own = np.where(mask, series.own[recent].sum(axis=0), 0.0)
    whole = max(float(series.whole[recent].sum()), 1e-9)
    order = np.argsort(-own, kind="stable")[:_TOP]
    return tuple(replace(series.sites[row], share_ratio=float(own[row]) / whole) for row in order if own[row] > 0)
