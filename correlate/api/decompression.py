"""HTTP's content codings, undone step by step, so that a bomb is noticed while it is small."""

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import zstandard

from correlate.errors import Malformed

_MAX_STREAMS: Final = 4096
_MAX_WINDOW_BYTES: Final = 8 << 20
ACCEPTED_CODINGS: Final = "gzip, deflate, zstd"
"""What ``Content-Encoding`` may name, besides ``identity``."""


class _Decoder(Protocol):
    """A decompressor of one stream, as zlib and zstandard have them."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: memoryview | bytes, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Coding:
    """How to undo one coding.

    Attributes:
        decoder: makes the decompressor for a stream that starts with the given bytes.
        step_bytes: how much input it gets at a time. That is what bounds a bomb: deflate expands by 1032 at most and
            zstd writes up to 128 KiB per block of 4 bytes, so a step makes 4 MiB respectively 16 MiB at the worst.
    """

    decoder: Callable[[bytes | memoryview], _Decoder]
    step_bytes: int


def is_known(name: str) -> bool:
    """Whether a content coding can be undone."""
    return name in _CODINGS


def expand(name: str, body: bytes, allow: Callable[[int], None]) -> bytes:
    """Undo one content coding; several streams one after the other are one body, an empty body stays empty.

    Args:
        name: a known coding, lower case.
        body: what it was applied to.
        allow: called with the size in bytes that the result is about to have; raises when that is too much.

    Raises:
        Malformed: broken, truncated, or of very many streams.
    """
    coding, result, view = _CODINGS[name], io.BytesIO(), memoryview(body)
    stream = _Streams(coding.decoder)
    for start in range(0, len(body), coding.step_bytes):
        for produced in stream.feed(view[start : start + coding.step_bytes], name):
            allow(result.tell() + len(produced))
            result.write(produced)
    if not stream.complete:
        raise Malformed(f"the body says Content-Encoding: {name}, but its compressed stream is cut off")
    return result.getvalue()


class _Streams:
    """Concatenated compressed streams, decompressed piece by piece."""

    def __init__(self, new_decoder: Callable[[bytes | memoryview], _Decoder]) -> None:
        self._new_decoder = new_decoder
        self._decoder: _Decoder | None = None
        self._count = 0

    @property
    def complete(self) -> bool:
        """Whether the last stream, if any, has ended."""
        return self._decoder is None or self._decoder.eof

    def feed(self, piece: bytes | memoryview, name: str) -> list[bytes]:
        """Decompress the next piece of input, which may end streams and begin others."""
        produced = []
        try:
            while piece:
                decoder = self._current(piece)
                produced.append(decoder.decompress(piece))
                piece = decoder.unused_data if decoder.eof else b""
        except (zlib.error, zstandard.ZstdError) as exc:
            raise Malformed(f"the body says Content-Encoding: {name}, but does not decompress: {exc}") from exc
        return produced

    def _current(self, piece: bytes | memoryview) -> _Decoder:
        if self._decoder is None or self._decoder.eof:
            self._count += 1
            if self._count > _MAX_STREAMS:
                raise Malformed(f"the body is made of more than {_MAX_STREAMS} compressed streams")
            self._decoder = self._new_decoder(piece)
        return self._decoder


def _gzip(_start: bytes | memoryview) -> _Decoder:
    return zlib.decompressobj(wbits=31)


def _deflate(start: bytes | memoryview) -> _Decoder:
    """HTTP's deflate is zlib's format (RFC 1950), but some send the bare stream (RFC 1951)."""
    wrapped = len(start) > 1 and start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return zlib.decompressobj(wbits=15 if wrapped else -15)


def _zstd(_start: bytes | memoryview) -> _Decoder:
    # RFC 9659 limits the window of the HTTP coding to 8 MB; the library would allow 128 MiB for each body.
    return zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).decompressobj()


_CODINGS: Final = {
    "gzip": _Coding(_gzip, 4096),
    "x-gzip": _Coding(_gzip, 4096),
    "deflate": _Coding(_deflate, 4096),
    "zstd": _Coding(_zstd, 512),
}
