"""A Pyroscope in memory, of several ages, with the habits of the real ones.

It takes both ends of a query in, writes the end of the query as the time of a merge, gives a period that is no
profiler's, keeps no labels, orders samples differently every time, and ignores what it does not know.
"""

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

import httpx

from tests.support.pprof_bytes import Stack, cpu_profile

CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
DAY_MS = 86_400_000


class Age(StrEnum):
    """Which server it is."""

    HEAD = "head"
    V2_1 = "2.1"
    V1_0 = "1.0"
    PHLARE = "phlare"
    DROPS_SELECTORS = "drops selectors"


@dataclass(frozen=True)
class Stored:
    """An uploaded profile: stacks with value, span id and trace id."""

    service: str
    time_ms: int
    samples: tuple[tuple[Stack, int, str, str], ...]
    profile_type: str = CPU
    stripped: bool = False
    probability: float = 1.0


@dataclass
class FakePyroscope:
    """The server; `transport` is what a client talks to.

    Attributes:
        profiles: what it holds.
        age: which server it is.
        tenant: refuses other tenants when not empty.
        fail: path suffix → answer that is given instead.
        asked: paths and bodies of all requests.
    """

    profiles: list[Stored]
    age: Age = Age.HEAD
    tenant: str = ""
    fail: dict[str, httpx.Response] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def transport(self) -> httpx.MockTransport:
        """Instead of the network."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = unquote(request.url.path)
        rpc = path.rpartition("/")[2]
        as_proto = request.headers.get("content-type") == "application/proto"
        question = proto_question(rpc, request.content) if as_proto else json.loads(request.content or b"{}")
        self.asked.append((rpc, question))
        if rpc in self.fail:
            return self.fail[rpc]
        if self.tenant and request.headers.get("x-scope-orgid") != self.tenant:
            return _error(401, "unauthenticated", "no org id")
        handler = self._handlers().get(rpc)
        if handler is None:
            return httpx.Response(404, text="404 page not found\n")
        return handler(question, as_proto)

    def _handlers(self) -> dict[str, Callable[[dict[str, Any], bool], httpx.Response]]:
        every = {
            "GetFeatureFlags": self._flags,
            "buildinfo": lambda q, p: httpx.Response(
                200, json={"status": "success", "data": {"version": str(self.age)}}
            ),
            "GetProfileStats": lambda q, p: httpx.Response(200, json={}),
            "Series": self._series,
            "ProfileTypes": self._types,
            "LabelValues": self._label_values,
            "SelectSeries": self._points,
            "SelectMergeProfile": self._merge_profile,
            "SelectMergeStacktraces": self._merge_stacktraces,
            "SelectMergeSpanProfile": self._merge_spans,
            "SelectHeatmap": self._heatmap,
        }
        missing = {
            Age.V1_0: {"GetFeatureFlags", "SelectHeatmap"},
            Age.PHLARE: {"GetFeatureFlags", "GetProfileStats", "SelectMergeSpanProfile", "SelectHeatmap"},
        }
        return {name: handler for name, handler in every.items() if name not in missing.get(self.age, set())}

    def _flags(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        return httpx.Response(200, json={"featureFlags": [{"name": "v2StorageLayer", "enabled": True}]})

    def _within(self, question: dict[str, Any]) -> list[Stored]:
        if self.age is Age.PHLARE:
            return self.profiles
        return [each for each in self.profiles if question["start"] <= each.time_ms <= question["end"]]

    def _series(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        found = self._within(question)
        if question["matchers"]:
            found = [each for each in found if each.stripped]
        labels = {
            (("service_name", each.service), ("__profile_type__", each.profile_type))
            + ((("__sampled__", "true"),) if each.stripped else ())
            for each in found
        }
        names = [] if self.age is Age.PHLARE else question["labelNames"]
        kept = [[{"name": k, "value": v} for k, v in each if k in names or self.age is Age.PHLARE] for each in labels]
        if self.age is Age.V1_0:  # one that tells no profile types
            kept = [[pair for pair in each if pair["name"] != "__profile_type__"] for each in kept]
        return httpx.Response(200, json={"labelsSet": [{"labels": each} for each in kept]})

    def _types(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        return httpx.Response(200, json={"profileTypes": [{"ID": t} for t in {p.profile_type for p in self.profiles}]})

    def _label_values(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        wanted = json.loads(question["matchers"][0].partition("=")[2][:-1])
        return httpx.Response(
            200, json={"names": sorted({p.service for p in self.profiles if p.profile_type == wanted})}
        )

    def _matching(self, question: dict[str, Any]) -> list[Stored]:
        service = json.loads(question["labelSelector"].split("service_name=", 1)[1].partition(",__sampled__")[0])
        return [
            each
            for each in self.profiles
            if each.service == service
            and each.profile_type == question["profileTypeID"]
            and question["start"] <= each.time_ms <= question["end"]
            and not (each.stripped and '__sampled__!="true"' in question["labelSelector"])
        ]

    def _points(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        step_ms = round(question["step"] * 1000)
        first = question["start"]
        found: dict[int, dict[str, Any]] = {}
        for each in self._matching({**question, "start": first - step_ms + 1}):
            at = first + -(-(each.time_ms - first) // step_ms) * step_ms
            point = found.setdefault(at, {"value": 0, "timestamp": str(at)})
            point["value"] += sum(value for _, value, _, _ in each.samples)
            if each.probability < 1:
                body = json.dumps({"body": {"usageGroup": "x", "probability": each.probability}})
                point["annotations"] = [{"key": "pyroscope.ingest.sampled", "value": body}]
        points = [found[at] for at in sorted(found)]
        return httpx.Response(200, json={"series": [{"points": points}]} if points else {})

    def _merged(
        self, question: dict[str, Any], spans: Iterable[str] = (), traces: Iterable[str] = ()
    ) -> dict[Stack, int]:
        merged: dict[Stack, int] = {}
        for stack, value, span, trace in [sample for each in self._matching(question) for sample in each.samples]:
            if (not spans or span in spans) and (not traces or trace in traces):
                merged[stack] = merged.get(stack, 0) + value
        order = sorted(merged, key=lambda stack: hash((stack, len(self.asked))))
        return {stack: merged[stack] for stack in order}

    def _limited(self, question: dict[str, Any]) -> httpx.Response | None:
        if question["end"] - question["start"] <= DAY_MS or self.age is Age.PHLARE:
            return None
        return _error(400, "invalid_argument", "the query time range exceeds the limit (max_query_length, limit: 1d)")

    def _merge_profile(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        return self._limited(question) or _proto(_pprof(self._merged(question), question["end"]))

    def _merge_stacktraces(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        if refused := self._limited(question):
            return refused
        spans, traces = question.get("spanSelector", ()), question.get("traceIdSelector", ())
        if any(len(span) != 16 for span in spans):
            return _error(500, "unknown", "rpc error: code = Unknown desc = invalid span id length")
        if self.age is not Age.HEAD:
            merged = self._merged(question)
            return _proto(_field(1, b"")) if as_proto else httpx.Response(200, json=_flamegraph(merged))
        merged = self._merged(question, spans, traces)
        if as_proto and question["format"] == 4:
            return _proto(_field(5, _field(1, _pprof(merged, question["end"]))))
        return httpx.Response(200, json=_tree(merged))

    def _merge_spans(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        drops = self.age is Age.DROPS_SELECTORS
        merged = self._merged(question, () if drops else question.get("spanSelector", ()))
        return httpx.Response(200, json=_flamegraph(merged) if self.age is Age.V1_0 else _tree(merged))

    def _heatmap(self, question: dict[str, Any], as_proto: bool) -> httpx.Response:
        exemplars = [
            {"timestamp": str(each.time_ms), "spanId": span, "traceId": trace, "value": str(value)}
            for each in self._matching(question)
            for _, value, span, trace in each.samples
            if span
        ]
        return httpx.Response(200, json={"series": [{"slots": [{"exemplars": exemplars}]}]} if exemplars else {})


def _pprof(merged: dict[Stack, int], end_ms: int) -> bytes:
    if not merged:
        return b"\x60\x80\x94\xeb\xdc\x03"  # a period and nothing else, as the real one answers
    samples = [(stack, value, {}) for stack, value in merged.items()]
    return cpu_profile(samples, end_ms * 10**6, duration_ns=0, period=10**9, first_address=0)


def _tree(merged: dict[Stack, int]) -> dict[str, str]:
    """Pyroscope's tree: children of the last child first."""
    if not merged:
        return {}
    pieces, waiting = b"", [("", ())]
    while waiting:
        name, path = waiting.pop()
        children = sorted(
            {stack[: len(path) + 1] for stack in merged if stack[: len(path)] == path and len(stack) > len(path)}
        )
        raw = name.encode()
        pieces += varint(len(raw)) + raw + varint(merged.get(path, 0)) + varint(len(children))
        waiting += [(child[-1], child) for child in children]
    return {"tree": base64.b64encode(pieces).decode()}


