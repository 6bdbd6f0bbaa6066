"""Recordings are read line by line, and moved in time."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from correlate.demo import traffic
from correlate.demo.traffic import Recorded, ending_at, read, shift, shipped
from correlate.errors import BadInput, Malformed
from tests.support.recordings import truth

SECOND = 1_000_000_000


def line(**changed: Any) -> bytes:
    """One line of a recording; a value of None leaves the field out."""
    usual: dict[str, Any] = {
        "received_at": 12.5,
        "path": "/v1/traces",
        "headers": {"Content-Type": "application/x-protobuf"},
        "body_b64": base64.b64encode(b"body").decode(),
    }
    return json.dumps({key: value for key, value in (usual | changed).items() if value is not None}).encode() + b"\n"


def written(folder: Path, content: bytes) -> Path:
    """A file with some content."""
    path = folder / "recording.jsonl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_plain_and_gzip_recordings_are_read(tmp_path: Path, pack: Any) -> None:
    """Gzip is known by its bytes, header names come out in lower case, blank lines count for nothing."""
    path = written(tmp_path, pack(line() + b"\n" + line(path="/other")))
    assert list(read(path)) == [
        Recorded(12.5, "/v1/traces", {"content-type": "application/x-protobuf"}, b"body"),
        Recorded(12.5, "/other", {"content-type": "application/x-protobuf"}, b"body"),
    ]


def test_reading_is_lazy(tmp_path: Path) -> None:
    """What stands before a broken line has been given out before the error is raised."""
    requests = read(written(tmp_path, line() + b"broken\n"))
    assert next(requests).body == b"body"
    with pytest.raises(Malformed, match="line 2"):
        next(requests)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{\n", "line 1: not a recorded request"),
        (b"[]\n", "line 1: not a recorded request"),
        (line() + line(body_b64=None), "line 2: the request has no 'body_b64'"),
        (line(body_b64="!"), "line 1: not a recorded request"),
        (line(body_b64=7), "body_b64 is not a string"),
        (line(headers=[]), "line 1: not a recorded request"),
        (line(received_at="noon"), "line 1: not a recorded request"),
        (line(path="@elsewhere.example/"), "begins with one slash"),
        (line(path="//elsewhere.example/"), "begins with one slash"),
        (gzip.compress(line() * 100)[:-20], "broken gzip stream"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, content: bytes, reason: str) -> None:
    """Whatever is wrong, the error names the line and says what."""
    with pytest.raises(Malformed, match=reason):
        list(read(written(tmp_path, content)))


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line above the limit is refused after the limit has been read, not after all of it."""
    monkeypatch.setattr(traffic, "MAX_LINE_BYTES", 300)
    with pytest.raises(Malformed, match=r"line 2: longer than 300 bytes"):
        list(read(written(tmp_path, gzip.compress(line() + b" " * 10_000_000))))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A recording that is not there is the reader's mistake, said in one sentence."""
    with pytest.raises(BadInput, match=r"gone\.jsonl cannot be read"):
        list(read(tmp_path / "gone.jsonl"))


def test_shifting_moves_spans_and_profiles_and_keeps_the_rest() -> None:
    """Every span and profile of the shipped recording moves by the shift; ids, labels and values stay."""
    requests = list(shipped())
    before, after = truth(requests), truth([shift(request, 90 * SECOND) for request in requests])
    assert [span.start_ns + 90 * SECOND for span in before.spans.values()] == [
        span.start_ns for span in after.spans.values()
    ]
    assert {sample.time_ns + 90 * SECOND for sample in before.samples} == {sample.time_ns for sample in after.samples}
    assert list(before.spans) == list(after.spans)
    assert before.cpu_ns_by_span() == after.cpu_ns_by_span()


def test_a_request_that_cannot_be_moved_keeps_its_body() -> None:
    """JSON, other encodings and other paths keep their bytes; only the arrival moves."""
    for path, headers in (
        ("/v1/traces", {"content-type": "application/json"}),
        ("/v1/traces", {"content-type": "application/x-protobuf", "content-encoding": "zstd"}),
        ("/ingest", {"content-type": "application/x-protobuf"}),
    ):
        assert shift(Recorded(1.0, path, headers, b"body"), SECOND) == Recorded(2.0, path, headers, b"body")


def test_a_recording_ends_where_it_is_told_to() -> None:
    """The last arrival is the given time, the distances between arrivals stay."""
    requests = [Recorded(at_s, "/ingest", {}, b"") for at_s in (10.0, 12.0, 11.0)]
    assert [request.received_at_s for request in ending_at(requests, 100 * SECOND)] == [98.0, 100.0, 99.0]
    assert ending_at([], 100 * SECOND) == []
