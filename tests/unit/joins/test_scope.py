"""Scopes of a trace."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from correlate.joins import scope
from correlate.model.answers import Scope
from correlate.model.ids import TraceId
from tests.support.rows import SECOND, T0, TRACE, spans


def below(parents: dict[int, int], root: int) -> set[int]:
    """Slow twin: follow each span's parents, giving up after as many steps as there are spans."""
    found = set()
    for span in parents:
        at, steps = span, 0
        while at in parents and at != root and steps <= len(parents):
            at, steps = parents[at], steps + 1
        if at == root and root in parents:
            found.add(span)
    return found


@given(st.dictionaries(st.integers(1, 12), st.integers(0, 14), min_size=1, max_size=12), st.integers(1, 12))
def test_a_subtree_is_everything_whose_parents_lead_to_the_root(parents: dict[int, int], root: int) -> None:
    """Whatever the shape: chains, bushes, missing parents, even cycles."""
    rows = spans(*({"span": span, "parent": parent} for span, parent in parents.items()))
    marked = rows.filter(pl.Series(scope.descends_from(rows, root)))
    assert set(marked["span"].to_list()) == below(parents, root)


def test_a_chain_of_ten_thousand_spans_is_no_trouble() -> None:
    """Depth costs a logarithm."""
    rows = spans(*({"span": i, "parent": i - 1} for i in range(1, 10_001)))
    assert scope.descends_from(rows, 1).sum() == 10_000
    assert scope.local_root(rows, 10_000) == 1


def test_the_local_root_is_where_the_service_begins() -> None:
    """A parent that is missing or in another service ends the climb."""
    rows = spans(
        {"span": 1, "service": "gateway"},
        {"span": 2, "parent": 1},
        {"span": 3, "parent": 2},
        {"span": 4, "parent": 99},
    )
    assert [scope.local_root(rows, span) for span in (1, 2, 3, 4, 5)] == [1, 2, 2, 4, None]


def test_references_to_profiles_are_read_by_their_length() -> None:
    """16 digits name a span label, 32 a whole profile, anything else nothing."""
    rows = spans(
        {"span": 1, "profile_ref": f"{1:016x}"},
        {"span": 2, "parent": 1, "profile_ref": f"{77:016x}"},
        {"span": 3, "parent": 1, "profile_ref": f"{5:016x}{6:016x}"},
        {"span": 4, "parent": 1, "profile_ref": "n/a"},
    )
    found = scope.in_scope(TraceId(*TRACE), rows, 1, Scope.SUBTREE)
    assert found.referred_ids.tolist() == [77]
    assert found.referred_profiles.tolist() == [[5, 6]]
    assert sorted(found.ids.tolist()) == [1, 2, 3, 4]


def test_wall_time_counts_overlaps_once_and_gaps_not_at_all() -> None:
    """The union of the intervals."""
    rows = spans(
        {"span": 1, "start_ns": T0, "duration_ns": 4 * SECOND},
        {"span": 2, "start_ns": T0 + SECOND, "duration_ns": SECOND},
        {"span": 3, "start_ns": T0 + 3 * SECOND, "duration_ns": 2 * SECOND},
        {"span": 4, "start_ns": T0 + 9 * SECOND, "duration_ns": SECOND},
    )
    assert scope.wall_ns(rows) == 6 * SECOND
