"""Stable hashes."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from correlate.tables import hashing

lists = st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=6), max_size=8)


def ragged(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists of integers as items and offsets."""
    items = np.array([item for row in rows for item in row], np.int64)
    return items, np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)


def test_hash_values_never_change() -> None:
    """Stored data is found by these values: a change makes old data unreachable."""
    assert hashing.hash_one("checkout") == hashing.hash_text(pl.Series(["checkout"]))[0]
    assert hashing.hash_text(pl.Series(["", "a", "checkout"])).tolist() == [
        0,
        -1817709641818812897,
        -3937978556944469044,
    ]
    items, offsets = ragged([[1, 2, 3], [], [1, 2]])
    assert hashing.sequence_hashes(items, offsets).tolist() == [-2767883767369117522, 0, 6022199712777747390]
    assert hashing.combine([np.array([1, 2]), np.array([3, 4])]).tolist() == [7271947410706727741, 3000535039659411077]


@given(lists)
def test_equal_prefixes_have_equal_hashes_and_others_do_not(rows: list[list[int]]) -> None:
    """A prefix hash stands for the whole path from the root."""
    items, offsets = ragged(rows)
    hashes = hashing.prefix_hashes(items, offsets)
    prefixes = [tuple(row[: depth + 1]) for row in rows for depth in range(len(row))]
    assert len(set(hashes.tolist())) == len(set(prefixes))
    assert len({(h, p) for h, p in zip(hashes.tolist(), prefixes, strict=True)}) == len(set(prefixes))


@given(lists)
def test_a_sequence_hash_is_its_last_prefix_hash(rows: list[list[int]]) -> None:
    """And the empty sequence is 0, which means none."""
    items, offsets = ragged(rows)
    prefixes = hashing.prefix_hashes(items, offsets)
    whole = hashing.sequence_hashes(items, offsets)
    for row, end, value in zip(rows, offsets[1:], whole, strict=True):
        assert value == (prefixes[end - 1] if row else 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), max_size=30), st.randoms())
def test_a_bag_does_not_care_for_order_but_for_repetition(rows: list[tuple[int, int]], random: object) -> None:
    """Shuffled rows hash alike, a doubled row does not."""
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    def bags(of: list[tuple[int, int]]) -> list[int]:
        group = np.array([g for g, _ in of], np.int64)
        return hashing.bag_hashes(np.array([v for _, v in of], np.int64), group, 4).tolist()

    assert bags(rows) == bags(shuffled)
    if rows:
        assert bags(rows) != bags([*rows, rows[0]])
