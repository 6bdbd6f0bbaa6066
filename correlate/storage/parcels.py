"""Payloads as byte strings and back, for queues on disk; and as lines of JSON, for people who look what was refused.

The bytes of a message are kept exactly as they came, compressed with zstandard at its fastest: a queue on disk is
written once and read once, and a spike should fit into it.
"""

import base64
import struct
from typing import Final

import orjson
import zstandard

from correlate.model.payload import Encoding, PayloadKind, RawPayload

_LENGTH: Final = struct.Struct(">I")


def pack(payload: RawPayload) -> bytes:
    """Write a payload down."""
    head = orjson.dumps(
        {
            "kind": payload.kind,
            "encoding": payload.encoding,
            "received_ns": payload.received_ns,
            "content_type": payload.content_type,
            "sender": payload.sender,
            "params": dict(payload.params),
        }
    )
    # A compressor each: they are not for several threads at once.
    body = zstandard.ZstdCompressor(level=1).compress(payload.body)
    return _LENGTH.pack(len(head)) + head + body


def unpack(record: bytes) -> RawPayload:
    """Read a payload that `pack` wrote."""
    (length,) = _LENGTH.unpack_from(record)
    start = _LENGTH.size + length
    head = orjson.loads(record[_LENGTH.size : start])
    return RawPayload(
        kind=PayloadKind(head["kind"]),
        body=zstandard.ZstdDecompressor().decompress(record[start:]),
        received_ns=head["received_ns"],
        encoding=Encoding(head["encoding"]),
        content_type=head["content_type"],
        sender=head["sender"],
        params=head["params"],
    )


def describe(payload: RawPayload, reason: str) -> bytes:
    """One line of JSON: the payload with its body in base64, and why it was refused."""
    return orjson.dumps(
        {
            "reason": reason,
            "kind": payload.kind,
            "encoding": payload.encoding,
            "received_at": payload.received_ns / 1e9,
            "content_type": payload.content_type,
            "sender": payload.sender,
            "params": dict(payload.params),
            "body_b64": base64.b64encode(payload.body).decode(),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
