"""OTLP traces to rows of spans."""

import base64
import gzip
import json
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.errors import CorrelateError, Malformed, TooLarge
from correlate.formats import otlp_traces
from correlate.formats.otlp_limits import MAX_ITEMS
from correlate.formats.proto import otlp_messages_pb2 as messages
from correlate.formats.proto import otlp_traces_pb2 as proto
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.tables.schema import KIND_ARRAY, KIND_BOOL, KIND_BYTES, KIND_DOUBLE, KIND_INT, KIND_MAP, KIND_STRING
from correlate.tables.tables import Tables, check
from tests.support.otlp import chunk

T0 = 1_700_000_000_000_000_000
TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))


def read(body: bytes, encoding: Encoding = Encoding.PROTOBUF) -> Tables:
    return check(otlp_traces.read(RawPayload(PayloadKind.OTLP_TRACES, body, 1, encoding)))


def request(*spans: dict[str, Any], resource: dict[bytes, str] | None = None) -> proto.Request:
    """A request of one resource and scope; what a span does not say is filled in."""
    result = proto.Request()
    top = result.resource_spans.add()
    for key, value in (resource or {}).items():
        top.resource.attributes.add(key=key).value.string_value = value.encode()
    scope = top.scope_spans.add(scope=proto.Scope(name=b"library"))
    usual = {"trace_id": TRACE, "span_id": SPAN, "start_time_unix_nano": T0, "end_time_unix_nano": T0 + 5}
    for span in spans:
        scope.spans.add(**(usual | span))
    return result


def attribute(key: str, **value: Any) -> proto.KeyValue:
    return proto.KeyValue(key=key.encode(), value=proto.AnyValue(**value))


def test_a_span_becomes_a_row() -> None:
    """Ids, times, kind, status, scope, thread, reference to a profile and attributes are all kept."""
    span = {
        "parent_span_id": SPAN[::-1],
        "name": b"GET /items",
        "kind": 2,
        "status": proto.Status(code=2, message=b"broken"),
        "attributes": [
            attribute("thread.id", int_value=77),
            attribute("profile.id", string_value=b"other"),
            attribute("pyroscope.profile.id", string_value=b"0102030405060708"),
            attribute("ok", bool_value=True),
            attribute("ratio", double_value=0.5),
            attribute("raw", bytes_value=b"\x00\x01"),
        ],
    }
    tables = read(request(span, resource={b"service.name": "shop", b"host.name": "h"}).SerializeToString())
    [row] = tables.spans.to_dicts()
    assert (row["trace_hi"], row["trace_lo"]) == (0x0001020304050607, 0x08090A0B0C0D0E0F)
    assert (row["span"], row["parent"]) == (0x0102030405060708, 0x0807060504030201)
    assert (row["service"], row["name"], row["kind"], row["scope"]) == ("shop", "GET /items", 2, "library")
    assert (row["status"], row["status_message"]) == (2, "broken")
    assert (row["start_ns"], row["duration_ns"], row["thread"]) == (T0, 5, 77)
    assert row["profile_ref"] == "0102030405060708"
    kinds = {each["key"]: (each["value"], each["kind"]) for each in row["attributes"]}
    assert kinds["ok"] == ("true", KIND_BOOL)
    assert kinds["ratio"] == ("0.5", KIND_DOUBLE)
    assert kinds["raw"] == ("AAE=", KIND_BYTES)
    assert kinds["thread.id"] == ("77", KIND_INT)
    [series] = tables.series.to_dicts()
    assert series["series"] == row["series"]
    assert {label["key"]: label["value"] for label in series["labels"]} == {"service.name": "shop", "host.name": "h"}
    assert tables.rejects == ()


