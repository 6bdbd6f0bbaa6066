"""Fixed limits on levels: CPU, memory, goroutines, pauses of the collector, overhead of profiling.

A limit that is crossed for a moment is no news, and a level that swings about it must not ring every time: a level has
to stay above for a while, and is over only when it has stayed below a lower one (hysteresis).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.detectors.sensitivity import Sensitivity
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Guard, Tier, Verdict
from correlate.units import human

DETECTOR: Final = "threshold"

_GAP_BUCKETS: Final = 3
"""A pause this long in the data ends what was going on: nobody knows what was in between."""


class Quantity(StrEnum):
    """What has a limit."""

    CPU = "cpu"
    """Cores in use over cores that may be used."""
    MEMORY = "memory"
    """Bytes in use over bytes that may be used."""
    GOROUTINES = "goroutines"
    """Goroutines of one process."""
    GC_PAUSE = "gc_pause"
    """The longest (or 99th percentile) stop of the program for the collector, nanoseconds."""
    PROFILING = "profiling"
    """The profiler's part of the CPU time."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Attributes:
        watch: above this it is worth a look: the target of the guide that the limits are from.
        page: above this somebody should act.
        clear_ratio: it is over below this part of either.
        hold_s: it must stay above for so long.
        clear_s: and below for so long.
        unit: ``ratio``, ``count`` or ``nanoseconds``.
    """

    watch: float
    page: float
    clear_ratio: float = 0.9
    hold_s: float = 600.0
    clear_s: float = 600.0
    unit: str = "ratio"


LIMITS: Final[Mapping[Quantity, Limit]] = MappingProxyType(
    {
        # a queue before a processor that is busy 85 % of the time is already six requests long
        Quantity.CPU: Limit(0.70, 0.85, hold_s=900.0),
        # the kernel kills at 1; a tenth is left for the next peak
        Quantity.MEMORY: Limit(0.80, 0.90, clear_ratio=0.95),
        # two kilobytes of stack each at least, and a scheduler and collector that walk them all
        Quantity.GOROUTINES: Limit(10_000, 50_000, unit="count"),
        # what a user begins to notice when a request meets several
        Quantity.GC_PAUSE: Limit(10e6, 50e6, unit="nanoseconds", hold_s=900.0),
        # a profiler is meant to cost 1 to 5 %
        Quantity.PROFILING: Limit(0.05, 0.10, hold_s=1800.0),
    }
)


@dataclass(frozen=True, slots=True)
class LevelSeries:
    """A level over time.

    Attributes:
        service: the service's name.
        instance: the process; "" for the service.
        quantity: what it is of.
        time_ns: n times, ascending, nanoseconds since the Unix epoch.
        values: n levels, NaN where not known: ratios, counts, or nanoseconds.
        step_ns: the usual distance of two times.
    """

    service: str
    instance: str
    quantity: Quantity
    time_ns: I64
    values: F64
    step_ns: int


@dataclass(frozen=True, slots=True)
class ThresholdOptions:
    """The limits of a service; see `LIMITS` for their reasons."""

    limits: Mapping[Quantity, Limit] = field(default_factory=lambda: LIMITS)

    def adjusted(self, sensitivity: Sensitivity) -> "ThresholdOptions":
        """The same for a service whose owner wants to hear less or more: the times change, limits are limits."""
        factor = sensitivity.effect_factor
        return self.scaled(factor)

    def scaled(self, factor: float) -> "ThresholdOptions":
        """The same limits on another clock."""
        return ThresholdOptions(
            {
                quantity: replace(limit, hold_s=limit.hold_s * factor, clear_s=limit.clear_s * factor)
                for quantity, limit in self.limits.items()
            }
        )


PRODUCTION: Final = ThresholdOptions()


def judge(series: LevelSeries, options: ThresholdOptions = PRODUCTION) -> Verdict | None:
    """Tell whether a level is above its limit at the end of the series; None when it is not."""
    limit = options.limits.get(series.quantity)
    known = np.isfinite(series.values)
    if limit is None or not known.any():
        return None
    times, values = series.time_ns[known], series.values[known]
    for tier, bound in ((Tier.PAGE, limit.page), (Tier.WATCH, limit.watch)):
        since_ns = above_since(times, values, bound, limit, series.step_ns)
        if since_ns is not None:
            return _verdict(series, tier, bound, since_ns, limit)
    return None


def judge_all(series: Sequence[LevelSeries], options: ThresholdOptions = PRODUCTION) -> tuple[Verdict, ...]:
    """The same for several levels, loudest first."""
    found = [verdict for verdict in (judge(each, options) for each in series) if verdict is not None]
    return tuple(sorted(found, key=lambda verdict: -verdict.tier.rank))


def above_since(times: I64, values: F64, bound: float, limit: Limit, step_ns: int) -> int | None:
    """Since when a level is above a bound for good; None when at the end it is not.

    Args:
        times: n times in nanoseconds, ascending.
        values: n levels, finite.
        bound: the limit.
        limit: how long, and when it is over.
        step_ns: how much time one value stands for.
    """
    gaps = np.diff(times, prepend=times[0]) > _GAP_BUCKETS * step_ns
    high, low = values > bound, values < bound * limit.clear_ratio
    entered = _held(times, high, gaps, limit.hold_s, step_ns)
    left = np.maximum.reduce([_held(times, low, gaps, limit.clear_s, step_ns), np.where(gaps, 0, -1)])
    last_in, last_out = _last(entered >= 0), _last(left >= 0)
    if last_in < 0 or last_out > last_in:
        return None
    firsts = np.flatnonzero((entered >= 0) & (np.arange(times.size) > last_out))
    return int(times[entered[firsts[0]]])


def _held(times: I64, state: npt.NDArray[np.bool_], gaps: npt.NDArray[np.bool_], hold_s: float, step_ns: int) -> I64:
    """Where a state has held for long enough: the row at which it began; -1 elsewhere."""
    rows = np.arange(times.size)
    broken = np.where(state & ~gaps, -1, rows)
    begins = np.maximum.accumulate(broken)
    # a run begins after the row that broke it, or on it when that row is the first after a gap
    begins = np.where(begins < 0, 0, np.where(state[np.maximum(begins, 0)], begins, begins + 1))
    begins = np.minimum(begins, times.size - 1)
    held = state & (times - times[begins] + step_ns >= hold_s * 1e9)
    return np.where(held, begins, -1)


def _last(mask: npt.NDArray[np.bool_]) -> int:
    found = np.flatnonzero(mask)
    return int(found[-1]) if found.size else -1


def _verdict(series: LevelSeries, tier: Tier, bound: float, since_ns: int, limit: Limit) -> Verdict:
    now = float(series.values[np.isfinite(series.values)][-1])
    lasted_s = (int(series.time_ns[-1]) + series.step_ns - since_ns) / 1e9
    names = {Quantity.GC_PAUSE: "GC pause", Quantity.CPU: "CPU", Quantity.PROFILING: "profiling overhead"}
    name = names.get(series.quantity, str(series.quantity))
    where = series.instance or series.service
    return Verdict(
        detector=DETECTOR,
        service=series.service,
        subject=f"{series.quantity} {series.instance}".strip(),
        tier=tier,
        headline=f"{name} of {where} is at {_text(now, limit.unit)}, above {_text(bound, limit.unit)}",
        figures={"now": now, "limit": bound, "lasted_s": lasted_s},
        guards=(Guard("duration", True, f"above the limit for {human(lasted_s * 1e9, 'nanoseconds')}"),),
    )


def _text(value: float, unit: str) -> str:
    return f"{value:.0%}" if unit == "ratio" else human(value, unit)
