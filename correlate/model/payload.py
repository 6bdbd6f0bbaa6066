"""What doors hand to the formats: bytes, and what the door knows about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PayloadKind(StrEnum):
    """Which reader a payload needs; the door it came through decides."""

    OTLP_TRACES = "otlp-traces"
    OTLP_PROFILES = "otlp-profiles"
    OTLP_PROFILES_EXPERIMENTAL = "otlp-profiles-v1experimental"
    PYROSCOPE_PUSH = "pyroscope-push"
    PYROSCOPE_INGEST = "pyroscope-ingest"
    PPROF = "pprof"
    COLLAPSED = "collapsed"


class Encoding(StrEnum):
    """How the messages of a payload are written."""

    PROTOBUF = "protobuf"
    JSON = "json"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class RawPayload:
    """One request body or file.

    Attributes:
        kind: which reader it needs.
        body: the bytes, transfer compression already undone (a gzip that belongs to the format itself may remain).
        received_ns: when it arrived, nanoseconds since the Unix epoch.
        encoding: protobuf or JSON where the kind has both.
        content_type: as sent, for multipart boundaries.
        sender: user agent or file name, kept with the profile.
        params: query parameters, or for files the options given: ``service``, ``type``, ``from``, ``until`` ….
    """

    kind: PayloadKind
    body: bytes
    received_ns: int
    encoding: Encoding = Encoding.PROTOBUF
    content_type: str = ""
    sender: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
