"""Requests as clients send them, good and bad, and the doors of a server that take them.

A `Meant` profile can be written as pprof or as OTLP; the messages are the generated classes of others
(``opentelemetry-proto``) or plain bytes, so that a test can break them before they are sent.
"""

import base64
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import httpx
from google.protobuf.json_format import MessageToDict, Parse
from google.protobuf.message import Message
from opentelemetry.proto.collector.profiles.v1development import profiles_service_pb2 as profiles_service
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace_service
from opentelemetry.proto.profiles.v1development import profiles_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from correlate.formats.proto.pprof_pb2 import Profile as Pprof
from tests.support.otlp import chunk
from tests.support.server import Served

SECOND: Final = 1_000_000_000
PERIOD_NS: Final = 10_000_000
TRACE: Final = 0xC0FFEE
"""The trace whose spans are stored before profiles that name them are sent."""

NOT_UTF8: Final = "@no-utf-8@"
"""Text that `on_wire` and `as_json` replace by as many bytes that are not UTF-8."""

_NOT_UTF8_BYTES: Final = b"\xff\xfe\xc0\x80utf\xf5\x80\x80"
_IDS: Final = ("traceId", "spanId", "parentSpanId", "profileId")


@dataclass(frozen=True)
class Meant:
    """One CPU profile of one sample: what it should mean, whatever it is written as.

    Attributes:
        span: the span that the sample names, 0: none.
        hits: how many samples of 10 ms.
        stack: functions, root first.
        labels: further labels of the sample.
        stamps: times of the hits, in nanoseconds since the Unix epoch; OTLP only.
    """

    span: int = 0
    trace: int = 0
    hits: int = 3
    time_ns: int = field(default_factory=lambda: time.time_ns() - 30 * SECOND)
    duration_ns: int = 10 * SECOND
    stack: Sequence[str] = ("main", "work")
    labels: Sequence[tuple[str, str]] = ()
    stamps: Sequence[int] = ()


def span(trace: int, ident: int, *, start_ns: int, duration_ns: int = SECOND, **fields: Any) -> trace_pb2.Span:
    """One span; what is not said is usual."""
    usual: dict[str, Any] = {"name": "GET /items", "kind": 2, "end_time_unix_nano": start_ns + duration_ns}
    ids = {"trace_id": trace.to_bytes(16, "big"), "span_id": ident.to_bytes(8, "big")}
    return trace_pb2.Span(**(usual | ids | {"start_time_unix_nano": start_ns} | fields))


def spans_request(*spans: trace_pb2.Span, service: str = "shop") -> trace_service.ExportTraceServiceRequest:
    """An export request of one resource."""
    request = trace_service.ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = service
    resource.scope_spans.add().spans.extend(spans)
    return request


class OtlpWriter:
    """Writes profiles into one request in the current layout, with a shared dictionary."""

    def __init__(self, service: str = "shop") -> None:
        self.request = profiles_service.ExportProfilesServiceRequest()
        self.dictionary: Any = self.request.dictionary
        resource = self.request.resource_profiles.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        self.profiles = resource.scope_profiles.add().profiles
        self._strings: dict[str, int] = {}
        self.text("")
        for table in ("mapping", "location", "function", "link", "attribute", "stack"):
            getattr(self.dictionary, f"{table}_table").add()

    def text(self, text: str) -> int:
        """The position of a string."""
        if text not in self._strings:
            self._strings[text] = len(self._strings)
            self.dictionary.string_table.append(text)
        return self._strings[text]

    def add(self, meant: Meant) -> profiles_pb2.Profile:
        """Append a profile; the message may be changed afterwards."""
        profile = self.profiles.add(time_unix_nano=meant.time_ns, duration_nano=meant.duration_ns, period=PERIOD_NS)
        for kind, name, unit in (("sample_type", "samples", "count"), ("period_type", "cpu", "nanoseconds")):
            getattr(profile, kind).type_strindex = self.text(name)
            getattr(profile, kind).unit_strindex = self.text(unit)
        sample = profile.samples.add(stack_index=self._stack(meant.stack))
        sample.values.extend([] if meant.stamps else [meant.hits])
        sample.timestamps_unix_nano.extend(meant.stamps)
        sample.attribute_indices.extend(self._attribute(*label) for label in meant.labels)
        if meant.span:
            sample.link_index = len(self.dictionary.link_table)
            ids = {"trace_id": meant.trace.to_bytes(16, "big"), "span_id": meant.span.to_bytes(8, "big")}
            self.dictionary.link_table.add(**ids)
        return profile

    def _stack(self, functions: Sequence[str]) -> int:
        stack = self.dictionary.stack_table.add()
        for name in reversed(functions):
            function, location = len(self.dictionary.function_table), len(self.dictionary.location_table)
            self.dictionary.function_table.add(name_strindex=self.text(name))
            self.dictionary.location_table.add().lines.add(function_index=function)
            stack.location_indices.append(location)
        return len(self.dictionary.stack_table) - 1

    def _attribute(self, key: str, value: str) -> int:
        self.dictionary.attribute_table.add(key_strindex=self.text(key)).value.string_value = value
        return len(self.dictionary.attribute_table) - 1


