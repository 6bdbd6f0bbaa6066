"""OTLP over gRPC: TraceService and ProfilesService, with the messages left as bytes.

The server is gRPC's asyncio one and lives in the event loop that starts it. A request waits up to a second for its
group commit; with a thread for each, as the synchronous server has it, a pool of any sane size would cap the rate at
its own size per commit. Here waiting costs nothing, and the work is done in the same threads as that of HTTP requests.

Methods are registered by name without generated stubs, as client-streaming ones: on the wire a unary request is a
stream of one message, and so the handler decides when the message is read. Few are read at a time, the rest stay with
their senders, and memory stays bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from correlate.api.bodies import BodyLimits
from correlate.api.receivers.intake import Entry, Intake, Stored, code_of, message_of, retry_after_s
from correlate.errors import ConfigError, CorrelateError, Malformed, Overloaded
from correlate.formats import otlp_response
from correlate.model.payload import Encoding, PayloadKind

_COLLECTOR: Final = "opentelemetry.proto.collector"
SERVICES: Final = {
    f"{_COLLECTOR}.trace.v1.TraceService": Entry("otlp_grpc_traces", PayloadKind.OTLP_TRACES, "spans"),
    f"{_COLLECTOR}.profiles.v1development.ProfilesService": Entry(
        "otlp_grpc_profiles", PayloadKind.OTLP_PROFILES, "profiles"
    ),
    f"{_COLLECTOR}.profiles.v1experimental.ProfilesService": Entry(
        "otlp_grpc_profiles_v1experimental", PayloadKind.OTLP_PROFILES_EXPERIMENTAL, "profiles"
    ),
}
"""Full service names; each has the one method ``Export``."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_SERVING: Final = b"\x08\x01"  # grpc.health.v1.HealthCheckResponse{status: SERVING}

Handler = Callable[[Any, "grpc.aio.ServicerContext"], Awaitable[bytes]]


class OtlpGrpcServer:
    """A gRPC server for OTLP.

    Args:
        intake: what all receivers share.
        max_reads: how many messages are taken off the wire at the same time.
    """

    def __init__(self, intake: Intake, max_reads: int = 8) -> None:
        self._intake = intake
        self._reads = asyncio.Semaphore(max_reads)
        self._server: grpc.aio.Server | None = None

    async def start(self, address: str) -> int:
        """Listen on ``host:port`` (port 0: any free one) in the running event loop; returns the port.

        Raises:
            ConfigError: the address cannot be listened on.
        """
        server = grpc.aio.server(options=_options(self._intake.limits))
        server.add_generic_rpc_handlers((_health(), *map(self._service, SERVICES)))
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as exc:
            raise ConfigError(
                f"OTLP gRPC cannot listen on {address}: the port is taken or the address is not one of this machine; "
                "choose another with --otlp-grpc HOST:PORT, or 'off'"
            ) from exc
        await server.start()
        self._server = server
        return int(port)

    async def stop(self, grace_s: float) -> None:
        """Take no further requests, and let those under way finish within `grace_s` seconds."""
        if self._server is not None:
            await self._server.stop(grace_s)
            self._server = None

    def _service(self, name: str) -> grpc.GenericRpcHandler:
        export = grpc.stream_unary_rpc_method_handler(self._handler(SERVICES[name]))
        return grpc.method_handlers_generic_handler(name, {"Export": export})

    def _handler(self, entry: Entry) -> Handler:
        async def export(_messages: Any, context: "grpc.aio.ServicerContext") -> bytes:
            sender = _sender(context)
            outcome = await self._intake.attempt(entry, sender, self._export(entry, context, sender))
            if isinstance(outcome, CorrelateError):
                await context.abort(_CODES[code_of(outcome)], message_of(outcome), _trailers(outcome))
                raise outcome  # not reached: abort raises
            return otlp_response.export_response(outcome.rejects, entry.signal, Encoding.PROTOBUF)

        return export

    async def _export(self, entry: Entry, context: "grpc.aio.ServicerContext", sender: str) -> Stored:
        # Without a name for the message here, nothing holds it during the wait for the commit.
        return await self._intake.receive_message(entry, sender, *await self._read(context))

    async def _read(self, context: "grpc.aio.ServicerContext") -> tuple[bytes, list[str]]:
        timeout_s = self._intake.limits.read_timeout_s
        try:
            async with self._reads, asyncio.timeout(timeout_s):
                message = await context.read()
        except TimeoutError as exc:
            raise Overloaded(f"the message did not arrive within {timeout_s:g} s") from exc
        if not isinstance(message, bytes):
            raise Malformed("the request ended without a message")
        return message, _codings(message)


def _options(limits: BodyLimits) -> list[tuple[str, int]]:
    return [
        # Checked by gRPC on the wire's size, and answered with RESOURCE_EXHAUSTED without RetryInfo.
        ("grpc.max_receive_message_length", limits.max_body_bytes),
        # Before 1.84 gRPC unpacks a message whole and looks at its size afterwards, which a bomb does not wait for.
        ("grpc.per_message_decompression", 0),
        # Without this a second server would share the port in silence and take half of the connections.
        ("grpc.so_reuseport", 0),
    ]


def _codings(message: bytes) -> list[str]:
    """How a message is compressed, by its first bytes: gRPC keeps the header that says so to itself.

    No export request begins like this: 0x1f would be a wire type that does not exist, and 0x78 a field 15.
    """
    if message[:2] == b"\x1f\x8b":
        return ["gzip"]
    return ["deflate"] if message[:1] == b"\x78" and int.from_bytes(message[:2], "big") % 31 == 0 else []


def _health() -> grpc.GenericRpcHandler:
    """The standard health check, for probes that speak gRPC: it answers, so it serves."""

    async def check(_request: bytes, _context: "grpc.aio.ServicerContext") -> bytes:
        return _SERVING

    return grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)}
    )


def _trailers(error: CorrelateError) -> tuple[tuple[str, bytes], ...]:
    """The error's details where clients look for them.

    Go and Java read google.rpc.Status in ``grpc-status-details-bin``, Python's exporter the bare RetryInfo in
    ``google.rpc.retryinfo-bin``. An error without RetryInfo is not tried again (RESOURCE_EXHAUSTED included).
    """
    status = status_pb2.Status(code=int(code_of(error)), message=message_of(error))
    wait_s = retry_after_s(error)
    if wait_s is None:
        return (("grpc-status-details-bin", status.SerializeToString()),)
    retry = error_details_pb2.RetryInfo(retry_delay=_duration(wait_s))
    detail = any_pb2.Any()
    detail.Pack(retry)
    status.details.append(detail)
    return (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("google.rpc.retryinfo-bin", retry.SerializeToString()),
    )


def _duration(wait_s: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(wait_s * 1e9))
    return duration


def _sender(context: "grpc.aio.ServicerContext") -> str:
    metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
    return str(metadata.get("user-agent", ""))
