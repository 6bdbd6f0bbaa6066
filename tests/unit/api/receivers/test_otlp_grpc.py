"""OTLP over gRPC, spoken to by real clients over loopback."""

import asyncio
import socket
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace.export import SpanExportResult
from prometheus_client import CollectorRegistry

from correlate.api.bodies import BodyBudget, BodyLimits
from correlate.api.receivers.intake import Intake
from correlate.api.receivers.otlp_grpc import OtlpGrpcServer
from correlate.errors import ConfigError, CorrelateError, Malformed, Overloaded, StoreError, TooLarge, UnknownFormat
from correlate.model.payload import Encoding, PayloadKind
from correlate.tables.tables import Reject
from tests.fakes.ingest import FakeIngest, failed, never
from tests.fakes.spans import finished_spans

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROFILES = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
EXPERIMENTAL = "/opentelemetry.proto.collector.profiles.v1experimental.ProfilesService/Export"
MIB = 1 << 20


class Loop:
    """An event loop in a thread, as the servers have one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def start(loop: Loop) -> Iterator[Callable[..., int]]:
    """Starts servers; they stop with the test."""
    servers: list[OtlpGrpcServer] = []

    async def listen(intake: Intake, address: str, max_reads: int) -> int:
        servers.append(OtlpGrpcServer(intake, max_reads))
        return await servers[-1].start(address)

    def begin(intake: Intake, address: str = "127.0.0.1:0", max_reads: int = 8) -> int:
        return int(loop.run(listen(intake, address, max_reads)))

    yield begin
    for server in servers:
        loop.run(server.stop(0))


@pytest.fixture
def port(start: Callable[..., int], intake: Intake) -> int:
    return start(intake)


def call(port: int, method: str, message: bytes, **options: Any) -> bytes:
    unlimited = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=unlimited) as channel:
        return bytes(channel.unary_unary(method)(message, timeout=10, **options))


def refusal(port: int, method: str = TRACES, message: bytes = b"x", **options: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        call(port, method, message, **options)
    return caught.value


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (TRACES, PayloadKind.OTLP_TRACES),
        (PROFILES, PayloadKind.OTLP_PROFILES),
        (EXPERIMENTAL, PayloadKind.OTLP_PROFILES_EXPERIMENTAL),
    ],
)
def test_each_service_delivers_its_kind(port: int, ingest: FakeIngest, method: str, kind: PayloadKind) -> None:
    """The service decides what a message is; full success is an empty response."""
    assert call(port, method, b"abc") == b""
    (payload,) = ingest.payloads
    assert (payload.kind, payload.body, payload.encoding) == (kind, b"abc", Encoding.PROTOBUF)
    assert payload.sender.startswith("grpc-python/")


@pytest.mark.parametrize("compression", list(grpc.Compression))
def test_compressed_and_empty_messages_arrive(port: int, ingest: FakeIngest, compression: grpc.Compression) -> None:
    """Both compressions of gRPC are undone, and an empty request is a success."""
    for message in (bytes(5000), b""):
        assert call(port, TRACES, message, compression=compression) == b""
        assert ingest.payloads.pop().body == message


def test_partial_success_is_a_success(port: int, ingest: FakeIngest, registry: CollectorRegistry) -> None:
    """What was refused is counted in the response."""
    ingest.rejects = (Reject("spans", 3, "too old"),)
    partial = ExportTraceServiceResponse.FromString(call(port, TRACES, b"x")).partial_success
    assert (partial.rejected_spans, "too old" in partial.error_message) == (3, True)
    ingest.rejects = (Reject("profiles", 2, "no samples"),)
    response = ExportProfilesServiceResponse.FromString(call(port, PROFILES, b"x"))
    assert response.partial_success.rejected_profiles == 2
    outcome = {"door": "otlp_grpc_traces", "outcome": "partial"}
    assert registry.get_sample_value("correlate_receiver_requests_total", outcome) == 1


@pytest.mark.parametrize(
    ("error", "code", "delay_ns"),
    [
        (Malformed("byte 3 is odd"), grpc.StatusCode.INVALID_ARGUMENT, None),
        (UnknownFormat("layout 1.7 is not read"), grpc.StatusCode.INVALID_ARGUMENT, None),
        (TooLarge("too many samples"), grpc.StatusCode.RESOURCE_EXHAUSTED, None),
        (Overloaded("the queue is full", retry_after_s=2.5), grpc.StatusCode.UNAVAILABLE, 2_500_000_000),
        (StoreError("the disk is full"), grpc.StatusCode.UNAVAILABLE, 1_000_000_000),
        (CorrelateError("a bug"), grpc.StatusCode.INTERNAL, None),
        (ValueError("secret detail"), grpc.StatusCode.INTERNAL, None),
    ],
)
def test_errors_have_the_code_and_details_clients_look_for(
    port: int, ingest: FakeIngest, error: Exception, code: grpc.StatusCode, delay_ns: int | None
) -> None:
    """RetryInfo stands in both trailers if trying again may help, and in none if not."""
    ingest.errors = [error]
    refused = refusal(port)
    trailers = {trailer.key: trailer.value for trailer in refused.trailing_metadata()}
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (refused.code(), status.code) == (code, code.value[0])
    assert status.message == refused.details()
    assert "secret" not in status.message
    if delay_ns is None:
        assert "google.rpc.retryinfo-bin" not in trailers
        assert not status.details
    else:
        python = error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
        others = error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(others)
        assert python.retry_delay.ToNanoseconds() == others.retry_delay.ToNanoseconds() == delay_ns


def test_long_and_odd_messages_fit_into_trailers(port: int, ingest: FakeIngest) -> None:
    """An error of any length and any characters still reaches the sender as itself."""
    ingest.errors = [Malformed("é\ud800\n" * 5000)]
    assert refusal(port).code() is grpc.StatusCode.INVALID_ARGUMENT


def test_commits_that_fail_or_linger_are_unavailable(
    start: Callable[..., int], make_intake: Callable[..., Intake], ingest: FakeIngest
) -> None:
    """A success means committed: without a commit the sender is asked to try again."""
    port = start(make_intake(commit_timeout_s=0.05))
    for commit in (never, failed(StoreError("the disk is full"))):
        ingest.commit = commit
        assert refusal(port).code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_messages_over_64_mib_are_refused(port: int, ingest: FakeIngest, compression: grpc.Compression) -> None:
    """65 MiB are refused whether they travel compressed or not, without RetryInfo; 5 MiB are not."""
    refused = refusal(port, message=bytes(65 * MIB), compression=compression)
    assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in {trailer.key for trailer in refused.trailing_metadata()}
    assert call(port, TRACES, bytes(5 * MIB), compression=compression) == b""
    assert len(ingest.payloads) == 1


def test_broken_compression_is_bad_input(port: int, ingest: FakeIngest) -> None:
    """A compressed message that is cut off is refused for good."""
    refused = refusal(port, message=zlib.compress(bytes(1000))[:-3])
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "cut off" in refused.details()
    assert not ingest.payloads


def test_waiting_requests_hold_no_messages(port: int, ingest: FakeIngest) -> None:
    """While twenty requests of 2 MiB wait for their commit, their messages are gone from memory."""
    pending = []

    def later(receipt: Any) -> Any:
        pending.append(never(receipt))
        ingest.payloads.clear()
        return pending[-1]

    ingest.commit = later
    message = bytes(2 * MIB)
    tracemalloc.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            calls = [channel.unary_unary(TRACES).future(message, timeout=10) for _ in range(20)]
            deadline = time.monotonic() + 5
            while len(pending) < 20 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.05)
            held_bytes, _ = tracemalloc.get_traced_memory()
            for commit in pending:
                commit.set_result(ingest.receipt)
            assert [waiting.result() for waiting in calls] == [b""] * 20
    finally:
        tracemalloc.stop()
    assert held_bytes < 15 * MIB


def test_a_bomb_is_not_expanded(
    start: Callable[..., int], make_intake: Callable[..., Intake], ingest: FakeIngest, registry: CollectorRegistry
) -> None:
    """56 MiB in 57 KiB of gzip are refused without being unpacked into memory."""
    port = start(make_intake(limits=BodyLimits(max_body_bytes=MIB)))
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join([*(packer.compress(bytes(MIB)) for _ in range(56)), packer.flush()])
    before_bytes, peaks, done = resident_bytes(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.001):
            peaks.append(resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    send_compressed(port, packed)
    done.set()
    watcher.join()
    assert not ingest.payloads
    outcome = {"door": "otlp_grpc_traces", "outcome": "TooLarge"}
    assert registry.get_sample_value("correlate_receiver_requests_total", outcome) == 1
    assert max(peaks) - before_bytes < 25 * MIB


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def send_compressed(port: int, packed: bytes) -> None:
    """Speak just enough HTTP/2 to send gzip as it is (gRPC's client would hold the message to compress it)."""

    def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
        return len(body).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + body

    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": TRACES,
        ":authority": "test",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-encoding": "gzip",
    }
    head = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(text)]) + text.encode() for name, text in fields.items()
    )
    message = b"\1" + len(packed).to_bytes(4, "big") + packed
    assert len(message) < 65535, "the first window is all there is"
    parts = [message[i : i + 16384] for i in range(0, len(message), 16384)]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, head))
        for part in parts:
            connection.sendall(frame(0, int(part is parts[-1]), 1, part))
        answer = connection.makefile("rb")
        while True:
            size, kind, flags = int.from_bytes(answer.read(3), "big"), *answer.read(2)
            answer.read(4 + size)
            if kind == 1 and flags & 1:  # the headers that end the stream carry the status
                return


