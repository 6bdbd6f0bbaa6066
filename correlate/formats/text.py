"""Bytes as text: UTF-8 where it is, U+FFFD where it is not."""

import numpy as np
import polars as pl
import pyarrow as pa


def utf8(column: pa.Array) -> pl.Series:
    """Read a binary column as text; bytes that are not UTF-8 become U+FFFD, nulls become the empty string."""
    binary = column if pa.types.is_large_binary(column.type) else column.cast(pa.large_binary())
    filled = binary.fill_null(b"") if binary.null_count else binary
    try:
        text = filled.cast(pa.large_string())
    except pa.ArrowInvalid:
        text = _lossy(filled)
    return pl.Series(pl.from_arrow(text), dtype=pl.String)


def decode_lossy(body: bytes) -> str:
    """Read bytes as text; bytes that are not UTF-8 become U+FFFD."""
    return body.decode("utf-8", "replace")


def _lossy(column: pa.Array) -> pa.Array:
    """Decode all values at once.

    Each value is ended by a line feed. Decoding keeps every ASCII byte, so the n-th line feed before is the n-th after.
    """
    offsets, data = _buffers(column)
    joined = np.insert(data, offsets[1:], _LINE_FEED)
    ends = offsets[1:] + np.arange(len(column))
    ordinal = np.searchsorted(np.flatnonzero(joined == _LINE_FEED), ends)
    decoded = np.frombuffer(decode_lossy(joined.tobytes()).encode(), np.uint8)
    ends = np.flatnonzero(decoded == _LINE_FEED)[ordinal]
    bounds = np.concatenate([np.zeros(1, np.int64), ends - np.arange(len(column))])
    data = np.delete(decoded, ends)
    return pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(bounds), pa.py_buffer(data))


_LINE_FEED = np.uint8(10)


def _buffers(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    _, offsets, data = column.buffers()
    bounds = np.frombuffer(offsets, np.int64)[column.offset : column.offset + len(column) + 1]
    values = np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
    return bounds - bounds[0], values
