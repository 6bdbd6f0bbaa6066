"""A span's wall time in parts that add up, compared with a twin that looks at one nanosecond at a time."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.joins.breakdown import Breakdown, Kind, Seen, Times, breakdown, children_of, times
from correlate.joins.scope import find
from correlate.model.answers import SpanInfo
from tests.support.rows import T0, spans

INTERNAL, SERVER, CLIENT = 1, 2, 3
MS = 1_000_000
HERE, THERE = "checkout", "payment"


def span(
    ident: int, parent: int, start: int, length: int, service: str = HERE, kind: int = INTERNAL
) -> dict[str, object]:
    """A span by when it ran, nanoseconds after T0."""
    return {
        "span": ident,
        "parent": parent,
        "start_ns": T0 + start,
        "duration_ns": length,
        "service": service,
        "kind": kind,
    }


def cut(*rows: dict[str, object], ident: int = 1) -> Times:
    """The times of a span among some."""
    frame = spans(*rows)
    return times(root_of(frame, ident), frame)


def root_of(frame: pl.DataFrame, ident: int = 1) -> SpanInfo:
    """A span that is there."""
    root = find(frame, ident)
    assert root is not None
    return root


def parts(found: Breakdown) -> dict[str, int]:
    """The parts that are not empty."""
    return {part.name: part.time_ns for part in found.parts if part.time_ns}


def test_children_cut_the_span_into_own_time_children_and_calls_elsewhere() -> None:
    """Overlaps count once; a child here wins over a call that runs meanwhile; what sticks out does not count."""
    found = cut(
        span(1, 0, 0, 100),
        span(2, 1, 10, 20),
        span(3, 1, 20, 20),
        span(4, 1, 35, 15, kind=CLIENT),
        span(5, 1, 90, 50, THERE, SERVER),
        span(6, 1, 500, 5),
    )
    assert found == Times(own_ns=50, children_ns=30, remote_ns=20, busy_ns=30, calling_ns=10)
    assert found.wall_ns == 100


def test_a_child_that_waits_for_elsewhere_is_not_at_work() -> None:
    """Its time is the children's, but it has no part in the work that samples of the local root show."""
    found = cut(span(1, 0, 0, 100), span(2, 1, 20, 60), span(3, 2, 30, 40, kind=CLIENT), span(4, 3, 35, 5, THERE))
    assert found == Times(own_ns=40, children_ns=60, remote_ns=0, busy_ns=20, calling_ns=35)


def test_the_work_of_a_service_called_back_is_not_of_this_thread() -> None:
    """A span of this service beneath another service runs for a request of its own."""
    found = cut(span(1, 0, 0, 100), span(2, 1, 20, 60, THERE, SERVER), span(3, 2, 30, 40, HERE, SERVER))
    assert found == Times(own_ns=40, children_ns=0, remote_ns=60, busy_ns=0)


def test_samples_of_a_local_root_are_split_by_time_at_work() -> None:
    """Own 40, descendants 20: of 30 on the CPU, 20 are the span's and 10 lie within its children's time."""
    found = breakdown(Times(40, 50, 10, 20), {Kind.CPU: Seen(30, 3, covers_children=True)})
    assert parts(found) == {"on_cpu": 20, "children": 50, "remote": 10, "unexplained": 20}
    assert (found.cpu_ns, found.cpu_in_children_ns, found.parallelism, found.scale) == (30, 10, 0.5, 1.0)


def test_cpu_time_that_has_no_other_place_was_spent_while_calling() -> None:
    """A thread is on the CPU once at a time: what exceeds 10 + 20 at work went into the call, as long as that was."""

    def own(cpu: int) -> tuple[int, float | None, float]:
        found = breakdown(Times(10, 20, 70, 20, 70), {Kind.CPU: Seen(cpu, 3, covers_children=True)})
        return found.parts[0].time_ns, found.parallelism, found.scale

    assert own(15) == (5, 0.15, 1.0)
    assert own(30) == (10, 0.3, 1.0)
    assert own(90) == (10, 0.9, 1.0)
    assert own(200) == (10, 2.0, 0.5)


