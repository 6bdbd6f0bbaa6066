"""The code of a world: which stacks each kind of span is found in, and how often."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from correlate.tables.build import FRAME_COLUMNS
from correlate.tables.schema import FRAMES
from tests.truth.world import F64, I64, Bools, World

PLANTED = "planted_work"
"""The leaf function that takes more time where a world plants a change."""

_BLANK: dict[Any, Any] = {pl.String: "", pl.Boolean: False, pl.Int64: 0}


@dataclass(frozen=True)
class Code:
    """Stacks as function names, and the choice each kind of span has among them.

    Attributes:
        paths: stacks, root first.
        choice: rows of `paths` for each kind, shape (kinds + 1, stacks); the last line is the garbage collector.
        weight: how likely each is, same shape; lines add up to 1.
        grown: the same where the planted change has happened.
    """

    paths: list[tuple[str, ...]]
    choice: I64
    weight: F64
    grown: F64

    @classmethod
    def draw(cls, world: World) -> "Code":
        """Invent the code of a world."""
        rng, kinds = world.rng(5), world.kinds
        shared = [("main", "serve", *_calls(rng, "lib", 3), f"lib_leaf_{number}") for number in range(_shared(world))]
        own_count = world.stacks - len(shared)
        paths, choice = list(shared), []
        for name in kinds.names:
            first = len(paths)
            where = "_".join(name.lower().replace("post /", "").split())
            paths += [_own(rng, where, number) for number in range(own_count)]
            choice.append([*range(len(shared)), *range(first, len(paths))])
        paths[choice[0][len(shared) + 1]] = ("main", "serve", "handle", PLANTED)
        first = len(paths)
        paths += [("runtime", "collect", f"mark_{number}") for number in range(world.stacks)]
        choice.append(list(range(first, len(paths))))
        weight = np.array([_weights(world, rng, len(shared)) for _ in choice])
        grown = weight.copy()
        grown[0, len(shared) + 1] *= world.planted
        return cls(paths, np.array(choice), weight, grown / grown.sum(axis=1, keepdims=True))

    def likely(self) -> F64:
        """How likely each kind of span is found in each stack before any change, shape (kinds + 1, paths)."""
        full = np.zeros((len(self.choice), len(self.paths)))
        np.put_along_axis(full, self.choice, self.weight, axis=1)
        return full

    def pick(self, rng: np.random.Generator, kind: I64, late: Bools) -> I64:
        """A stack for each sample, given its kind of span (-1: the collector) and whether the change has happened."""
        picked = np.empty(len(kind), np.int64)
        for line, (before, after) in enumerate(zip(self.weight, self.grown, strict=True)):
            mine = kind % len(self.weight) == line
            for at, weights in ((mine & ~late, before), (mine & late, after)):
                where = np.flatnonzero(at)
                drawn = np.searchsorted(np.cumsum(weights), rng.random(len(where)))
                picked[where] = self.choice[line][np.minimum(drawn, len(weights) - 1)]
        return picked

    def linked(self) -> tuple[I64, I64, pl.DataFrame]:
        """Offsets of the stacks, their frames as rows, and the frames, as `tables.build.Linked` wants them."""
        names = list(dict.fromkeys(name for path in self.paths for name in path))
        row = {name: at for at, name in enumerate(names)}
        frames = {name: names if name == "function" else [_BLANK[FRAMES[name]]] * len(names) for name in FRAME_COLUMNS}
        return (
            np.cumsum([0, *map(len, self.paths)]).astype(np.int64),
            np.array([row[name] for path in self.paths for name in path], np.int64),
            pl.DataFrame(frames, schema={name: FRAMES[name] for name in FRAME_COLUMNS}),
        )


def _shared(world: World) -> int:
    return max(1, world.stacks // 5) if world.shared_ratio > 0 else 0


def _weights(world: World, rng: np.random.Generator, shared: int) -> F64:
    """Zipf's law in random order, apart for what is shared and what is not."""
    parts = [_zipf(world, rng, shared) * world.shared_ratio] if shared else []
    rest = _zipf(world, rng, world.stacks - shared) * (1 - world.shared_ratio if shared else 1.0)
    return np.concatenate([*parts, rest])


def _zipf(world: World, rng: np.random.Generator, count: int) -> F64:
    weights = np.arange(1, count + 1) ** -world.zipf
    shuffled: F64 = rng.permutation(weights / weights.sum())
    return shuffled


def _own(rng: np.random.Generator, where: str, number: int) -> tuple[str, ...]:
    return ("main", "serve", f"handle_{where}", *_calls(rng, where, int(rng.integers(0, 4))), f"{where}_leaf_{number}")


def _calls(rng: np.random.Generator, where: str, count: int) -> list[str]:
    return [f"{where}_call_{number}" for number in rng.integers(0, 6, count)]
