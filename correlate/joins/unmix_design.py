"""How long each operation was at work in each window of a process."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins.activity import intervals, outside, parent_rows
from correlate.joins.given import F64, I64
from correlate.joins.steps import Codes, Steps

MOST_COLUMNS: Final = 160
"""More operations than this are not told apart in one system."""

WINDOWS_PER_COLUMN: Final = 4
"""Fewer windows than this for each operation say too little about it."""

LEAST_RATIO: Final = 0.001
"""Operations with a smaller part of all activity are lumped together."""

MOST_LUMPED: Final = 0.2
"""Largest part of all activity that may be lumped together: a lump has no profile of its own, it changes."""


@dataclass(frozen=True, slots=True)
class Activity:
    """Time at work by window.

    Attributes:
        operations: codes, sorted; those that were at work in some window.
        seconds: shape (windows, operations).
    """

    operations: I64
    seconds: F64


@dataclass(frozen=True, slots=True)
class Design:
    """The columns of the system: single operations, all other operations together, and what goes on without any.

    Attributes:
        columns: seconds, shape (windows, columns); the last one is the length of the windows, the background.
        column_of: the column of each operation of the `Activity`.
        lumped: whether each operation is in the column of all other operations.
        lumped_ratio: part of all activity that is in that column.
    """

    columns: F64
    column_of: I64
    lumped: npt.NDArray[np.bool_]
    lumped_ratio: float


def activity(spans: pl.DataFrame, windows: pl.DataFrame) -> Activity:
    """Measure how long the spans of each operation were at work themselves, in each window of their process.

    A span that waits for its child is not at work, its child is. Several spans at once count several times.

    Args:
        spans: trace_hi, trace_lo, span, parent, start_ns, duration_ns, process and operation; of unknown processes
            (below 0) none count.
        windows: process, start_ns and end_ns.
    """
    starts, ends = intervals(spans)
    pieces = outside(starts, ends, parent_rows(spans))
    process = spans["process"].to_numpy()[pieces.row]
    operation = spans["operation"].cast(pl.Int64).to_numpy()[pieces.row]
    in_process, in_window = (windows[name].to_numpy() for name in ("process", "start_ns"))
    processes, operations = Codes.of(in_process[in_process >= 0]), Codes.of(operation)
    where = processes.code(process)
    pieces, where, operation = pieces.where(where >= 0), where[where >= 0], operation[where >= 0]
    group = where * len(operations.values) + operations.code(operation)
    steps = Steps.of(group, pieces.start_ns, pieces.end_ns)
    count, rows = len(operations.values), np.arange(len(windows))
    asked = np.repeat(np.maximum(processes.code(in_process), 0) * count, count) + np.tile(np.arange(count), len(rows))
    window_ends = windows["end_ns"].to_numpy()
    spent_ns = steps.integral(asked, np.repeat(in_window, count), np.repeat(window_ends, count))
    seconds = np.maximum(spent_ns.reshape(len(rows), count), 0) / 1e9
    seconds[in_process < 0] = 0
    working = seconds.sum(axis=0) > 0
    return Activity(operations.values[working], seconds[:, working])


def design(found: Activity, length_s: F64, wanted: I64) -> Design:
    """Choose the columns: the operations most at work, the wanted ones before all others.

    Args:
        found: who was at work when.
        length_s: how long each window is, seconds.
        wanted: codes that the question is about; they are never lumped together with others, up to `MOST_COLUMNS`.
    """
    spent = found.seconds.sum(axis=0)
    asked = np.isin(found.operations, wanted)
    room = max(min(MOST_COLUMNS, len(length_s) // WINDOWS_PER_COLUMN) - 1, 0)
    order = np.lexsort((-spent, ~asked))
    enough = asked | (spent >= LEAST_RATIO * spent.sum())
    single = order if len(order) <= room else order[: room - 1][enough[order[: room - 1]]]
    column_of = np.full(len(order), len(single))
    column_of[single] = np.arange(len(single))
    rest = found.seconds[:, column_of == len(single)].sum(axis=1, keepdims=True)
    parts = [found.seconds[:, single], *([rest] if len(single) < len(order) else []), length_s[:, None]]
    return Design(np.hstack(parts), column_of, column_of == len(single), float(rest.sum() / spent.sum()))
