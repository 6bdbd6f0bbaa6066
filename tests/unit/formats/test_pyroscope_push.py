"""Pyroscope's push, in protobuf and JSON."""

import base64
import contextlib
import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadInput, Malformed, UnknownFormat
from correlate.formats.proto.pyroscope_push_pb2 import PushRequest
from correlate.formats.pyroscope_push import read
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.tables.tables import Tables, check
from tests.support.pprof import RECEIVED_NS, simple

LABELS = {"__name__": "process_cpu", "service_name": "checkout", "env": "prod"}


def request(*series: tuple[Mapping[str, str], Sequence[bytes]]) -> bytes:
    """A push request on the wire."""
    message = PushRequest()
    for labels, profiles in series:
        one = message.series.add()
        for name, value in labels.items():
            one.labels.add(name=name.encode(), value=value.encode())
        for profile in profiles:
            one.samples.add(raw_profile=profile, ID=b"some-id")
    return message.SerializeToString()


def push(body: bytes, encoding: Encoding = Encoding.PROTOBUF) -> Tables:
    """Read a request as it came through the door."""
    return check(read(RawPayload(PayloadKind.PYROSCOPE_PUSH, body, RECEIVED_NS, encoding, sender="agent/1")))


def test_labels_name_service_type_and_series() -> None:
    """`__name__` is the first part of the type, `service_name` the service, the rest are labels."""
    tables = push(request((LABELS, [simple()])))
    assert tables.profiles["service"].to_list() == ["checkout"] * 2
    assert sorted(tables.profiles["type"]) == [
        "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
        "process_cpu:samples:count:cpu:nanoseconds",
    ]
    assert tables.series["labels"][0].to_list() == [{"key": "env", "value": "prod", "kind": 1}]
    assert tables.profiles["sender"].to_list() == ["agent/1"] * 2


def test_private_labels_are_dropped_but_the_session() -> None:
    """`__session_id__` tells processes apart; other private labels are the server's business."""
    labels = {"__session_id__": "7", "__order__": "x", "__name__": "godeltaprof_memory"}
    tables = push(request((labels, [simple()])))
    assert [label["key"] for label in tables.series["labels"][0].to_list()] == ["__session_id__"]
    assert tables.profiles["service"].to_list() == ["unknown_service"] * 2
    assert all(text.startswith("memory:") for text in tables.profiles["type"])


def test_gzip_inside_and_outside() -> None:
    """Profiles and the request itself may be compressed."""
    plain = push(request((LABELS, [simple()])))
    packed = push(gzip.compress(request((LABELS, [gzip.compress(simple())]))))
    assert packed.samples.equals(plain.samples)


@pytest.mark.parametrize(
    ("name", "encode"), [("rawProfile", base64.b64encode), ("raw_profile", base64.urlsafe_b64encode)]
)
def test_json_is_the_same_request(name: str, encode: object) -> None:
    """protojson: either spelling of names, either alphabet of base64, padded or not."""
    raw = encode(simple()).decode().rstrip("=")  # type: ignore[operator]
    labels = [{"name": key, "value": value} for key, value in LABELS.items()]
    body = json.dumps({"series": [{"labels": labels, "samples": [{name: raw, "ID": "x"}]}], "more": 1}).encode()
    assert push(body, Encoding.JSON).samples.equals(push(request((LABELS, [simple()]))).samples)


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"{", b'{"series": [{"samples": [{"rawProfile": "?"}]}]}', b'{"series": 1}']
)
def test_broken_json_is_malformed(body: bytes) -> None:
    """The message shows the shape that is wanted."""
    with pytest.raises(Malformed, match="rawProfile"):
        push(body, Encoding.JSON)


def test_a_bad_profile_is_rejected_alone() -> None:
    """The good ones of the request are kept."""
    tables = push(request((LABELS, [simple("a"), b"\xff"]), ({**LABELS, "env": "test"}, [simple("b")])))
    assert len(tables.profiles) == 4
    assert [(reject.signal, reject.count) for reject in tables.rejects] == [("profiles", 1)]


def test_only_bad_profiles_refuse_the_request() -> None:
    """The error is that of the first."""
    with pytest.raises(Malformed):
        push(request((LABELS, [b"\xff", b"\xff"])))
    with pytest.raises(UnknownFormat, match="JFR"):
        push(request((LABELS, [b"FLR\0..."])))


def test_an_empty_request_is_fine() -> None:
    """Nothing sent, nothing stored."""
    assert push(b"").samples.is_empty()


def test_the_same_profile_twice_is_stored_once() -> None:
    """Repeats within a request are dropped by content."""
    once, twice = push(request((LABELS, [simple()]))), push(request((LABELS, [simple(), simple()])))
    assert twice.samples.equals(once.samples)
    assert len(twice.profiles) == len(once.profiles)


@given(st.binary(max_size=200), st.sampled_from(Encoding))
def test_any_bytes_give_tables_or_bad_input(body: bytes, encoding: Encoding) -> None:
    """Whatever comes, the answer is tables or one of our errors."""
    with contextlib.suppress(BadInput):
        push(body, encoding)


def test_recorded_client(shared_data: Path) -> None:
    """What a real Python service sent: CPU by operation as the recording's description says."""
    lines = gzip.decompress((shared_data / "recorded-clients/checkout.jsonl.gz").read_bytes()).splitlines()
    entries = [json.loads(line) for line in lines]
    parts = [push(base64.b64decode(entry["body_b64"])) for entry in entries if entry["path"].endswith("/Push")]
    samples = pl.concat([part.samples for part in parts])
    series = pl.concat([part.series for part in parts]).unique("series")
    cpu = series.filter(pl.col("type").str.contains(":cpu:nanoseconds:")).select("series", "labels").explode("labels")
    names = cpu.unnest("labels").filter(pl.col("key") == "span_name").select("series", span_name="value")
    found = samples.join(names, on="series").group_by("span_name").agg((pl.col("value").sum() / 1e9).round(2))
    assert dict(found.rows()) == {"POST /checkout": 33.86, "GET /items": 32.10, "rules evaluate": 24.90}
