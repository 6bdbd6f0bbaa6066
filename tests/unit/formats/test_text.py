"""Bytes as text."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from correlate.formats.arrow import integers, ragged
from correlate.formats.text import utf8


@given(st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\xe2\x82", b"a\n\xff", "é".encode()])))
def test_utf8_is_python_s_lossy_decoding(values: list[bytes]) -> None:
    """Every value is decoded as if alone, whatever its neighbours end with."""
    assert utf8(pa.array(values, pa.large_binary())).to_list() == [v.decode("utf-8", "replace") for v in values]


def test_utf8_of_a_slice_with_a_null() -> None:
    """Slices keep to their own values, a null is empty."""
    column = pa.array([b"no", b"\xff", None, b"yes", b"no"], pa.large_binary()).slice(1, 3)
    assert utf8(column).to_list() == ["\ufffd", "", "yes"]


def test_ragged_of_a_slice_starts_at_zero() -> None:
    """A slice of a list column has its own offsets and values."""
    values, offsets = ragged(pa.array([[1], [2, 3], [], [4]]).slice(1, 2))
    assert values.to_pylist() == [2, 3]
    assert offsets.tolist() == [0, 2, 2]


def test_integers_bit_cast_unsigned_and_fill_nulls() -> None:
    """64 bits in, the same 64 bits out."""
    assert integers(pa.array([2**64 - 1, 1], pa.uint64())).tolist() == [-1, 1]
    assert integers(pa.array([None, 7], pa.int64())).tolist() == [0, 7]
