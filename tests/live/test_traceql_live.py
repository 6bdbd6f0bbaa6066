"""A real Tempo: it chooses the same spans by the same queries, but for the documented differences.

``TEMPO_URL`` names its HTTP address, ``TEMPO_OTLP_URL`` where it takes OTLP over HTTP, ``TEMPO_LAG_S`` (60) how long it
may hide new spans from searches.
"""

import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, TracesData

from correlate.formats import otlp_traces
from correlate.model.payload import PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from correlate.services.cohorts import Cohorts
from tests.fakes.lake import FakeLake

URL, PUSH_URL = os.environ.get("TEMPO_URL", ""), os.environ.get("TEMPO_OTLP_URL", "")
LAG_S = float(os.environ.get("TEMPO_LAG_S", "60"))
NS, MS = 10**9, 10**6

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not (URL and PUSH_URL), reason="needs TEMPO_URL and TEMPO_OTLP_URL, addresses of a real Tempo"),
]

QUERIES = """\
{}
{ true }
{ false }
{ 1 = 2 }
{ .user != "ann" }
{ span.user != nil }
{ .user =~ "an" }
{ .user =~ "an.*" }
{ .user !~ "an.*" }
{ .user > "a" }
{ name =~ "POST.*" }
{ name =~ "GET|SELECT" }
{ name = "POST /pay\\nnow" }
{ name = "quote \\" here" }
{ .http.status >= 404 }
{ .http.status != 200 }
{ .http.status = "500" }
{ .cache.hit }
{ !.cache.hit }
{ .cache.hit = false }
{ .cache.hit && true }
{ .user }
{ .user = "ann" || .user = "bob" && status = ok }
{ (.user = "ann" || .user = "bob") && status = ok }
{ .user = "ann" || (.user = "bob" && status = ok) }
{ .region = "eu" }
{ .region != "eu" }
{ resource.region = "eu" }
{ span.region = "span-level" }
{ resource.replicas = 3 }
{ .tags = "a" }
{ .tags =~ "b|c" }
{ .nums > 2 }
{ .ratio > 0.4 }
{ .big = 9007199254740993 }
{ .big > 9007199254740992 }
{ .big > 9007199254740992.0 }
{ .rows = -1 }
{ .rows > -1 }
{ .note = "" }
{ ."weird key" = 1 }
{ span."weird key" = 1 }
{ .http.status = .http.status }
{ .rows > .missing }
{ duration > 100 }
{ duration > 250ms }
{ duration >= 0.25s }
{ statusMessage = "broken pipe" }
{ statusMessage != "" }
{ rootName = "GET /items" }
{ rootServiceName = "checkout" }
{ trace:duration > 100ms }
{ traceDuration > 1s }
{ span:id =~ "0+1" }
{ span:parentID = "0000000000000000" }
{ nestedSetParent < 0 }
{ kind = unspecified }
{ kind != client }
{ status = unset }
{ status != ok }
{ resource.service.name =~ "c.*" }
{ resource.service.name != "checkout" }
{ .service.name = "cart" }
{ span.service.name = "cart" }
{ name = "SELECT" } || { name = "fsync" }
{ name = "SELECT" } && { name = "fsync" }
{ name = "SELECT" } && { status = error }
{ name = "fsync" } || { name = "none" } && { name = "SELECT" }
{ name = "fsync" } || { kind = server } > { }
({ kind = server } > { }) && { status = error }
{ kind = server } > { } > { }
{ kind = server } > ({ } > { })
{ kind = server } >> { resource.service.name = "db" }
{ resource.service.name = "db" } << { kind = server }
{ resource.service.name = "db" } < { resource.service.name = "cart" }
{ name = "SELECT" } ~ { name = "SELECT" }
{ .rows = 0 } ~ { }
{ name = "orphan" } ~ {}
{ kind = server } ~ { kind = server }
{ kind = server } !> { }
{ kind = server } !>> { }
{ name = "SELECT" } !< { }
{ name = "SELECT" } !<< { }
{ .rows = 0 } !~ { }
{ name = "none" } !> { name = "fsync" }
{ kind = server } &> { status = error }
{ kind = server } &>> { name = "SELECT" }
{ name = "SELECT" } &<< { kind = server }
{ name = "SELECT" } &< { kind = client }
{ .rows = 0 } &~ { name = "SELECT" }
""".splitlines()


def put(value: AnyValue, given: Any) -> None:
    """Set a value of any type."""
    members = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    if isinstance(given, list):
        for each in given:
            put(value.array_value.values.add(), each)
    else:
        setattr(value, members[type(given)], given)


