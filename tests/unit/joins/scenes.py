"""Small spans and samples for the joins, and hypothesis strategies that make them."""

from collections.abc import Mapping
from typing import Any

import polars as pl
from hypothesis import strategies as st

SPAN_COLUMNS = ("trace_hi", "trace_lo", "span", "parent", "start_ns", "duration_ns", "thread", "process")
SAMPLE_COLUMNS = ("trace_hi", "trace_lo", "span", "time_ns", "duration_ns", "thread", "process", "value", "weight")

Row = dict[str, int]


def spans(*rows: Mapping[str, int]) -> pl.DataFrame:
    """What joins need of SPANS, and process; by default of trace 0/1, process 0, thread 0, lasting 10 ns from 0."""
    usual = {"trace_hi": 0, "trace_lo": 1, "span": 1, "parent": 0, "start_ns": 0, "duration_ns": 10, "thread": 0}
    return _frame(SPAN_COLUMNS, [{**usual, "process": 0, **row} for row in rows])


def samples(*rows: Mapping[str, int]) -> pl.DataFrame:
    """What joins need of SAMPLES, and process; by default at 0, with a time of its own, unnamed: value 1, many hits."""
    usual = dict.fromkeys(SAMPLE_COLUMNS, 0) | {"value": 1, "weight": 1 << 60}
    return _frame(SAMPLE_COLUMNS, [{**usual, **row} for row in rows])


def _frame(columns: tuple[str, ...], rows: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Int64), orient="row")


@st.composite
def traces(draw: st.DrawFn, most: int = 7) -> list[Row]:
    """Spans of a trace or two in all shapes: nested, crossing, orphaned, empty, on few threads of few processes."""
    count = draw(st.integers(0, most))
    return [
        {
            "trace_hi": 0,
            "trace_lo": draw(st.integers(1, 2)),
            "span": number,
            "parent": draw(st.integers(0, number - 1)),
            "start_ns": draw(st.integers(0, 12)),
            "duration_ns": draw(st.integers(0, 12)),
            "thread": draw(st.integers(0, 2)),
            "process": draw(st.integers(-1, 1)),
        }
        for number in range(1, count + 1)
    ]


@st.composite
def sampled(draw: st.DrawFn, longest_ns: int = 0) -> list[Row]:
    """Samples at any time, on any of those threads, lasting up to some time."""
    one = st.fixed_dictionaries(
        {
            "time_ns": st.integers(-2, 26),
            "duration_ns": st.integers(0, longest_ns),
            "thread": st.integers(0, 3),
            "process": st.integers(-1, 2),
            "value": st.integers(1, 9),
        }
    )
    return draw(st.lists(one, max_size=8))


def parent_of(row: int, rows: list[Row]) -> int | None:
    """Slow twin: the row of a span's parent."""
    own = rows[row]
    for at, other in enumerate(rows):
        same = other["trace_lo"] == own["trace_lo"] and other["trace_hi"] == own["trace_hi"]
        if same and other["span"] == own["parent"]:
            return at
    return None


def ancestors(row: int, rows: list[Row]) -> list[int]:
    """Slow twin: the rows of all ancestors, nearest first."""
    found = []
    at = parent_of(row, rows)
    while at is not None:
        found.append(at)
        at = parent_of(at, rows)
    return found


def is_open(row: Row, time_ns: int) -> bool:
    """Whether a span is open at a time."""
    return row["start_ns"] <= time_ns < row["start_ns"] + row["duration_ns"]
