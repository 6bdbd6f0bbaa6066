"""The simple rule, for those who want it: memory is so many per cent above where it began.

It has no guards: a warm-up, a cache or a busy day sets it off. Its figures stand beside the detector's own in the
quality report.
"""

from typing import Final

import numpy as np

from correlate.detectors.leak_series import MemorySeries, per_instance
from correlate.model.verdicts import Tier, Verdict
from correlate.units import human

DETECTOR: Final = "memory-baseline"


def judge_baseline(series: MemorySeries, threshold_ratio: float = 0.5) -> Verdict | None:
    """Compare the latest value with the first one after the last start; None below the threshold.

    Args:
        series: the memory of a process.
        threshold_ratio: growth as a part of the baseline, 0.5 for 50 %.
    """
    starts = np.concatenate([series.restarts_ns, series.deploys_ns, series.time_ns[:1]])
    values = per_instance(series)
    known = np.flatnonzero(np.isfinite(values) & (series.time_ns >= starts.max(initial=0)))
    if known.size < 2:
        return None
    baseline, current = float(values[known[0]]), float(values[known[-1]])
    growth = current / max(baseline, 1.0) - 1.0
    if growth <= threshold_ratio:
        return None
    return Verdict(
        detector=DETECTOR,
        service=series.service,
        subject=series.instance,
        tier=Tier.PAGE,
        headline=f"{series.instance} holds {human(current, 'bytes')}, {growth:.0%} above its start",
        figures={"baseline_bytes": baseline, "current_bytes": current, "growth_ratio": growth},
    )
