"""Gzip inside a format, undone with a limit; and done again, the same bytes for the same input."""

import zlib

from correlate.errors import Malformed, TooLarge
from correlate.formats.limits import MAX_RAW_BYTES

GZIP_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS


def gunzip(body: bytes, limit_bytes: int = MAX_RAW_BYTES) -> bytes:
    """Undo gzip where the magic bytes say so (several members in a row too); other bytes pass as they are.

    Raises:
        TooLarge: more than `limit_bytes` come out.
        Malformed: the gzip stream is broken or ends early.
    """
    if not body.startswith(GZIP_MAGIC):
        return _within(body, limit_bytes)
    parts = [b""]
    while body.startswith(GZIP_MAGIC):
        part, body = _member(body, limit_bytes - sum(map(len, parts)))
        parts.append(part)
    return b"".join(parts)


def gzip(raw: bytes) -> bytes:
    """Compress without a time stamp or a name, so that equal input gives equal output."""
    packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return packer.compress(raw) + packer.flush()


def _member(body: bytes, limit_bytes: int) -> tuple[bytes, bytes]:
    """One gzip member and what follows it."""
    unpacker = zlib.decompressobj(_GZIP)
    try:
        part = _within(unpacker.decompress(body, limit_bytes + 1), limit_bytes)
    except zlib.error as error:
        raise Malformed(f"broken gzip stream of {len(body)} bytes: {error}") from error
    if not unpacker.eof:
        raise Malformed(f"the gzip stream of {len(body)} bytes ends early")
    return part, unpacker.unused_data


def _within(raw: bytes, limit_bytes: int) -> bytes:
    if len(raw) > limit_bytes:
        raise TooLarge(f"more than {limit_bytes:,} bytes uncompressed (limit {MAX_RAW_BYTES:,} in one request)")
    return raw
