"""Whole columns between 64-bit integers, their big-endian bytes and hexadecimal text."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

I64 = npt.NDArray[np.int64]


def to_hex(values: I64) -> pl.Series:
    """Write integers as 16 lower-case hexadecimal digits each."""
    big_endian = np.ascontiguousarray(values, dtype=np.int64).astype(">i8").tobytes()
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), len(values), [None, pa.py_buffer(big_endian)])
    return pl.Series(pl.from_arrow(fixed.cast(pa.binary()))).bin.encode("hex")


def trace_to_hex(hi: I64, lo: I64) -> pl.Series:
    """Write trace ids, given as halves, as 32 hexadecimal digits each."""
    return to_hex(hi) + to_hex(lo)


def from_bytes(column: pl.Series, width: int) -> npt.NDArray[np.int64]:
    """Read a Binary column of fixed-width big-endian ids.

    Args:
        column: Binary; entries of another length than `width` count as "none".
        width: 8 or 16 bytes.

    Returns:
        An array of shape (n, width / 8) of signed halves, most significant first; 0 where there is none.
    """
    sized = column.fill_null(b"").bin.size() == width
    filled = column.zip_with(sized, pl.Series([bytes(width)]).new_from_index(0, len(column)))
    flat = np.frombuffer(_concatenated(filled), dtype=">i8")
    return flat.astype(np.int64).reshape(len(column), width // 8)


def from_hex(column: pl.Series, digits: int) -> npt.NDArray[np.int64]:
    """Read hexadecimal ids of exactly `digits` (16 or 32); anything else is 0. Shape (n, digits / 16)."""
    return parse_hex(column, digits)[0]


def parse_hex(column: pl.Series, digits: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Read hexadecimal ids as `from_hex` does, and tell which ones could be read."""
    sized = (column.str.len_bytes() == digits).fill_null(value=False)
    filled = column if sized.all() else column.zip_with(sized, pl.Series(["0" * digits]).new_from_index(0, len(column)))
    text = np.frombuffer(_concatenated(filled.cast(pl.Binary)), np.uint8).reshape(len(column), digits)
    nibbles = _NIBBLES[text]
    known = (nibbles != _NO_DIGIT).all(axis=1)
    nibbles[~known] = 0
    raw = (nibbles[:, 0::2] << 4) | nibbles[:, 1::2]
    return raw.view(">i8").astype(np.int64), known & sized.to_numpy()


_NO_DIGIT: Final = 255
_NIBBLES: Final = np.full(256, _NO_DIGIT, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_NIBBLES[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


def _concatenated(column: pl.Series) -> bytes:
    if not len(column):
        return b""
    array = column.to_arrow().cast(pa.large_binary())
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[array.offset : array.offset + len(array) + 1]
    return bytes(memoryview(data)[bounds[0] : bounds[-1]])
