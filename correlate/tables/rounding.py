"""Whole numbers out of shares, without losing or inventing anything in the sum."""

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]


def whole(values: F64) -> I64:
    """Round so that the sum is that of the values, rounded: the largest remainders are rounded up (Hamilton's method).

    Each result differs from its value by less than 1; of equal remainders the first is rounded up.
    """
    down = np.floor(values)
    result = down.astype(np.int64)
    missing = round(float(values.sum())) - int(result.sum())
    if missing > 0:
        remainders = values - down
        result[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return result
