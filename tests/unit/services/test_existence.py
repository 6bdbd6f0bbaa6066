"""Going down a ranking of spans until enough of them exist."""

from collections.abc import Callable

import polars as pl
import pytest

from correlate.model.ids import TraceId
from correlate.model.queries import TimeRange
from correlate.services.existence import Checked, Existence
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, TRACE, spans, with_series

WINDOW = TimeRange(T0 - SECOND, T0 + 60 * SECOND)


class Sources:
    """Other systems: they have some spans, or say why they could not be asked."""

    def __init__(self, lake: FakeLake, has: set[int] = frozenset(), says: dict[int, str] | None = None) -> None:
        self.lake, self.has, self.says = lake, has, says or {}
        self.asked: list[int] = []

    def bring(self, trace: TraceId, wait_s: float) -> list[str] | None:
        """A trace holds one span here, numbered like it."""
        assert wait_s > 0
        self.asked.append(trace.lo)
        if trace.lo in self.has:
            self.lake.submit(stored(trace.lo, payload=trace.lo + 100))
        return [self.says[trace.lo]] if trace.lo in self.says else []


class Nobody:
    """No system can be asked."""

    def bring(self, trace: TraceId, wait_s: float) -> list[str] | None:
        """Nothing."""
        return None


def stored(*idents: int, payload: int = 1):  # type: ignore[no-untyped-def]
    """Spans, each in a trace of its number."""
    return with_series(spans(*({"span": i, "trace_hi": 1, "trace_lo": i, "payload": payload} for i in idents)))


def ranking(*idents: int, traces: bool = True) -> pl.DataFrame:
    """Spans in some order."""
    hi, lo = ([1] * len(idents), list(idents)) if traces else ([0] * len(idents), [0] * len(idents))
    return pl.DataFrame(
        {"trace_hi": hi, "trace_lo": lo, "span": list(idents), "value": list(range(len(idents), 0, -1))},
        schema=dict.fromkeys(("trace_hi", "trace_lo", "span", "value"), pl.Int64),
    )


def figures(found: Checked) -> tuple[list[int], int, int, int]:
    """The spans found, and how many were looked at, are dead, are unresolved."""
    return found.rows["span"].to_list(), found.checked, found.dead, found.unresolved


def test_what_is_stored_exists_and_nobody_is_asked() -> None:
    """Only as many are looked at as are wanted."""
    lake = FakeLake(stored(1, 2, 3))
    sources = Sources(lake)
    assert figures(Existence(lake, sources).check(ranking(1, 2, 3), WINDOW, 2)) == ([1, 2], 2, 0, 0)
    assert sources.asked == []


def test_what_is_not_stored_is_asked_for_and_taken() -> None:
    """In the order of the ranking, as far as it matters: what nobody has is dead."""
    lake = FakeLake(stored(1, 4))
    sources = Sources(lake, has={3})
    found = Existence(lake, sources).check(ranking(1, 2, 3, 4, 5), WINDOW, 3)
    assert figures(found) == ([1, 3, 4], 4, 1, 0)
    assert sources.asked == [2, 3]
    assert found.dead_share == 0.25


def test_who_does_not_answer_proves_nothing() -> None:
    """Such a span is neither alive nor dead, and the reason is told once."""
    lake = FakeLake(stored(1))
    found = Existence(lake, Sources(lake, says={2: "tempo is down", 3: "tempo is down"})).check(
        ranking(1, 2, 3, 4), WINDOW, 9
    )
    assert figures(found) == ([1], 2, 1, 2)
    assert found.notes == ("tempo is down",)


def test_with_nobody_to_ask_what_is_not_stored_is_dead() -> None:
    """The share of dead links is of those looked at, not of all there are."""
    found = Existence(FakeLake(stored(3, 4, 9)), Nobody()).check(ranking(1, 2, 3, 4, 5, 6), WINDOW, 2)
    assert figures(found) == ([3, 4], 4, 2, 0)
    assert found.dead_share == 0.5


def test_questions_are_limited_in_number_and_time() -> None:
    """What lies below the last question is not counted, though it may be stored."""
    lake = FakeLake(stored(99))
    sources = Sources(lake)
    assert figures(Existence(lake, sources).check(ranking(*range(1, 40), 99), WINDOW, 5)) == ([], 20, 20, 0)
    assert len(sources.asked) == 20
    ticks: Callable[[], float] = iter([0.0, 1.0, 1.0, 3.0, 3.0, 6.0]).__next__
    slow = Existence(lake, sources, wait_s=5.0, monotonic_s=ticks).check(ranking(1, 2, 3, 99), WINDOW, 5)
    assert figures(slow) == ([], 2, 2, 0)


def test_a_span_named_without_its_trace_is_found_by_its_id() -> None:
    """And takes the trace that it is stored in; nobody can be asked for it."""
    lake = FakeLake(stored(1))
    sources = Sources(lake, has={2})
    found = Existence(lake, sources).check(ranking(1, 2, traces=False), WINDOW, 5)
    assert figures(found) == ([1], 2, 1, 0)
    assert found.rows.select("trace_hi", "trace_lo").row(0) == (1, 1)
    assert sources.asked == []


def test_the_same_span_id_in_another_trace_is_another_span() -> None:
    """Ids are unique within a trace only."""
    other = FakeLake(with_series(spans({"span": 1, "trace_hi": TRACE[0], "trace_lo": TRACE[1]})))
    assert figures(Existence(other, Nobody()).check(ranking(1), WINDOW, 5)) == ([], 1, 1, 0)


@pytest.mark.parametrize("limit", [1, 5])
def test_nothing_to_check(limit: int) -> None:
    """No spans are named: no share."""
    found = Existence(FakeLake(), Nobody()).check(ranking(), WINDOW, limit)
    assert (figures(found), found.dead_share) == (([], 0, 0, 0), None)
