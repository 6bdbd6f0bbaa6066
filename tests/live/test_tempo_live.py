"""A real Tempo: what is pushed to it is pulled from it, all of it.

``TEMPO_URL`` names its HTTP address, ``TEMPO_OTLP_URL`` where it takes OTLP over HTTP, ``TEMPO_LAG_S`` (60) how long it
may hide new spans from searches.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from connectors.http import Endpoint
from connectors.tempo import TempoOptions, TempoSource
from correlate.model.queries import TimeRange
from tests.fakes.tempo import NS, FakeSpan, spans_of, traces_data

URL, PUSH_URL = os.environ.get("TEMPO_URL", ""), os.environ.get("TEMPO_OTLP_URL", "")
LAG_S = float(os.environ.get("TEMPO_LAG_S", "60"))
OVERLAP_NS = 45 * NS
STEP_NS = 30 * NS

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(not (URL and PUSH_URL), reason="needs TEMPO_URL and TEMPO_OTLP_URL, addresses of a real Tempo"),
]


class WallClock:
    """The time of day."""

    def now_ns(self) -> int:
        return time.time_ns()


def source(*services: str, limit: int = 50, whole: bool = True) -> "closing[TempoSource]":
    """A source with a limit low enough to overflow."""
    options = TempoOptions(services, whole_traces=whole, lag_s=LAG_S, slice_s=30, limit=limit)
    return closing(TempoSource("live", Endpoint(URL), WallClock(), options))


def push(spans: list[FakeSpan]) -> None:
    """Send spans as an SDK would."""
    for at in range(0, len(spans), 500):
        body = traces_data(spans[at : at + 500])
        answer = httpx.post(f"{PUSH_URL}/v1/traces", content=body, headers={"Content-Type": "application/x-protobuf"})
        assert answer.status_code == 200, answer.text


def made_trace(service: str, start_ns: int, *, children: int, length_ns: int, trace_id: str = "") -> list[FakeSpan]:
    """A root span and its children, the last of which is a service called ``…-db``."""
    trace = trace_id or secrets.token_hex(16)
    root = FakeSpan(trace, secrets.token_hex(8), service, "GET /", start_ns, start_ns + length_ns, kind=2)
    each_ns = length_ns // (children + 1)
    return [root] + [
        FakeSpan(
            trace,
            secrets.token_hex(8),
            f"{service}-db" if number == children - 1 else service,
            f"step {number % 7}",
            start_ns + number * each_ns,
            start_ns + (number + 1) * each_ns,
            root.span_id,
            attributes={"step": str(number)},
        )
        for number in range(children)
    ]


def batch(service: str, now_ns: int) -> list[FakeSpan]:
    """300 short traces of the last minute, 80 of them in one second, a long one, a wide one, ids with zeros."""
    spans: list[FakeSpan] = []
    for number in range(220):
        spans += made_trace(service, now_ns - 60 * NS + number * NS // 4, children=2, length_ns=NS // 20)
    for number in range(80):
        spans += made_trace(service, now_ns - 31 * NS + number * NS // 100, children=2, length_ns=NS // 20)
    spans += made_trace(service, now_ns - 100 * NS, children=30, length_ns=95 * NS)
    spans += made_trace(service, now_ns - 20 * NS, children=250, length_ns=NS)
    for digits in (9, 15, 16, 31):
        trace_id = secrets.token_hex(16)[-digits:].zfill(32)
        spans += made_trace(service, now_ns - 10 * NS, children=1, length_ns=NS // 10, trace_id=trace_id)
    return spans


def pulled(tempo: TempoSource, watermark_ns: int, until_ns: int) -> Iterator[FakeSpan]:
    """What a puller gets that works forward in steps and reads some time before the watermark again."""
    while watermark_ns < until_ns:
        end_ns = min(watermark_ns + STEP_NS, until_ns)
        for payload in tempo.fetch(TimeRange(watermark_ns - OVERLAP_NS, end_ns)):
            yield from spans_of(payload.body)
        watermark_ns = end_ns


def wait_until_settled(tempo: TempoSource, moment_ns: int) -> None:
    """Until the source says that everything before a moment is there."""
    while tempo.settled_until_ns(time.time_ns()) < moment_ns:
        time.sleep(0.1)


def test_every_pushed_span_is_pulled_through_a_restart_and_late_arrival() -> None:
    """Two pullers one after the other, overflowing windows, late spans, long, wide and oddly numbered traces."""
    service, now_ns = f"live-{secrets.token_hex(4)}", time.time_ns()
    early = batch(service, now_ns)
    late = [replace(s, span_id=secrets.token_hex(8), parent_id=s.span_id, name="late") for s in early[-60:]]
    push(early)
    middle_ns = now_ns - 15 * NS
    with source(service) as tempo:
        wait_until_settled(tempo, now_ns)
        got = list(pulled(tempo, now_ns - 120 * NS, middle_ns))
    push(late)
    with source(service) as tempo:  # as after a crash: nothing is known but the watermark
        wait_until_settled(tempo, time.time_ns())
        got += pulled(tempo, middle_ns, now_ns + 2 * NS)
        assert tempo.take_notes() == []

    unique = {(span.trace_id, span.span_id): span for span in got}
    wanted = {(span.trace_id, span.span_id): span for span in early + late}
    assert set(wanted) - set(unique) == set()
    assert unique == wanted


def test_only_the_chosen_service_when_asked_for() -> None:
    """With `whole_traces` off, other services' spans of the same traces stay behind."""
    service, now_ns = f"live-{secrets.token_hex(4)}", time.time_ns()
    spans = [s for _ in range(5) for s in made_trace(service, now_ns - 5 * NS, children=3, length_ns=NS)]
    push(spans)
    with source(service, whole=False) as tempo:
        wait_until_settled(tempo, now_ns)
        got = [s for p in tempo.fetch(TimeRange(now_ns - 60 * NS, now_ns + NS)) for s in spans_of(p.body)]
    assert {s.span_id for s in got} == {s.span_id for s in spans if s.service == service}


