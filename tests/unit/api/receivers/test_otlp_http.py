"""OTLP over HTTP: what senders send and what they get back."""

import asyncio
import gzip
import json
import logging
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
import zstandard
from fastapi import FastAPI
from google.rpc import status_pb2
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace.export import SpanExportResult
from prometheus_client import CollectorRegistry

from correlate.api.bodies import BodyBudget, BodyLimits
from correlate.api.receivers.intake import Intake
from correlate.api.receivers.otlp_http import PATHS, build_otlp_router
from correlate.errors import CorrelateError, Malformed, OutOfRetention, Overloaded, StoreError, TooLarge, UnknownFormat
from correlate.model.payload import Encoding, PayloadKind
from correlate.ports import Receipt
from correlate.tables.tables import Reject
from tests.fakes.ingest import FakeIngest, failed, never
from tests.fakes.server import serving
from tests.fakes.spans import finished_spans

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


def app_of(intake: Intake) -> FastAPI:
    app = FastAPI()
    app.include_router(build_otlp_router(intake))
    return app


def call(intake: Intake, method: str, path: str, **options: Any) -> httpx.Response:
    """One request, without a socket."""

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app_of(intake), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(go())


def post(intake: Intake, path: str = "/v1/traces", **options: Any) -> httpx.Response:
    return call(intake, "POST", path, **options)


@pytest.fixture
def server(intake: Intake) -> Iterator[str]:
    with serving(app_of(intake)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/traces", PayloadKind.OTLP_TRACES),
        ("/v1development/profiles", PayloadKind.OTLP_PROFILES),
        ("/v1/profiles", PayloadKind.OTLP_PROFILES),
        ("/v1experimental/profiles", PayloadKind.OTLP_PROFILES_EXPERIMENTAL),
    ],
)
def test_each_path_delivers_its_kind(intake: Intake, ingest: FakeIngest, path: str, kind: PayloadKind) -> None:
    """The path decides what a body is; the payload carries sender, time, type and the bytes as sent."""
    answer = post(intake, path, content=b"abc", headers={**PROTOBUF, "user-agent": "agent/1"})
    (payload,) = ingest.payloads
    assert (payload.kind, payload.body, payload.sender) == (kind, b"abc", "agent/1")
    assert (payload.encoding, payload.received_ns) == (Encoding.PROTOBUF, 1_700_000_000_000_000_000)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"


