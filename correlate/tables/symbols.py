"""The symbols of one service, ready for lookups: stacks as one flat array, frames as a table."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.tables.hexadecimal import to_hex
from correlate.tables.schema import FRAMES

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Symbols:
    """Stacks and frames of one service (or of several, put together).

    Attributes:
        stacks: stack ids, sorted, each once.
        offsets: where each stack's frames start in `items`, plus the end.
        items: row numbers into `frames`, root first, all stacks one after the other.
        frames: FRAMES rows, each frame once.
    """

    stacks: I64
    offsets: I64
    items: npt.NDArray[np.int32]
    frames: pl.DataFrame

    @classmethod
    def build(cls, stacks: pl.DataFrame, frames: pl.DataFrame) -> "Symbols":
        """Index STACKS and FRAMES rows (any order, repeats allowed). Frames that are missing show as ``[unknown]``."""
        frames = pl.concat([_UNKNOWN, frames.unique("frame", keep="any")])
        order = np.argsort(frames["frame"].to_numpy(), kind="stable")
        known = frames["frame"].to_numpy()[order]
        stacks = stacks.unique("stack", keep="any").sort("stack")
        wanted = stacks["frames"].explode(empty_as_null=False).to_numpy()
        at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        items = np.where(known[at] == wanted, order[at], 0).astype(np.int32)
        lengths = stacks["frames"].list.len().cast(pl.Int64).to_numpy()
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        return cls(stacks["stack"].to_numpy(), offsets, items, frames)

    def as_tables(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Rows of stack and frames, and of FRAMES, from which `build` makes the same again."""
        items = pa.array(self.frames["frame"].to_numpy()[self.items])
        lists = pl.Series("frames", pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(self.offsets), items)))
        return pl.DataFrame({"stack": self.stacks, "frames": lists}), self.frames[1:]

    def rows_of(self, stacks: I64) -> I64:
        """The row of each stack id in `stacks`, -1 where it is not known."""
        if not len(self.stacks):
            return np.full(len(stacks), -1, np.int64)
        at = np.minimum(np.searchsorted(self.stacks, stacks), len(self.stacks) - 1)
        return np.where(self.stacks[at] == stacks, at, -1)

    @cached_property
    def names(self) -> pl.Series:
        """What people call each frame: function, else ``binary+0xaddress``, else ``[kind]`` or ``[unknown]``."""
        return display_names(self.frames)

    def nbytes(self) -> int:
        """Memory held, roughly, in bytes."""
        arrays = self.stacks.nbytes + self.offsets.nbytes + self.items.nbytes
        return arrays + int(self.frames.estimated_size()) * 2


def display_names(frames: pl.DataFrame) -> pl.Series:
    """The name a person reads for each of some FRAMES rows."""
    binary = pl.col("mapping").str.split("/").list.last()
    address = to_hex(frames["address"].to_numpy()).str.strip_chars_start("0")
    native = frames["address"] != 0
    return frames.select(
        pl.when(pl.col("function") != "")
        .then(pl.col("function"))
        .when(native & (binary != ""))
        .then(pl.format("{}+0x{}", binary, address))
        .when(native)
        .then(pl.format("0x{}", address))
        .when(pl.col("kind") != "")
        .then(pl.format("[{}]", pl.col("kind")))
        .otherwise(pl.lit("[unknown]"))
        .alias("name")
    ).to_series()


_UNKNOWN = pl.DataFrame(
    {
        "service": [0],
        "frame": [0],
        "function": ["[unknown]"],
        "system_name": [""],
        "file": [""],
        "line": [0],
        "column": [0],
        "start_line": [0],
        "mapping": [""],
        "build_id": [""],
        "address": [0],
        "kind": [""],
        "inlined": [False],
    },
    schema=FRAMES,
)