def _flamegraph(merged: dict[Stack, int]) -> dict[str, Any]:
    """Levels of (distance, total, own, name); children, by name, begin where the own part of the parent ends."""
    paths = {stack[:depth] for stack in merged for depth in range(1, len(stack) + 1)}
    total = {path: sum(value for stack, value in merged.items() if stack[: len(path)] == path) for path in {(), *paths}}
    names = ["total", *sorted({path[-1] for path in paths})]
    levels: list[list[int]] = []
    end_of: dict[int, int] = {}

    def draw(path: Stack, start: int) -> None:
        depth = len(path)
        if depth == len(levels):
            levels.append([])
        own = merged.get(path, 0)
        levels[depth] += [start - end_of.get(depth, 0), total[path], own, names.index(path[-1]) if path else 0]
        end_of[depth] = start + total[path]
        at = start + own
        for child in sorted(other for other in paths if other[:-1] == path):
            draw(child, at)
            at += total[child]

    draw((), 0)
    shown = [{"values": [str(number) for number in level]} for level in levels]
    return {"flamegraph": {"names": names, "levels": shown, "total": str(total[()])}}


def proto_question(rpc: str, body: bytes) -> dict[str, Any]:
    """Read a request in protobuf as its JSON form."""
    names = {1: "profileTypeID", 2: "labelSelector", 3: "start", 4: "end", 5: "maxNodes"}
    if rpc == "SelectMergeStacktraces":
        names |= {6: "format", 10: "traceIdSelector", 11: "spanSelector"}
    question: dict[str, Any] = {}
    at = 0
    while at < len(body):
        tag, at = _read(body, at)
        number, at = _read(body, at)
        value: Any = number
        if tag & 7 == 2:
            value, at = body[at : at + number].decode(), at + number
        name = names[tag >> 3]
        question[name] = [*question.get(name, []), value] if name.endswith("Selector") and tag >> 3 >= 10 else value
    return question


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    pieces = b""
    while value > 0x7F:
        pieces, value = pieces + bytes([value & 0x7F | 0x80]), value >> 7
    return pieces + bytes([value])


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 0x80:
        value, shift, at = value | (data[at] & 0x7F) << shift, shift + 7, at + 1
    return value | data[at] << shift, at + 1


def _field(number: int, body: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(body)) + body


def _proto(body: bytes) -> httpx.Response:
    return httpx.Response(200, content=body, headers={"content-type": "application/proto"})


def _error(status: int, code: str, message: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "message": message})