def test_lists_and_maps_are_json() -> None:
    """Arrays and maps, however nested, become JSON text; bytes inside are base64, nothing is null."""
    inner = messages.NestedValue(bytes_value=b"\x00")
    entry = messages.NestedEntry(key=b"k", value=messages.NestedValue(int_value=1))
    array = messages.NestedArray(
        values=[
            messages.NestedValue(string_value=b"a\xff"),
            messages.NestedValue(kvlist_value=messages.NestedMap(values=[entry])),
            inner,
            messages.NestedValue(),
            messages.NestedValue(double_value=1.5),
        ]
    )
    attributes = [
        attribute("list", array_value=array.SerializeToString()),
        attribute("map", kvlist_value=messages.NestedMap(values=[entry]).SerializeToString()),
        attribute("broken", array_value=b"\x0a\x05\x0a"),
        attribute("empty"),
    ]
    [row] = read(request({"attributes": attributes}).SerializeToString()).spans.to_dicts()
    values = {each["key"]: (each["value"], each["kind"]) for each in row["attributes"]}
    assert json.loads(values["list"][0]) == ["a\ufffd", {"k": 1}, "AA==", None, 1.5]
    assert values["list"][1] == KIND_ARRAY
    assert values["map"] == ('{"k":1}', KIND_MAP)
    assert values["broken"] == ('"CgUK"', KIND_ARRAY)
    assert values["empty"][0] == ""


@pytest.mark.parametrize(
    ("resource", "service"),
    [
        ({b"service.name": "shop"}, "shop"),
        ({b"process.executable.name": "python"}, "unknown_service:python"),
        ({}, "unknown_service"),
        ({b"service.name": ""}, "unknown_service"),
    ],
)
def test_a_resource_without_a_name_gets_the_one_of_the_specification(resource: dict[bytes, str], service: str) -> None:
    """service.name, else unknown_service with the executable where it is known."""
    assert read(request({}, resource=resource).SerializeToString()).spans["service"].to_list() == [service]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"trace_id": b""}, "trace id"),
        ({"trace_id": bytes(16)}, "trace id"),
        ({"trace_id": TRACE[:15]}, "trace id"),
        ({"span_id": bytes(8)}, "span id"),
        ({"span_id": SPAN + b"x"}, "span id"),
        ({"start_time_unix_nano": 0}, "start time"),
        ({"start_time_unix_nano": 1 << 63, "end_time_unix_nano": 1 << 63}, "start time"),
        ({"end_time_unix_nano": (1 << 64) - 1}, "end time"),
    ],
)
def test_a_span_that_cannot_be_stored_is_refused_alone(broken: dict[str, Any], reason: str) -> None:
    """The other spans of the request are kept, and the reason names the field."""
    tables = read(request({}, broken, {"name": b"good"}).SerializeToString())
    assert tables.spans["name"].to_list() == ["", "good"]
    [reject] = tables.rejects
    assert (reject.signal, reject.count) == ("spans", 1)
    assert reason in reject.reason


def test_a_span_that_ends_before_it_starts_is_kept_and_reported() -> None:
    """Its duration is 0 and the reject counts nothing: a warning."""
    tables = read(request({"end_time_unix_nano": T0 - 1}).SerializeToString())
    assert tables.spans["duration_ns"].to_list() == [0]
    assert [reject.count for reject in tables.rejects] == [0]


def test_text_that_is_not_utf8_costs_nothing() -> None:
    """Broken text is replaced where it stands, everything else is kept."""
    span = {"name": b"caf\xe9", "attributes": [attribute("k", string_value=b"\xff"), attribute("n", int_value=1)]}
    [row] = read(request(span).SerializeToString()).spans.to_dicts()
    assert row["name"] == "caf\ufffd"
    assert [each["value"] for each in row["attributes"]] == ["\ufffd", "1"]


def test_the_payload_is_known_again() -> None:
    """The same bytes have the same content hash, other bytes another one."""
    first, second = request({}).SerializeToString(), request({"name": b"x"}).SerializeToString()
    assert read(first).spans["payload"].equals(read(first).spans["payload"])
    assert not read(first).spans["payload"].equals(read(second).spans["payload"])


def test_an_empty_request_is_fine() -> None:
    """No bytes, and no object keys, are requests without spans."""
    assert len(read(b"").spans) == 0
    assert len(read(b"{}", Encoding.JSON).spans) == 0
    assert len(read(b'{"resourceSpans":[{}]}', Encoding.JSON).spans) == 0


