"""What is small on the wire and large in memory is counted before memory is spent on it."""

import time
import zlib

import pytest

from correlate.errors import Malformed, TooLarge
from correlate.formats import otlp_json
from correlate.formats.collapsed import CollapsedContext, read_collapsed
from correlate.formats.inflate import gunzip, gzip
from correlate.formats.json_size import check_values
from correlate.formats.limits import MAX_COLLAPSED_LINES, MAX_JSON_VALUES, MAX_PUSH_ITEMS
from correlate.formats.pyroscope_push import read
from correlate.formats.top_level import contents
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.model.profile_type import ProfileType
from tests.support.otlp import chunk, fixed, number
from tests.support.pprof import simple
from tests.support.requests import push

CPU = ProfileType("process_cpu", "cpu", "nanoseconds")


def pushed(body: bytes, encoding: Encoding = Encoding.PROTOBUF) -> int:
    """How many profiles a push holds."""
    return len(read(RawPayload(PayloadKind.PYROSCOPE_PUSH, body, 1, encoding)).profiles)


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00" * (MAX_PUSH_ITEMS + 1),
        chunk(1, b"\x12\x00" * MAX_PUSH_ITEMS),
        chunk(1, b"\x0a\x00" * MAX_PUSH_ITEMS),
    ],
    ids=["series", "profiles", "labels"],
)
def test_a_push_of_very_many_items_is_too_large(body: bytes) -> None:
    """Series, profiles and labels count together."""
    with pytest.raises(TooLarge, match="100,000"):
        pushed(body)


def test_the_sizes_of_a_push_do_not_count_but_its_items() -> None:
    """A usual push passes, and a broken one is told by the decoder."""
    assert pushed(push(simple())) == 2
    with pytest.raises(Malformed, match="cut off"):
        pushed(push(simple())[:-5])


def test_json_of_very_many_values_is_too_large() -> None:
    """On both doors that take JSON; the limit itself is allowed."""
    body = b"[" + b"," * (MAX_JSON_VALUES - 1)
    check_values(body)
    with pytest.raises(TooLarge, match="protobuf"):
        check_values(body + b",")
    with pytest.raises(TooLarge):
        otlp_json.load(body + b",")
    with pytest.raises(TooLarge):
        pushed(body + b",", Encoding.JSON)


def test_folded_stacks_of_very_many_lines_are_too_large() -> None:
    """With what to do instead."""
    with pytest.raises(TooLarge, match="add up"):
        read_collapsed(b"a 1\n" * (MAX_COLLAPSED_LINES + 1), CollapsedContext("x", 1, CPU))


def test_gzip_of_very_many_members_ends_early() -> None:
    """In a time that does not grow with the square of their number; a few thousand are fine."""
    member = zlib.compressobj(wbits=31).flush()
    assert gunzip(member * 4000 + gzip(b"end")) == b"end"
    start = time.perf_counter()
    with pytest.raises(Malformed, match="members"):
        gunzip(member * 500_000)
    assert time.perf_counter() - start < 5


def test_gzip_members_are_read_across_steps() -> None:
    """Members that end anywhere, and bytes behind them that are none."""
    parts = [bytes([at % 251]) * (at * 7919) for at in range(40)]
    packed = b"".join(gzip(part) for part in parts)
    assert gunzip(packed) == b"".join(parts)
    assert gunzip(packed + b"\x1f") == b"".join(parts)
    noisy = zlib.compressobj(0, wbits=31)
    stored = noisy.compress(bytes(300_000)) + noisy.flush()
    assert gunzip(stored * 3) == bytes(900_000)


def test_contents_of_fields_are_views_up_to_the_first_broken_one() -> None:
    """Fields without a length have none."""
    raw = chunk(1, b"ab") + number(2, 300) + fixed(3, 7) + chunk(1, b"") + b"\x0a\x05x"
    assert [bytes(content) for content in contents(memoryview(raw))] == [b"ab", b"", b"", b""]
    assert list(contents(memoryview(b""))) == []
