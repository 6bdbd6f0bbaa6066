"""Pyroscope's push doors."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from correlate.api.bodies import BodyLimits
from correlate.api.receivers.intake import Intake
from correlate.api.receivers.pyroscope import _rejected, build_pyroscope_router
from correlate.errors import (
    BadQuery,
    CorrelateError,
    Malformed,
    OutOfRetention,
    Overloaded,
    StoreError,
    TooLarge,
    UnknownFormat,
)
from correlate.model.payload import Encoding, PayloadKind
from correlate.ports import Receipt
from correlate.tables.tables import Reject
from tests.fakes.ingest import NOTHING, FakeIngest, failed

PUSH = "/push.v1.PusherService/Push"
INGEST = "/ingest"
PROTO = {"content-type": "application/proto"}


def call(intake: Intake, path: str, method: str = "POST", **options: Any) -> httpx.Response:
    """One request, without a socket."""
    app = FastAPI()
    app.include_router(build_pyroscope_router(intake))

    async def go() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(go())


def test_push_takes_what_the_python_sdk_sends(intake: Intake, ingest: FakeIngest) -> None:
    """A gzipped Connect request arrives plain with its sender, and is answered by an empty message of its type."""
    headers = {**PROTO, "content-encoding": "gzip", "user-agent": "pyroscope-rs/pyspy/1.4.0 reqwest"}
    answer = call(intake, PUSH, content=gzip.compress(b"push"), headers=headers)
    (payload,) = ingest.payloads
    assert (payload.kind, payload.body, payload.encoding) == (PayloadKind.PYROSCOPE_PUSH, b"push", Encoding.PROTOBUF)
    assert payload.sender == "pyroscope-rs/pyspy/1.4.0 reqwest"
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/proto"


def test_push_takes_json(intake: Intake, ingest: FakeIngest) -> None:
    """JSON is answered in JSON."""
    answer = call(intake, PUSH, json={"series": []})
    assert ingest.payloads[0].encoding is Encoding.JSON
    assert (answer.json(), answer.headers["content-type"]) == ({}, "application/json")


@pytest.mark.parametrize("sent", ["application/grpc", "application/grpc+proto", "text/plain", ""])
def test_push_refuses_other_types(intake: Intake, ingest: FakeIngest, sent: str) -> None:
    """Neither gRPC nor anything else is spoken here, and the answer says what is."""
    answer = call(intake, PUSH, content=b"x", headers={"content-type": sent} if sent else {})
    assert (answer.status_code, answer.json()["code"]) == (415, "invalid_argument")
    assert "application/proto" in answer.json()["message"]
    assert not ingest.payloads


@pytest.mark.parametrize("path", [INGEST, "/pyroscope/ingest"])
def test_ingest_keeps_query_type_and_body(intake: Intake, ingest: FakeIngest, path: str) -> None:
    """The reader gets the query parameters and the content type as sent; the answer is an empty 200."""
    kind = "multipart/form-data; boundary=abc"
    params = {"name": "app{env=prod,zone=a b}", "from": "1700000000", "spyName": "gospy"}
    answer = call(intake, path, params=params, content=b"parts", headers={"content-type": kind})
    (payload,) = ingest.payloads
    assert (payload.kind, payload.encoding, payload.content_type) == (PayloadKind.PYROSCOPE_INGEST, Encoding.RAW, kind)
    assert dict(payload.params) == params
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("kind", ["", "binary/octet-stream", "text/plain", "application/x-whatever"])
def test_ingest_takes_any_type(intake: Intake, ingest: FakeIngest, kind: str) -> None:
    """What a body is follows from query and bytes; the type alone refuses nothing."""
    assert call(intake, INGEST, content=b"x", headers={"content-type": kind} if kind else {}).status_code == 200
    assert ingest.payloads[0].content_type == kind


def test_ingest_leaves_the_formats_own_gzip(intake: Intake, ingest: FakeIngest) -> None:
    """Only Content-Encoding is undone; a profile that is itself gzip stays so."""
    packed = gzip.compress(b"pprof")
    call(intake, INGEST, content=packed)
    call(intake, INGEST, content=gzip.compress(packed), headers={"content-encoding": "gzip"})
    assert [payload.body for payload in ingest.payloads] == [packed, packed]


@pytest.mark.parametrize(
    ("error", "code", "push_status", "ingest_status"),
    [
        (Malformed("byte 3 is odd"), "invalid_argument", 400, 400),
        (BadQuery("name is missing"), "invalid_argument", 400, 400),
        (UnknownFormat("JFR is not read yet"), "invalid_argument", 415, 422),
        (OutOfRetention("too old"), "out_of_range", 400, 422),
        (TooLarge("too many samples"), "invalid_argument", 400, 413),
        (Overloaded("the queue is full"), "unavailable", 503, 503),
        (StoreError("the disk is full"), "unavailable", 503, 503),
        (CorrelateError("a bug"), "internal", 500, 500),
        (ValueError("secret detail"), "internal", 500, 500),
    ],
)
def test_errors_are_connects(
    intake: Intake, ingest: FakeIngest, error: Exception, code: str, push_status: int, ingest_status: int
) -> None:
    """Both doors answer with Connect's JSON; /ingest has its own status where Pyroscope has."""
    for path, http_status in ((PUSH, push_status), (INGEST, ingest_status)):
        ingest.errors = [error]
        answer = call(intake, path, content=b"x", headers=PROTO)
        assert (answer.status_code, answer.json()["code"]) == (http_status, code)
        assert answer.headers["content-type"] == "application/json"
        assert ("retry-after" in answer.headers) is (code == "unavailable")
        assert "secret" not in answer.text


