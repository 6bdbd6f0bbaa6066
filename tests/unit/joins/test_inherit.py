"""A share of the local root's samples."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.joins import inherit
from correlate.joins.given import Given, Refused
from tests.unit.joins.scenes import Row, ancestors, is_open, parent_of, samples, spans
from tests.unit.joins.test_thread_time import sole

ROOT = {"span": 1, "duration_ns": 20}


def root_of(row: int, rows: list[Row]) -> int:
    """Slow twin: climb as long as the process stays the same."""
    for above in ancestors(row, rows):
        if rows[above]["process"] != rows[row]["process"]:
            break
        row = above
    return row


def clip(row: Row, root: Row) -> Row:
    """A span within the interval of its root."""
    start = max(row["start_ns"], root["start_ns"])
    end = min(row["start_ns"] + row["duration_ns"], root["start_ns"] + root["duration_ns"])
    return {**row, "start_ns": start, "duration_ns": max(0, end - start)}


def share_of(sample: Row, rows: list[Row], chosen: list[bool], root: int) -> float:
    """Slow twin: the part of one sample of the root that the chosen spans get."""
    tree = {row: True for row in range(len(rows)) if root_of(row, rows) == root}
    clipped = [clip(row, rows[root_of(at, rows)]) for at, row in enumerate(rows)]
    if not sample["duration_ns"] and sample["thread"]:
        only = sole(clipped, sample["time_ns"], tree)
        tied = [clipped[at]["thread"] for at in ancestors(only, rows) if at in tree and clipped[at]["thread"]]
        if only >= 0 and clipped[only]["thread"] == 0 and (not tied or tied[0] == sample["thread"]):
            return float(chosen[only])
        lane = {row: True for row in tree if clipped[row]["thread"] == sample["thread"]}
        mine = sole(clipped, sample["time_ns"], lane)
        if mine >= 0:
            return float(chosen[mine])
    times = range(sample["time_ns"], sample["time_ns"] + max(1, sample["duration_ns"]))
    tells = sample["thread"] != 0 and any(clipped[row]["thread"] == sample["thread"] for row in tree)
    work = [0, 0]
    for row in tree:
        if not tells or clipped[row]["thread"] in (0, sample["thread"]):
            beneath = [other for at, other in enumerate(clipped) if parent_of(at, rows) == row]
            busy = [is_open(clipped[row], t) and not any(is_open(child, t) for child in beneath) for t in times]
            work[chosen[row]] += sum(busy)
    return work[1] / sum(work) if sum(work) else float(chosen[root])


@st.composite
def trees(draw: st.DrawFn) -> list[Row]:
    """A trace beneath one root."""
    count = draw(st.integers(0, 5))
    beneath = [
        {
            "span": number,
            "parent": draw(st.integers(1, number - 1)),
            "start_ns": draw(st.integers(-3, 20)),
            "duration_ns": draw(st.integers(0, 15)),
            "thread": draw(st.integers(0, 2)),
            "process": draw(st.sampled_from([0, 0, 0, 1])),
        }
        for number in range(2, count + 2)
    ]
    root = {**ROOT, "parent": 0, "start_ns": 0, "thread": draw(st.integers(0, 1)), "process": 0}
    return [{"trace_hi": 0, "trace_lo": 1, **row} for row in (root, *beneath)]


@given(
    trees(), st.integers(-2, 22), st.sampled_from([0, 0, 1, 9]), st.integers(0, 3), st.lists(st.booleans(), min_size=6)
)
def test_shares_of_a_roots_sample(rows: list[Row], time: int, length: int, thread: int, wanted: list[bool]) -> None:
    """Slow twin: count nanoseconds beneath the root."""
    chosen = [flag and root_of(row, rows) == 0 for row, flag in enumerate(wanted[: len(rows)])]
    taken = {"span": 1, "trace_lo": 1, "time_ns": time, "duration_ns": length, "thread": thread, "value": 3}
    found = inherit.inherit(samples(taken), spans(*rows), np.array(chosen), floor=0.0)
    expected = share_of(taken, rows, chosen, 0) if any(chosen) else 0.0
    assert (found.share.tolist() if isinstance(found, Given) else [0.0]) == pytest.approx([expected])


def test_a_window_is_shared_by_time_at_work_within_the_root() -> None:
    """The root works 10 of its 20 ns, its child 10: half each, however long the profile's window."""
    rows = spans(ROOT, {"span": 2, "parent": 1, "start_ns": 5, "duration_ns": 10})
    taken = samples({"span": 1, "time_ns": -100, "duration_ns": 1000, "value": 8})
    found = inherit.inherit(taken, rows, np.array([False, True]))
    assert isinstance(found, Given)
    assert found.share.tolist() == [0.5]
    assert found.error_bound == pytest.approx(2 / 3)
    whole = inherit.inherit(taken, rows, np.array([True, True]))
    assert isinstance(whole, Given)
    assert whole.share.tolist() == [1.0]
    assert whole.error_bound == 0.0


def test_a_descendant_in_another_service_only_makes_its_caller_wait() -> None:
    """Services are told apart by name where processes are not known."""
    rows = spans(ROOT, {"span": 2, "parent": 1, "start_ns": 5, "duration_ns": 10}).drop("process")
    rows = rows.with_columns(service=pl.Series(["checkout", "payment"]))
    taken = samples({"span": 1, "time_ns": 7}, {"span": 1, "duration_ns": 20}).drop("process")
    found = inherit.inherit(taken, rows, np.array([True, False]))
    assert isinstance(found, Given)
    assert found.share.tolist() == [1.0, 1.0]
    assert isinstance(inherit.inherit(taken, rows, np.array([False, True])), Given)  # payment is its own local root


def test_threads_and_times_narrow_where_there_are_any() -> None:
    """The sample on the child's thread is the child's; on a thread nobody knows it is shared."""
    rows = spans({**ROOT, "thread": 7}, {"span": 2, "parent": 1, "start_ns": 5, "duration_ns": 10, "thread": 8})
    taken = samples(*({"span": 1, "time_ns": 7, "thread": thread} for thread in (7, 8, 0)))
    found = inherit.inherit(taken, rows, np.array([False, True]), margin_ns=1)
    assert isinstance(found, Given)
    assert found.share.tolist() == [0.0, 1.0, 1.0]
    assert found.owner.tolist() == [-1, 1, -1]
    assert "50% of it by thread and time" in found.reason


def test_samples_of_several_roots_go_to_the_one_they_name() -> None:
    """What names none of them is nobody's."""
    rows = spans(ROOT, {**ROOT, "span": 2, "trace_lo": 2}, {"span": 3, "trace_lo": 2, "parent": 2, "duration_ns": 20})
    taken = samples(*({"span": span, "trace_lo": trace, "duration_ns": 20} for span, trace in ((1, 1), (2, 2), (2, 1))))
    found = inherit.inherit(taken, rows, np.array([True, False, True]))
    assert isinstance(found, Given)
    assert found.share.tolist() == [1.0, 1.0, 0.0]


def test_too_little_of_the_root_is_refused() -> None:
    """One part in a hundred does not tell whose code it is."""
    rows = spans({"span": 1, "duration_ns": 100}, {"span": 2, "parent": 1, "duration_ns": 1})
    found = inherit.inherit(samples({"span": 1, "duration_ns": 100}), rows, np.array([False, True]))
    assert isinstance(found, Refused)
    assert "ask for the local root" in found.reason
    late = inherit.inherit(samples({"span": 1, "time_ns": 50}), rows, np.array([False, True]))
    assert isinstance(late, Refused)
    assert "no sample of their local root" in late.reason
