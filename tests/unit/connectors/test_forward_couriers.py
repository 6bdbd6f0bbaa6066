"""Carrying payloads to real servers and to servers that behave badly."""

import gzip
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from connectors.forward_grpc import METHODS, GrpcCourier
from connectors.forward_http import PATHS, HttpCourier
from connectors.forwarding import courier_for
from correlate.errors import ConfigError
from correlate.model.forward import CARRIED, SIGNAL_OF, Fate, Target, TargetKind
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from tests.support.server import free_port

HTTP = Target("tempo", TargetKind.OTLP_HTTP, "http://tempo:4318/base", CARRIED[TargetKind.OTLP_HTTP], timeout_s=2.0)
GRPC = Target("collector", TargetKind.OTLP_GRPC, "http://127.0.0.1:1", CARRIED[TargetKind.OTLP_GRPC], timeout_s=2.0)
BODY = b"some bytes " * 100


def payload(kind: PayloadKind = PayloadKind.OTLP_TRACES, body: bytes = BODY, **more: Any) -> RawPayload:
    """A payload."""
    return RawPayload(kind, body, 1, **more)


def over(handle: Callable[[httpx.Request], httpx.Response], target: Target = HTTP) -> HttpCourier:
    """A courier to a handler."""
    return HttpCourier(target, transport=httpx.MockTransport(handle))


def test_every_kind_that_is_passed_on_has_a_way() -> None:
    """What can be configured can be carried."""
    assert set(PATHS) == set(SIGNAL_OF)
    assert {SIGNAL_OF[kind] for kind in METHODS} == CARRIED[TargetKind.OTLP_GRPC]


@pytest.mark.parametrize("kind", list(PATHS))
def test_the_message_arrives_byte_for_byte(kind: PayloadKind) -> None:
    """Body, content type, sender, query, tenant and credentials; compressed only where the protocol says how."""
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    params = {"name": "app{a=b}", "from": "1"} if kind is PayloadKind.PYROSCOPE_INGEST else {}
    target = replace(HTTP, tenant="team-a", bearer_token="secret", headers={"X-Own": "1"})
    one = payload(kind, content_type="application/x-own; boundary=x", sender="agent/1", params=params)
    assert over(handle, target).deliver(one).fate is Fate.DELIVERED
    (request,) = seen
    assert request.url.path == "/base" + PATHS[kind]
    assert dict(request.url.params) == params
    headers = request.headers
    assert headers["content-type"] == "application/x-own; boundary=x"
    assert (headers["user-agent"], headers["x-own"]) == ("agent/1", "1")
    assert (headers["x-scope-orgid"], headers["authorization"]) == ("team-a", "Bearer secret")
    compressed = headers.get("content-encoding") == "gzip"
    assert compressed == (kind is not PayloadKind.PYROSCOPE_INGEST)
    assert (gzip.decompress(request.content) if compressed else request.content) == BODY


def test_what_came_over_grpc_is_protobuf_over_http() -> None:
    """A message without a content type gets the one it has; a small or incompressible one stays as it is."""

    def handle(request: httpx.Request) -> httpx.Response:
        assert request.headers["content-type"] == "application/x-protobuf"
        assert "content-encoding" not in request.headers
        return httpx.Response(200)

    assert over(handle).deliver(payload(body=b"small")).fate is Fate.DELIVERED
    assert over(handle).deliver(payload(body=gzip.compress(BODY * 9)[:2000])).fate is Fate.DELIVERED


@pytest.mark.parametrize(
    ("status", "fate"),
    [
        (200, Fate.DELIVERED),
        (202, Fate.DELIVERED),
        (400, Fate.REFUSED),
        (401, Fate.LATER),
        (403, Fate.LATER),
        (404, Fate.REFUSED),
        (408, Fate.LATER),
        (413, Fate.REFUSED),
        (422, Fate.REFUSED),
        (429, Fate.LATER),
        (500, Fate.DOUBTFUL),
        (501, Fate.DOUBTFUL),
        (502, Fate.LATER),
        (503, Fate.LATER),
        (504, Fate.LATER),
    ],
)
def test_status_codes_mean_what_otlp_says(status: int, fate: Fate) -> None:
    """Some mean later, some never; credentials are nobody's payload's fault."""
    calls = []

    def handle(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(status, headers={"Retry-After": "3"}, text="said so")

    verdict = over(handle).deliver(payload())
    assert verdict.fate is fate
    assert len(calls) == 1
    if status == 429:
        assert verdict.wait_s == 3.0
    if fate is not Fate.DELIVERED:
        assert "said so" in verdict.reason


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<!doctype html><title>Log in</title>", headers={"content-type": "text/html"}),
        httpx.Response(302, headers={"location": "http://elsewhere/login"}),
    ],
)
def test_a_login_page_is_not_a_delivery(answer: httpx.Response) -> None:
    """A proxy that answers in place of the target: the payload waits."""
    assert over(lambda _: answer).deliver(payload()).fate is Fate.LATER


