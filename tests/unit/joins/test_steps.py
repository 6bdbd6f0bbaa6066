"""Step functions by sweep line."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from correlate.joins import steps
from correlate.joins.steps import Breaks, Codes, Steps

Interval = tuple[int, int, int, int]
FAR = 1 << 58


def columns(rows: list[Interval], width: int) -> list[np.ndarray]:
    """Rows as columns."""
    return list(np.array(rows, np.int64).reshape(-1, width).T)


def intervals() -> st.SearchStrategy[list[Interval]]:
    """Group, start, end and weight; now and then so far apart that group and time do not fit into one number."""
    time = st.one_of(st.integers(-5, 20), st.integers(FAR, FAR + 20))
    one = st.tuples(st.sampled_from([0, 1, 2, 40]), time, time, st.integers(1, 3))
    return st.lists(one.map(lambda row: (row[0], min(row[1:3]), max(row[1:3]), row[3])), max_size=8)


def questions() -> st.SearchStrategy[list[tuple[int, int, int]]]:
    """Group, from and to; groups and times beyond those of the intervals too."""
    time = st.one_of(st.integers(-8, 24), st.integers(FAR - 3, FAR + 24))
    return st.lists(
        st.tuples(st.sampled_from([-1, 0, 1, 2, 40, 41]), time, time).map(lambda q: (q[0], min(q[1:]), max(q[1:]))),
        max_size=8,
    )


@given(intervals(), questions())
def test_levels_and_integrals_are_sums_over_the_intervals(rows: list[Interval], asked: list[tuple[int, int, int]]):
    """Slow twin: look at every interval for every question."""
    group, start, end, weight = columns(rows, 4)
    which, first, last = columns(asked, 3)
    found = Steps.of(group, start, end, weight)
    level = [sum(w for g, a, b, w in rows if g == q and a <= t < b) for q, t, _ in asked]
    area = [sum(w * max(0, min(b, v) - max(a, u)) for g, a, b, w in rows if g == q) for q, u, v in asked]
    assert found.at(which, first).tolist() == level
    assert found.integral(which, first, last).tolist() == area


def test_without_weights_intervals_count_one_each() -> None:
    """Two open at once are two."""
    found = Steps.of(*columns([(0, 0, 10), (0, 5, 20)], 3))
    assert found.at(np.zeros(3, np.int64), np.array([4, 5, 19])).tolist() == [1, 2, 1]
    assert found.breaks.times.tolist() == [0, 5, 10, 20]


def test_questions_are_answered_in_blocks(monkeypatch) -> None:
    """The answer does not depend on how many are taken at once, nor on the number of groups."""
    rng = np.random.default_rng(1)
    group, start = rng.integers(0, 40_000, 500), rng.integers(0, 1000, 500)
    found = Steps.of(group, start, start + 50)
    which, time = np.repeat(group, 2), rng.integers(-10, 1100, 1000)
    whole = found.at(which, time)
    monkeypatch.setattr(steps, "BLOCK", 7)
    assert found.at(which, time).tolist() == whole.tolist()
    assert [piece.stop - piece.start for piece in steps.blocks(9, width=3)] == [2, 2, 2, 2, 1]


def test_codes_know_what_they_have_seen() -> None:
    """Strange values have no code."""
    codes = Codes.of(np.array([7, 3, 7]))
    assert codes.code(np.array([3, 7, 5, 9])).tolist() == [0, 1, -1, -1]
    assert Codes.of(np.zeros(0, np.int64)).code(np.array([3])).tolist() == [-1]


def test_no_intervals_are_no_trouble() -> None:
    """Everything is 0, and nothing is found."""
    none = np.zeros(0, np.int64)
    assert Steps.of(none, none, none).integral(np.array([0]), np.array([1]), np.array([2])).tolist() == [0]
    assert Breaks.of(none, none, none).locate(np.array([0]), np.array([1])).tolist() == [-1]