def test_overload_of_room_is_unavailable(
    start: Callable[..., int], make_intake: Callable[..., Intake], loop: Loop
) -> None:
    """When bodies under way fill the budget, the next message is sent away with RetryInfo, and nothing leaks."""
    intake = make_intake(budget=BodyBudget(1000, wait_s=0.05))
    port = start(intake)
    held = intake.budget.reserve(600)
    loop.run(held.__aenter__())
    assert refusal(port, message=bytes(900)).code() is grpc.StatusCode.UNAVAILABLE
    loop.run(held.__aexit__(None, None, None))
    assert call(port, TRACES, bytes(900)) == b""
    assert intake.budget.held_bytes == 0


def test_a_client_that_sends_nothing_is_sent_away(
    start: Callable[..., int], make_intake: Callable[..., Intake], ingest: FakeIngest
) -> None:
    """A call without a message, ended or left open, neither hangs nor blocks the one place for reading."""
    port = start(make_intake(limits=BodyLimits(read_timeout_s=0.2)), max_reads=1)
    release = threading.Event()

    def silence() -> Iterator[bytes]:
        release.wait(10)
        yield from ()

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        open_call = channel.stream_unary(TRACES).future(silence(), timeout=10)
        assert call(port, TRACES, b"x") == b""
        assert open_call.exception().code() is grpc.StatusCode.UNAVAILABLE
        release.set()
        ended = channel.stream_unary(TRACES).future(iter(()), timeout=10)
        assert ended.exception().code() is grpc.StatusCode.INVALID_ARGUMENT
    assert len(ingest.payloads) == 1