@pytest.mark.parametrize("sent", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_answered_in_json(intake: Intake, ingest: FakeIngest, sent: str) -> None:
    """A JSON request is read as JSON, and its empty response is an empty object."""
    answer = post(intake, content=b"{}", headers={"content-type": sent})
    assert ingest.payloads[0].encoding is Encoding.JSON
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"


def test_the_other_name_of_protobuf_is_echoed(intake: Intake) -> None:
    """Who sends application/protobuf gets application/protobuf."""
    answer = post(intake, content=b"", headers={"content-type": "application/protobuf"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/protobuf")


def test_partial_success_is_a_success(intake: Intake, ingest: FakeIngest, registry: CollectorRegistry) -> None:
    """What was refused is counted in the response, in both encodings, even when it was everything."""
    ingest.rejects = (Reject("spans", 3, "too old"),)
    answer = post(intake, content=b"x", headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_spans) == (200, 3)
    assert "too old" in partial.error_message
    assert post(intake, content=b"{}", headers=JSON).json()["partialSuccess"]["rejectedSpans"] == "3"
    ingest.rejects = (Reject("profiles", 2, "no samples"),)
    answer = post(intake, "/v1/profiles", content=b"x", headers=PROTOBUF)
    assert ExportProfilesServiceResponse.FromString(answer.content).partial_success.rejected_profiles == 2
    rejected = {"door": "otlp_http_traces", "signal": "spans"}
    assert registry.get_sample_value("correlate_receiver_rejected_total", rejected) == 6


@pytest.mark.parametrize(
    ("error", "http_status", "code", "retry_after"),
    [
        (Malformed("byte 3 is odd"), 400, 3, None),
        (OutOfRetention("too old"), 400, 3, None),
        (UnknownFormat("layout 1.7 is not read"), 415, 3, None),
        (TooLarge("too many samples"), 413, 8, None),
        (Overloaded("the queue is full", retry_after_s=2.2), 503, 14, "3"),
        (StoreError("the disk is full"), 503, 14, "1"),
        (CorrelateError("a bug"), 500, 13, None),
        (ValueError("secret detail"), 500, 13, None),
    ],
)
@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
def test_errors_are_statuses_in_the_requests_encoding(
    intake: Intake,
    ingest: FakeIngest,
    error: Exception,
    http_status: int,
    code: int,
    retry_after: str | None,
    headers: dict[str, str],
) -> None:
    """Every error has its HTTP status, a google.rpc.Status as body, and Retry-After only if it may pass."""
    ingest.errors = [error]
    answer = post(intake, content=b"x", headers=headers)
    if headers is JSON:
        status = answer.json()
    else:
        message = status_pb2.Status.FromString(answer.content)
        status = {"code": message.code, "message": message.message}
    assert (answer.status_code, status["code"]) == (http_status, code)
    assert answer.headers.get("retry-after") == retry_after
    assert answer.headers["content-type"] == headers["content-type"]
    assert ("secret" in status["message"]) is False
    assert isinstance(error, ValueError) or status["message"] == str(error)


@pytest.mark.parametrize("sent", ["text/plain", "", "application/grpc", "multipart/form-data; boundary=x"])
def test_other_content_types_are_refused(intake: Intake, ingest: FakeIngest, sent: str) -> None:
    """A type that is not OTLP's gets a 415 that people can read."""
    answer = post(intake, content=b"x", headers={"content-type": sent} if sent else {})
    assert (answer.status_code, answer.json()["code"]) == (415, 3)
    assert "application/x-protobuf" in answer.json()["message"]
    assert not ingest.payloads


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", sorted(PATHS))
def test_only_post_is_taken(intake: Intake, method: str, path: str) -> None:
    """Other methods get a 405 that names POST."""
    answer = call(intake, method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "POST" in answer.json()["message"]


def test_compressed_requests_arrive_plain(intake: Intake, ingest: FakeIngest) -> None:
    """gzip, deflate and zstd are undone before the payload is read."""
    packed = {"gzip": gzip.compress(b"body"), "deflate": zlib.compress(b"body"), "zstd": zstandard.compress(b"body")}
    for coding, content in packed.items():
        assert post(intake, content=content, headers={**PROTOBUF, "content-encoding": coding}).status_code == 200
    assert [payload.body for payload in ingest.payloads] == [b"body"] * 3


def test_bad_compression_is_answered(intake: Intake) -> None:
    """Unknown codings get a 415 with the accepted ones; broken streams a 400."""
    answer = post(intake, content=b"x", headers={**PROTOBUF, "content-encoding": "br"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate, zstd")
    cut = gzip.compress(b"body" * 100)[:-5]
    answer = post(intake, content=cut, headers={**PROTOBUF, "content-encoding": "gzip"})
    assert answer.status_code == 400
    assert "cut off" in status_pb2.Status.FromString(answer.content).message


def test_a_success_waits_for_the_commit(make_intake: Callable[..., Intake], ingest: FakeIngest) -> None:
    """The answer comes after the commit; without one in time it is a 503, and the commit is not cancelled."""
    order: list[str] = []

    def later(receipt: Receipt) -> Future[Receipt]:
        future: Future[Receipt] = Future()

        def commit() -> None:
            order.append("commit")
            future.set_result(receipt)

        threading.Timer(0.05, commit).start()
        return future

    ingest.commit = later
    assert post(make_intake(), content=b"x", headers=PROTOBUF).status_code == 200
    assert order == ["commit"]
    pending = never(ingest.receipt)
    ingest.commit = lambda _receipt: pending
    answer = post(make_intake(commit_timeout_s=0.05), content=b"x", headers=PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert not pending.cancelled()
    pending.set_exception(StoreError("late"))  # nobody listens any more, and nobody complains


def test_a_failed_commit_is_a_503(intake: Intake, ingest: FakeIngest) -> None:
    """A commit that fails, or a store that closes, makes the sender try again."""
    ingest.commit = failed(StoreError("the disk is full"))
    assert post(intake, content=b"x", headers=PROTOBUF).status_code == 503

    def cancelled(_receipt: Receipt) -> Future[Receipt]:
        future: Future[Receipt] = Future()
        future.cancel()
        return future

    ingest.commit = cancelled
    assert post(intake, content=b"x", headers=PROTOBUF).status_code == 503


def test_the_body_is_free_while_the_commit_is_awaited(make_intake: Callable[..., Intake], ingest: FakeIngest) -> None:
    """Room for bodies is held for reading only: a slow store does not keep others out."""
    intake = make_intake(commit_timeout_s=0.3, budget=BodyBudget(1000, wait_s=0.1))
    ingest.commit = never

    async def go() -> list[int]:
        transport = httpx.ASGITransport(app_of(intake))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            posts = (client.post("/v1/traces", content=bytes(900), headers=PROTOBUF) for _ in range(5))
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    assert asyncio.run(go()) == [503] * 5
    assert len(ingest.payloads) == 5
    assert intake.budget.held_bytes == 0


def test_waiting_requests_hold_no_bodies(make_intake: Callable[..., Intake], ingest: FakeIngest) -> None:
    """While twenty requests of 2 MiB wait for their commit, their bodies are gone from memory."""
    pending: list[Future[Receipt]] = []

    def later(receipt: Receipt) -> Future[Receipt]:
        pending.append(never(receipt))
        ingest.payloads.clear()
        return pending[-1]

    async def go() -> int:
        transport = httpx.ASGITransport(app_of(make_intake()))
        packed = gzip.compress(bytes(2 << 20))
        headers = {**PROTOBUF, "content-encoding": "gzip"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            tracemalloc.start()
            posts = [asyncio.create_task(client.post("/v1/traces", content=packed, headers=headers)) for _ in range(20)]
            await asyncio.to_thread(until, lambda: len(pending) == 20)
            await asyncio.sleep(0.05)
            held_bytes, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            for commit in pending:
                commit.set_result(ingest.receipt)
            assert {answer.status_code for answer in await asyncio.gather(*posts)} == {200}
            return held_bytes

    ingest.commit = later
    assert asyncio.run(go()) < 15 << 20


def test_bodies_over_the_limit_are_refused(intake: Intake, ingest: FakeIngest) -> None:
    """65 MiB are refused by their length, and without one by counting; 413, nothing read by the formats."""
    mib = bytes(1 << 20)

    async def chunked() -> AsyncIterator[bytes]:
        for _ in range(65):
            yield mib

    assert post(intake, content=mib * 65, headers=PROTOBUF).status_code == 413
    answer = post(intake, content=chunked(), headers=PROTOBUF)
    assert (answer.status_code, status_pb2.Status.FromString(answer.content).code) == (413, 8)
    packed = gzip.compress(mib * 65, 1)
    assert post(intake, content=packed, headers={**PROTOBUF, "content-encoding": "gzip"}).status_code == 413
    assert not ingest.payloads
    assert intake.budget.held_bytes == 0


def test_a_full_budget_sends_senders_away(make_intake: Callable[..., Intake]) -> None:
    """When bodies under way fill the budget, the next sender gets a 503 with Retry-After."""
    intake = make_intake(budget=BodyBudget(1000, wait_s=0.05))

    async def go() -> httpx.Response:
        async with intake.budget.reserve(600):
            transport = httpx.ASGITransport(app_of(intake))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.post("/v1/traces", content=bytes(900), headers=PROTOBUF)

    answer = asyncio.run(go())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_refusals_are_logged_once_in_a_while(
    intake: Intake, ingest: FakeIngest, caplog: pytest.LogCaptureFixture, registry: CollectorRegistry
) -> None:
    """A bad client fills the counters, not the log; one line carries its name and reason, on one line."""
    ingest.errors = [Malformed("line one\nline two") for _ in range(50)]
    with caplog.at_level(logging.WARNING, "correlate.api.receivers"):
        for _ in range(50):
            post(intake, content=b"x", headers={**PROTOBUF, "user-agent": "bad\tagent"})
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("correlate")]
    assert "door=otlp_http_traces outcome=Malformed" in line
    assert "\n" not in line
    outcome = {"door": "otlp_http_traces", "outcome": "Malformed"}
    assert registry.get_sample_value("correlate_receiver_requests_total", outcome) == 50


def test_chunked_requests_are_read(server: str, ingest: FakeIngest) -> None:
    """A body without Content-Length arrives whole over a real socket."""
    answer = httpx.post(f"{server}/v1/traces", content=iter([b"abc", b"def"]), headers=PROTOBUF)
    assert answer.status_code == 200
    assert ingest.payloads[0].body == b"abcdef"


def test_an_oversized_body_is_answered_on_the_wire(server: str) -> None:
    """A sender that pushes 65 MiB without waiting still reads its 413, and its connection stays usable."""
    with httpx.Client(base_url=server, timeout=20) as client:
        assert client.post("/v1/traces", content=bytes(65 << 20), headers=PROTOBUF).status_code == 413
        chunks = (bytes(1 << 20) for _ in range(66))
        assert client.post("/v1/traces", content=chunks, headers=PROTOBUF).status_code == 413
        assert client.post("/v1/traces", content=b"x", headers=PROTOBUF).status_code == 200


def test_a_client_that_disconnects_leaves_nothing(server: str, intake: Intake, registry: CollectorRegistry) -> None:
    """A connection closed in the middle of the body frees its room and is counted as malformed."""
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = (
            "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n"
        )
        connection.sendall(f"{head}\r\n".encode() + bytes(1000))
        until(lambda: intake.budget.held_bytes > 0)
    until(lambda: intake.budget.held_bytes == 0)
    outcome = {"door": "otlp_http_traces", "outcome": "Malformed"}
    until(lambda: registry.get_sample_value("correlate_receiver_requests_total", outcome) == 1)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.mark.parametrize("compression", list(Compression))
def test_the_real_python_exporter_delivers(server: str, ingest: FakeIngest, compression: Compression) -> None:
    """OpenTelemetry's own exporter succeeds with each of its compressions, and its spans arrive."""
    exporter = OTLPSpanExporter(f"{server}/v1/traces", compression=compression)
    assert exporter.export(finished_spans(3)) is SpanExportResult.SUCCESS
    exporter.shutdown()
    request = ExportTraceServiceRequest.FromString(ingest.payloads[0].body)
    assert len(request.resource_spans[0].scope_spans[0].spans) == 3
    assert ingest.payloads[0].sender.startswith("OTel-OTLP-Exporter-Python/")


def test_the_real_python_exporter_retries_overload_only(server: str, ingest: FakeIngest) -> None:
    """It comes back after a 503 and does not after a 400."""
    exporter = OTLPSpanExporter(f"{server}/v1/traces")
    ingest.errors = [Overloaded("full")]
    started = time.monotonic()
    assert exporter.export(finished_spans()) is SpanExportResult.SUCCESS
    assert time.monotonic() - started >= 0.9  # it honoured Retry-After
    assert len(ingest.payloads) == 2
    ingest.errors = [Malformed("no")]
    assert exporter.export(finished_spans()) is SpanExportResult.FAILURE
    assert len(ingest.payloads) == 3
    exporter.shutdown()


def test_limits_are_those_given(make_intake: Callable[..., Intake]) -> None:
    """The limit of a body is configuration."""
    intake = make_intake(limits=BodyLimits(max_body_bytes=10))
    assert post(intake, content=bytes(11), headers=JSON).status_code == 413
    assert json.loads(post(intake, content=bytes(10), headers=JSON).content) == {}
