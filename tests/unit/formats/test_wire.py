"""The fast decoder against the generated classes."""

import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import Malformed
from correlate.formats import wire
from correlate.formats.proto.pprof_pb2 import Profile
from correlate.formats.proto.pyroscope_push_pb2 import PushRequest
from tests.support.pprof import simple

BROKEN = b"\x0a\xff\xff"


def test_one_row_per_payload() -> None:
    """Each payload is a row, in order."""
    batch = wire.decode(Profile, [simple("a"), simple("b")])
    assert [b"a" in names for names in batch.column("string_table").to_pylist()] == [True, False]
    assert batch.num_rows == 2


def test_no_payloads_give_no_rows() -> None:
    """An empty call is not an error."""
    assert wire.decode(Profile, []).num_rows == 0


def test_a_broken_payload_costs_only_itself() -> None:
    """The others are decoded and the broken one is named by its number."""
    decoded = wire.decode_each(Profile, [simple("a"), BROKEN, simple("b")])
    assert decoded.payload.tolist() == [0, 2]
    assert decoded.batch.num_rows == 2
    assert [index for index, _ in decoded.errors] == [1]
    assert "message 2 of 3" in str(decoded.errors[0][1])


def test_decode_refuses_when_one_is_broken() -> None:
    """`decode` is all or nothing."""
    with pytest.raises(Malformed, match="message 2 of 2"):
        wire.decode(Profile, [simple(), BROKEN])


def test_slow_decode_agrees_with_the_fast_way() -> None:
    """The second opinion has the same columns."""
    assert wire.slow_decode(Profile, simple()).equals(wire.decode(Profile, [simple()]))


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_are_malformed(raw: bytes) -> None:
    """No other exception comes out, whatever goes in."""
    decoded = wire.decode_each(PushRequest, [raw])
    assert decoded.batch.num_rows + len(decoded.errors) == 1


@given(st.integers(0, 400), st.integers(0, 255))
def test_mutated_profiles_agree_with_the_generated_class(at: int, byte: int) -> None:
    """Where both read a damaged profile, they read the same string table and the same number of samples."""
    raw = bytearray(simple())
    raw[at % len(raw)] = byte
    decoded = wire.decode_each(Profile, [bytes(raw)])
    if decoded.errors:
        return
    try:
        twin = Profile.FromString(bytes(raw))
    except DecodeError:  # the fast decoder is more lenient in a few cases
        return
    assert decoded.batch.column("string_table")[0].as_py() == list(twin.string_table)
    assert len(decoded.batch.column("sample")[0].as_py()) == len(twin.sample)


def test_encode_is_the_inverse_of_decode() -> None:
    """What is written is the same message, by the generated class's judgement."""
    raw = simple()
    (written,) = wire.encode(Profile, wire.decode(Profile, [raw]))
    assert Profile.FromString(written) == Profile.FromString(raw)


def test_an_absent_message_stays_absent() -> None:
    """A profile without a period type has none after a round trip either."""
    (written,) = wire.encode(Profile, wire.decode(Profile, [Profile(period=1).SerializeToString()]))
    assert not Profile.FromString(written).HasField("period_type")


def test_schema_has_wide_offsets() -> None:
    """Lists have 64-bit offsets."""
    assert pa.types.is_large_list(wire.schema(Profile).field("sample").type)
