"""What stacks say: which functions are on them, and which call site they belong to. Once per distinct stack."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from correlate.detectors.leak_cluster import Frame, is_library
from correlate.detectors.trend import I64
from correlate.tables.hashing import combine, hash_text
from correlate.tables.ragged import offsets_of, take_ragged
from correlate.tables.symbols import Symbols

_KEYS: Final = {"stack": pl.Int64, "key": pl.Int64}
_NAMED: Final = {"key": pl.Int64, "name": pl.String, "file": pl.String, "line": pl.Int64}


@dataclass(frozen=True, slots=True)
class Described:
    """What some stacks are made of.

    Attributes:
        functions: columns stack and key: the functions on each stack, each once.
        own: columns stack and key: the function at the leaf of each stack.
        names: columns key, name, file, line: each function once.
    """

    functions: pl.DataFrame
    own: pl.DataFrame
    names: pl.DataFrame


@dataclass(frozen=True, slots=True)
class _Flat:
    """Frames of known stacks, root first, one stack after the other; no stack is empty.

    Attributes:
        stacks: ids of the stacks.
        offsets: where each begins in `items`, plus the end.
        items: rows in `frames`.
        frames: the frames that occur: name, file, line.
    """

    stacks: I64
    offsets: I64
    items: I64
    frames: pl.DataFrame


def functions(symbols: Symbols, stacks: I64) -> Described:
    """The functions of some stacks, by the name that flame graphs show.

    Args:
        symbols: where stacks are described; those it does not know are left out.
        stacks: distinct stack ids.
    """
    flat = _flat(symbols, stacks)
    keys = hash_text(flat.frames["name"])
    on_stack = keys[flat.items]
    owners = np.repeat(flat.stacks, np.diff(flat.offsets))
    names = flat.frames.with_columns(key=pl.Series(keys, dtype=pl.Int64)).sort("file", "line", descending=True)
    return Described(
        pl.DataFrame({"stack": owners, "key": on_stack}, schema=_KEYS).unique(),
        pl.DataFrame({"stack": flat.stacks, "key": on_stack[flat.offsets[1:] - 1]}, schema=_KEYS),
        names.unique("key", keep="first", maintain_order=True).select(list(_NAMED)),
    )


def sites(symbols: Symbols, stacks: I64) -> Described:
    """The call site of each stack: the nearest caller that is not library code, together with the leaf.

    The same as `leak_cluster.site_of`, for many stacks at once; `functions` are empty.
    """
    flat = _flat(symbols, stacks)
    mine = ~_library(flat.frames)[flat.items]
    places = np.where(mine, np.arange(len(flat.items)), -1)
    leaf = flat.offsets[1:] - 1
    found = np.maximum.reduceat(places, flat.offsets[:-1]) if len(leaf) else leaf
    own = flat.items[np.where(found >= 0, found, leaf)]
    name, file = (hash_text(flat.frames[column]) for column in ("name", "file"))
    keys = combine([name[own], file[own], name[flat.items[leaf]]]) if len(leaf) else leaf
    named = flat.frames[own].with_columns(key=pl.Series(keys, dtype=pl.Int64))
    return Described(
        pl.DataFrame(schema=_KEYS),
        pl.DataFrame({"stack": flat.stacks, "key": keys}, schema=_KEYS),
        named.unique("key", keep="first", maintain_order=True).select(list(_NAMED)),
    )


def stack_names(symbols: Symbols, stacks: I64) -> dict[int, tuple[str, ...]]:
    """The function names of a few stacks, root first; for examples, some hundred at most."""
    flat = _flat(symbols, np.unique(stacks))
    names = flat.frames["name"].to_list()
    items, offsets = flat.items.tolist(), flat.offsets.tolist()
    return {
        stack: tuple(names[item] for item in items[offsets[at] : offsets[at + 1]])
        for at, stack in enumerate(flat.stacks.tolist())
    }


def _flat(symbols: Symbols, stacks: I64) -> _Flat:
    rows = symbols.rows_of(stacks)
    known = rows >= 0
    known[known] = np.diff(symbols.offsets)[rows[known]] > 0
    flat, lengths = take_ragged(symbols.items, symbols.offsets, rows[known])
    used, items = np.unique(flat, return_inverse=True)
    frames = symbols.frames[used].select(name=pl.lit(symbols.names[used]), file=pl.col("file"), line=pl.col("line"))
    return _Flat(stacks[known], offsets_of(lengths), items.astype(np.int64), frames)


def _library(frames: pl.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which frames are library code; one look per distinct frame of what is held, remembered."""
    names, files = frames["name"].to_list(), frames["file"].to_list()
    return np.fromiter(map(_is_library, names, files), bool, len(names))


@lru_cache(maxsize=65_536)
def _is_library(function: str, file: str) -> bool:
    return is_library(Frame(function, file))
