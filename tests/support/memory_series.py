"""A day of memory at one point a minute, for tests."""

from typing import Any

import numpy as np
import numpy.typing as npt

from correlate.detectors.leak import MemorySeries

MB = 1e6
HOURS = np.arange(0, 24, 1 / 60)
START_NS = 1_790_000_000 * 10**9


def series(values: npt.NDArray[np.float64], **known: Any) -> MemorySeries:
    """Values in bytes with a little noise, as a series of one instance; arrays in `known` are as long as a day."""
    noise = np.random.default_rng(0).normal(0, 1 * MB, values.size)
    time_ns = START_NS + (HOURS[: values.size] * 3.6e12).astype(np.int64)
    if known.get("requests") is not None:
        known["requests"] = np.random.default_rng(1).poisson(known["requests"][: values.size]).astype(float)
    return MemorySeries("shop", "shop-1", time_ns, values + noise, **known)
