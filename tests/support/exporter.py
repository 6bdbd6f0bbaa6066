"""What the collector's file exporter writes, one span to a record."""

import json
from pathlib import Path

from tests.support.otlp import chunk, fixed
from tests.support.rows import T0


def span_json(number: int) -> bytes:
    """A line with one span; numbers begin at 1."""
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "GET /", "kind": 2}
    times = {"startTimeUnixNano": str(T0 + number), "endTimeUnixNano": str(T0 + number + 5)}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    request = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {}, "spans": [span | times]}]}]}
    return json.dumps(request).encode() + b"\n"


def span_proto(number: int) -> bytes:
    """A request with one span."""
    ids = chunk(1, number.to_bytes(16, "big")) + chunk(2, number.to_bytes(8, "big"))
    span = ids + chunk(5, b"GET /") + fixed(7, T0 + number) + fixed(8, T0 + number + 5)
    return chunk(1, chunk(2, chunk(2, span)))


def prefixed(*messages: bytes) -> bytes:
    """As the exporter writes messages that are not lines."""
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


def append(path: Path, *records: bytes) -> None:
    """As the exporter does."""
    with path.open("ab") as file:
        file.write(b"".join(records))
