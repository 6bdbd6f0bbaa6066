"""Samples shared out by time at work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.joins import window
from correlate.joins.given import Given, Refused
from correlate.units import human
from tests.unit.joins.scenes import Row, is_open, parent_of, sampled, samples, spans, traces

GROUPS = 3


def at_work(row: int, rows: list[Row], time_ns: int) -> bool:
    """Slow twin: whether a span is open and no child of it is."""
    children = [other for child, other in enumerate(rows) if parent_of(child, rows) == row]
    return is_open(rows[row], time_ns) and not any(is_open(child, time_ns) for child in children)


def amounts(sample: Row, rows: list[Row], tells: bool) -> list[int]:
    """Slow twin: nanoseconds at work per group during a sample, asking for every nanosecond."""
    times = range(sample["time_ns"], sample["time_ns"] + max(1, sample["duration_ns"]))
    found = [0] * GROUPS
    for row, span in enumerate(rows):
        narrow = tells and sample["thread"] != 0
        takes_part = not narrow or span["thread"] in (0, sample["thread"])
        if span["process"] == sample["process"] >= 0 and takes_part:
            found[row % GROUPS] += sum(at_work(row, rows, time) for time in times)
    return found


def twin(taken: list[Row], rows: list[Row], ns_per_value: float | None) -> list[list[float]]:
    """Slow twin: the shares of all groups in every sample."""
    shares = []
    pairs = {(span["process"], span["thread"]) for span in rows if span["thread"]}
    tells = {row["process"] for row in taken if (row["process"], row["thread"]) in pairs}
    for sample in taken:
        found = amounts(sample, rows, sample["process"] in tells)
        same = [
            other["value"]
            for other in taken
            if all(other[name] == sample[name] for name in ("process", "time_ns", "duration_ns"))
            and (other["thread"] == sample["thread"] or sample["process"] not in tells)
        ]
        measured = sum(same) * (ns_per_value or 0) if sample["duration_ns"] else 0
        whole = max(sum(found), measured)
        shares.append([amount / whole if sum(found) else 0.0 for amount in found])
    return shares


@given(traces(), sampled(longest_ns=6), st.sampled_from([None, 1.0, 2.5]))
def test_shares_are_parts_of_the_time_at_work(rows: list[Row], taken: list[Row], ns_per_value: float | None) -> None:
    """Slow twin: count nanoseconds, span by span."""
    group = np.arange(len(rows)) % GROUPS
    found = window.operation_shares(samples(*taken), spans(*rows), group, GROUPS, ns_per_value)
    expected = np.array(twin(taken, rows, ns_per_value)).reshape(-1, GROUPS)
    for number in range(GROUPS):
        assert found.of(number) == pytest.approx(expected[:, number])


@given(traces(most=5), sampled(longest_ns=6))
def test_what_is_given_adds_up_to_no_more_than_there_was(rows: list[Row], taken: list[Row]) -> None:
    """Two halves of the spans never get more than all samples, and the bound is a part."""
    chosen = np.arange(len(rows)) % 2 == 0
    halves = [window.share(samples(*taken), spans(*rows), half, floor=0.0) for half in (chosen, ~chosen)]
    given_ = [half for half in halves if isinstance(half, Given)]
    assert all(0 <= half.error_bound <= 1 for half in given_)
    assert (sum((half.share for half in given_), np.zeros(len(taken))) <= 1 + 1e-9).all()


def alone(count: int) -> np.ndarray:
    """The first of some spans is chosen."""
    return np.arange(count) == 0


def test_the_bound_grows_with_the_concurrency() -> None:
    """Alone: 0; among n: a little more than 1 - 1/n, since the others may be busier than they look."""
    taken = samples({"duration_ns": 10, "value": 8})
    for count in (1, 2, 4):
        busy = spans(*({"span": number, "trace_lo": number} for number in range(1, count + 1)))
        found = window.share(taken, busy, alone(count))
        assert isinstance(found, Given)
        assert found.share.tolist() == [1 / count]
        assert found.error_bound == pytest.approx(1 - 1 / (1 + 2 * (count - 1)))
        assert found.owner.tolist() == [-1]


def test_the_bound_allows_for_the_luck_of_few_samples() -> None:
    """Four hits of which half may be others' say less than a million; where nothing is in doubt, luck has no part."""
    ones = np.ones(2)
    assert window.error_bound(ones, ones / 2, np.array([2, 2])) == pytest.approx(1 - np.exp(-0.82) / 2)
    assert window.error_bound(ones, ones / 2, np.array([2, 2]) << 40) == pytest.approx(0.5, abs=1e-5)
    assert window.error_bound(ones, np.zeros(2), np.array([1, 1])) == 0.0
    assert window.error_bound(ones, ones, np.array([0, 0])) == 1.0


