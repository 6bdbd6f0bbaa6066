"""The fake Tempo answers as real ones were recorded to: what the other tests rest on."""

import base64
import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.tempo_wire import read_response
from tests.fakes.tempo import NS, FakeSpan, FakeTempo, base64_id, spans_of

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "tempo" / "exchanges.json").read_text())
KEPT_TEXT = 40
"""How much of an error's text must agree; positions in a query depend on the parser."""


def asked(tempo: FakeTempo, exchange: dict[str, Any]) -> httpx.Response:
    """The fake's answer to a recorded request."""
    wanted = exchange["request"]
    with httpx.Client(transport=httpx.MockTransport(tempo.handle), base_url="http://tempo") as client:
        return client.get(wanted["path"], params=wanted["params"], headers=wanted["headers"])


def meaning(path: str, content_type: str, body: bytes) -> Any:
    """What an answer says, without what is left to chance: order, statistics, exemplars."""
    if "/traces/" in path and "protobuf" in content_type:
        trace = read_response(body).body if "/v2/" in path else body
        return {(s.trace_id, s.span_id, s.service, s.name, s.start_ns, s.end_ns, s.parent_id) for s in spans_of(trace)}
    if "json" not in content_type:
        return body.decode()[:KEPT_TEXT]
    answer = json.loads(body)
    if "/traces/" in path:
        return {(s["traceId"], s["spanId"], s["name"], s["kind"]) for s in spans_in_json(answer)}
    if "tagValues" in answer:
        return {value["value"] for value in answer["tagValues"]}
    if "traces" in answer:
        return {trace["traceID"]: hit(trace) for trace in answer["traces"]}
    return {json.dumps(one["labels"]): one["samples"] for one in answer["series"]}


def spans_in_json(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans of a trace in JSON, under the name that the version of the path gives."""
    resources = answer["batches"] if "batches" in answer else answer["trace"].get("resourceSpans", [])
    return [s for resource in resources for scope in resource["scopeSpans"] for s in scope["spans"]]


def hit(trace: dict[str, Any]) -> Any:
    """A search's trace without the choice of spans, which is Tempo's when there are too many."""
    one = trace["spanSets"][0]
    spans = sorted(
        (s["spanID"], s["startTimeUnixNano"], s.get("name"), sorted(map(json.dumps, s.get("attributes", []))))
        for s in one["spans"]
    )
    shown = spans if len(spans) == one["matched"] else len(spans)
    return trace["rootServiceName"], trace["startTimeUnixNano"], trace["durationMs"], one["matched"], shown


def assert_same(tempo: FakeTempo, exchange: dict[str, Any]) -> None:
    """The fake says what the real one said."""
    recorded, answer = exchange["response"], asked(tempo, exchange)
    content_type = recorded["headers"].get("content-type", "")
    body = base64.b64decode(recorded["body_b64"])
    assert (answer.status_code, answer.headers.get("content-type", "")) == (recorded["status"], content_type)
    path = exchange["request"]["path"]
    assert meaning(path, content_type, answer.content) == meaning(path, content_type, body)


@pytest.fixture(scope="module")
def golden_tempo() -> FakeTempo:
    """A fake that holds the spans that the recorded Tempo held."""
    tempo = FakeTempo()
    tempo.push(FakeSpan(**span) for span in GOLDEN["spans"])
    return tempo


@pytest.mark.parametrize("exchange", GOLDEN["exchanges"], ids=lambda exchange: exchange["name"])
def test_the_fake_answers_as_the_recorded_tempo(golden_tempo: FakeTempo, exchange: dict[str, Any]) -> None:
    """Status, content type and meaning of each exchange agree."""
    assert_same(golden_tempo, exchange)


NOT_IMITATED = {
    "tags": "no connector asks for tag names",
    "metrics query_range": "its samples depend on half a second of rounding",
    "search default": "which 20 traces come is left to chance",
    "buildinfo": "it names the Go version of the build",
}


def test_the_fake_answers_as_another_recording(shared_data: Path) -> None:
    """A second recording, of the spans of a real service."""
    recording = json.loads((shared_data / "tempo" / "recorded_responses.json").read_text())
    tempo = FakeTempo()
    with gzip.open(shared_data / "recorded-clients" / "checkout.jsonl.gz", "rt") as lines:
        for post in filter(lambda post: post["path"] == "/v1/traces", map(json.loads, lines)):
            body = base64.b64decode(post["body_b64"])
            spans = spans_of(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
            shift_ns = recording["shift_ns"]
            tempo.push(replace(s, start_ns=s.start_ns + shift_ns, end_ns=s.end_ns + shift_ns) for s in spans)
    for exchange in recording["exchanges"]:
        if exchange["name"] not in NOT_IMITATED:
            assert_same(tempo, exchange)


def test_the_fake_shows_its_traps() -> None:
    """What the connector must survive is really there."""
    tempo = FakeTempo(hidden_ns=30 * NS)
    tempo.push([FakeSpan("0a", "0000000000000001", "shop", "GET", tempo.now_ns - NS, tempo.now_ns)])
    at_s = tempo.now_ns // NS
    query = {
        "path": "/api/search",
        "params": {"q": "{} | select(span.none)", "start": at_s - 9, "end": at_s},
        "headers": {},
    }
    assert asked(tempo, {"request": query}).json()["traces"] == []
    tempo.now_ns += 30 * NS
    found = asked(tempo, {"request": query}).json()["traces"][0]
    assert found["traceID"] == "a"
    assert found["spanSets"][0]["spans"][0]["attributes"][0]["value"] == {"stringValue": "nil"}
    by_id = asked(tempo, {"request": {"path": "/api/traces/a", "params": {}, "headers": {}}}).json()
    assert by_id["batches"][0]["scopeSpans"][0]["spans"][0]["traceId"] == base64_id("0a".zfill(32))