def exports(path: Path) -> list[bytes]:
    """The trace exports of a recording, decompressed."""
    found = []
    with gzip.open(path) as lines:
        for line in map(orjson.loads, lines):
            if line["path"] == "/v1/traces":
                body = base64.b64decode(line["body_b64"])
                headers = {key.lower(): value for key, value in line["headers"].items()}
                found.append(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
    return found


def test_recorded_exports_read_as_the_generated_classes_read_them(shared_data: Path) -> None:
    """Every span of a real SDK's exports, field by field."""
    service = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    bodies = exports(shared_data / "recorded-clients" / "checkout.jsonl.gz")
    assert len(bodies) == 62
    for body in bodies:
        tables = read(body)
        assert tables.rejects == ()
        assert _rows(tables) == _slow_rows(service.ExportTraceServiceRequest.FromString(body))


def _slow_rows(parsed: Any) -> Counter[tuple[Any, ...]]:
    rows: Counter[tuple[Any, ...]] = Counter()
    for resource in parsed.resource_spans:
        labels = _pairs(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                own = dict(_pairs(span.attributes))
                rows[
                    span.trace_id,
                    span.span_id,
                    span.parent_span_id or bytes(8),
                    dict(labels)["service.name"],
                    span.name,
                    span.kind,
                    span.status.code,
                    span.start_time_unix_nano,
                    span.end_time_unix_nano - span.start_time_unix_nano,
                    own.get("thread.id", "0"),
                    own.get("pyroscope.profile.id", ""),
                    scope.scope.name,
                    frozenset(own.items()),
                    frozenset(labels),
                ] += 1
    return rows


def _pairs(attributes: Any) -> list[tuple[str, str]]:
    texts = []
    for each in attributes:
        value = getattr(each.value, each.value.WhichOneof("value"))
        texts.append((each.key, str(value).lower() if isinstance(value, bool) else str(value)))
    return texts


def _rows(tables: Tables) -> Counter[tuple[Any, ...]]:
    labels = {row["series"]: row["labels"] for row in tables.series.to_dicts()}
    rows: Counter[tuple[Any, ...]] = Counter()
    for row in tables.spans.to_dicts():
        rows[
            row["trace_hi"].to_bytes(8, "big", signed=True) + row["trace_lo"].to_bytes(8, "big", signed=True),
            row["span"].to_bytes(8, "big", signed=True),
            row["parent"].to_bytes(8, "big", signed=True),
            row["service"],
            row["name"],
            row["kind"],
            row["status"],
            row["start_ns"],
            row["duration_ns"],
            str(row["thread"]),
            row["profile_ref"],
            row["scope"],
            frozenset((each["key"], each["value"]) for each in row["attributes"]),
            frozenset((each["key"], each["value"]) for each in labels[row["series"]]),
        ] += 1
    return rows


texts = st.text(max_size=8)
any_values = st.one_of(
    st.builds(lambda v: {"stringValue": v}, texts),
    st.builds(lambda v: {"boolValue": v}, st.booleans()),
    st.builds(lambda v: {"intValue": str(v)}, st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda v: {"doubleValue": v}, st.floats(allow_nan=False, allow_infinity=False)),
    st.builds(lambda v: {"bytesValue": base64.b64encode(v).decode()}, st.binary(max_size=5)),
    st.builds(lambda v: {"arrayValue": {"values": [{"stringValue": v}]}}, texts),
)
json_spans = st.fixed_dictionaries(
    {
        "traceId": st.binary(min_size=16, max_size=16).filter(any).map(lambda raw: raw.hex().upper()),
        "spanId": st.binary(min_size=8, max_size=8).filter(any).map(bytes.hex),
        "startTimeUnixNano": st.integers(1, 2**62).map(str),
        "endTimeUnixNano": st.integers(2**62, 2**63 - 1),
        "name": texts,
        "kind": st.integers(0, 5),
        "attributes": st.lists(st.fixed_dictionaries({"key": texts, "value": any_values}), max_size=3),
        "fieldOfTomorrow": st.just([{"a": 1}]),
    }
)


@settings(max_examples=40, deadline=None)
@given(spans=st.lists(json_spans, max_size=4))
def test_json_reads_as_protobuf_does(spans: list[dict[str, Any]]) -> None:
    """The same spans in JSON and in protobuf give the same rows; ids are hexadecimal, numbers may be text."""
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {"name": "s"}, "spans": spans}]}]}
    result = messages.TraceRequest()
    scope = result.resource_spans.add().scope_spans.add()
    scope.scope.name = "s"
    for span in spans:
        scope.spans.add(
            trace_id=bytes.fromhex(span["traceId"]),
            span_id=bytes.fromhex(span["spanId"]),
            start_time_unix_nano=int(span["startTimeUnixNano"]),
            end_time_unix_nano=span["endTimeUnixNano"],
            name=span["name"],
            kind=span["kind"],
            attributes=[
                messages.KeyValue(key=each["key"], value=_message(each["value"])) for each in span["attributes"]
            ],
        )
    columns = [name for name in read(b"").spans.columns if name != "payload"]
    told = read(orjson.dumps(body), Encoding.JSON).spans.select(columns)
    assert told.equals(read(result.SerializeToString()).spans.select(columns))


