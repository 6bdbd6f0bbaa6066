"""What a record of the collector's file exporter is: spans or profiles, in JSON or protobuf, compressed or not."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import zstandard

from correlate.errors import SourceMalformed
from correlate.model.payload import Encoding, PayloadKind

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_MAX_WINDOW_BYTES: Final = 32 << 20
_EMPTY: Final = re.compile(rb"\s*\{\s*\}\s*\Z")
_FIRST_KEY: Final = re.compile(rb'\s*\{\s*"(\w+)"\s*:')
_ANY_KEY: Final = re.compile(rb'"(resource_?(?:spans|profiles|metrics|logs))"\s*:\s*\[', re.IGNORECASE)
_KINDS: Final = {b"resourcespans": PayloadKind.OTLP_TRACES, b"resourceprofiles": PayloadKind.OTLP_PROFILES}
_OTHERS: Final = (b"resourcemetrics", b"resourcelogs")
_BYTES: Final = 2
_SIGNALS: Final = {"traces": PayloadKind.OTLP_TRACES, "profiles": PayloadKind.OTLP_PROFILES}


class BrokenRecord(SourceMalformed):
    """One record cannot be read; whether the others can be depends on how they are told apart."""


class OtherSignal(SourceMalformed):
    """A record of metrics or logs, which are nothing for correlate."""


class Message(NamedTuple):
    """A request, as it goes on to its reader."""

    kind: PayloadKind
    encoding: Encoding
    body: bytes


def message_of(record: bytes, signal: str, limit_bytes: int) -> Message | None:
    """Tell what a record is; only as much is looked at as that takes.

    Args:
        record: a line, or what followed a length.
        signal: ``traces``, ``profiles`` or ``auto``, which in protobuf cannot tell metrics and logs from spans.
        limit_bytes: the most it may become when it is decompressed.

    Returns:
        None when it is an empty request.

    Raises:
        BrokenRecord: it is neither of OTLP's encodings, or becomes too large.
        OtherSignal: it is one, but of metrics or logs.
    """
    body = _inflated(record, limit_bytes) if record.startswith(_ZSTD) else record
    if body.lstrip()[:1] == b"{":
        return None if _EMPTY.match(body) else Message(_json_kind(body, signal), Encoding.JSON, body)
    numbers = set(_numbers(memoryview(body)))
    if not numbers:
        return None
    # The only request with a field 2 is that of profiles: their dictionary.
    guessed = PayloadKind.OTLP_PROFILES if 2 in numbers else PayloadKind.OTLP_TRACES
    return Message(_SIGNALS.get(signal, guessed), Encoding.PROTOBUF, body)


def _inflated(record: bytes, limit_bytes: int) -> bytes:
    try:
        with zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES).stream_reader(record) as stream:
            body = stream.read(limit_bytes + 1)
    except (zstandard.ZstdError, MemoryError) as exc:
        raise BrokenRecord(f"its zstd compression is broken: {exc}") from exc
    if len(body) > limit_bytes:
        raise BrokenRecord(f"decompressed it is longer than {limit_bytes} bytes (setting max_record_bytes)")
    return body


def _json_kind(body: bytes, signal: str) -> PayloadKind:
    first = _FIRST_KEY.match(body)
    key = _plain(first[1]) if first else b""
    if key not in _KINDS and key not in _OTHERS:  # for instance profiles whose dictionary comes first
        found = _ANY_KEY.search(body)
        key = _plain(found[1]) if found else b""
    if key in _OTHERS:
        raise OtherSignal("it holds metrics or logs, which are left out")
    if key not in _KINDS:
        raise BrokenRecord("it is JSON, or begins like it, but neither resourceSpans nor resourceProfiles are in it")
    if signal != "auto" and _KINDS[key] is not _SIGNALS[signal]:
        raise OtherSignal(f"it does not hold {signal}, and the setting `signal` asks for nothing else")
    return _KINDS[key]


def _plain(key: bytes) -> bytes:
    return key.replace(b"_", b"").lower()


def _numbers(view: memoryview) -> Iterator[int]:
    """The numbers of the outermost fields, which in OTLP's requests are messages; loops over resources."""
    at = 0
    while at < len(view):
        key, at = _varint(view, at)
        length_bytes, at = _varint(view, at)
        if key & 7 != _BYTES or not key >> 3 or at + length_bytes > len(view):
            raise BrokenRecord("it is neither JSON nor a request in protobuf")
        at += length_bytes
        yield key >> 3


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
    raise BrokenRecord("it is neither JSON nor a request in protobuf")
