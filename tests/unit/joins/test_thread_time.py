"""Samples given by thread and time."""

import numpy as np
import pytest
from hypothesis import given

from correlate.joins import thread_time
from correlate.joins.given import Given, Refused
from tests.unit.joins.scenes import Row, ancestors, is_open, sampled, samples, spans, traces


def sole(rows: list[Row], time_ns: int, mine: dict[int, bool]) -> int:
    """Slow twin: of some spans the one that is open and has none open beneath it; -1 none, -2 several."""
    nearest = {row: next((at for at in ancestors(row, rows) if at in mine), None) for row in mine}
    open_ = [row for row in mine if is_open(rows[row], time_ns)]
    left = [row for row in open_ if not any(nearest[other] == row for other in open_)]
    return left[0] if len(left) == 1 else -1 - bool(left)


def owner(sample: Row, rows: list[Row]) -> int:
    """Slow twin: who owns a sample."""
    process, thread, time = sample["process"], sample["thread"], sample["time_ns"]
    if sample["duration_ns"] or not thread or process < 0:
        return -1
    here = {row: True for row, span in enumerate(rows) if span["process"] == process}
    only = sole(rows, time, here)
    if only >= 0 and rows[only]["thread"] == 0:
        above = [rows[at]["thread"] for at in ancestors(only, rows) if at in here and rows[at]["thread"]]
        if not above or above[0] == thread:
            return only
    return max(-1, sole(rows, time, {row: True for row in here if rows[row]["thread"] == thread}))


@given(traces(), sampled(longest_ns=1))
def test_every_sample_goes_to_the_innermost_span_of_its_thread(rows: list[Row], taken: list[Row]) -> None:
    """Slow twin: judge every sample by itself."""
    found = thread_time.owners(samples(*taken), spans(*rows))
    assert found.tolist() == [owner(sample, rows) for sample in taken]


@given(traces(most=5), sampled())
def test_shares_follow_owners(rows: list[Row], taken: list[Row]) -> None:
    """What is chosen gets what it owns, whole, and the bound is a part."""
    chosen = np.arange(len(rows)) % 2 == 0
    found = thread_time.join(samples(*taken), spans(*rows), chosen, margin_ns=1)
    expected = [at if (at := owner(sample, rows)) % 2 == 0 and at >= 0 else -1 for sample in taken]
    if isinstance(found, Refused):
        assert expected == [-1] * len(taken)
    else:
        assert found.owner.tolist() == expected
        assert found.share.tolist() == [float(at >= 0) for at in expected]
        assert 0 <= found.error_bound <= 1


PARENT = {"span": 1, "start_ns": 0, "duration_ns": 100, "thread": 7}
ALL = np.ones(2, bool)


def test_a_child_on_the_same_thread_beats_its_parent() -> None:
    """A child elsewhere does not: the parent's thread stays the parent's."""
    taken = samples({"time_ns": 50, "thread": 7}, {"time_ns": 50, "thread": 8})
    same = spans(PARENT, {"span": 2, "parent": 1, "start_ns": 40, "duration_ns": 20, "thread": 7})
    other = spans(PARENT, {"span": 2, "parent": 1, "start_ns": 40, "duration_ns": 20, "thread": 8})
    assert thread_time.owners(taken, same).tolist() == [1, -1]
    assert thread_time.owners(taken, other).tolist() == [0, 1]


def test_spans_that_take_turns_on_an_event_loop_get_nothing_while_both_are_open() -> None:
    """Nobody recorded whose turn it was, and the answer says how many samples that cost."""
    loop = spans(PARENT, {"span": 2, "trace_lo": 2, "start_ns": 40, "duration_ns": 100, "thread": 7})
    taken = samples(*({"time_ns": time, "thread": 7} for time in (10, 50, 120)))
    assert thread_time.owners(taken, loop).tolist() == [0, -1, 1]
    found = thread_time.join(taken, loop, ALL, margin_ns=1)
    assert isinstance(found, Given)
    assert found.error_bound == pytest.approx(1 / 3)
    assert "1 samples that several spans of one thread claim were given to nobody" in found.reason


def test_a_span_without_a_thread_owns_what_it_is_alone_with() -> None:
    """Alone in its process it owns every thread; beside another open span it owns nothing."""
    rows = spans({"span": 1, "duration_ns": 100}, {"span": 2, "trace_lo": 2, "start_ns": 50, "duration_ns": 100})
    taken = samples(*({"time_ns": time, "thread": 7} for time in (10, 70, 120)))
    assert thread_time.owners(taken, rows).tolist() == [0, -1, 1]


def test_a_child_without_a_thread_works_on_its_parents() -> None:
    """Samples of other threads are not its."""
    rows = spans(PARENT, {"span": 2, "parent": 1, "start_ns": 40, "duration_ns": 20})
    taken = samples({"time_ns": 50, "thread": 7}, {"time_ns": 50, "thread": 9}, {"time_ns": 5, "thread": 7})
    assert thread_time.owners(taken, rows).tolist() == [1, -1, 0]


def test_the_bound_counts_samples_near_somebody_elses_time() -> None:
    """Between parent and child of the same question there is no edge."""
    rows = spans(PARENT, {"span": 2, "parent": 1, "start_ns": 40, "duration_ns": 20, "thread": 7})
    taken = samples(*({"time_ns": time, "thread": 7} for time in (2, 39, 50, 80)))
    both = thread_time.join(taken, rows, ALL, margin_ns=5)
    parent = thread_time.join(taken, rows, np.array([True, False]), margin_ns=5)
    assert isinstance(both, Given)
    assert isinstance(parent, Given)
    assert both.error_bound == 1 / 4
    assert parent.error_bound == 2 / 3
    assert both.reason.startswith("4 samples were taken on these spans' threads")


def test_the_bound_counts_threads_beside_the_busiest_of_a_span_without_thread() -> None:
    """Background threads run whoever is open."""
    rows = spans({"span": 1, "duration_ns": 100})
    taken = samples(*({"time_ns": 50, "thread": thread} for thread in (7, 7, 7, 8)))
    found = thread_time.join(taken, rows, ALL[:1], margin_ns=1)
    assert isinstance(found, Given)
    assert found.error_bound == 1 / 4
    assert "25% are on other threads" in found.reason


def test_what_is_missing_is_said() -> None:
    """Samples of the process, their times, their threads, the spans' threads, a thread that both know."""
    rows = spans(PARENT)
    one = np.array([True])

    def reason(taken: Row, span: Row = PARENT) -> str:
        found = thread_time.join(samples(taken), spans(span), one)
        assert isinstance(found, Refused)
        return found.reason

    assert "no sample comes from a process" in reason({"process": 5, "thread": 7})
    assert "not when each of their samples was" in reason({"duration_ns": 10, "thread": 7})
    assert "samples do not say their thread" in reason({"time_ns": 5})
    assert "spans do not say their thread" in reason({"time_ns": 500, "thread": 7}, {"duration_ns": 100})
    assert "known by the same id" in reason({"time_ns": 5, "thread": 70})
    waiting = thread_time.join(samples({"time_ns": 500, "thread": 7}), rows, one)
    assert isinstance(waiting, Given)
    assert "they were waiting" in waiting.reason
    assert waiting.share.tolist() == [0.0]
    assert isinstance(thread_time.join(samples(), spans(), np.zeros(0, bool)), Refused)