def test_time_spent_waiting_for_a_child_is_not_time_at_work() -> None:
    """The parent gets the half of the window in which its child, in another process, did not run."""
    rows = spans({"span": 1}, {"span": 2, "parent": 1, "start_ns": 5, "duration_ns": 5, "process": 1})
    busy = window.operation_shares(samples({"duration_ns": 10}), rows, np.array([0, 1]), 2)
    assert busy.matrix.tolist() == [[1.0, 0.0]]
    waiting = window.share(samples({"time_ns": 6}), rows, alone(2))
    assert isinstance(waiting, Refused)


def test_more_than_spans_can_have_burned_is_background() -> None:
    """Ten nanoseconds of CPU in a window with two of spans at work: a fifth is given, the rest is nobody's."""
    rows = spans({"span": 1, "duration_ns": 2})
    found = window.share(samples({"duration_ns": 10, "value": 10}), rows, alone(1), ns_per_value=1.0)
    assert isinstance(found, Given)
    assert found.share.tolist() == [0.2]
    objects = window.share(samples({"duration_ns": 10, "value": 10}), rows, alone(1))
    assert isinstance(objects, Given)
    assert objects.share.tolist() == [1.0]


def test_threads_narrow_where_both_sides_know_them() -> None:
    """A thread that no span works on is background; without a common thread, threads say nothing."""
    rows = spans({"span": 1, "thread": 7}, {"span": 2, "trace_lo": 2, "thread": 8})
    taken = [{"duration_ns": 10, "thread": thread} for thread in (7, 8, 9)]
    found = window.share(samples(*taken), rows, alone(2))
    assert isinstance(found, Given)
    assert found.share.tolist() == [1.0, 0.0, 0.0]
    strange = window.share(samples(taken[2]), rows, alone(2))
    assert isinstance(strange, Given)
    assert strange.share.tolist() == [0.5]


def test_a_span_that_is_next_to_nothing_in_its_windows_is_refused() -> None:
    """With the figures, and with what to ask instead."""
    second = 1_000_000_000
    rows = spans(
        {"span": 1, "duration_ns": second // 25}, {"span": 2, "trace_lo": 2, "duration_ns": 10 * second - second // 25}
    )
    found = window.share(samples({"duration_ns": 10 * second}), rows, alone(2))
    assert isinstance(found, Refused)
    assert (
        f"0.4% of what was at work in their process in the profiles' windows of {human(10 * second, 'nanoseconds')}"
        in (found.reason)
    )
    assert "unmixed" in found.reason
    assert isinstance(window.share(samples({"duration_ns": 10 * second}), rows, alone(2), floor=0.001), Given)


def test_instances_that_nothing_tells_apart_lower_the_certainty() -> None:
    """Three behind one code: as among three, and from twenty-one on a refusal."""
    taken, rows = samples({"duration_ns": 10}), spans({"span": 1})
    found = window.share(taken, rows, alone(1), instances=3)
    assert isinstance(found, Given)
    assert found.error_bound == pytest.approx(1 - 1 / (1 + 2 * 2))
    assert "3 instances" in found.reason
    assert isinstance(window.share(taken, rows, alone(1), instances=21), Refused)