def profiles_request(*meant: Meant) -> profiles_service.ExportProfilesServiceRequest:
    """An export request of some profiles."""
    writer = OtlpWriter()
    for one in meant:
        writer.add(one)
    return writer.request


def pprof(meant: Meant) -> Pprof:
    """A pprof profile; the message may be changed afterwards."""
    numbers: dict[str, int] = {"": 0}

    def text(value: str) -> int:
        return numbers.setdefault(value, len(numbers))

    profile = Pprof(period=PERIOD_NS, time_nanos=meant.time_ns, duration_nanos=meant.duration_ns)
    for name, unit in (("samples", "count"), ("cpu", "nanoseconds")):
        profile.sample_type.add(type=text(name), unit=text(unit))
    profile.period_type.type, profile.period_type.unit = text("cpu"), text("nanoseconds")
    sample = profile.sample.add(value=[meant.hits, meant.hits * PERIOD_NS])
    for ident, name in enumerate(reversed(meant.stack), 1):
        profile.function.add(id=ident, name=text(name))
        profile.location.add(id=ident).line.add(function_id=ident)
        sample.location_id.append(ident)
    for key, value in (("span_id", f"{meant.span:016x}" if meant.span else "0" * 16), *meant.labels):
        sample.label.add(key=text(key), str=text(value))
    profile.string_table.extend(string.encode() for string in numbers)
    return profile


def on_wire(message: Message) -> bytes:
    """A message as protobuf."""
    return bytes(message.SerializeToString()).replace(NOT_UTF8.encode(), _NOT_UTF8_BYTES)


def as_json(message: Message) -> bytes:
    """An OTLP message as its JSON: ids are hexadecimal there."""
    return json.dumps(_hex_ids(MessageToDict(message))).encode().replace(NOT_UTF8.encode(), _NOT_UTF8_BYTES)


def _hex_ids(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _hex_ids(part, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_hex_ids(part) for part in value]
    return base64.b64decode(value).hex() if key in _IDS else value


def push(*profiles: bytes, labels: Mapping[str, str] = {"service_name": "shop", "__name__": "process_cpu"}) -> bytes:
    """A Pyroscope push of one series, as protobuf."""
    pairs = (chunk(1, chunk(1, key.encode()) + chunk(2, value.encode())) for key, value in labels.items())
    samples = (chunk(2, chunk(1, raw)) for raw in profiles)
    return chunk(1, b"".join(itertools.chain(pairs, samples)))


def push_json(*profiles: bytes) -> bytes:
    """The same as JSON."""
    labels = [{"name": "service_name", "value": "shop"}, {"name": "__name__", "value": "process_cpu"}]
    samples = [{"rawProfile": base64.b64encode(raw).decode()} for raw in profiles]
    return json.dumps({"series": [{"labels": labels, "samples": samples}]}).encode()


@dataclass(frozen=True)
class Answer:
    """How a door answered.

    Attributes:
        status: of HTTP, or for gRPC the status that means the same.
        message: the sentence, of an error or of a partial success.
        refused: how many parts of an accepted request were refused.
    """

    status: int
    message: str
    refused: int = 0


_GRPC_AS_HTTP: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 413,
    grpc.StatusCode.UNAVAILABLE: 503,
}
_TRACE_SERVICE: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_PROFILES_SERVICE: Final = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"


