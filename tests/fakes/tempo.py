"""A Tempo in memory that behaves as the real one was seen to: its traps included, its storage not.

What it imitates was compared with recorded exchanges (``tests/unit/connectors/test_fake_tempo.py``): stripped zeros in
search, base64 ids in JSON, 200 for a missing trace, ``"nil"``, trace-level time filter, limits and their texts.
"""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, TracesData

NS = 1_000_000_000
_TERM = re.compile(r'(resource\.service\.name|span:name|name)\s*=\s*"((?:[^"\\]|\\.)*)"')
_QUERY = re.compile(r"\{(?P<filter>[^}]*)\}\s*(?P<rest>.*)", re.DOTALL)


@dataclass(frozen=True)
class FakeSpan:
    """A span as its sender knows it; ids in hexadecimal."""

    trace_id: str
    span_id: str
    service: str
    name: str
    start_ns: int
    end_ns: int
    parent_id: str = ""
    kind: int = 1
    status: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)


def traces_data(spans: Iterable[FakeSpan]) -> bytes:
    """Spans as OTLP ``TracesData``, one resource per service."""
    message = TracesData()
    scopes: dict[str, Any] = {}
    for span in spans:
        if span.service not in scopes:
            resource = message.resource_spans.add()
            resource.resource.attributes.add(key="service.name").value.string_value = span.service
            scopes[span.service] = resource.scope_spans.add()
        made = scopes[span.service].spans.add(
            trace_id=bytes.fromhex(span.trace_id.zfill(32)),
            span_id=bytes.fromhex(span.span_id),
            parent_span_id=bytes.fromhex(span.parent_id),
            name=span.name,
            kind=span.kind,
            start_time_unix_nano=span.start_ns,
            end_time_unix_nano=span.end_ns,
        )
        made.status.code = span.status
        for key, value in span.attributes.items():
            made.attributes.add(key=key).value.string_value = value
    return message.SerializeToString()


