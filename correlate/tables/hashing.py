"""Stable 64-bit content hashes, vectorised.

Writers on different machines must give the same string, frame and stack the same id without talking to each other, so
the functions here are frozen: xxh3-64 over UTF-8 for text, splitmix64's finaliser for integers, and a positional sum
for sequences. Changing any of them makes old and new data strangers; a golden test guards the values.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

I64 = npt.NDArray[np.int64]
U64 = npt.NDArray[np.uint64]

_XXH3 = plh.col("*").nchash.xxh3_64()
_BLOCK_ITEMS = 1 << 15
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_HASH_OF_NOTHING = np.int64(3244421341483603138)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)


def mix(values: npt.NDArray[np.int64] | U64) -> U64:
    """Scramble 64-bit integers one to one (splitmix64's finaliser, Steele et al. 2014)."""
    z = values.view(np.uint64) + _GOLDEN
    shifted = np.empty_like(z)
    for shift, factor in ((_SHIFT_1, _MIX_1), (_SHIFT_2, _MIX_2)):
        z ^= np.right_shift(z, shift, out=shifted)
        z *= factor
    z ^= np.right_shift(z, _SHIFT_3, out=shifted)
    return z


def hash_text(column: pl.Series) -> I64:
    """Hash a String column to signed 64-bit ids; the empty string and null hash to 0, meaning "none"."""
    return hash_texts(column.to_frame())[0]


def hash_texts(frame: pl.DataFrame) -> list[I64]:
    """Hash several String columns as `hash_text` does, in one go."""
    hashed = frame.select(_XXH3)
    return [_or_none(column.fill_null(0).to_numpy().view(np.int64)) for column in hashed.iter_columns()]


@lru_cache(maxsize=4096)
def hash_one(text: str) -> int:
    """Hash a single string as `hash_text` does; remembered, since the same few names are asked for again and again."""
    return int(hash_text(pl.Series([text]))[0])


def combine(columns: Sequence[I64]) -> I64:
    """Hash rows of equally long integer columns; the order of the columns matters.

    Multilinear hashing with odd weights, scrambled at the end. A column that has one value throughout costs one
    multiplication.
    """
    acc = np.zeros(1, np.uint64)
    for column, weight in zip(columns, _weights(len(columns)), strict=True):
        acc = acc + _folded(np.ascontiguousarray(column, dtype=np.int64)).view(np.uint64) * weight
    return np.broadcast_to(mix(acc), len(columns[0])).copy().view(np.int64)


def hash_rows(frame: pl.DataFrame) -> I64:
    """Hash the rows of a frame of String, Boolean and integer columns, in column order."""
    texts = [name for name in frame.columns if frame.schema[name] == pl.String]
    columns = {name: column.cast(pl.Int64).to_numpy() for name, column in _others(frame, texts)}
    columns |= zip(texts, hash_texts(frame.select(texts)), strict=True)
    return combine([columns[name] for name in frame.columns])


def prefix_hashes(items: I64, offsets: I64) -> I64:
    """Hash every prefix of every sequence, so that equal prefixes get equal ids.

    Args:
        items: the flat items of all sequences, for instance frame ids root first.
        offsets: where each sequence starts, plus the end: n + 1 values.

    Returns:
        One hash per item: that of its sequence up to and including it. Never 0.
    """
    weighted, depth, starts = _weighted(items, offsets)
    running = np.cumsum(weighted, dtype=np.uint64)
    before = np.concatenate([np.zeros(1, np.uint64), running])[starts]
    hashed = mix(running - before + depth.view(np.uint64)).view(np.int64)
    hashed[hashed == 0] = 1
    return hashed


def sequence_hashes(items: I64, offsets: I64) -> I64:
    """Hash whole sequences; the empty sequence hashes to 0. Equal to the last prefix hash of each sequence."""
    filled = np.flatnonzero(np.diff(offsets))
    bounds = np.append(offsets[filled], offsets[-1])  # empty sequences take no room: these are the others, gapless
    lengths = np.diff(bounds)
    # In blocks that fit the processor's cache: the temporaries of a long column would cost more than the arithmetic.
    cuts = np.searchsorted(bounds, np.arange(bounds[0], bounds[-1], _BLOCK_ITEMS)) if len(filled) else np.zeros(0, int)
    cuts = np.unique(np.append(cuts, len(filled)))
    sums = [np.zeros(0, np.uint64)]
    for first, last in pairwise(cuts.tolist()):
        weighted, _, _ = _weighted(items[bounds[first] : bounds[last]], bounds[first : last + 1] - bounds[first])
        sums.append(np.add.reduceat(weighted, bounds[first:last] - bounds[first]))
    hashed = mix(np.concatenate(sums) + (lengths - 1).view(np.uint64)).view(np.int64)
    hashed[hashed == 0] = 1
    result = np.zeros(len(offsets) - 1, np.int64)
    result[filled] = hashed
    return result


def bag_hashes(rows: I64, group: I64, groups: int) -> I64:
    """Hash groups of rows so that the order of rows within a group does not matter but repetition does."""
    sums = np.zeros(groups, np.uint64)
    np.add.at(sums, group, mix(rows))
    counts = np.bincount(group, minlength=groups).astype(np.uint64)
    return mix(sums ^ mix(counts)).view(np.int64)


def _weighted(items: I64, offsets: I64) -> tuple[U64, I64, I64]:
    """Multiply every item by the weight of its depth: products, and each item's depth and the start of its sequence.

    Multilinear hashing with odd weights; the items are well-mixed hashes themselves.
    """
    lengths = np.diff(offsets)
    starts = np.repeat(offsets[:-1], lengths)
    depth = np.arange(len(items), dtype=np.int64)
    depth -= starts
    products = _weights(int(lengths.max(initial=0))).take(depth)
    products *= items.view(np.uint64)
    return products, depth, starts


def _weights(count: int) -> U64:
    return mix(np.arange(count, dtype=np.int64)) | np.uint64(1)


def _folded(column: I64) -> I64:
    """One value instead of a column that repeats it."""
    if len(column) and column[0] == column[-1] and bool((column == column[0]).all()):
        return column[:1]
    return column


def _others(frame: pl.DataFrame, names: Sequence[str]) -> list[tuple[str, pl.Series]]:
    return [(column.name, column) for column in frame.iter_columns() if column.name not in names]


def _or_none(hashed: I64) -> I64:
    ids = hashed.copy()
    ids[ids == _HASH_OF_NOTHING] = 0
    return ids
