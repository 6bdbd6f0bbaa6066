"""How much of a profile belongs to the runtime: the collector, the allocator, the profiler."""

import re
from collections.abc import Sequence

import numpy as np

from correlate.detectors.frame_kinds import kind_mask
from correlate.detectors.regression_filters import ancestors
from correlate.detectors.shares import FunctionSeries
from correlate.detectors.trend import F64


def kind_values(series: FunctionSeries, *kinds: re.Pattern[str]) -> F64:
    """Values of n buckets in functions of some kinds, with what they call.

    A function below another one of the kind is in the other's total already. Where callers are not known, either the
    largest total or the sum of what the functions do themselves is a lower bound, and the larger of the two is taken.
    """
    chosen = np.flatnonzero(kind_mask(series.names, *kinds))
    if not chosen.size:
        return np.zeros(series.time_ns.size)
    own = series.own[:, chosen].sum(axis=1)
    tops = _tops(series, chosen.tolist())
    called = series.total[:, tops].sum(axis=1) if tops else series.total[:, chosen].max(axis=1)
    return np.asarray(np.minimum(np.maximum(own, called), series.whole))


def _tops(series: FunctionSeries, chosen: Sequence[int]) -> list[int]:
    """Functions with no other of the kind above; [] where callers are not known at all."""
    if not (series.parents >= 0).any():
        return []
    return [row for row in chosen if not set(ancestors(series.parents, row)) & set(chosen)]