def test_off_cpu_samples_of_a_local_root_wait_for_calls_first() -> None:
    """Of 70 off the CPU, 40 are the calls (30 of them inside children); half of the rest is the span's own."""
    seen = {Kind.CPU: Seen(0, 0, 10), Kind.OFF_CPU: Seen(70, 7, covers_children=True)}
    found = breakdown(Times(30, 60, 10, 30), seen)
    assert parts(found) == {"off_cpu": 15, "children": 60, "remote": 10, "unexplained": 15}


def test_locks_are_not_counted_twice() -> None:
    """A thread that waits for a lock is off the CPU: the off-CPU part is what locks do not explain."""
    seen = {Kind.LOCK: Seen(20, 4), Kind.OFF_CPU: Seen(50, 10), Kind.CPU: Seen(30, 3), Kind.GC: Seen(10, 1)}
    found = breakdown(Times(100, 0, 0, 0), seen)
    assert parts(found) == {"on_cpu": 20, "gc": 10, "lock": 20, "off_cpu": 30, "unexplained": 20}


def test_wall_clock_samples_stand_in_for_off_cpu_samples() -> None:
    """Less the CPU samples; alone they say nothing, and where off-CPU samples are, they are not needed."""
    wall, cpu = Seen(90, 9), Seen(30, 3)
    assert parts(breakdown(Times(100, 0, 0, 0), {Kind.WALL: wall, Kind.CPU: cpu}))["off_cpu"] == 60
    assert parts(breakdown(Times(100, 0, 0, 0), {Kind.WALL: wall})) == {"unexplained": 100}
    both = {Kind.WALL: wall, Kind.CPU: cpu, Kind.OFF_CPU: Seen(10, 1)}
    assert parts(breakdown(Times(100, 0, 0, 0), both))["off_cpu"] == 10


def test_several_threads_are_scaled_to_the_wall() -> None:
    """Four threads on the CPU for 100 and 100 of waiting: all by one factor, nothing unexplained."""
    found = breakdown(Times(100, 0, 0, 0), {Kind.CPU: Seen(400, 40), Kind.OFF_CPU: Seen(100, 10)})
    assert parts(found) == {"on_cpu": 80, "off_cpu": 20}
    assert (found.parallelism, found.scale, found.cpu_ns) == (4.0, 0.2, 400)


def test_cpu_time_used_while_children_ran_stays_theirs() -> None:
    """A span that works on while its child runs has no own time to put that work into."""
    found = breakdown(Times(0, 100, 0, 0), {Kind.CPU: Seen(80, 8)})
    assert parts(found) == {"children": 100}
    assert (found.cpu_ns, found.parallelism) == (80, None)


@pytest.mark.parametrize(("hits", "low", "high"), [(0, 0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)])
def test_the_sampling_error_is_that_of_a_count(hits: int, low: float, high: float) -> None:
    """Exact 95 % limits of a Poisson count, as tables give them, times what a hit stands for."""
    found = breakdown(Times(1000 * MS, 0, 0, 0), {Kind.CPU: Seen(hits * 10.0 * MS, hits, 10 * MS)})
    cpu = found.parts[0]
    assert cpu.low_ns == pytest.approx(low * 10 * MS, rel=1e-3, abs=1)
    assert cpu.high_ns == pytest.approx(high * 10 * MS, rel=1e-3)
    within = breakdown(Times(100, 0, 0, 0), {Kind.CPU: Seen(hits * 10.0 * MS, hits, 10 * MS)}).parts[0]
    assert (within.high_ns or 0) <= 100


def test_nothing_known_is_unexplained_and_nothing_lasted_is_nothing() -> None:
    """Without samples there is no CPU time to speak of, not zero; a span of no length has empty parts."""
    found = breakdown(cut(span(1, 0, 0, 70)), {})
    assert parts(found) == {"unexplained": 70}
    assert (found.cpu_ns, found.cpu_in_children_ns, found.parallelism) == (None, None, None)
    assert (found.parts[0].low_ns, found.parts[0].high_ns) == (None, None)
    assert parts(breakdown(cut(span(1, 0, 0, 0), span(2, 1, 0, 10)), {Kind.CPU: Seen(10, 1)})) == {}


