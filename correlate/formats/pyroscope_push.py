"""Pyroscope's ``push.v1.PusherService/Push``: labelled series of pprof profiles, as protobuf or JSON.

Everything a request holds is decoded in one go; loops run over series and profiles, which are few.
"""

import base64
import binascii
from itertools import chain, islice
from typing import Any, NamedTuple

import orjson

from correlate.errors import Malformed, TooLarge
from correlate.formats import wire
from correlate.formats.inflate import gunzip
from correlate.formats.json_size import check_values
from correlate.formats.labels import read_labels
from correlate.formats.limits import MAX_PUSH_ITEMS
from correlate.formats.pprof import read_pprof
from correlate.formats.pprof_heads import PprofContext
from correlate.formats.proto.pyroscope_push_pb2 import PushRequest
from correlate.formats.text import decode_lossy
from correlate.formats.top_level import contents
from correlate.model.payload import Encoding, RawPayload
from correlate.tables.build import build
from correlate.tables.tables import Tables


def read(payload: RawPayload) -> Tables:
    """Read a push request. Broken profiles are told in ``rejects`` as long as one is good.

    Raises:
        Malformed: the request, or every profile in it, is broken.
        UnknownFormat: every profile in it is of another format than pprof.
        TooLarge: the request, or every profile in it, is larger than the limit.
    """
    body = gunzip(payload.body)
    series = _from_json(body) if payload.encoding is Encoding.JSON else _from_protobuf(body)
    profiles = [(raw, _context(one.labels, payload)) for one in series for raw in one.profiles]
    if not profiles:
        return Tables()
    return build(read_pprof([raw for raw, _ in profiles], [context for _, context in profiles]))


class _Series(NamedTuple):
    labels: list[tuple[str, str]]
    profiles: list[bytes]


def _context(labels: list[tuple[str, str]], payload: RawPayload) -> PprofContext:
    known = read_labels(labels)
    return PprofContext(
        service=known.service,
        received_ns=payload.received_ns,
        name=known.name,
        labels=known.labels,
        sender=payload.sender,
    )


def _check_counts(body: bytes) -> None:
    """Count what the request holds, while it is bytes: an empty series takes two of them, and hundreds as an object.

    Raises:
        TooLarge: there are more than MAX_PUSH_ITEMS.
    """
    items = (item for series in contents(memoryview(body)) for item in chain([series], contents(series)))
    if next(islice(items, MAX_PUSH_ITEMS, None), None) is not None:
        raise TooLarge(f"the push holds more than {MAX_PUSH_ITEMS:,} series, labels and profiles; send smaller batches")


def _from_protobuf(body: bytes) -> list[_Series]:
    _check_counts(body)
    request = wire.decode(PushRequest, [body]).column("series")[0].as_py()
    return [
        _Series(
            [(decode_lossy(label["name"]), decode_lossy(label["value"])) for label in one["labels"]],
            [sample["raw_profile"] for sample in one["samples"]],
        )
        for one in request
    ]


def _from_json(body: bytes) -> list[_Series]:
    """Read protojson: lowerCamel or original names, bytes as base64 of either alphabet, unknown fields skipped."""
    check_values(body)
    try:
        request = orjson.loads(body)
        return [
            _Series(
                [(str(label.get("name", "")), str(label.get("value", ""))) for label in one.get("labels", [])],
                [_bytes(sample) for sample in one.get("samples", [])],
            )
            for one in request.get("series", [])
        ]
    except (orjson.JSONDecodeError, binascii.Error, AttributeError, TypeError, ValueError) as error:
        message = (
            f"not a push request in JSON ({{series: [{{labels: [], samples: [{{rawProfile: base64}}]}}]}}): {error}"
        )
        raise Malformed(message) from error


def _bytes(sample: dict[str, Any]) -> bytes:
    text = sample.get("rawProfile", sample.get("raw_profile", ""))
    padded = text.rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
