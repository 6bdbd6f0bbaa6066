"""The few bytes of Tempo's protobuf that must be understood to hand the rest on.

``TraceByIDResponse{Trace trace = 1; TraceByIDMetrics metrics = 2; PartialStatus status = 3; string message = 4}``
(grafana/tempo ``pkg/tempopb/tempo.proto``). ``Trace`` is on the wire what OTLP calls ``TracesData``: repeated
``ResourceSpans`` in field 1. Encoding: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from correlate.errors import SourceMalformed

_VARINT: Final = 0
_BYTES: Final = 2
_FIXED_BYTES: Final = {1: 8, 5: 4}
_PARTIAL: Final = 1


class BrokenTrace(SourceMalformed):
    """The bytes of one trace are broken; others may not be."""


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """What Tempo answered about one trace id.

    Attributes:
        body: the trace as OTLP ``TracesData`` in protobuf; empty: there is no such trace.
        partial: why it is not all of the trace, in Tempo's words; empty: it is all of it.
    """

    body: bytes
    partial: str = ""


def read_response(data: bytes) -> StoredTrace:
    """Take a trace out of the wrapper of ``/api/v2/traces``.

    Raises:
        BrokenTrace: the bytes are not a ``TraceByIDResponse``.
    """
    view = memoryview(data)
    trace, status, message = bytearray(), 0, ""
    for number, kind, value in _fields(view):
        if number == 1 and isinstance(value, memoryview):
            trace += value  # an embedded message that occurs twice is merged, which for repeated fields is this
        elif number == 3 and isinstance(value, int):
            status = value
        elif number == 4 and kind == _BYTES and isinstance(value, memoryview):
            message = bytes(value).decode("utf-8", "replace")
    body = check_trace(bytes(trace))
    return StoredTrace(body, (message or "a partial trace is returned") if status == _PARTIAL else "")


def check_trace(data: bytes) -> bytes:
    """The same bytes, when their outermost level is that of a trace.

    Raises:
        BrokenTrace: it is not.
    """
    for number, kind, _ in _fields(memoryview(data)):
        if number == 1 and kind != _BYTES:
            raise BrokenTrace("field 1 of the trace is not a message")
    return data


def only_services(data: bytes, services: frozenset[str]) -> bytes:
    """A trace without the resources of other services; loops over resources, of which a trace has few.

    Raises:
        BrokenTrace: the bytes are not a trace.
    """
    kept = bytearray()
    for number, _, value in _fields(memoryview(data)):
        if number == 1 and isinstance(value, memoryview) and _service(value) in services:
            kept += b"\x0a" + _varint_bytes(len(value)) + value
    return bytes(kept)


def _service(resource_spans: memoryview) -> str | None:
    for resource in _children(resource_spans, 1):
        for attribute in _children(resource, 1):
            if any(bytes(key) == b"service.name" for key in _children(attribute, 1)):
                texts = [text for value in _children(attribute, 2) for text in _children(value, 1)]
                return bytes(texts[-1]).decode("utf-8", "replace") if texts else None
    return None


def _children(view: memoryview, wanted: int) -> Iterator[memoryview]:
    for number, _, value in _fields(view):
        if number == wanted and isinstance(value, memoryview):
            yield value


def _fields(view: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    at = 0
    while at < len(view):
        key, at = _varint(view, at)
        kind = key & 7
        if kind == _VARINT:
            number, at = _varint(view, at)
            yield key >> 3, kind, number
            continue
        length, at = _varint(view, at) if kind == _BYTES else (_FIXED_BYTES.get(kind, -1), at)
        if length < 0 or at + length > len(view):
            raise BrokenTrace(f"the protobuf is broken or cut off at byte {at} of {len(view)}")
        yield key >> 3, kind, view[at : at + length]
        at += length


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise BrokenTrace(f"the protobuf is broken or cut off at byte {at} of {len(view)}")


def _varint_bytes(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
