"""Which reader a payload needs, and what kind a file is."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from correlate.errors import BadInput, UnknownFormat
from correlate.formats import otlp_profiles, otlp_traces, pyroscope_ingest, pyroscope_push
from correlate.formats.files import read_collapsed_file, read_pprof_file
from correlate.formats.inflate import GZIP_MAGIC, gunzip
from correlate.formats.legacy_pprof import name_of
from correlate.formats.top_level import Field, top_level_fields
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.tables.tables import Tables

READERS: Final[Mapping[PayloadKind, Callable[[RawPayload], Tables]]] = MappingProxyType(
    {
        PayloadKind.OTLP_TRACES: otlp_traces.read,
        PayloadKind.OTLP_PROFILES: otlp_profiles.read,
        PayloadKind.OTLP_PROFILES_EXPERIMENTAL: otlp_profiles.read,
        PayloadKind.PYROSCOPE_PUSH: pyroscope_push.read,
        PayloadKind.PYROSCOPE_INGEST: pyroscope_ingest.read,
        PayloadKind.PPROF: read_pprof_file,
        PayloadKind.COLLAPSED: read_collapsed_file,
    }
)

_SNIFFED_FIELDS: Final = 16
_JSON: Final = re.compile(rb"\s*\{")
_COLLAPSED_LINE: Final = re.compile(rb"(?:\s*(?:#[^\n]*)?\n)*[^\n\0]*[ \t]-?\d+[ \t]*\r?(?:\n|$)")
_JSON_KINDS: Final = (
    (re.compile(rb'"resource_?spans"\s*:', re.IGNORECASE), PayloadKind.OTLP_TRACES),
    (re.compile(rb'"resource_?profiles"\s*:', re.IGNORECASE), PayloadKind.OTLP_PROFILES),
)


def read(payload: RawPayload) -> Tables:
    """Turn the bytes of a payload into tables; parts that had to be refused are in ``rejects``.

    Raises:
        Malformed: nothing in it can be used.
        UnknownFormat: it is of a format that is not read; the message names it when it is known.
        TooLarge: it exceeds a limit, which is named.
        BadInput: any of these.
    """
    return READERS[payload.kind](payload)


def sniff(body: bytes, name: str) -> PayloadKind:
    """Tell what kind a file is by its bytes; its name appears in the message when that fails.

    Raises:
        UnknownFormat: none that is read; the format is named when it is known.
        Malformed: a gzip file is broken.
        TooLarge: a gzip file is too large.
    """
    raw = gunzip(body) if body.startswith(GZIP_MAGIC) else body
    kind = _json_kind(raw) if _JSON.match(raw) else _protobuf_kind(top_level_fields(raw, _SNIFFED_FIELDS))
    if kind is not None:
        return kind
    legacy = name_of(raw)
    if legacy is None and _COLLAPSED_LINE.match(raw[:65536]):
        return PayloadKind.COLLAPSED
    raise UnknownFormat(
        f"{name}: {legacy or 'unknown format'}; readable are pprof, OTLP traces and profiles, and collapsed stacks"
    )


def encoding_of(body: bytes) -> Encoding:
    """How a file of messages is written: JSON if it begins with a brace."""
    try:
        return Encoding.JSON if _JSON.match(gunzip(body)) else Encoding.PROTOBUF
    except BadInput:
        return Encoding.PROTOBUF


def _json_kind(raw: bytes) -> PayloadKind | None:
    return next((kind for pattern, kind in _JSON_KINDS if pattern.search(raw)), None)


def _protobuf_kind(fields: list[Field[bytes]] | None) -> PayloadKind | None:
    """The kind of protobuf message, by its first fields.

    In pprof, field 1 is a pair of numbers; in the OTLP requests it is a message of messages, and only that of profiles
    has a field 2 (the dictionary).
    """
    if not fields:
        return None
    first = next((field.content for field in fields if field.number == 1), None)
    if first is None or first[:1] in (b"\x08", b"\x10"):
        return PayloadKind.PPROF
    if first[:1] not in (b"\x0a", b"\x12", b"\x1a"):
        return None
    return PayloadKind.OTLP_PROFILES if any(field.number == 2 for field in fields) else PayloadKind.OTLP_TRACES
