"""Bodies within limits."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bodies import collected, excerpt, looks_like_html, unpacked
from correlate.errors import SourceMalformed


def cut(data: bytes, size_bytes: int) -> list[bytes]:
    """As it may come from a socket."""
    return [data[at : at + size_bytes] for at in range(0, len(data), size_bytes)]


@given(st.binary(max_size=5000), st.binary(max_size=100), st.integers(1, 700), st.sampled_from(["gzip", "deflate", ""]))
def test_what_was_packed_is_unpacked(data: bytes, more: bytes, size_bytes: int, coding: str) -> None:
    """In chunks of any size; two gzip members are one body."""
    packed = {
        "gzip": gzip.compress(data) + gzip.compress(more),
        "deflate": zlib.compress(data + more),
        "": data + more,
    }[coding]
    assert b"".join(unpacked(cut(packed, size_bytes), coding, "it")) == data + more


@given(st.binary(max_size=300), st.integers(1, 50))
def test_broken_bytes_are_said_to_be_broken(data: bytes, size_bytes: int) -> None:
    """Never another error."""
    with contextlib.suppress(SourceMalformed):
        b"".join(unpacked(cut(data, size_bytes), "gzip", "it"))


def test_a_bomb_is_unpacked_a_piece_at_a_time() -> None:
    """Whatever a few bytes unpack to, memory holds a mebibyte more than the limit."""
    packed = gzip.compress(bytes(64 << 20), 9)
    assert max(map(len, unpacked([packed], "gzip", "it"))) <= 1 << 20
    with pytest.raises(Exception, match="max_response_bytes"):
        collected(unpacked([packed], "gzip", "it"), 1000, "it")


@pytest.mark.parametrize(
    ("content_type", "body", "is_html"),
    [
        ("text/html; charset=utf-8", b"", True),
        ("", b"\xef\xbb\xbf\n<!DOCTYPE html>", True),
        ("application/json", b"<html>", True),
        ("application/json", b'{"a": "<html>"}', False),
        ("application/protobuf", b"\x0a\x00", False),
    ],
)
def test_pages_are_recognised(content_type: str, body: bytes, is_html: bool) -> None:
    """By what they say and by what they are."""
    assert looks_like_html(content_type, body) is is_html


@given(st.binary(max_size=3000))
def test_an_excerpt_is_one_short_printable_line(body: bytes) -> None:
    """Whatever the body is."""
    text = excerpt(body)
    assert len(text) <= 201
    assert text.isprintable()