def spans_of(body: bytes) -> list[FakeSpan]:
    """The spans of OTLP ``TracesData``, attributes of type string only."""
    return [
        _span_of(service_of(resource), span)
        for resource in TracesData.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def service_of(resource: ResourceSpans) -> str:
    """The ``service.name`` of a resource."""
    return next((a.value.string_value for a in resource.resource.attributes if a.key == "service.name"), "")


def _span_of(service: str, span: Span) -> FakeSpan:
    return FakeSpan(
        span.trace_id.hex(),
        span.span_id.hex(),
        service,
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.parent_span_id.hex(),
        span.kind,
        span.status.code,
        {a.key: a.value.string_value for a in span.attributes if a.value.string_value},
    )


class Rejected(Exception):
    """A request that Tempo answers with an error in plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class FakeTempo:
    """Answers requests; `handle` fits `httpx.MockTransport`.

    Attributes:
        now_ns: its time of day.
        hidden_ns: how long a span is hidden from searches after it came in.
        multitenant: whether requests need a tenant.
        has_v2: whether it has ``/api/v2/traces``.
        has_hint: whether it knows ``with (most_recent=true)``.
        max_trace_bytes: larger traces come partially.
        max_limit: highest ``limit`` of a search.
        requests: what it was asked, oldest first.
    """

    now_ns: int = 2_000_000_000 * NS
    hidden_ns: int = 0
    multitenant: bool = False
    has_v2: bool = True
    has_hint: bool = True
    max_trace_bytes: int = 5_000_000
    max_limit: int = 262_144
    version: str = ""
    requests: list[httpx.Request] = field(default_factory=list)
    spans: dict[str, dict[tuple[str, str], tuple[FakeSpan, int]]] = field(default_factory=dict)

    def push(self, spans: Iterable[FakeSpan]) -> None:
        """Take spans in now; a span that is there already is taken once."""
        for span in spans:
            trace = self.spans.setdefault(span.trace_id.zfill(32), {})
            trace.setdefault((span.span_id, span.name), (span, self.now_ns))

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        try:
            return self._answer(request, request.url.path)
        except Rejected as refused:
            kind = {"content-type": "text/plain; charset=utf-8"} if str(refused) else {}
            return httpx.Response(refused.status, headers=kind, content=str(refused).encode())

    def asked(self, path: str) -> list[httpx.Request]:
        """The requests whose path begins with something."""
        return [request for request in self.requests if request.url.path.startswith(path)]

    def _answer(self, request: httpx.Request, path: str) -> httpx.Response:
        if path == "/api/echo":
            return httpx.Response(200, text="echo\n")
        if path == "/api/status/buildinfo":
            return _json({"version": self.version, "revision": "", "goVersion": "go1.26"})
        if self.multitenant and not request.headers.get("x-scope-orgid"):
            raise Rejected(401, "no org id")
        by_id = {"/api/v2/traces": self._trace_v2, "/api/traces": self._trace_v1}.get(path.rpartition("/")[0])
        if by_id is not None:
            return by_id(path.rpartition("/")[2], request.headers.get("accept", ""))
        return self._answer_query(path, dict(request.url.params))

    def _answer_query(self, path: str, params: dict[str, str]) -> httpx.Response:
        if path == "/api/search":
            return _json(self._search(params))
        if path == "/api/v2/search/tag/resource.service.name/values":
            services = sorted({span.service for span in self._visible()})
            return _json({"tagValues": [{"type": "string", "value": name} for name in services], "metrics": {}})
        if path == "/api/metrics/query_range":
            return _json(self._query_range(params))
        raise Rejected(404, "404 page not found\n")

    # Traces by id

    def _of_trace(self, text: str) -> bytes:
        for at, letter in enumerate(text, 1):
            if letter not in "0123456789abcdefABCDEF":
                raise Rejected(
                    400, f"trace IDs can only contain hex characters: invalid character '{letter}' at position {at}"
                )
        return traces_data(span for span, _ in self.spans.get(text.lower().zfill(32), {}).values())

    def _trace_v2(self, text: str, accept: str) -> httpx.Response:
        if not self.has_v2:
            raise Rejected(404, "404 page not found\n")
        body, partial, message = self._of_trace(text), b"", b""
        if len(body) > self.max_trace_bytes:
            body = traces_data(spans_of(body)[:1])
            message = (
                f"Trace exceeds maximum size of {self.max_trace_bytes} bytes, a partial trace is returned".encode()
            )
            partial = b"\x18\x01" + b"\x22" + _varint(len(message)) + message
        if "application/protobuf" in accept:
            wrapped = b"\x0a" + _varint(len(body)) + body + b"\x12\x00" + partial
            return httpx.Response(200, headers={"content-type": "application/protobuf"}, content=wrapped)
        answer: dict[str, Any] = {"trace": _as_tempo_json(body), "metrics": {}}
        return _json(answer | ({"status": "PARTIAL", "message": message.decode()} if partial else {}))

    def _trace_v1(self, text: str, accept: str) -> httpx.Response:
        body = self._of_trace(text)
        if not body:
            raise Rejected(404, "")
        if len(body) > self.max_trace_bytes:
            raise Rejected(422, f"trace exceeds max size (max bytes: {self.max_trace_bytes})")
        if "application/protobuf" in accept:
            return httpx.Response(200, headers={"content-type": "application/protobuf"}, content=body)
        return _json({"batches": _as_tempo_json(body).get("resourceSpans", [])})

    # Search

    def _visible(self) -> list[FakeSpan]:
        before_ns = self.now_ns - self.hidden_ns
        return [span for trace in self.spans.values() for span, came_ns in trace.values() if came_ns <= before_ns]

    def _search(self, params: dict[str, str]) -> dict[str, Any]:
        start_s, end_s = _range(params)
        limit, most = _number(params, "limit", 20), _number(params, "spss", 3) or 3
        if limit == 0:
            raise Rejected(400, "invalid limit: must be a positive number")
        if limit > self.max_limit:
            raise Rejected(400, f"limit {limit} exceeds max limit {self.max_limit}")
        if most > 100:
            raise Rejected(400, f"spans per span set exceeds 100. received {most}")
        matches, mentioned, newest = self._parsed(params.get("q", "{}"))
        traces: dict[str, list[FakeSpan]] = {}
        for span in self._visible():
            traces.setdefault(span.trace_id.zfill(32), []).append(span)
        hits = []
        for spans in traces.values():
            overlaps = min(s.start_ns for s in spans) <= end_s * NS and max(s.end_ns for s in spans) >= start_s * NS
            if overlaps and (matching := [span for span in spans if matches(span)]):
                hits.append(_hit(spans, matching, most, mentioned))
        if newest:
            hits.sort(key=lambda hit: -int(hit["startTimeUnixNano"]))
        return {"traces": hits[:limit], "metrics": {"inspectedBytes": "1", "completedJobs": 1, "totalJobs": 1}}

    def _parsed(self, query: str) -> tuple[Any, list[str], bool]:
        parts = _QUERY.fullmatch(query.strip())
        if parts is None:
            text = f"invalid TraceQL query: parse error at line 1, col {len(query) + 1}: syntax error: unexpected $end"
            raise Rejected(400, text)
        rest, newest = parts["rest"], "with (most_recent=true)" in parts["rest"]
        if "with" in rest and not self.has_hint:
            raise Rejected(400, "invalid TraceQL query: parse error at line 1, col 9: syntax error: unexpected with")
        selected = re.search(r"select\(([^)]*)\)", rest)
        mentioned = [name.strip() for name in selected[1].split(",")] if selected else []
        terms = [(field, json.loads(f'"{value}"')) for field, value in _TERM.findall(parts["filter"])]
        any_of = "||" in parts["filter"]
        mentioned = list(dict.fromkeys([field for field, _ in terms] + mentioned))

        def matches(span: FakeSpan) -> bool:
            held = [(span.service if "service" in field else span.name) == value for field, value in terms]
            return any(held) if any_of else all(held)

        return matches, mentioned, newest

    # Metrics

    def _query_range(self, params: dict[str, str]) -> dict[str, Any]:
        query = params.get("q", "")
        if "rate()" not in query:
            raise Rejected(400, "not a metrics query")
        start_s, end_s = int(params["start"]), int(params["end"])
        if end_s - start_s > 24 * 3600:
            raise Rejected(400, "metrics query time range exceeds the maximum allowed duration of 24h0m0s")
        step_s = int(params["step"].rstrip("s"))
        if (end_s - start_s) / step_s > 10_000:
            raise Rejected(400, "number of intervals exceeds the maximum of 10000")
        matches, _, _ = self._parsed(query)
        by_name: dict[str, dict[int, int]] = {}
        ends = range(start_s // step_s * step_s, -(-end_s // step_s) * step_s + 1, step_s)
        for span in self._visible():
            if matches(span) and start_s * NS < span.start_ns <= end_s * NS:
                counts = by_name.setdefault(span.name if "by" in query else "", dict.fromkeys(ends, 0))
                counts[-(-span.start_ns // (step_s * NS)) * step_s] += 1
        return {"series": [_series(name, counts, step_s) for name, counts in sorted(by_name.items())], "metrics": {}}


def _series(name: str, counts: dict[int, int], step_s: int) -> dict[str, Any]:
    samples = [
        {"timestampMs": str(at_s * 1000)} | ({"value": count / step_s} if count else {})
        for at_s, count in counts.items()
    ]
    return {"labels": [{"key": "name", "value": {"stringValue": name}}] if name else [], "samples": samples}


def _hit(spans: list[FakeSpan], matching: list[FakeSpan], most: int, mentioned: list[str]) -> dict[str, Any]:
    root = next((span for span in spans if not span.parent_id), None)
    start_ns, end_ns = min(span.start_ns for span in spans), max(span.end_ns for span in spans)
    span_set = {"spans": [_span(span, mentioned) for span in matching[:most]], "matched": len(matching)}
    return {
        "traceID": spans[0].trace_id.lstrip("0"),
        "rootServiceName": root.service if root else "<root span not yet received>",
        "rootTraceName": root.name if root else "",
        "startTimeUnixNano": str(start_ns),
        "durationMs": (end_ns - start_ns) // 1_000_000,
        "spanSet": span_set,
        "spanSets": [span_set],
    }


def _span(span: FakeSpan, mentioned: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "spanID": span.span_id,
        "startTimeUnixNano": str(span.start_ns),
        "durationNanos": str(span.end_ns - span.start_ns),
        "attributes": [],
    }
    known = {"resource.service.name": ("service.name", span.service)}
    known |= {"kind": ("kind", ["unspecified", "internal", "server", "client", "producer", "consumer"][span.kind])}
    known |= {"status": ("status", ["unset", "ok", "error"][span.status])}
    for one in mentioned:
        if one in ("name", "span:name"):
            answer["name"] = span.name
            continue
        key, value = known.get(one) or (
            one.removeprefix("span."),
            span.attributes.get(one.removeprefix("span."), "nil"),
        )
        answer["attributes"].append({"key": key, "value": {"stringValue": value}})
    return answer


def _range(params: dict[str, str]) -> tuple[int, int]:
    start_s, end_s = _number(params, "start", 0), _number(params, "end", 0)
    if bool(start_s) != bool(end_s) or end_s < start_s:
        raise Rejected(400, f"http parameter start must be before end. received start={start_s} end={end_s}")
    if end_s - start_s > 168 * 3600:
        text = f"range specified by start and end exceeds 168h0m0s. received start={start_s} end={end_s}"
        raise Rejected(400, text)
    return start_s, end_s


def _number(params: dict[str, str], name: str, default: int) -> int:
    text = params.get(name, str(default))
    if not text.isdecimal():
        raise Rejected(400, f'invalid {name}: strconv.ParseUint: parsing "{text}": invalid syntax')
    if int(text) >= 1 << 32:
        raise Rejected(400, f'invalid {name}: strconv.ParseUint: parsing "{text}": value out of range')
    return int(text)


def _as_tempo_json(body: bytes) -> dict[str, Any]:
    """Protobuf's own JSON: base64 ids, enumerations by name, 64-bit integers as strings."""
    answer: dict[str, Any] = MessageToDict(TracesData.FromString(body))
    return answer


def base64_id(text: str) -> str:
    """A hexadecimal id as Tempo's JSON writes it."""
    return base64.b64encode(bytes.fromhex(text)).decode()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _json(value: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json=value)
