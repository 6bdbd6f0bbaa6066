"""Arrow columns as NumPy arrays: what the decoder gives, without copies where that is possible."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

I64 = npt.NDArray[np.int64]


class Ragged(NamedTuple):
    """A list column taken apart.

    Attributes:
        values: the items of all lists, one after the other.
        offsets: where each list starts in `values`, plus the end; the first is 0.
    """

    values: pa.Array
    offsets: I64

    @property
    def lengths(self) -> I64:
        """How many items each list has."""
        return np.diff(self.offsets)

    def owners(self) -> I64:
        """Which list each item belongs to."""
        return np.repeat(np.arange(len(self.offsets) - 1, dtype=np.int64), self.lengths)


def ragged(column: pa.Array) -> Ragged:
    """Take a list column (List or LargeList, possibly a slice of a longer one) apart."""
    offsets = np.asarray(column.offsets).astype(np.int64, copy=False)
    values = column.values.slice(offsets[0], offsets[-1] - offsets[0])
    return Ragged(values, offsets - offsets[0])


def integers(column: pa.Array) -> I64:
    """An integer column as signed 64-bit integers; unsigned ones are bit-cast, nulls become 0."""
    if column.null_count:
        column = column.fill_null(0)
    array: npt.NDArray[np.generic] = column.to_numpy(zero_copy_only=False)
    return array.view(np.int64) if array.dtype == np.uint64 else array.astype(np.int64, copy=False)
