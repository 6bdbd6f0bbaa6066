"""What formats produce and the store keeps: a handful of frames, and what had to be refused."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from correlate.tables.schema import TABLES

_EMPTY: Final = {name: pl.DataFrame(schema=schema) for name, schema in TABLES.items()}
"""Frames are never changed in place, so one empty one per table serves all."""


def _empty(name: str) -> pl.DataFrame:
    return _EMPTY[name]


@dataclass(frozen=True, slots=True)
class Reject:
    """A part of a request that was refused while the rest was kept.

    Attributes:
        signal: what was refused, ``"spans"`` or ``"profiles"``.
        count: how many of them.
        reason: one sentence for the sender.
    """

    signal: str
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows of one or more payloads, by table; schemas are those of `tables.schema`.

    Symbols may repeat between payloads; `samples` and `spans` are what counts.
    """

    spans: pl.DataFrame = field(default_factory=lambda: _empty("spans"))
    samples: pl.DataFrame = field(default_factory=lambda: _empty("samples"))
    stacks: pl.DataFrame = field(default_factory=lambda: _empty("stacks"))
    frames: pl.DataFrame = field(default_factory=lambda: _empty("frames"))
    series: pl.DataFrame = field(default_factory=lambda: _empty("series"))
    profiles: pl.DataFrame = field(default_factory=lambda: _empty("profiles"))
    rejects: tuple[Reject, ...] = ()

    def frame(self, name: str) -> pl.DataFrame:
        """The frame of a table by name."""
        table: pl.DataFrame = getattr(self, name)
        return table

    def estimated_bytes(self) -> int:
        """How much memory the frames hold, roughly."""
        return sum(int(self.frame(name).estimated_size()) for name in TABLES)


def concat(parts: Iterable[Tables]) -> Tables:
    """Put the rows of many payloads together; nothing is deduplicated."""
    every = list(parts)
    if len(every) == 1:
        return every[0]
    merged = {name: pl.concat([part.frame(name) for part in every] or [_empty(name)]) for name in TABLES}
    return Tables(**merged, rejects=tuple(reject for part in every for reject in part.rejects))


def check(tables: Tables) -> Tables:
    """Assert that every frame has exactly its schema; a programming error otherwise.

    Raises:
        TypeError: a column is missing, misplaced or of another type.
    """
    for name, schema in TABLES.items():
        if dict(tables.frame(name).schema) != dict(pl.Schema(schema)):
            raise TypeError(f"table {name} has {tables.frame(name).schema}, not {pl.Schema(schema)}")
    return tables
