"""The profiles that Go's net/http/pprof serves, and what their bytes must look like."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from correlate.errors import ConfigError, SourceMalformed

_PIECE_BYTES: Final = 1 << 20
_FIRST_TAGS: Final = bytes.fromhex("0a 12 1a 22 2a 32 38 40 48 50 5a 60 6a 70 78")
"""Tags of the fields of a profile, with which an uncompressed one begins; Go writes time or period type first."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One profile of net/http/pprof.

    Attributes:
        path: last part of its URL.
        name: first part of the type ids it gives.
        cumulative: its sample types that count since the process started; the others say how things are now.
        timed: whether it watches for a while and then answers (``?seconds=``).
    """

    path: str
    name: str
    cumulative: tuple[str, ...] = ()
    timed: bool = False


_ALLOC: Final = ("alloc_objects", "alloc_space")
_WAITS: Final = ("contentions", "delay")

KINDS: Final = {
    kind.path: kind
    for kind in (
        Kind("heap", "memory", _ALLOC),
        Kind("allocs", "memory", _ALLOC),
        Kind("goroutine", "goroutines"),
        Kind("goroutineleak", "goroutineleak"),
        Kind("mutex", "mutex", _WAITS),
        Kind("block", "block", _WAITS),
        Kind("profile", "process_cpu", timed=True),
    )
}
"""By path; in the order in which they are asked for, so what takes long comes last."""


def chosen(paths: Sequence[str]) -> list[Kind]:
    """The kinds of some paths, in the order to ask for them.

    Raises:
        ConfigError: a path is not known, or two of them hold the same numbers.
    """
    unknown = sorted(set(paths) - set(KINDS))
    if unknown:
        raise ConfigError(f"profiles: {', '.join(unknown)} not known; known are {', '.join(KINDS)}")
    if {"heap", "allocs"} <= set(paths):
        raise ConfigError("profiles: heap and allocs hold the same four types; choose one of them")
    return [kind for path, kind in KINDS.items() if path in paths]


def check_body(body: bytes, limit_bytes: int, who: str) -> None:
    """Check that a body can be a pprof profile: whole gzip of bytes that begin as a profile does, or such bytes.

    Raises:
        SourceMalformed: it is text, broken gzip, or more than `limit_bytes` uncompressed.
    """
    start = _first_byte_of_gzip(body, limit_bytes, who) if body.startswith(b"\x1f\x8b") else body[:1]
    if not start or start not in _FIRST_TAGS:
        raise SourceMalformed(f"{who} sent what is not a pprof profile ({body[:40]!r}…); is this its pprof port?")


def _first_byte_of_gzip(body: bytes, limit_bytes: int, who: str) -> bytes:
    unpacker = zlib.decompressobj(31)
    try:
        piece = unpacker.decompress(body, _PIECE_BYTES)
        start, size_bytes = piece[:1], len(piece)
        while unpacker.unconsumed_tail:
            size_bytes += len(unpacker.decompress(unpacker.unconsumed_tail, _PIECE_BYTES))
            if size_bytes > limit_bytes:
                raise SourceMalformed(f"{who} sent a profile of more than {limit_bytes} bytes uncompressed")
    except zlib.error as exc:
        raise SourceMalformed(f"{who} sent a broken gzip stream: {exc}") from exc
    if not unpacker.eof:
        raise SourceMalformed(f"{who} sent a gzip stream that ends early, after {len(body)} bytes")
    return start
