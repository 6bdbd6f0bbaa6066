"""Small mixtures for tests of unmixing: spans and the counts of windows, with the owner of every hit known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tests.support.rows import SECOND, T0

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PERIOD_NS = 10_000_000


@dataclass(frozen=True)
class Mixture:
    """What the join gets, and the truth: hits by operation and stack, background last."""

    counts: pl.DataFrame
    windows: pl.DataFrame
    spans: pl.DataFrame
    truth: F64
    seconds: F64

    @property
    def given(self) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        """The arguments of `unmix`."""
        return self.counts, self.windows, self.spans


def mixture(
    seed: int,
    *,
    windows: int = 60,
    operations: int = 6,
    stacks: int = 120,
    swing: float = 0.5,
    together: bool = False,
    shared: float = 0.2,
    window_s: float = 10.0,
) -> Mixture:
    """One process whose operations are called at rates that swing from window to window.

    Args:
        seed: everything random follows from it.
        windows: how many.
        operations: how many.
        stacks: how many in all; each operation has its own, and some are everybody's.
        swing: sigma of the logarithm of the rates; 0: steady.
        together: whether all rates swing as one.
        shared: part of each profile that is in everybody's stacks.
        window_s: length of a window.
    """
    rng = np.random.default_rng(seed)
    profiles = _profiles(rng, operations, stacks, shared)
    length_s, busy = rng.uniform(0.05, 0.2, operations), rng.uniform(0.3, 0.9, operations)
    swings = rng.normal(size=(windows, 1 if together else operations)) * swing
    load = rng.dirichlet(np.full(operations, 4.0)) * 4
    called = load / length_s * window_s * np.exp(np.broadcast_to(swings, (windows, operations)))
    number = rng.poisson(called) if not together else np.rint(called).astype(np.int64)
    window, operation = (np.repeat(index.ravel(), number.ravel()) for index in np.indices(number.shape))
    start = (window + rng.random(len(window))) * window_s
    duration = length_s[operation] * np.exp(rng.normal(size=len(window)) * 0.4)
    hits = rng.poisson(duration * busy[operation] * 100)
    row = np.repeat(np.arange(len(window)), hits)
    at = ((start[row] + rng.random(len(row)) * duration[row]) / window_s).astype(np.int64)
    owner = np.concatenate([operation[row], np.full(windows * 20, operations)])
    at = np.concatenate([at, np.repeat(np.arange(windows), 20)])
    stack = _picked(rng, profiles, owner)
    inside = at < windows
    cells = pl.DataFrame({"window": at[inside], "stack": stack[inside] * 7_919 - 13}).group_by("window", "stack").len()
    return Mixture(
        counts=cells.select("window", "stack", value=pl.col("len").cast(pl.Int64) * PERIOD_NS, weight="len"),
        windows=_windows(windows, window_s),
        spans=spans(start, duration, operation),
        truth=np.bincount(owner[inside] * stacks + stack[inside], minlength=(operations + 1) * stacks)
        .reshape(operations + 1, stacks)
        .astype(np.float64),
        seconds=np.bincount(operation, duration, operations),
    )


def spans(start_s: F64, duration_s: F64, operation: I64, **more: Any) -> pl.DataFrame:
    """Roots, with what `unmix` reads of them."""
    numbers = np.arange(1, len(operation) + 1)
    columns = {
        "trace_hi": numbers,
        "trace_lo": numbers,
        "span": numbers,
        "parent": np.zeros(len(numbers), np.int64),
        "start_ns": T0 + (start_s * SECOND).astype(np.int64),
        "duration_ns": (duration_s * SECOND).astype(np.int64),
        "process": np.zeros(len(numbers), np.int64),
        "operation": operation.astype(np.int64),
    }
    return pl.DataFrame(columns | more)


def _windows(count: int, window_s: float) -> pl.DataFrame:
    starts = T0 + (np.arange(count) * window_s * SECOND).astype(np.int64)
    return pl.DataFrame(
        {
            "window": np.arange(count),
            "process": np.zeros(count, np.int64),
            "start_ns": starts,
            "end_ns": starts + round(window_s * SECOND),
        }
    )


def _profiles(rng: np.random.Generator, operations: int, stacks: int, shared: float) -> F64:
    """Profiles of the operations and of the background: own stacks, and a fifth that all have in common."""
    common = stacks // 5
    owners = rng.integers(0, operations + 1, stacks)
    lines = []
    for operation in range(operations + 1):
        own = np.where((owners == operation) & (np.arange(stacks) >= common), rng.gamma(0.5, 1.0, stacks), 0.0)
        everybody = np.where(np.arange(stacks) < common, rng.gamma(0.5, 1.0, stacks), 0.0)
        lines.append((1 - shared) * own / own.sum() + shared * everybody / everybody.sum())
    return np.array(lines)


def _picked(rng: np.random.Generator, profiles: F64, owner: I64) -> I64:
    stack = np.empty(len(owner), np.int64)
    for line, weights in enumerate(profiles):
        mine = owner == line
        stack[mine] = rng.choice(len(weights), int(mine.sum()), p=weights)
    return stack


def misplaced(value: F64, truth: F64) -> float:
    """Half the L1 distance of two profiles."""
    return float(np.abs(value / value.sum() - truth / truth.sum()).sum() / 2)
