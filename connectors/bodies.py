"""Bodies of answers: read within limits, unpacked within limits, and what they are when they are not what was asked."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from correlate.errors import SourceMalformed, SourceRefused

_CODINGS: Final = {"gzip": 31, "x-gzip": 31, "deflate": 47}
"""Content coding to the window bits of zlib: gzip, and zlib or gzip by its header."""
_PIECE_BYTES: Final = 1 << 20


class AnswerTooLarge(SourceRefused):
    """One answer is larger than the limit; others may not be."""


def unpacked(chunks: Iterable[bytes], coding: str, who: str) -> Iterator[bytes]:
    """Undo the content coding, never more than 1 MiB at a time whatever the compressed bytes claim.

    Raises:
        SourceMalformed: an unknown coding, or bytes that are not in it.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        yield from chunks
    elif coding in _CODINGS:
        yield from _inflated(chunks, _CODINGS[coding], who)
    else:
        raise SourceMalformed(f"{who} compressed its answer as {coding[:40]!r}, which it was not asked to")


def _inflated(chunks: Iterable[bytes], bits: int, who: str) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(bits)
    try:
        for chunk in chunks:
            pending = chunk
            while pending:
                if unpacker.eof:  # gzip allows members one after the other
                    unpacker = zlib.decompressobj(bits)
                yield unpacker.decompress(pending, _PIECE_BYTES)
                pending = unpacker.unconsumed_tail or unpacker.unused_data
        while piece := unpacker.decompress(b"", _PIECE_BYTES):
            yield piece
    except zlib.error as exc:
        raise SourceMalformed(f"{who} sent a compressed body that is broken: {exc}") from exc
    if not unpacker.eof:
        raise SourceMalformed(f"{who} sent a compressed body that ends in the middle")


def collected(pieces: Iterable[bytes], limit_bytes: int, who: str) -> bytes:
    """Put a body together.

    Raises:
        AnswerTooLarge: it is larger than the limit; reading stops there.
    """
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit_bytes:
            raise AnswerTooLarge(
                f"{who} answered with more than {limit_bytes} bytes; ask for less or raise max_response_bytes"
            )
    return bytes(body)


def looks_like_html(content_type: str, body: bytes) -> bool:
    """Whether a body is a page for people: a login, a proxy's error, a load balancer's excuse."""
    if content_type.split(";", maxsplit=1)[0].strip().lower() in ("text/html", "application/xhtml+xml"):
        return True
    start = body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html"))


def excerpt(body: bytes, limit: int = 200) -> str:
    """The beginning of a body as one printable line, for messages."""
    text = " ".join(body[: 4 * limit].decode("utf-8", "replace").split())
    shown = "".join(letter for letter in text if letter.isprintable())
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
