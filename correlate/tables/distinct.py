"""Numbering the distinct values of a column, without sorting it where that can be helped."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

I64 = npt.NDArray[np.int64]

_SMALL: Final = 256  # below, the fixed cost of a call into a data frame is more than that of sorting


def distinct_codes(codes: I64, code_count: int) -> I64:
    """The distinct codes of 0 … code_count - 1, ascending."""
    if not _dense(codes, code_count):
        return np.unique(codes)
    return np.flatnonzero(_present(codes, code_count))


def number_codes(codes: I64, code_count: int) -> tuple[I64, I64]:
    """Number the distinct codes of 0 … code_count - 1: the codes, ascending, and which of them each one is."""
    if not _dense(codes, code_count):
        return np.unique(codes, return_inverse=True)
    distinct = np.flatnonzero(_present(codes, code_count))
    number = np.zeros(code_count, np.int64)
    number[distinct] = np.arange(len(distinct))
    return distinct, number[codes]


def first_of_each(values: I64) -> I64:
    """Positions of the first occurrence of each value, ascending."""
    if len(values) < _SMALL:
        return np.sort(np.unique(values, return_index=True)[1])
    return pl.Series(values).arg_unique().cast(pl.Int64).to_numpy()


def number_values(values: I64) -> tuple[I64, I64]:
    """Number the distinct values of a column: where each is found first, ascending, and which of them each one is."""
    return _numbered(pa.array(values))


def number_sequences(items: I64, offsets: I64) -> tuple[I64, I64]:
    """Number the distinct ones of some sequences, as `number_values` does; `offsets` say where each starts."""
    parts = [None, pa.py_buffer(offsets * items.itemsize), pa.py_buffer(np.ascontiguousarray(items))]
    return _numbered(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(offsets) - 1, parts))


def _numbered(values: pa.Array) -> tuple[I64, I64]:
    index = values.dictionary_encode().indices.to_numpy().astype(np.int64)
    first = np.zeros(int(index.max(initial=-1)) + 1, np.int64)
    first[index[::-1]] = np.arange(len(index) - 1, -1, -1)
    return first, index


def _dense(codes: I64, code_count: int) -> bool:
    return code_count <= 16 * len(codes) + (1 << 16)


def _present(codes: I64, code_count: int) -> npt.NDArray[np.bool_]:
    present = np.zeros(code_count, bool)
    present[codes] = True
    return present