def test_one_trace_is_there_at_once_and_a_missing_one_is_none() -> None:
    """By id no ingest delay applies; a missing trace is not an empty one."""
    spans = made_trace(f"live-{secrets.token_hex(4)}", time.time_ns() - NS, children=3, length_ns=NS)
    push(spans)
    with source() as tempo:
        body = tempo.trace(spans[0].trace_id)
        assert body is not None
        assert {s.span_id for s in spans_of(body)} == {s.span_id for s in spans}
        assert tempo.trace(secrets.token_hex(16)) is None


def test_searches_and_rates_are_passed_through() -> None:
    """TraceQL finds each trace once with the true number of matches; rates add up to the spans."""
    service, now_ns = f"live-{secrets.token_hex(4)}", time.time_ns()
    spans = [s for k in range(20) for s in made_trace(service, now_ns - (12 + k) * NS, children=3, length_ns=NS // 10)]
    push(spans)
    window = TimeRange(now_ns - 60 * NS, now_ns)
    query = f'{{ resource.service.name = "{service}" }}'
    with source() as tempo:
        wait_until_settled(tempo, now_ns)
        hits = list(tempo.search(f"{query} | select(span:name, span.step)", window, 1000))
        assert {hit.trace_id for hit in hits} == {s.trace_id for s in spans}
        assert {hit.matched for hit in hits} == {3}
        assert len(list(tempo.search(query, window, 7))) == 7
        points = tempo.rate(f"{query} | rate() by (name)", window, 5)
    assert round(5 * sum(point.value for point in points)) == sum(s.service == service for s in spans)


def test_check_finds_nothing_wrong() -> None:
    """A healthy Tempo that knows the service."""
    service, now_ns = f"live-{secrets.token_hex(4)}", time.time_ns()
    push(made_trace(service, now_ns - NS, children=1, length_ns=NS))
    with source(service) as tempo:
        wait_until_settled(tempo, now_ns)
        assert [finding.text for finding in tempo.check() if not finding.ok] == []
