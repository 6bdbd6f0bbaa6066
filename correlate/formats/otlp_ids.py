"""Columns of binary ids as integers, for requests small enough that every call into a data frame counts."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

I64 = npt.NDArray[np.int64]


def ids(column: pa.Array, width: int) -> I64:
    """Read a LargeBinary column of big-endian ids.

    Args:
        column: ids; those of another length than `width` count as none.
        width: 8 or 16 bytes.

    Returns:
        An array of shape (n, width / 8) of signed halves, most significant first; 0 where there is none.
    """
    _, offset_buffer, data_buffer = column.buffers()
    if not len(column) or data_buffer is None:
        return np.zeros((len(column), width // 8), np.int64)
    offsets = np.frombuffer(offset_buffer, np.int64)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(data_buffer, np.uint8)
    sized = np.diff(offsets) == width
    if sized.all():
        raw = data[offsets[0] : offsets[-1]].reshape(len(column), width)
    else:
        raw = np.zeros((len(column), width), np.uint8)
        raw[sized] = data[offsets[:-1][sized][:, None] + np.arange(width)]
    return raw.view(">i8").astype(np.int64)