@dataclass(frozen=True)
class Doors:
    """A client of every door of a server."""

    server: Served
    http: httpx.Client
    channel: grpc.Channel

    def traces(self, door: str, body: Message | bytes) -> Answer:
        """Send spans through ``http``, ``json`` or ``grpc``."""
        return self._otlp(door, body, "/v1/traces", _TRACE_SERVICE, trace_service.ExportTraceServiceResponse)

    def profiles(self, door: str, body: Message | bytes) -> Answer:
        """Send OTLP profiles through ``http``, ``json`` or ``grpc``."""
        response = profiles_service.ExportProfilesServiceResponse
        return self._otlp(door, body, "/v1development/profiles", _PROFILES_SERVICE, response)

    def pprofs(self, door: str, *profiles: bytes) -> Answer:
        """Send pprof through ``push``, ``push-json``, ``ingest`` or ``multipart``; the last two take one profile."""
        path, params = "/push.v1.PusherService/Push", {}
        if door in {"ingest", "multipart"}:
            path, params = "/ingest", {"name": "shop", "format": "pprof" if door == "ingest" else ""}
        body, media = {
            "push": lambda: (push(*profiles), "application/proto"),
            "push-json": lambda: (push_json(*profiles), "application/json"),
            "ingest": lambda: (profiles[0], "binary/octet-stream"),
            "multipart": lambda: (_form(profiles[0]), "multipart/form-data; boundary=EDGE"),
        }[door]()
        return self.post(path, body, media, **params)

    def post(self, path: str, body: bytes, media: str, coding: str = "identity", **params: str) -> Answer:
        """Send a body over HTTP."""
        headers = {"Content-Type": media, "Content-Encoding": coding}
        return read_answer(self.http.post(path, content=body, headers=headers, params=params))

    def _otlp(
        self, door: str, body: Message | bytes, path: str, method: str, response: Callable[[], Message]
    ) -> Answer:
        if isinstance(body, Message):
            body = as_json(body) if door == "json" else on_wire(body)
        if door != "grpc":
            return self.post(path, body, "application/json" if door == "json" else "application/x-protobuf")
        try:
            raw = self.channel.unary_unary(method)(body, timeout=30)
        except grpc.RpcError as error:
            return Answer(_GRPC_AS_HTTP[error.code()], error.details())
        answer = response()
        answer.ParseFromString(raw)
        return _partial(answer)

    def total_ns(self, trace: int, ident: int, **params: str) -> int:
        """The CPU time of a span as the REST API answers it, 0 when it has none."""
        answer = self.http.get(f"/api/v1/spans/{trace:032x}/{ident:016x}/profile", params={"scope": "span"} | params)
        assert answer.status_code in {200, 404}, answer.text
        return int(answer.json()["total"]) if answer.is_success else 0

    def has_span(self, trace: int, ident: int) -> bool:
        """Whether a span is stored."""
        answer = self.http.get(f"/api/v1/traces/{trace:032x}")
        return f'"{ident:016x}"' in answer.text


def read_answer(response: httpx.Response) -> Answer:
    """What an answer over HTTP says, in whichever words of the doors."""
    media, path = response.headers.get("content-type", ""), response.request.url.path
    rejected = response.headers.get("x-correlate-rejected-profiles", "")
    if rejected:
        return Answer(response.status_code, rejected, int(rejected.partition(";")[0]))
    if response.is_success and path.startswith("/v1"):
        service = profiles_service.ExportProfilesServiceResponse()
        answer: Message = trace_service.ExportTraceServiceResponse() if path == "/v1/traces" else service
        if media == "application/json":
            Parse(response.content, answer)
        else:
            answer.ParseFromString(response.content)
        return _partial(answer)
    if media == "application/x-protobuf":  # a google.rpc.Status: code 1, message 2
        return Answer(response.status_code, response.content.decode("utf-8", "replace"))
    known = response.json() if "json" in media and response.content else {}
    return Answer(response.status_code, known.get("message") or known.get("detail") or response.text)


def _partial(answer: Any) -> Answer:
    success = answer.partial_success
    refused = getattr(success, "rejected_spans", 0) or getattr(success, "rejected_profiles", 0)
    return Answer(200, success.error_message, refused)


def _form(profile: bytes) -> bytes:
    head = b'--EDGE\r\nContent-Disposition: form-data; name="profile"; filename="profile.pprof"\r\n\r\n'
    return head + profile + b"\r\n--EDGE--\r\n"
