"""Recorded OTLP traces and Pyroscope pushes with their times moved, and nothing else changed.

Only the fields named here are rewritten, together with the lengths of the messages around them; every other byte,
unknown fields included, stays as it was. Field numbers: `opentelemetry/proto/trace/v1/trace.proto`, pprof's
`profile.proto`, Pyroscope's `push.proto`; wire types: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Callable, Iterator, Mapping

from correlate.errors import Malformed
from correlate.formats.inflate import GZIP_MAGIC, gunzip, gzip

# Takes the bytes of one field's value and the shift, gives the new bytes of the value.
_Rewrite = Callable[[bytes, int], bytes]

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_TIME_LIMIT_NS = 1 << 63


def retime_traces(body: bytes, delta_ns: int) -> bytes:
    """Move all times of an OTLP `ExportTraceServiceRequest`: starts and ends of spans, and their events.

    Args:
        body: the protobuf message, transfer compression undone.
        delta_ns: added to every time; times that are not set stay so.

    Raises:
        Malformed: not protobuf, or a time would leave the years 1970 to 2262.
    """
    return _TRACES(body, delta_ns)


def retime_push(body: bytes, delta_ns: int) -> bytes:
    """Move the times of all profiles in a Pyroscope `PushRequest`; profiles sent as gzip become gzip again.

    Args:
        body: the protobuf message, transfer compression undone.
        delta_ns: added to the time of every profile; times that are not set stay so.

    Raises:
        Malformed: not protobuf, a broken gzip stream, or a time would leave the years 1970 to 2262.
        TooLarge: a profile has more bytes than one request may hold.
    """
    return _PUSH(body, delta_ns)


def _message(fields: Mapping[int, _Rewrite]) -> _Rewrite:
    """Rewrite the values of some fields, given by tag, of a message."""

    def rewrite(message: bytes, delta_ns: int) -> bytes:
        return b"".join(_parts(message, fields, delta_ns))

    return rewrite


def _parts(message: bytes, fields: Mapping[int, _Rewrite], delta_ns: int) -> Iterator[bytes]:
    """The message in pieces: what stays as it was, and between it the values that are new."""
    at = copied = 0
    while at < len(message):
        tag, after_tag = _read_varint(message, at)
        start, at = _value_bounds(message, after_tag, tag & 7)
        if tag in fields:
            value = fields[tag](message[start:at], delta_ns)
            yield message[copied:after_tag]
            yield _varint(len(value)) if tag & 7 == _LENGTH else b""
            yield value
            copied = at
    yield message[copied:]


def _value_bounds(message: bytes, at: int, wire_type: int) -> tuple[int, int]:
    """Where the value of a field begins and ends, its length prefix left out."""
    if wire_type == _VARINT:
        bounds = at, _read_varint(message, at)[1]
    elif wire_type == _LENGTH:
        length, start = _read_varint(message, at)
        bounds = start, start + length
    elif wire_type in (_FIXED64, _FIXED32):
        bounds = at, at + (8 if wire_type == _FIXED64 else 4)
    else:
        raise Malformed(f"byte {at}: wire type {wire_type} is not read; proto3 messages do not have it")
    if bounds[1] > len(message):
        raise Malformed(f"byte {at}: a field ends {bounds[1] - len(message)} bytes after its message")
    return bounds


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """A variable-length integer, seven bits a byte, and the place after it."""
    value = 0
    for index, byte in enumerate(message[at : at + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise Malformed(f"byte {at}: a variable-length integer does not end")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _fixed_time(value: bytes, delta_ns: int) -> bytes:
    return _moved(int.from_bytes(value, "little"), delta_ns).to_bytes(8, "little")


def _varint_time(value: bytes, delta_ns: int) -> bytes:
    time_ns = _read_varint(value, 0)[0]
    moved_ns = _moved(time_ns, delta_ns)
    # An unmoved value keeps its bytes, even when they are a longer spelling of it than need be.
    return value if moved_ns == time_ns else _varint(moved_ns)


def _moved(time_ns: int, delta_ns: int) -> int:
    if not 0 < time_ns < _TIME_LIMIT_NS:  # not set, or negative nonsense
        return time_ns
    if not 0 < time_ns + delta_ns < _TIME_LIMIT_NS:
        raise Malformed(f"time {time_ns} ns moved by {delta_ns} ns leaves the years 1970 to 2262")
    return time_ns + delta_ns


def _profile(body: bytes, delta_ns: int) -> bytes:
    """A pprof profile, gzip or plain."""
    moved = _PPROF(gunzip(body), delta_ns)
    return gzip(moved) if body.startswith(GZIP_MAGIC) else moved


def _tag(field: int, wire_type: int) -> int:
    return field << 3 | wire_type


_EVENT = _message({_tag(1, _FIXED64): _fixed_time})
_SPAN = _message({_tag(7, _FIXED64): _fixed_time, _tag(8, _FIXED64): _fixed_time, _tag(11, _LENGTH): _EVENT})
_SCOPE_SPANS = _message({_tag(2, _LENGTH): _SPAN})
_RESOURCE_SPANS = _message({_tag(2, _LENGTH): _SCOPE_SPANS})
_TRACES = _message({_tag(1, _LENGTH): _RESOURCE_SPANS})

_PPROF = _message({_tag(9, _VARINT): _varint_time})
_RAW_SAMPLE = _message({_tag(1, _LENGTH): _profile})
_SERIES = _message({_tag(2, _LENGTH): _RAW_SAMPLE})
_PUSH = _message({_tag(1, _LENGTH): _SERIES})