def test_a_failed_commit_is_a_503(intake: Intake, ingest: FakeIngest) -> None:
    """A 200 means committed."""
    ingest.commit = failed(StoreError("the disk is full"))
    assert call(intake, PUSH, content=b"x", headers=PROTO).status_code == 503


@pytest.mark.parametrize("path", [PUSH, INGEST])
def test_partial_refusals_are_a_success_with_a_header(
    intake: Intake, ingest: FakeIngest, registry: CollectorRegistry, path: str
) -> None:
    """Part stored, part refused: a 200 whose header counts and explains the rest."""
    ingest.rejects = (Reject("profiles", 2, "no stáck\r\nX-Evil: 1"),)
    answer = call(intake, path, content=b"x", headers=PROTO)
    header = answer.headers["x-correlate-rejected-profiles"]
    assert (answer.status_code, header.split(";")[0]) == (200, "2")
    assert "no st?ck" in header
    assert "x-evil" not in answer.headers
    door = "pyroscope_push" if path == PUSH else "pyroscope_ingest"
    labels = {"door": door, "signal": "profiles"}
    assert registry.get_sample_value("correlate_receiver_rejected_total", labels) == 2


@pytest.mark.parametrize(("path", "http_status"), [(PUSH, 400), (INGEST, 422)])
def test_refusing_everything_is_an_error(intake: Intake, ingest: FakeIngest, path: str, http_status: int) -> None:
    """Nothing stored and something refused is an error that tells why; a repeated request is not."""
    ingest.rejects, ingest.receipt = (Reject("profiles", 2, "no samples"),), NOTHING
    answer = call(intake, path, content=b"x", headers=PROTO)
    assert (answer.status_code, answer.json()["code"]) == (http_status, "invalid_argument")
    assert "no samples" in answer.json()["message"]
    ingest.receipt = Receipt(spans=0, samples=0, profiles=0, duplicates=1)
    assert call(intake, path, content=b"x", headers=PROTO).status_code == 200


def test_bodies_over_the_limit_are_refused(make_intake: Callable[..., Intake], ingest: FakeIngest) -> None:
    """By length, by counting, and by what they expand to."""
    intake = make_intake(limits=BodyLimits(max_body_bytes=1000))

    async def chunked() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield bytes(100)

    packed = gzip.compress(bytes(1001))
    for options in (
        {"content": bytes(1001)},
        {"content": chunked()},
        {"content": packed, "headers": {"content-encoding": "gzip"}},
    ):
        assert call(intake, INGEST, **options).status_code == 413
    assert not ingest.payloads
    assert intake.budget.held_bytes == 0


@pytest.mark.parametrize("path", [PUSH, INGEST])
def test_only_post_is_taken(intake: Intake, path: str) -> None:
    """Other methods are refused."""
    assert call(intake, path, "GET").status_code == 405


@pytest.mark.parametrize("length", range(290, 310))
def test_the_header_of_refusals_is_a_legal_one_wherever_it_is_cut(length: int) -> None:
    """No control characters inside, no space at the end."""
    reason = "é\n" + "word " * 100
    (value,) = _rejected((Reject("profiles", 1, reason[:length]),)).values()
    assert value == value.strip()
    assert value.isascii()
    assert value.isprintable()
