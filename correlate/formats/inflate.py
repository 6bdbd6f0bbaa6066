"""Gzip inside a format, undone with a limit; and done again, the same bytes for the same input."""

import io
import zlib
from typing import Final

from correlate.errors import Malformed, TooLarge
from correlate.formats.limits import MAX_RAW_BYTES

GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS
_STEP_BYTES: Final = 1 << 16
_MAX_MEMBERS: Final = 4096


def gunzip(body: bytes, limit_bytes: int = MAX_RAW_BYTES) -> bytes:
    """Undo gzip where the magic bytes say so (several members in a row too); other bytes pass as they are.

    Raises:
        TooLarge: more than `limit_bytes` come out.
        Malformed: the gzip stream is broken or ends early.
    """
    if not body.startswith(GZIP_MAGIC):
        return _within(body, limit_bytes)
    out, at = io.BytesIO(), 0
    for _ in range(_MAX_MEMBERS):
        at = _member(body, at, out, limit_bytes)
        if body[at : at + len(GZIP_MAGIC)] != GZIP_MAGIC:
            return out.getvalue()
    raise Malformed(f"a gzip stream of more than {_MAX_MEMBERS:,} members")


def gzip(raw: bytes) -> bytes:
    """Compress without a time stamp or a name, so that equal input gives equal output."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return packer.compress(raw) + packer.flush()


def _member(body: bytes, at: int, out: io.BytesIO, limit_bytes: int) -> int:
    """Undo one gzip member; returns where it ends.

    It is fed in steps: what follows the end of a member comes back as a copy, which would be of the whole rest.
    """
    unpacker, view = zlib.decompressobj(_GZIP), memoryview(body)
    while not unpacker.eof:
        piece = view[at : at + _STEP_BYTES]
        if not piece:
            raise Malformed(f"the gzip stream of {len(body)} bytes ends early")
        try:
            out.write(unpacker.decompress(piece, limit_bytes - out.tell() + 1))
        except zlib.error as error:
            raise Malformed(f"broken gzip stream of {len(body)} bytes: {error}") from error
        _check(out.tell(), limit_bytes)
        at += len(piece) - len(unpacker.unused_data)
    return at


def _within(raw: bytes, limit_bytes: int) -> bytes:
    _check(len(raw), limit_bytes)
    return raw


def _check(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise TooLarge(f"the profiles of one request have more than {MAX_RAW_BYTES:,} bytes uncompressed")
