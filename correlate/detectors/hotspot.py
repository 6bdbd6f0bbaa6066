"""Hotspots: functions and operations with a large part of the CPU, and instances that are not like their siblings.

A hotspot is where optimising pays, not a failure: it is a watch. It pages only when it is new or grew and takes half of
the CPU; a function that became more expensive below that is a matter of the regression detector.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.detectors.fleet import Fleet, compared
from correlate.detectors.frame_kinds import ALLOCATION, COLLECTOR, IDLE, INTERPRETER, PROFILER, kind_mask
from correlate.detectors.hotspot_options import PRODUCTION, HotspotOptions
from correlate.detectors.shares import FunctionSeries, InstanceShares, OperationSeries
from correlate.detectors.trend import F64
from correlate.model.verdicts import Guard, Site, Tier, Verdict

DETECTOR: Final = "hotspot"

_OTHERS_BUSINESS: Final = (IDLE, COLLECTOR, ALLOCATION, PROFILER, INTERPRETER)
"""Frames that are no hotspots: waiting ones are no CPU time, and the runtime's are judged as what they are."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Shares of the whole, bucket by bucket.

    Attributes:
        names: c functions or operations.
        values: n x c values.
        whole: n values of the whole.
        limit_ratio: shares above this are hotspots.
        kind: ``function`` or ``operation``.
    """

    names: tuple[str, ...]
    values: F64
    whole: F64
    limit_ratio: float
    kind: str


def judge(
    series: FunctionSeries, operations: OperationSeries | None = None, options: HotspotOptions = PRODUCTION
) -> tuple[Verdict, ...]:
    """Tell which functions and operations take most of the CPU, largest first.

    Args:
        series: CPU time, or wall time, by function.
        operations: the same by operation, on the same buckets; None without traces.
        options: the constants.
    """
    busy = series.busy()
    if not _enough(busy, options):
        return ()
    known = ~kind_mask(busy.names, *_OTHERS_BUSINESS)
    functions = Parts(busy.names, busy.own * known, busy.whole, options.function_share_ratio, "function")
    found = list(_hot(busy, functions, options))
    if operations is not None and len(operations.names) > 2:
        whole = operations.values.sum(axis=1)
        found += _hot(
            busy, Parts(operations.names, operations.values, whole, options.operation_share_ratio, "operation"), options
        )
    return tuple(found[: options.most])


def judge_fleet(given: InstanceShares, options: HotspotOptions = PRODUCTION) -> tuple[Verdict, ...]:
    """Tell which instances are not like their siblings, strangest first.

    Args:
        given: the same stretch of time, an hour or so, of every instance.
        options: the constants.
    """
    known = (given.hits >= options.least_hits) & (given.whole > 0)
    if np.count_nonzero(known) < options.least_instances:
        return ()
    chosen = _chosen(given, known)
    fleet = compared(chosen)
    alike = (
        (fleet.share_q >= options.fleet_fdr_ratio)
        | (fleet.apart < options.apart_ratio)
        | (fleet.odd < options.odd_deviations)
    )
    cheap = (fleet.cost_q >= options.fleet_fdr_ratio) | (fleet.cost_ratio < options.cost_ratio)
    strange = np.flatnonzero(~alike | ~cheap)
    order = strange[np.argsort(-np.maximum(fleet.apart, fleet.cost_ratio - 1)[strange], kind="stable")]
    return tuple(_strange(chosen, fleet, int(row), options) for row in order[: options.most])


def _enough(series: FunctionSeries, options: HotspotOptions) -> bool:
    recent = _recent(series, options)
    spanned_ns = int(np.count_nonzero(recent)) * series.bucket_ns
    if float(series.hits[recent].sum()) < options.least_hits or spanned_ns < options.persistent_s * 1e9:
        return False
    used = float(series.whole[recent].sum())
    return series.unit != "nanoseconds" or used >= options.least_cores * float(spanned_ns)


def _recent(series: FunctionSeries, options: HotspotOptions) -> npt.NDArray[np.bool_]:
    """Buckets of the last `persistent_s`, at least one."""
    end = int(series.time_ns[-1]) + series.bucket_ns if series.time_ns.size else 0
    return series.time_ns >= min(end - int(options.persistent_s * 1e9), end - series.bucket_ns)


def _hot(series: FunctionSeries, parts: Parts, options: HotspotOptions) -> Iterator[Verdict]:
    recent = _recent(series, options)
    hits = max(float(series.hits[recent].sum()), 1.0)
    share = parts.values[recent].sum(axis=0) / max(float(parts.whole[recent].sum()), 1e-9)
    error = np.sqrt(np.maximum(share * (1 - share), 1e-9) / hits)
    rows = parts.values[recent] / np.maximum(parts.whole[recent], 1e-9)[:, None]
    lasting = (rows > parts.limit_ratio).mean(axis=0)
    candidates = (share - options.z_low * error > parts.limit_ratio) & (lasting >= options.persistent_ratio)
    for row in sorted(np.flatnonzero(candidates).tolist(), key=lambda each: -share[each]):
        guards = (
            Guard("sampling", True, f"{hits:.3g} samples: the share is known to ± {1.96 * error[row]:.1%}"),
            Guard("persistence", True, f"above the limit in {lasting[row]:.0%} of the buckets"),
            _new(series, parts, row, float(share[row]), options),
        )
        yield _verdict(series, parts, row, (float(share[row]), float(error[row])), guards, options)


def _new(series: FunctionSeries, parts: Parts, row: int, share: float, options: HotspotOptions) -> Guard:
    """What has always been so is no news."""
    earlier = ~_recent(series, options) & (parts.whole > 0)
    if np.count_nonzero(earlier) * series.bucket_ns < options.reference_s * 1e9:
        return Guard("new or grown", False, "too little is known of the time before")
    before = parts.values[earlier, row] / parts.whole[earlier]
    usual = float(np.median(before))
    highest = float(np.quantile(before, 0.95))
    passed = share >= options.grown_ratio * usual and share > highest
    return Guard("new or grown", passed, f"it was {usual:.0%} before, {highest:.0%} at most")


def _verdict(
    series: FunctionSeries,
    parts: Parts,
    row: int,
    found: tuple[float, float],
    guards: tuple[Guard, ...],
    options: HotspotOptions,
) -> Verdict:
    share, error = found
    name, grown = parts.names[row], guards[-1].passed
    loud = grown and share >= options.grown_share_ratio
    site = series.sites[row] if parts.kind == "function" else Site(name, operations=(name,))
    return Verdict(
        detector=DETECTOR,
        service=series.service,
        subject=name,
        tier=Tier.PAGE if loud else Tier.WATCH,
        headline=f"{name} takes {share:.0%} of what {series.service} uses"
        + (f": {guards[-1].reason}" if grown else ""),
        figures={"share_ratio": share, "share_error_ratio": error, "limit_ratio": parts.limit_ratio},
        sites=(replace(site, share_ratio=min(share, 1.0)),),
        guards=guards,
        minimum_detectable=parts.limit_ratio + options.z_low * error,
    )


def _chosen(given: InstanceShares, known: npt.NDArray[np.bool_]) -> InstanceShares:
    """Instances with enough samples, without waiting frames."""
    idle = kind_mask(given.names, IDLE)
    waited = given.own[:, idle].sum(axis=1)
    worked = np.maximum(given.whole - waited, 1e-9)
    return InstanceShares(
        service=given.service,
        instances=tuple(name for name, chosen in zip(given.instances, known, strict=True) if chosen),
        names=given.names,
        own=np.where(idle, 0.0, given.own)[known],
        whole=worked[known],
        hits=(given.hits * worked / np.maximum(given.whole, 1e-9))[known],
        requests=None if given.requests is None else given.requests[known],
    )


def _strange(given: InstanceShares, fleet: Fleet, row: int, options: HotspotOptions) -> Verdict:
    """An instance alone is a watch: whoever is on call for the service should see it, and not at night."""
    instance, function = given.instances[row], given.names[int(fleet.strangest[row])]
    share, usual = (float(each[row, fleet.strangest[row]]) for each in (fleet.shares, fleet.usual))
    dear = fleet.cost_q[row] < options.fleet_fdr_ratio and fleet.cost_ratio[row] >= options.cost_ratio
    text = f"{function} takes {share:.0%} of its CPU, {usual:.0%} with its siblings"
    cost = f"a request costs {fleet.cost_ratio[row]:.2f} times as much CPU as with its siblings"
    return Verdict(
        detector=DETECTOR,
        service=given.service,
        subject=instance,
        tier=Tier.WATCH,
        headline=f"{instance} is not like the other {len(given.instances) - 1} instances: {cost if dear else text}",
        figures={
            "apart_ratio": float(fleet.apart[row]),
            "share_q_ratio": float(fleet.share_q[row]),
            "cost_ratio": float(fleet.cost_ratio[row]),
            "cost_q_ratio": float(fleet.cost_q[row]),
        },
        sites=(Site(function, share_ratio=share),),
        guards=(Guard("siblings", True, f"{fleet.apart[row]:.0%} of its profile is elsewhere than theirs"),),
    )