def test_no_connection_and_no_answer_mean_later() -> None:
    """Nothing listens; something listens and never answers."""
    down = replace(HTTP, url=f"http://127.0.0.1:{free_port()}")
    assert HttpCourier(down).deliver(payload()).fate is Fate.LATER
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = replace(HTTP, url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)
        assert HttpCourier(slow).deliver(payload()).fate is Fate.LATER


@contextmanager
def grpc_server(handle: Callable[[bytes, Any], bytes]) -> Iterator[str]:
    """A server that knows the three Export methods."""
    server = grpc.server(ThreadPoolExecutor(2))
    for method in METHODS.values():
        service = method.strip("/").partition("/")[0]
        export = grpc.unary_unary_rpc_method_handler(handle)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": export}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@pytest.mark.parametrize("kind", list(METHODS))
def test_messages_go_over_grpc_as_they_are(kind: PayloadKind) -> None:
    """The message, the tenant and the credentials arrive."""
    seen: list[tuple[bytes, dict[str, str]]] = []

    def handle(message: bytes, context: Any) -> bytes:
        seen.append((message, dict(context.invocation_metadata())))
        return b""

    with grpc_server(handle) as url:
        courier = courier_for(replace(GRPC, url=url, tenant="team-a", basic_user="u", basic_password="p"))
        assert courier.deliver(payload(kind)).fate is Fate.DELIVERED
        courier.close()
    ((message, metadata),) = seen
    assert message == BODY
    assert metadata["x-scope-orgid"] == "team-a"
    assert metadata["authorization"] == "Basic dTpw"


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        (grpc.StatusCode.UNAVAILABLE, Fate.LATER),
        (grpc.StatusCode.ABORTED, Fate.LATER),
        (grpc.StatusCode.DATA_LOSS, Fate.LATER),
        (grpc.StatusCode.UNAUTHENTICATED, Fate.LATER),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Fate.REFUSED),
        (grpc.StatusCode.INVALID_ARGUMENT, Fate.REFUSED),
        (grpc.StatusCode.UNIMPLEMENTED, Fate.REFUSED),
        (grpc.StatusCode.INTERNAL, Fate.DOUBTFUL),
    ],
)
def test_grpc_codes_mean_what_otlp_says(code: grpc.StatusCode, fate: Fate) -> None:
    """RESOURCE_EXHAUSTED may be tried again only when it says when."""

    def handle(_message: bytes, context: Any) -> bytes:
        context.abort(code, "said so")
        return b""

    with grpc_server(handle) as url:
        courier = GrpcCourier(replace(GRPC, url=url))
        verdict = courier.deliver(payload())
        courier.close()
    assert verdict.fate is fate
    assert "said so" in verdict.reason


def test_retry_info_is_waited_for() -> None:
    """The pause that google.rpc.RetryInfo asks for is kept."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=4)))
    status = status_pb2.Status(code=8, message="busy", details=[detail])

    def handle(_message: bytes, context: Any) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
        return b""

    with grpc_server(handle) as url:
        courier = GrpcCourier(replace(GRPC, url=url))
        verdict = courier.deliver(payload())
        courier.close()
    assert (verdict.fate, verdict.wait_s) == (Fate.LATER, 4.0)


def test_a_server_that_is_not_there_means_later() -> None:
    """Nothing listens on the port."""
    courier = GrpcCourier(replace(GRPC, url=f"http://127.0.0.1:{free_port()}"))
    assert courier.deliver(payload()).fate is Fate.LATER
    courier.close()


def test_json_is_not_rewritten_for_grpc() -> None:
    """What cannot be passed on as it was received is refused with the way out."""
    courier = GrpcCourier(GRPC)
    verdict = courier.deliver(payload(encoding=Encoding.JSON))
    assert verdict.fate is Fate.REFUSED
    assert "otlp_http" in verdict.reason
    courier.close()


def test_mistakes_in_a_target_are_told_before_anything_is_sent() -> None:
    """No port for gRPC, no certificate file, a line break in a token."""
    with pytest.raises(ConfigError, match="http://host:4317"):
        GrpcCourier(replace(GRPC, url="http://collector"))
    with pytest.raises(ConfigError, match="ca_file"):
        GrpcCourier(replace(GRPC, url="https://collector:4317", ca_file="/none.pem"))
    with pytest.raises(ConfigError, match="line break"):
        HttpCourier(replace(HTTP, bearer_token="secret\n"))
    assert "secret" not in repr(replace(HTTP, bearer_token="secret", basic_password="secret"))
