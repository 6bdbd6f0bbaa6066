"""Recordings of what telemetry clients sent: reading them, and moving them in time.

A recording is JSON lines, gzip or plain. Each line is one request: `received_at` (seconds since the Unix epoch),
`path`, `headers` and `body_b64`, the body exactly as it was sent.
"""

import base64
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from io import BufferedReader
from pathlib import Path
from typing import Any, Final

import orjson

from correlate.errors import BadInput, Malformed
from correlate.formats import inflate, retime

MAX_LINE_BYTES: Final = 32 << 20
"""The longest line read: a body of 24 MiB, far above what clients send in one request."""

_TRACES_PATH: Final = "/v1/traces"
_PUSH_PATH: Final = "/push.v1.PusherService/Push"
_PROTOBUF: Final = ("application/x-protobuf", "application/protobuf", "application/proto")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request as a client sent it.

    Attributes:
        received_at_s: when it arrived, seconds since the Unix epoch.
        path: path and query it was posted to.
        headers: content type, content encoding and user agent, names in lower case.
        body: the body as sent: still compressed where `content-encoding` says so.
    """

    received_at_s: float
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def carries_spans(self) -> bool:
        """Whether this is an OTLP trace export."""
        return self.path.partition("?")[0] == _TRACES_PATH

    @property
    def carries_profiles(self) -> bool:
        """Whether this is a Pyroscope push."""
        return self.path.partition("?")[0] == _PUSH_PATH


def shipped() -> Iterator[Recorded]:
    """The recording that comes with the package, oldest request first."""
    with as_file(files("correlate.demo") / "traffic.jsonl.gz") as path:
        yield from read(path)


def read(path: Path) -> Iterator[Recorded]:
    """Read a recording, one request at a time; gzip is known by its first bytes, not by the name.

    Raises:
        BadInput: the file cannot be opened.
        Malformed: a line is not a recorded request, too long, or the gzip stream is broken; names file and line.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise BadInput(f"recording {path} cannot be read: {error.strerror}") from error
    with file:
        for number, line in _numbered_lines(path, _plain(file)):
            yield _request(line, f"{path}, line {number}")


def shift(recorded: Recorded, delta_ns: int) -> Recorded:
    """Move a request in time: the arrival, spans and their events, and profiles; all else stays byte for byte.

    OTLP trace exports and Pyroscope pushes in protobuf are moved, gzip or not. The body of any other request stays.

    Raises:
        Malformed: the body is not what its path and headers say.
        TooLarge: the body exceeds the limit once decompressed.
    """
    moved = replace(recorded, received_at_s=recorded.received_at_s + delta_ns / 1e9)
    content_type = recorded.headers.get("content-type", "").partition(";")[0].strip()
    encoding = recorded.headers.get("content-encoding", "identity")
    if content_type not in _PROTOBUF or encoding not in ("identity", "gzip"):
        return moved
    return replace(moved, body=_retimed(recorded, delta_ns))


def ending_at(requests: Sequence[Recorded], end_ns: int) -> list[Recorded]:
    """Move a whole recording so that its last request arrived at `end_ns`, nanoseconds since the Unix epoch.

    Raises:
        Malformed: a body is not what its path and headers say.
        TooLarge: a body exceeds the limit once decompressed.
    """
    if not requests:
        return []
    delta_ns = end_ns - round(max(request.received_at_s for request in requests) * 1e9)
    return [shift(request, delta_ns) for request in requests]


def _retimed(recorded: Recorded, delta_ns: int) -> bytes:
    if not (recorded.carries_spans or recorded.carries_profiles):
        return recorded.body
    rewrite = retime.retime_traces if recorded.carries_spans else retime.retime_push
    if recorded.headers.get("content-encoding") != "gzip":
        return rewrite(recorded.body, delta_ns)
    return inflate.gzip(rewrite(inflate.gunzip(recorded.body), delta_ns))


def _plain(file: BufferedReader) -> BufferedReader | gzip.GzipFile:
    """The file, or what is inside when it is gzip; closing the file is enough for both."""
    return gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == inflate.GZIP_MAGIC else file


def _numbered_lines(path: Path, lines: BufferedReader | gzip.GzipFile) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers, none of them longer than the limit."""
    number = 1
    while line := _next_line(lines, f"{path}, line {number}"):
        if not line.isspace():
            yield number, line
        number += 1


def _next_line(lines: BufferedReader | gzip.GzipFile, where: str) -> bytes:
    try:
        line = lines.readline(MAX_LINE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Malformed(f"{where}: broken gzip stream: {error}") from error
    if len(line) > MAX_LINE_BYTES:
        raise Malformed(f"{where}: longer than {MAX_LINE_BYTES:,} bytes, which no recorded request is")
    return line


def _request(line: bytes, where: str) -> Recorded:
    try:
        entry = orjson.loads(line)
        return Recorded(
            received_at_s=float(entry["received_at"]),
            path=_local_path(_text(entry, "path")),
            headers={str(name).lower(): str(value) for name, value in entry["headers"].items()},
            body=base64.b64decode(_text(entry, "body_b64"), validate=True),
        )
    except KeyError as error:
        raise Malformed(f"{where}: the request has no {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise Malformed(f"{where}: not a recorded request: {error}") from error


def _local_path(path: str) -> str:
    """Only the path of a URL: "@host" or "//host" after a base URL would name another server."""
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(f"{path[:64]!r} is not a path that begins with one slash")
    return path


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is not a string")
    return value
