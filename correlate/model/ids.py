"""Trace, span and profile ids: hexadecimal at the edges, signed 64-bit integers inside."""

import re
import struct
from typing import NamedTuple

from correlate.errors import BadQuery

_HEX = re.compile(r"[0-9a-fA-F]+")


class TraceId(NamedTuple):
    """A 128-bit trace id as two signed halves."""

    hi: int
    lo: int

    def __str__(self) -> str:
        return f"{self.hi & _MASK:016x}{self.lo & _MASK:016x}"


_MASK = (1 << 64) - 1


def signed(value: int) -> int:
    """Bit-cast an unsigned 64-bit integer to a signed one."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def parse_trace_id(text: str) -> TraceId:
    """Read a trace id of 1 to 32 hexadecimal digits (short ids are padded on the left, as Tempo does).

    Raises:
        BadQuery: not hexadecimal, too long, or all zero.
    """
    value = _parse(text, 32, "trace id")
    return TraceId(signed(value >> 64), signed(value))


def parse_span_id(text: str) -> int:
    """Read a span id of 1 to 16 hexadecimal digits.

    Raises:
        BadQuery: not hexadecimal, too long, or all zero.
    """
    return signed(_parse(text, 16, "span id"))


def format_span_id(span: int) -> str:
    """Write a span id (or any 64-bit id) as 16 hexadecimal digits."""
    return f"{span & _MASK:016x}"


def trace_id_from_bytes(raw: bytes) -> TraceId:
    """Read the 16 bytes of a trace id, big endian."""
    return TraceId(*struct.unpack(">qq", raw))


def _parse(text: str, digits: int, what: str) -> int:
    cleaned = text.strip()
    if not _HEX.fullmatch(cleaned) or len(cleaned) > digits:
        raise BadQuery(f"{what} {text[:64]!r} is not up to {digits} hexadecimal digits")
    value = int(cleaned, 16)
    if value == 0:
        raise BadQuery(f"{what} {text!r} is all zeros, which means 'no id'")
    return value
