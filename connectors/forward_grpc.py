"""Payloads to OTLP/gRPC servers; messages stay bytes, no generated stubs are needed.

Which status codes may be tried again follows the OTLP specification 1.11, section OTLP/gRPC throttling.
"""

import base64
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from correlate.errors import ConfigError
from correlate.model.forward import DELIVERED, Fate, Target, Verdict
from correlate.model.payload import Encoding, PayloadKind, RawPayload

_COLLECTOR: Final = "/opentelemetry.proto.collector"
METHODS: Final = {
    PayloadKind.OTLP_TRACES: f"{_COLLECTOR}.trace.v1.TraceService/Export",
    PayloadKind.OTLP_PROFILES: f"{_COLLECTOR}.profiles.v1development.ProfilesService/Export",
    PayloadKind.OTLP_PROFILES_EXPERIMENTAL: f"{_COLLECTOR}.profiles.v1experimental.ProfilesService/Export",
}
"""Full method names by what is carried."""

_LATER: Final = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
_NOT_LET_IN: Final = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
_DOUBTFUL: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
_MAX_SECONDS: Final = 300.0


class GrpcCourier:
    """Carries payloads to one OTLP/gRPC target; used by one thread."""

    def __init__(self, target: Target) -> None:
        """Prepare; the connection is made with the first payload.

        Raises:
            ConfigError: the URL or the certificate file cannot be used.
        """
        self._target = target
        self._metadata = _metadata(target)
        self._channel = _channel(target)
        self._compression = grpc.Compression.Gzip if target.compress else grpc.Compression.NoCompression

    def deliver(self, payload: RawPayload) -> Verdict:
        """Export a payload once."""
        if payload.encoding is Encoding.JSON:
            return Verdict(
                Fate.REFUSED, "OTLP in JSON cannot be passed on over gRPC as it was received; use kind otlp_http"
            )
        export = self._channel.unary_unary(METHODS[payload.kind])
        try:
            export(payload.body, timeout=self._target.timeout_s, metadata=self._metadata, compression=self._compression)
        except grpc.RpcError as error:
            return _judged(self._target, error)
        return DELIVERED

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def _judged(target: Target, error: Any) -> Verdict:
    """What an error means for the payload; `error` is a `grpc.Call` too, which the stubs of gRPC do not say."""
    code = error.code()
    reason = f"{target.name} ({_address(target)}) answered {code.name}: {(error.details() or '')[:200]}"
    wait_s = _retry_delay_s(error.trailing_metadata() or ())
    if code in _LATER or (code is grpc.StatusCode.RESOURCE_EXHAUSTED and wait_s is not None):
        return Verdict(Fate.LATER, reason, wait_s)
    if code in _NOT_LET_IN:
        return Verdict(Fate.LATER, f"{reason}; check tenant and credentials of this target")
    return Verdict(Fate.DOUBTFUL if code in _DOUBTFUL else Fate.REFUSED, reason)


def _retry_delay_s(trailers: Any) -> float | None:
    """The pause that google.rpc.RetryInfo in the details asks for, seconds."""
    details = next((value for key, value in trailers if key == "grpc-status-details-bin"), b"")
    status, retry = status_pb2.Status(), error_details_pb2.RetryInfo()
    try:
        status.ParseFromString(details)
        found = [detail for detail in status.details if detail.Unpack(retry)]
    except DecodeError:
        return None
    return min(max(retry.retry_delay.ToNanoseconds() / 1e9, 0.0), _MAX_SECONDS) if found else None


def _metadata(target: Target) -> list[tuple[str, str]]:
    headers = {name.lower(): value for name, value in target.headers.items()}
    if target.tenant:
        headers.setdefault("x-scope-orgid", target.tenant)
    if target.bearer_token:
        headers.setdefault("authorization", f"Bearer {target.bearer_token}")
    elif target.basic_user or target.basic_password:
        pair = f"{target.basic_user}:{target.basic_password}".encode()
        headers.setdefault("authorization", f"Basic {base64.b64encode(pair).decode()}")
    return list(headers.items())


def _channel(target: Target) -> grpc.Channel:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", 4 << 20)]
    if urlsplit(target.url).scheme == "https":
        return grpc.secure_channel(_address(target), grpc.ssl_channel_credentials(_authorities(target)), options)
    return grpc.insecure_channel(_address(target), options)


def _authorities(target: Target) -> bytes | None:
    try:
        return Path(target.ca_file).read_bytes() if target.ca_file else None
    except OSError as exc:
        raise ConfigError(f"ca_file {target.ca_file} of {target.name} cannot be read: {exc.strerror}") from exc


def _address(target: Target) -> str:
    """``host:port``.

    Raises:
        ConfigError: the URL has no port.
    """
    found = urlsplit(target.url)
    if found.hostname is None or found.port is None:
        raise ConfigError(f"the url of {target.name} must look like http://host:4317 or https://host:4317 for gRPC")
    host = f"[{found.hostname}]" if ":" in found.hostname else found.hostname
    return f"{host}:{found.port}"