def test_the_longest_children_are_listed_first() -> None:
    """By the part within the span; with whether they count as calls to elsewhere."""
    frame = spans(
        span(1, 0, 0, 100), span(2, 1, 90, 500), span(3, 1, 0, 30, kind=CLIENT), span(4, 1, 50, 20), span(5, 4, 50, 20)
    )
    listed = children_of(root_of(frame), frame, 2)
    assert listed.select("span", "inside_ns", "remote").rows() == [(3, 30, True), (4, 20, False)]
    assert children_of(root_of(frame), frame, 9)["inside_ns"].to_list() == [30, 20, 10]


def slow_times(frame: pl.DataFrame) -> Times:
    """Span 1, nanosecond by nanosecond."""
    rows = {row["span"]: row for row in frame.iter_rows(named=True)}

    def runs(row: dict[str, int], at: int) -> bool:
        return bool(row["start_ns"] <= at < row["start_ns"] + row["duration_ns"])

    def children(ident: int) -> list[dict[str, int]]:
        return [row for row in rows.values() if row["parent"] == ident and row["span"] != ident]

    def at_home(row: dict[str, int]) -> bool:
        return bool(row["service"] == HERE and row["kind"] != CLIENT)

    home, todo = [], [1]
    while todo:
        found = [row["span"] for row in children(todo.pop()) if at_home(row)]
        home += found
        todo += found

    def works(ident: int, at: int) -> bool:
        row = rows[ident]
        return runs(row, at) and not any(runs(child, at) for child in children(ident))

    calls = [row["span"] for row in rows.values() if row["parent"] in [1, *home] and row["kind"] == CLIENT]
    own = here = remote = busy = calling = 0
    for at in range(T0, T0 + rows[1]["duration_ns"]):
        mine = [child for child in children(1) if runs(child, at)]
        own += not mine
        here += any(at_home(child) for child in mine)
        remote += bool(mine) and not any(at_home(child) for child in mine)
        at_work = any(works(ident, at) for ident in home)
        busy += bool(mine) and at_work
        calling += bool(mine) and not at_work and any(works(ident, at) for ident in calls)
    return Times(own, here, remote, busy, calling)


@st.composite
def traces(draw: st.DrawFn) -> pl.DataFrame:
    """A span of up to 30 ns and some beneath it, in no sensible relation."""
    rows = [span(1, 0, 0, draw(st.integers(0, 30)))]
    for ident in range(2, draw(st.integers(2, 8))):
        service, kind = draw(st.sampled_from([(HERE, INTERNAL), (HERE, CLIENT), (THERE, SERVER)]))
        parent = draw(st.integers(1, ident - 1))
        rows.append(span(ident, parent, draw(st.integers(-5, 30)), draw(st.integers(0, 30)), service, kind))
    return spans(*rows)


def within_parents(frame: pl.DataFrame) -> pl.DataFrame:
    """What counts of each span: the part that lies within its parent, all the way up."""
    bounds: dict[int, tuple[int, int]] = {}
    kept = []
    for row in frame.iter_rows(named=True):  # parents come first
        low, high = bounds.get(row["parent"], (row["start_ns"], row["start_ns"] + row["duration_ns"]))
        start = min(max(row["start_ns"], low), high)
        end = max(start, min(row["start_ns"] + row["duration_ns"], high))
        bounds[row["span"]] = (start, end)
        kept.append(row | {"start_ns": start, "duration_ns": end - start})
    return pl.DataFrame(kept, schema=frame.schema)


@given(traces())
def test_times_agree_with_the_slow_twin(frame: pl.DataFrame) -> None:
    """For spans that lie within their parents."""
    frame = within_parents(frame)
    assert times(root_of(frame), frame) == slow_times(frame)


amounts = st.builds(
    Seen,
    st.floats(0, 1e12, allow_nan=False),
    st.integers(0, 10_000),
    st.integers(0, 10**8),
    covers_children=st.booleans(),
)


@given(traces(), st.dictionaries(st.sampled_from(list(Kind)), amounts))
def test_the_parts_always_add_up(frame: pl.DataFrame, seen: dict[Kind, Seen]) -> None:
    """To the nanosecond, whatever the spans and samples look like; no part is negative."""
    root = root_of(frame)
    found = breakdown(times(root, frame), seen)
    assert sum(part.time_ns for part in found.parts) == root.duration_ns
    assert min(part.time_ns for part in found.parts) >= 0
    low, high = found.parts[0].low_ns, found.parts[0].high_ns
    assert (low is None) == (high is None)
    assert low is None or high is None or 0 <= low <= high <= root.duration_ns
