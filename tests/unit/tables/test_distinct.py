"""Numbering distinct values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from correlate.tables import distinct
from correlate.tables.ragged import offsets_of


@given(st.lists(st.integers(0, 40)), st.sampled_from([41, 1 << 40]))
def test_codes_are_numbered_ascending(codes: list[int], code_count: int) -> None:
    """By table or by sorting, as the range of the codes suggests: the same numbers."""
    array = np.array(codes, np.int64)
    found, index = distinct.number_codes(array, code_count)
    assert found.tolist() == distinct.distinct_codes(array, code_count).tolist() == sorted(set(codes))
    assert found[index].tolist() == codes


@given(st.lists(st.sampled_from([-(2**63), -1, 0, 7, 2**63 - 1])), st.sampled_from([1, 100]))
def test_values_are_numbered_in_order_of_appearance(values: list[int], repeats: int) -> None:
    """With the place of each value's first occurrence; long columns and short ones alike."""
    values *= repeats
    array = np.array(values, np.int64)
    first, index = distinct.number_values(array)
    assert array[first].tolist() == list(dict.fromkeys(values))
    assert array[first][index].tolist() == values
    assert distinct.first_of_each(array).tolist() == first.tolist()


@given(st.lists(st.lists(st.integers(-2, 2), max_size=3)))
def test_sequences_are_numbered_by_content(rows: list[list[int]]) -> None:
    """Equal sequences get one number, the empty one too."""
    items = np.array([item for row in rows for item in row], np.int64)
    first, index = distinct.number_sequences(items, offsets_of(np.array([len(row) for row in rows], np.int64)))
    assert [rows[at] for at in first] == [list(row) for row in dict.fromkeys(map(tuple, rows))]
    assert [rows[first[at]] for at in index] == rows