def _message(value: dict[str, Any]) -> messages.AnyValue:
    [(name, content)] = value.items()
    if name == "arrayValue":
        inner = [messages.AnyValue(string_value=each["stringValue"]) for each in content["values"]]
        return messages.AnyValue(array_value=messages.ArrayValue(values=inner))
    plain = {"stringValue": "string_value", "boolValue": "bool_value", "doubleValue": "double_value"}
    if name in plain:
        return messages.AnyValue(**{plain[name]: content})
    if name == "intValue":
        return messages.AnyValue(int_value=int(content))
    return messages.AnyValue(bytes_value=base64.b64decode(content))


def test_json_may_spell_keys_and_enumerations_either_way() -> None:
    """Keys in snake case, enumerations by name, and hexadecimal that is none (that span alone is refused)."""
    span = {"trace_id": TRACE.hex(), "span_id": SPAN.hex(), "start_time_unix_nano": T0, "end_time_unix_nano": str(T0)}
    spans = [{**span, "kind": "SPAN_KIND_SERVER", "status": {"code": "STATUS_CODE_ERROR"}}, {**span, "span_id": "zz"}]
    tables = read(orjson.dumps({"resource_spans": [{"scope_spans": [{"spans": spans}]}]}), Encoding.JSON)
    assert tables.spans["kind"].to_list() == [2]
    assert tables.spans["status"].to_list() == [2]
    assert tables.spans["span"].to_list() == [0x0102030405060708]
    assert [reject.count for reject in tables.rejects] == [1]


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{",
        b'{"resourceSpans": 5}',
        b'{"resourceSpans": [5]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"x"}]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":7}]}]}]}',
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":'
        + b'{"arrayValue":{"values":[' * 200
        + b"{}"
        + b"]}}" * 200
        + b"}]}}]}",
    ],
)
def test_broken_json_is_malformed(body: bytes) -> None:
    """What is not the message, or nested too deeply, is refused with a sentence."""
    with pytest.raises(Malformed):
        read(body, Encoding.JSON)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | texts | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("resourceSpans", "scopeSpans", "spans", "traceId", "attributes", "key", "value", "kind", "x")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(value=json_values)
def test_any_json_gives_tables_or_a_clear_error(value: Any) -> None:
    """JSON of any shape is read or refused, with an error of ours."""
    with suppress(CorrelateError):
        read(json.dumps({"resourceSpans": value}).encode(), Encoding.JSON)


@settings(max_examples=150, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=6), cut=st.integers(0, 300))
def test_damaged_requests_give_tables_or_a_clear_error(flips: list[tuple[int, int]], cut: int) -> None:
    """Altered and truncated requests are read or refused, with an error of ours."""
    whole = request(
        {
            "name": b"a",
            "attributes": [attribute("k", string_value=b"v"), attribute("l", array_value=b"\x0a\x02\x0a\x00")],
        },
        {"status": proto.Status(code=1)},
        resource={b"service.name": "shop"},
    ).SerializeToString()
    body = bytearray(whole)
    for at, byte in flips:
        body[at % len(body)] = byte
    with suppress(CorrelateError):
        read(bytes(body[: len(body) - cut % len(body)]))


def test_more_spans_than_a_request_may_hold_are_too_large() -> None:
    """Empty spans, two bytes each, are counted before memory is spent on them."""
    content = b"\x12\x00" * (MAX_ITEMS + 1)
    with pytest.raises(TooLarge, match="spans"):
        read(chunk(1, chunk(2, content)))


def test_strings_are_marked_as_such() -> None:
    """A string that looks like a number keeps its kind."""
    [row] = read(request({"attributes": [attribute("k", string_value=b"1")]}).SerializeToString()).spans.to_dicts()
    assert row["attributes"] == [{"key": "k", "value": "1", "kind": KIND_STRING}]
