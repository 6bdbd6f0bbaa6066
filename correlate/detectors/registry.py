"""The built-in detectors behind one port."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from correlate.detectors import (
    cases_growth,
    cases_levels,
    cases_shares,
    contention,
    contention_options,
    goroutine,
    hotspot,
    hotspot_options,
    leak,
    leak_options,
    regression,
    regression_options,
    threshold,
)
from correlate.detectors.port import LOOKBACK_S, Case, Detector
from correlate.model.verdicts import Tier, Verdict


@dataclass(frozen=True, slots=True)
class Builtin:
    """A detector of this package.

    Attributes:
        name: what its verdicts call it.
        find: everything it has to say.
        by_steps: whether it looks at long buckets only.
    """

    name: str
    find: Callable[[Case], Iterable[Verdict | None]]
    by_steps: bool = False

    def judge(self, case: Case) -> Sequence[Verdict]:
        """See `port.Detector.judge`; of several verdicts on the same subject the loudest, then the first, counts."""
        said = (verdict for verdict in self.find(case) if verdict is not None and verdict.tier is not Tier.CLEAR)
        loudest: dict[str, Verdict] = {}
        for verdict in sorted(said, key=lambda each: -each.tier.rank):
            loudest.setdefault(verdict.subject, verdict)
        return list(loudest.values())


def memory_leak(case: Case) -> Iterator[Verdict | None]:
    """Memory that is never given back, by the in-use heap of the usual instance, of lone ones, and of late."""
    options = cases_growth.options_for(case, leak_options.PRODUCTION)
    heap = cases_growth.usual_instance(case.long, "inuse_space", options)
    if heap is not None:
        yield leak.judge(heap.total, heap if heap.sites else None, options)
    late = cases_growth.snapshots(case, "inuse_space")
    if late is not None:
        yield leak.judge(late.total, late if late.sites else None, options)
    for lone in cases_growth.lone_instances(case.long, "inuse_space", options):
        yield leak.judge_total(lone, options)


def goroutine_leak(case: Case) -> Iterator[Verdict | None]:
    """Goroutines that wait for ever, by proof, by the usual instance, and of late."""
    options = cases_growth.options_for(case, leak_options.GOROUTINES)
    counts, sites = cases_growth.leaked(case)
    leaked = goroutine.judge_leaked(case.service, counts, sites)
    usual = cases_growth.usual_instance(case.long, "goroutine", options)
    yield goroutine.judge(_counts(usual), leaked, options)
    late = cases_growth.snapshots(case, "goroutine")
    yield goroutine.judge(_counts(late), None, options)


def hotspots(case: Case) -> Iterator[Verdict | None]:
    """Functions and operations with too large a part of the CPU, and instances that stick out."""
    options = hotspot_options.PRODUCTION.adjusted(case.sensitivity).scaled(_steady(case))
    reach_s, long = options.reference_s * 4 + options.persistent_s, case.long
    cpu = cases_shares.function_series(long, "cpu", reach_s)
    if cpu is not None:
        yield from hotspot.judge(cpu, cases_shares.operation_series(long, "cpu", cpu), options)
    fleet = cases_shares.instance_shares(long, options.persistent_s)
    if fleet is not None:
        yield from hotspot.judge_fleet(fleet, options)


def regressions(case: Case) -> Iterator[Verdict | None]:
    """Functions, operations and services whose CPU time grew for good."""
    options = regression_options.PRODUCTION.adjusted(case.sensitivity).scaled(_steady(case))
    cpu = cases_shares.function_series(case.long, "cpu", options.lookback_s)
    if cpu is not None:
        yield from regression.judge(cpu, cases_shares.operation_series(case.long, "cpu", cpu), options)


def contentions(case: Case) -> Iterator[Verdict | None]:
    """Waiting for locks, collecting garbage, allocating, profiling."""
    options = contention_options.PRODUCTION.adjusted(case.sensitivity).scaled(_steady(case))
    cpu = cases_shares.function_series(case, "cpu", 2 * options.hold_s)
    if cpu is not None:
        yield from contention.judge_runtime(cpu, options)
    for alias in ("mutex", "block"):
        late = cases_shares.function_series(case, alias, 2 * options.hold_s) if alias == "mutex" else None
        if late is not None:
            yield from contention.judge_locks(late, cases_shares.operation_series(case, alias, late), options)
        delays = cases_shares.function_series(case.long, alias, LOOKBACK_S)
        if delays is not None:
            yield from contention.judge_rising(delays, cases_shares.operation_series(case.long, alias, delays))


def thresholds(case: Case) -> Iterator[Verdict | None]:
    """Levels above fixed limits."""
    options = threshold.PRODUCTION.adjusted(case.sensitivity).scaled(_steady(case))
    cpu = cases_shares.function_series(case, "cpu", cases_levels.LOOKBACK_S)
    yield from threshold.judge_all(list(cases_levels.levels(case, cpu)), options)


def _steady(case: Case) -> float:
    """The pace of detectors that compare levels: an hour of theirs must be twelve buckets, or one decides alone."""
    least = _HOUR_BUCKETS * case.bucket_ns / 3600e9
    return max(case.pace_ratio, min(least, 1.0))


_HOUR_BUCKETS: Final = 12


def _counts(heap: leak.SiteSeries | None) -> goroutine.CountSeries | None:
    if heap is None or not heap.sites:
        return None
    total = heap.total
    return goroutine.CountSeries(
        service=total.service,
        instance=total.instance or total.service,
        time_ns=total.time_ns,
        counts=heap.by_site,
        sites=heap.sites,
        requests=total.requests,
        restarts_ns=total.restarts_ns,
        deploys_ns=total.deploys_ns,
    )


DETECTORS: Final[tuple[Detector, ...]] = (
    Builtin(leak.DETECTOR, memory_leak),
    Builtin(goroutine.DETECTOR, goroutine_leak),
    Builtin(hotspot.DETECTOR, hotspots, by_steps=True),
    Builtin(regression.DETECTOR, regressions, by_steps=True),
    Builtin(contention.DETECTOR, contentions),
    Builtin(threshold.DETECTOR, thresholds),
)
"""All of them."""
