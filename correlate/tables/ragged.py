"""Sequences of different lengths in one flat array: items one after the other, and offsets where each begins."""

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]


def offsets_of(lengths: I64) -> I64:
    """Where sequences of some lengths start when they follow one another, plus the end."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def positions_of(offsets: I64, rows: I64) -> tuple[I64 | slice, I64]:
    """Where the items of some sequences are, one sequence after the other, and the length of each sequence.

    All sequences in their own order are a slice, which costs no copy.
    """
    if len(rows) == len(offsets) - 1 and bool((rows == np.arange(len(rows))).all()):
        return slice(int(offsets[0]), int(offsets[-1])), np.diff(offsets)
    starts = offsets[rows]
    lengths = offsets[rows + 1] - starts
    positions = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    positions += np.arange(len(positions), dtype=np.int64)
    return positions, lengths


def take_ragged(items: npt.NDArray[np.integer], offsets: I64, rows: I64) -> tuple[I64, I64]:
    """The items of some sequences, one sequence after the other, and the length of each sequence."""
    positions, lengths = positions_of(offsets, rows)
    return items[positions].astype(np.int64), lengths
