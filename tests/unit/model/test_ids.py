"""Ids at the edges."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadQuery
from correlate.model.ids import format_span_id, parse_span_id, parse_trace_id, signed, trace_id_from_bytes


@given(st.integers(1, 2**128 - 1))
def test_a_trace_id_survives_both_directions(value: int) -> None:
    """Hexadecimal to signed halves and back, and from bytes, is the identity."""
    text = f"{value:032x}"
    assert str(parse_trace_id(text)) == text
    assert parse_trace_id(text) == trace_id_from_bytes(bytes.fromhex(text))


@given(st.integers(1, 2**64 - 1))
def test_a_span_id_survives_both_directions(value: int) -> None:
    """Hexadecimal to a signed integer and back is the identity."""
    assert format_span_id(parse_span_id(f"{value:x}")) == f"{value:016x}"
    assert parse_span_id(f"{value:016X}") == signed(value)


@pytest.mark.parametrize("text", ["", "0", "0" * 16, "xyz", "1" * 17, "-1", "0x1", "1 2", "é"])
def test_a_bad_span_id_is_refused_with_the_text_in_the_message(text: str) -> None:
    """What is not an id is told apart from an id, and zero means none."""
    with pytest.raises(BadQuery, match="span id"):
        parse_span_id(text)
