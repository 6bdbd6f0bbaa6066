"""The outermost fields of a protobuf message, read without knowing which message it is."""

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

Buffer = TypeVar("Buffer", bytes, memoryview)


class Field(NamedTuple, Generic[Buffer]):
    """A field: its number, and its content when it has a length (else empty)."""

    number: int
    content: Buffer


def top_level_fields(raw: bytes, limit: int) -> list[Field[bytes]] | None:
    """The first few *runs* of fields of a message: of neighbours with the same number only the first is given.

    Returns:
        None when the bytes are not a protobuf message.
    """
    fields: list[Field[bytes]] = []
    at = 0
    while at < len(raw) and len(fields) < limit:
        step = _field(raw, at)
        if step is None:
            return None
        field, at = step
        if not fields or fields[-1].number != field.number:
            fields.append(field)
    return fields


def contents(raw: memoryview) -> Iterator[memoryview]:
    """The contents of all fields, one after the other, up to the first one that is broken; nothing is copied."""
    at = 0
    while at < len(raw):
        step = _field(raw, at)
        if step is None:
            return
        field, at = step
        yield field.content


_FIXED_BYTES = {1: 8, 5: 4}


def _field(raw: Buffer, at: int) -> tuple[Field[Buffer], int] | None:
    """The field at a position, and the position after it; None when there is no field."""
    tag, at = _varint(raw, at)
    number, wire_type = tag >> 3, tag & 7
    if not 0 < number < 1 << 29 or at < 0:
        return None
    if wire_type == 0:
        _, end = _varint(raw, at)
        return (Field(number, raw[:0]), end) if end > 0 else None
    if wire_type == 2:
        length, at = _varint(raw, at)
        end = at + length
        return (Field(number, raw[at:end]), end) if at >= 0 and end <= len(raw) else None
    end = at + _FIXED_BYTES.get(wire_type, len(raw) + 1)
    return (Field(number, raw[:0]), end) if end <= len(raw) else None


def _varint(raw: bytes | memoryview, at: int) -> tuple[int, int]:
    """The number at a position, and the position after it; -1 when it does not end."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(raw):
            return 0, -1
        value |= (raw[at] & 0x7F) << shift
        at += 1
        if raw[at - 1] < 0x80:
            return value, at
    return 0, -1