@dataclass
class Shop:
    """Three traces of three services.

    Attributes:
        tag: the first half of their trace ids.
        start_ns: when they begin.
    """

    tag: str
    start_ns: int

    def request(self) -> TracesData:
        """The spans."""
        self.sent = TracesData()
        checkout = self._service("checkout", region="eu", replicas=3)
        cart, db = self._service("cart", region="us"), self._service("db")
        self._span(checkout, 1, 1, 0, "GET /items", 500, 2, **{"http.status": 200, "cache.hit": False, "user": "ann"})
        checkout.spans[-1].attributes.extend(self._attributes(tags=["a", "b"], ratio=0.5))
        self._span(checkout, 1, 2, 1, "validate", 50, 1, 1, user="bob", region="span-level")
        self._span(cart, 1, 3, 1, "POST /cart", 300, 3, 2, **{"http.status": 500, "ratio": 2.0})
        cart.spans[-1].status.message = "broken pipe"
        self._span(db, 1, 4, 3, "SELECT", 250, 3, rows=12, big=2**53 + 1)
        self._span(db, 1, 5, 3, "SELECT", 10, 3, rows=0, note="")
        self._span(checkout, 2, 6, 0, "GET /items", 20, 2, **{"http.status": 404, "cache.hit": True, "user": "Ann"})
        self._span(cart, 2, 7, 6, "POST /cart", 15, 3, 1)
        self._span(cart, 2, 8, 999, "orphan", 1, 4, nums=[1, 2, 3])
        self._span(checkout, 3, 9, 0, "POST /pay\nnow", 2000, 2, 2, **{"http.status": "500"})
        self._span(checkout, 3, 10, 9, 'quote " here', 100, 5, **{"weird key": 1})
        self._span(db, 3, 11, 10, "UPDATE", 90, 3, rows=-1)
        self._span(db, 3, 12, 11, "fsync", 80, 0)
        return self.sent

    def _service(self, name: str, **attributes: Any) -> ScopeSpans:
        sent = self.sent.resource_spans.add()
        sent.resource.attributes.extend(self._attributes(**{"service.name": name}, **attributes))
        return sent.scope_spans.add()

    def _span(
        self,
        scope: ScopeSpans,
        trace: int,
        span: int,
        parent: int,
        name: str,
        ms: int,
        kind: int,
        status: int = 0,
        **attributes: Any,
    ) -> None:
        made = scope.spans.add(
            trace_id=bytes.fromhex(f"{self.tag}{trace:016x}"),
            span_id=span.to_bytes(8, "big"),
            parent_span_id=parent.to_bytes(8, "big") if parent else b"",
            name=name,
            kind=kind,
            start_time_unix_nano=self.start_ns,
            end_time_unix_nano=self.start_ns + ms * MS,
        )
        made.status.code = status
        made.attributes.extend(self._attributes(**attributes))

    @staticmethod
    def _attributes(**given: Any) -> Iterator[Any]:
        scratch = TracesData().resource_spans.add().resource
        for key, value in given.items():
            put(scratch.attributes.add(key=key).value, value)
        return iter(scratch.attributes)

    def chosen_by_tempo(self, q: str) -> list[int]:
        """The ids of the spans that Tempo finds."""
        start_s = self.start_ns // NS
        wanted: dict[str, str | int] = {"q": q, "start": start_s - 60, "end": start_s + 60, "limit": 1000, "spss": 100}
        answer = httpx.get(f"{URL}/api/search", params=wanted, timeout=30)
        assert answer.status_code == 200, answer.text
        mine = [each for each in answer.json().get("traces", []) if each["traceID"].zfill(32).startswith(self.tag)]
        sets = [found for trace in mine for found in trace.get("spanSets", [])]
        return sorted(int(span["spanID"], 16) for found in sets for span in found["spans"])


@pytest.fixture(scope="module")
def shop() -> tuple[Shop, Cohorts]:
    """Spans that a Tempo has, and that we have from the same bytes."""
    made = Shop(secrets.token_hex(8), time.time_ns() - 3 * NS)
    body = made.request().SerializeToString()
    answer = httpx.post(f"{PUSH_URL}/v1/traces", content=body, headers={"Content-Type": "application/x-protobuf"})
    assert answer.status_code == 200, answer.text
    give_up_s = time.monotonic() + LAG_S + 10
    while len(made.chosen_by_tempo("{}")) < 12 and time.monotonic() < give_up_s:
        time.sleep(0.2)
    return made, Cohorts(FakeLake(otlp_traces.read(RawPayload(PayloadKind.OTLP_TRACES, body, made.start_ns))))


@pytest.mark.parametrize("q", QUERIES)
def test_tempo_chooses_the_same_spans(shop: tuple[Shop, Cohorts], q: str) -> None:
    """Query by query."""
    made, cohorts = shop
    ours = cohorts.choose(q, TimeRange(made.start_ns - NS, made.start_ns + 60 * NS))
    assert sorted(ours.spans["span"].to_list()) == made.chosen_by_tempo(q)