def test_a_cancelled_call_leaks_nothing(port: int, intake: Intake, ingest: FakeIngest) -> None:
    """A client that gives up while its message is read leaves no room reserved, and the server goes on."""
    ingest.work_s = 0.1
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        pending = channel.unary_unary(TRACES).future(b"x")
        deadline = time.monotonic() + 5
        while not ingest.payloads and time.monotonic() < deadline:
            time.sleep(0.005)
        pending.cancel()
    assert call(port, TRACES, b"y") == b""
    assert intake.budget.held_bytes == 0


def test_many_requests_wait_for_commits_together(port: int, ingest: FakeIngest) -> None:
    """Two hundred requests ride on commits of a tenth of a second: waiting needs no thread each."""
    timers: list[threading.Timer] = []

    def slowly(receipt: Any) -> Any:
        future = never(receipt)
        timers.append(threading.Timer(0.1, future.set_result, [receipt]))
        timers[-1].start()
        return future

    ingest.commit = slowly
    started = time.monotonic()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        calls = [channel.unary_unary(TRACES).future(b"x", timeout=10) for _ in range(200)]
        assert [pending.result() for pending in calls] == [b""] * 200
    assert time.monotonic() - started < 10


def test_a_taken_port_is_a_clear_error(start: Callable[..., int], intake: Intake) -> None:
    """A second server on the same port is refused with the option to change, and does not share it in silence."""
    port = start(intake)
    with pytest.raises(ConfigError, match=f"127.0.0.1:{port}.*--otlp-grpc"):
        start(intake, f"127.0.0.1:{port}")


def test_stopping_lets_requests_finish(loop: Loop, intake: Intake, ingest: FakeIngest) -> None:
    """A request under way is answered; a new one is not."""
    server = OtlpGrpcServer(intake)
    port = loop.run(server.start("127.0.0.1:0"))
    ingest.work_s = 0.1
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        pending = channel.unary_unary(TRACES).future(b"x", timeout=10)
        while not ingest.payloads:
            time.sleep(0.005)
        loop.run(server.stop(5))
        loop.run(server.stop(5))
        assert pending.result() == b""
    assert refusal(port).code() is grpc.StatusCode.UNAVAILABLE


def test_health_checks_are_answered(port: int) -> None:
    """Probes that speak gRPC learn that the server serves; unknown methods are unimplemented."""
    assert call(port, "/grpc.health.v1.Health/Check", b"") == b"\x08\x01"
    assert refusal(port, "/opentelemetry.proto.collector.logs.v1.LogsService/Export").code() is (
        grpc.StatusCode.UNIMPLEMENTED
    )


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_the_real_python_exporter_delivers(port: int, ingest: FakeIngest, compression: grpc.Compression) -> None:
    """OpenTelemetry's own exporter succeeds and its spans arrive."""
    exporter = OTLPSpanExporter(f"127.0.0.1:{port}", insecure=True, compression=compression)
    assert exporter.export(finished_spans(3)) is SpanExportResult.SUCCESS
    exporter.shutdown()
    request = ExportTraceServiceRequest.FromString(ingest.payloads[0].body)
    assert len(request.resource_spans[0].scope_spans[0].spans) == 3
    assert ingest.payloads[0].sender.startswith("OTel-OTLP-Exporter-Python/")


def test_the_real_python_exporter_retries_overload_only(port: int, ingest: FakeIngest) -> None:
    """It comes back after UNAVAILABLE, when RetryInfo says, and does not after INVALID_ARGUMENT."""
    exporter = OTLPSpanExporter(f"127.0.0.1:{port}", insecure=True)
    ingest.errors = [Overloaded("full", retry_after_s=0.3)]
    started = time.monotonic()
    assert exporter.export(finished_spans()) is SpanExportResult.SUCCESS
    assert 0.2 < time.monotonic() - started < 5
    assert len(ingest.payloads) == 2
    ingest.errors = [Malformed("no")]
    assert exporter.export(finished_spans()) is SpanExportResult.FAILURE
    assert len(ingest.payloads) == 3
    exporter.shutdown()
