"""OTLP profiles to tables: meaning of types, times, links, labels, and what is refused."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.errors import BadInput, CorrelateError, Malformed, TooLarge, UnknownFormat
from correlate.formats import otlp_profiles
from correlate.formats.otlp_limits import MAX_ITEMS
from correlate.formats.otlp_types import profile_type
from correlate.formats.proto import otlp_profiles_pb2 as proto
from correlate.formats.proto import pprof_pb2
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.tables.schema import EVIDENCE_LABEL, EVIDENCE_LINK, EVIDENCE_NONE
from correlate.tables.tables import Tables, check
from tests.support.otlp import Batch, Profile, Sample, chunk, encode, fixed, number, numbers, rows_of_tables

T0 = 1_700_000_000_000_000_000
TRACE, SPAN = bytes(range(16)), bytes(range(1, 9))
CPU = {"sample_type": ("samples", "count"), "period_type": ("cpu", "nanoseconds"), "period": 50_000_000}


def read(body: bytes, encoding: Encoding = Encoding.PROTOBUF, kind: PayloadKind = PayloadKind.OTLP_PROFILES) -> Tables:
    return check(otlp_profiles.read(RawPayload(kind, body, 7, encoding, sender="agent/1")))


def one(*samples: Sample, **profile: Any) -> Batch:
    return Batch((("shop", Profile(samples, **profile)),))


def parsed(batch: Batch) -> proto.Request_1_10:
    """A batch as a message that tests may damage."""
    return proto.Request_1_10.FromString(encode(batch, "otlp 1.10"))


def first(request: proto.Request_1_10) -> proto.Profile_1_10:
    return request.resource_profiles[0].scope_profiles[0].profiles[0]


def test_samples_with_timestamps_only_count_one_each_and_become_cpu_time() -> None:
    """The shape of the eBPF profiler: count times period, one row for each timestamp, which has no length."""
    tables = read(encode(one(Sample(("leaf", "main"), times=(T0, T0 + 5)), **CPU), "otlp 1.10"))
    assert tables.samples["value"].to_list() == [50_000_000] * 2
    assert tables.samples["weight"].to_list() == [1, 1]
    assert tables.samples["time_ns"].to_list() == [T0, T0 + 5]
    assert tables.samples["duration_ns"].to_list() == [0, 0]
    [profile] = tables.profiles.to_dicts()
    assert profile["type"] == "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
    assert (profile["sample_count"], profile["total"], profile["period"]) == (2, 100_000_000, 50_000_000)
    assert (profile["format"], profile["sender"], profile["received_ns"]) == ("otlp 1.10", "agent/1", 7)


def test_a_total_has_the_times_of_its_profile() -> None:
    """A value without a timestamp covers the whole profile and stands for as many hits as it counts."""
    tables = read(encode(one(Sample(("main",), values=(3,)), **CPU), "otlp 1.9"))
    [row] = tables.samples.to_dicts()
    assert (row["time_ns"], row["duration_ns"]) == (T0, 5_000_000_000)
    assert (row["value"], row["weight"]) == (150_000_000, 3)


def test_the_start_is_the_first_timestamp_where_none_is_given() -> None:
    """time_unix_nano 0 with timestamps."""
    tables = read(encode(one(Sample(("main",), times=(T0 + 9, T0 + 4)), time_ns=0), "otlp 1.10"))
    assert tables.profiles["time_ns"].to_list() == [T0 + 4]


@pytest.mark.parametrize(
    ("parts", "type_id"),
    [
        (("samples", "count", "cpu", "nanoseconds", 10), "process_cpu:cpu:nanoseconds:cpu:nanoseconds"),
        (("samples", "count", "cpu", "nanoseconds", 0), "process_cpu:samples:count:cpu:nanoseconds"),
        (("cpu", "nanoseconds", "cpu", "nanoseconds", 10), "process_cpu:cpu:nanoseconds:cpu:nanoseconds"),
        (("off_cpu", "nanoseconds", "", "", 0), "off_cpu:off_cpu:nanoseconds::"),
        (("wall", "nanoseconds", "cpu", "nanoseconds", 1), "wall:wall:nanoseconds:cpu:nanoseconds"),
        (("alloc_space", "bytes", "space", "bytes", 524288), "memory:alloc_space:bytes:space:bytes"),
        (("contentions", "count", "contentions", "count", 1), "contentions:contentions:count:contentions:count"),
        (("events", "count", "", "", 0), "events:events:count::"),
        (("a:b", "c", "", "", 0), "a_b:a_b:c::"),
        (("", "count", "", "", 0), ""),
    ],
)
def test_types_are_named_as_pyroscope_names_them(parts: tuple[str, str, str, str, int], type_id: str) -> None:
    """Name from the sample type or the period type; CPU samples become CPU time."""
    assert profile_type(*parts).type_id == type_id


def test_a_link_names_the_span_and_comes_before_labels() -> None:
    """Links are exact; attributes serve where there is no link; a link without ids is none."""
    batch = one(
        Sample(("a",), (("span_id", "00000000000000ff"),), (TRACE, SPAN), times=(1,)),
        Sample(("a",), (("span_id", "00000000000000ff"), ("trace_id", TRACE.hex())), times=(2,)),
        Sample(("a",), (), (bytes(16), bytes(8)), times=(3,)),
        Sample(("a",), (), (TRACE[:15], SPAN), times=(4,)),
    )
    rows = read(encode(batch, "otlp 1.10")).samples.sort("time_ns").to_dicts()
    assert [row["span"] for row in rows] == [0x0102030405060708, 0xFF, 0, 0]
    assert [row["trace_lo"] for row in rows] == [0x08090A0B0C0D0E0F, 0x08090A0B0C0D0E0F, 0, 0]
    assert [row["evidence"] for row in rows] == [EVIDENCE_LINK, EVIDENCE_LABEL, EVIDENCE_NONE, EVIDENCE_NONE]


def test_threads_become_a_column_and_other_attributes_labels() -> None:
    """thread.id is a number of its own; thread.name makes a series."""
    batch = one(Sample(("a",), (("thread.id", 42), ("thread.name", "io")), times=(T0,)))
    tables = read(encode(batch, "otlp 1.10"))
    assert tables.samples["thread"].to_list() == [42]
    labels = {label["key"]: label["value"] for label in tables.series["labels"][0]}
    assert labels == {"service.name": "shop", "thread.name": "io"}


def test_a_sample_may_name_its_own_service() -> None:
    """service.name on samples splits a profile; it wins over the resource's."""
    batch = one(Sample(("a",), (("service.name", "other"),), times=(1,)), Sample(("a",), times=(2,)))
    tables = read(encode(batch, "otlp 1.10"))
    assert sorted(tables.profiles["service"]) == ["other", "shop"]
    assert {row[0] for row in rows_of_tables(tables)} == {"other", "shop"}


def test_without_a_service_name_the_executable_names_it() -> None:
    """On the sample, as older agents write it, or on the resource."""
    sample = Sample(("a",), (("process.executable.name", "java"),), times=(1,))
    assert read(encode(Batch((("", Profile((sample,))),)), "otlp 1.10")).profiles["service"].to_list() == [
        "unknown_service:java"
    ]
    assert read(encode(Batch((("", Profile((Sample(("a",), times=(1,)),))),)), "otlp 1.10")).profiles[
        "service"
    ].to_list() == ["unknown_service"]


def test_references_in_resource_attributes_are_resolved() -> None:
    """Key and text by position in the string table, beside ordinary attributes; position 0 is empty."""
    request = parsed(one(Sample(("a",), times=(1,))))
    request.dictionary.string_table.extend([b"service.name", b"by reference"])
    at = len(request.dictionary.string_table) - 2
    resource = request.resource_profiles[0].resource
    del resource.attributes[:]
    resource.attributes.add(key_strindex=at).value.string_value_strindex = at + 1
    resource.attributes.add(key_strindex=10**6).value.string_value_strindex = -1
    assert read(request.SerializeToString()).profiles["service"].to_list() == ["by reference"]


def test_profile_id_and_attributes_are_kept() -> None:
    """The 16 bytes as two halves, the attributes as labels."""
    request = parsed(one(Sample(("a",), (("thread.name", "t"),), times=(1,)), profile_id=TRACE))
    first(request).attribute_indices.append(2)
    tables = read(request.SerializeToString())
    [profile] = tables.profiles.to_dicts()
    assert (profile["profile_hi"], profile["profile_lo"]) == (0x0001020304050607, 0x08090A0B0C0D0E0F)
    assert ("thread.name", "t") in {(label["key"], label["value"]) for label in tables.series["labels"][0]}


def test_inlined_lines_and_native_frames() -> None:
    """The last line of a location is the caller; a location without lines keeps its address, mapping and build id."""
    request = parsed(one(Sample(("callee",), times=(1,))))
    tables = request.dictionary
    tables.string_table.extend([b"caller", b"libc.so", b"process.executable.build_id.gnu", b"cafe"])
    caller, libc, key, _ = range(len(tables.string_table) - 4, len(tables.string_table))
    tables.function_table.add(name_strindex=caller)
    tables.location_table[1].lines.add(function_index=len(tables.function_table) - 1, line=7)
    tables.attribute_table.add(key_strindex=key).value.string_value = b"cafe"
    tables.mapping_table.add(filename_strindex=libc, attribute_indices=[len(tables.attribute_table) - 1])
    tables.location_table.add(mapping_index=1, address=(1 << 64) - 1)
    tables.stack_table[1].location_indices.append(2)
    result = read(request.SerializeToString())
    by_id = {row["frame"]: row for row in result.frames.to_dicts()}
    frames = [by_id[frame] for frame in result.stacks["frames"][0]]
    assert [frame["function"] for frame in frames] == ["", "caller", "callee"]
    assert [frame["inlined"] for frame in frames] == [False, False, True]
    assert [frame["kind"] for frame in frames] == ["", "native", "native"]
    assert (frames[0]["address"], frames[0]["mapping"], frames[0]["build_id"]) == (-1, "libc.so", "cafe")
    assert frames[1]["line"] == 7


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda profile, tables: setattr(profile.samples[0], "stack_index", 99), "stack"),
        (lambda profile, tables: setattr(profile.samples[0], "stack_index", -1), "stack"),
        (lambda profile, tables: setattr(profile.samples[0], "link_index", 99), "link"),
        (lambda profile, tables: profile.samples[0].attribute_indices.append(99), "attribute"),
        (lambda profile, tables: profile.attribute_indices.append(-5), "attribute"),
        (lambda profile, tables: tables.stack_table[1].location_indices.append(99), "location"),
        (lambda profile, tables: setattr(tables.location_table[1], "mapping_index", 9), "mapping"),
        (lambda profile, tables: setattr(tables.location_table[1].lines[0], "function_index", 9), "function"),
        (lambda profile, tables: setattr(tables.function_table[1], "name_strindex", 99), "string"),
        (lambda profile, tables: setattr(profile.sample_type, "type_strindex", 99), "string"),
        (lambda profile, tables: profile.ClearField("sample_type"), "sample type"),
        (lambda profile, tables: profile.samples[0].values.extend([1, 2, 3]), "values"),
        (lambda profile, tables: profile.samples.add(stack_index=1), "values"),
        (lambda profile, tables: profile.samples.add(timestamps_unix_nano=[1 << 63]), "2262"),
        (lambda profile, tables: setattr(profile, "time_unix_nano", (1 << 64) - 1), "2262"),
        (lambda profile, tables: setattr(profile, "duration_nano", (1 << 64) - 1), "2262"),
    ],
)
def test_a_broken_profile_is_refused_alone(damage: Any, reason: str) -> None:
    """The other profile of the request is kept, and the reason says what is wrong."""
    good = Profile((Sample(("fine",), values=(5,), times=(2,)),), ("wall", "nanoseconds"))
    request = parsed(Batch((("shop", Profile((Sample(("bad",), values=(3,), times=(1,)),))), ("shop", good))))
    damage(first(request), request.dictionary)
    tables = read(request.SerializeToString())
    assert tables.profiles["type"].to_list() == ["wall:wall:nanoseconds::"]
    assert len(tables.samples) == 1
    [reject] = tables.rejects
    assert (reject.signal, reject.count) == ("profiles", 1)
    assert reason in reject.reason


def test_values_that_do_not_fit_are_refused() -> None:
    """Counts times period beyond 64 bits, and a total without any time."""
    batch = Batch(
        (
            ("a", Profile((Sample(("f",), values=(1 << 60,)),), **CPU)),
            ("a", Profile((Sample(("f",), values=(1,)),), time_ns=0)),
        )
    )
    assert sorted(reject.count for reject in read(encode(batch, "otlp 1.10")).rejects) == [1, 1]


def test_equal_reasons_are_told_once() -> None:
    """Many profiles broken in the same way make one reject."""
    profile = Profile((Sample(("f",), values=(1, 2)),))
    [reject] = read(encode(Batch((("a", profile),) * 30), "otlp 1.10")).rejects
    assert reject.count == 30


def test_samples_without_a_dictionary_are_malformed() -> None:
    """There is nothing that they could refer to."""
    request = parsed(one(Sample(("a",), times=(1,))))
    request.ClearField("dictionary")
    with pytest.raises(Malformed, match="dictionary"):
        read(request.SerializeToString())
    assert len(read(b"").profiles) == 0


def test_stacks_that_grow_without_end_are_too_large() -> None:
    """A few bytes that name the same long stack again and again do not fill the memory."""
    request = parsed(one(Sample(("a",), times=(1,))))
    request.dictionary.location_table[1].lines.extend([proto.Line(function_index=1)] * 9000)
    request.dictionary.stack_table[1].location_indices.extend([1] * 900)
    assert max(read(request.SerializeToString()).stacks["frames"].list.len()) < 20_000
    request.dictionary.stack_table.extend([request.dictionary.stack_table[1]] * 1000)
    with pytest.raises(TooLarge):
        read(request.SerializeToString())


@pytest.mark.parametrize("table", [2, 6])
def test_more_table_rows_than_a_request_may_hold_are_too_large(table: int) -> None:
    """Empty rows, two bytes each, are counted before memory is spent on them."""
    with pytest.raises(TooLarge, match="_table"):
        read(chunk(2, chunk(table, b"") * (MAX_ITEMS + 1)))


def test_an_empty_profile_is_kept_when_it_has_a_type() -> None:
    """A profiler that saw nothing is known to have run."""
    assert read(encode(one(), "otlp 1.10")).profiles["sample_rows"].to_list() == [0]


def test_text_that_is_not_utf8_costs_nothing() -> None:
    """Broken names are replaced where they stand."""
    request = parsed(one(Sample(("name",), times=(1,))))
    at = list(request.dictionary.string_table).index(b"name")
    request.dictionary.string_table[at] = b"n\xffme"
    assert read(request.SerializeToString()).frames["function"].to_list() == ["n\ufffdme"]


def pprof_body() -> bytes:
    """A pprof profile of one sample."""
    profile = pprof_pb2.Profile(string_table=[b"", b"cpu", b"nanoseconds", b"main"], time_nanos=T0)
    profile.sample_type.add(type=1, unit=2)
    profile.sample.add(location_id=[1], value=[30])
    profile.location.add(id=1).line.add(function_id=1)
    profile.function.add(id=1, name=3)
    return profile.SerializeToString()


RESOURCE = chunk(1, chunk(1, chunk(1, b"service.name") + chunk(2, chunk(1, b"shop"))))


def wrapped(profile: bytes) -> bytes:
    return chunk(1, RESOURCE + chunk(2, chunk(2, profile)))


@pytest.mark.parametrize(
    ("fields", "kind", "lead"),
    [
        ((9, 10), PayloadKind.OTLP_PROFILES, b""),
        ((12, 13), PayloadKind.OTLP_PROFILES, number(4, T0) + number(5, 5)),
        ((20, 21), PayloadKind.OTLP_PROFILES, chunk(3, b"")),
        ((6, 7), PayloadKind.OTLP_PROFILES_EXPERIMENTAL, b""),
    ],
    ids=["current", "1.6", "1.4", "v1experimental"],
)
def test_a_pprof_original_is_read(fields: tuple[int, int], kind: PayloadKind, lead: bytes) -> None:
    """In every layout, when the profile has no samples that could be read instead."""
    body = wrapped(lead + chunk(fields[0], b"pprof") + chunk(fields[1], pprof_body()))
    tables = read(body, kind=kind)
    [profile] = tables.profiles.to_dicts()
    assert (profile["service"], profile["format"], profile["total"]) == ("shop", "pprof", 30)
    assert tables.frames["function"].to_list() == ["main"]
    assert tables.rejects == ()


@pytest.mark.parametrize(
    ("body", "kind", "name"),
    [
        (wrapped(chunk(2, numbers(1, [1], True)) + chunk(3, b"\x01")), PayloadKind.OTLP_PROFILES, "otlp 1.6"),
        (wrapped(chunk(3, b"\x01") + chunk(4, b"\x08\x01")), PayloadKind.OTLP_PROFILES, "otlp 1.4"),
        (wrapped(fixed(2, T0) + chunk(8, b"")), PayloadKind.OTLP_PROFILES_EXPERIMENTAL, "otlp 1.3"),
        (
            wrapped(chunk(6, b"jfr") + chunk(7, b"FLR")),
            PayloadKind.OTLP_PROFILES_EXPERIMENTAL,
            "otlp 1.3",
        ),
    ],
)
def test_old_layouts_are_refused_by_name(body: bytes, kind: PayloadKind, name: str) -> None:
    """Without a pprof original there is nothing to read, and the message says which layout it is."""
    with pytest.raises(UnknownFormat, match=name):
        read(body, kind=kind)


def test_other_originals_are_refused_with_a_reason() -> None:
    """JFR is named; a broken pprof is told; the profiles beside them are kept."""
    good = encode(one(Sample(("a",), times=(1,))), "otlp 1.10")
    jfr = wrapped(chunk(9, b"jfr") + chunk(10, b"FLR"))
    broken = wrapped(chunk(9, b"pprof") + chunk(10, b"\xff\xff"))
    tables = read(jfr + broken + good)
    assert len(tables.samples) == 1
    assert sorted("jfr" in reject.reason for reject in tables.rejects) == [False, True]
    assert sum(reject.count for reject in tables.rejects) == 2


def as_json(request: proto.Request_1_10) -> dict[str, Any]:
    """A request as senders write it in JSON: ids in hexadecimal, text instead of bytes."""
    result = MessageToDict(request)
    tables = result["dictionary"]
    tables["stringTable"] = [base64.b64decode(text).decode() for text in tables["stringTable"]]
    for link in tables["linkTable"]:
        link.update({key: base64.b64decode(value).hex().upper() for key, value in link.items()})
    for each in (*tables["attributeTable"], *result["resourceProfiles"][0]["resource"]["attributes"]):
        if "key" in each:
            each["key"] = base64.b64decode(each["key"]).decode()
        if "stringValue" in each.get("value", {}):
            each["value"]["stringValue"] = base64.b64decode(each["value"]["stringValue"]).decode()
    return result


def json_batch() -> Batch:
    samples = (
        Sample(("leaf", "main"), (("thread.id", 5), ("thread.name", "t")), (TRACE, SPAN), times=(T0, T0 + 1)),
        Sample(("main",), times=(T0,)),
    )
    return one(*samples, **CPU, profile_id=TRACE)


def test_json_reads_as_protobuf_does() -> None:
    """The same request in JSON, with ids in hexadecimal, gives the same rows and the same content hashes."""
    request = parsed(json_batch())
    body = as_json(request)
    body["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0]["profileId"] = TRACE.hex()
    from_json, from_protobuf = read(json.dumps(body).encode(), Encoding.JSON), read(request.SerializeToString())
    assert rows_of_tables(from_json) == rows_of_tables(from_protobuf)
    assert from_json.profiles.equals(from_protobuf.profiles)


def test_json_of_1_8_uses_the_old_names() -> None:
    """`sample` and `line` are read as `samples` and `lines`, and the layout is told."""
    body = as_json(parsed(json_batch()))
    profile = body["resourceProfiles"][0]["scopeProfiles"][0]["profiles"][0]
    profile["sample"] = profile.pop("samples")
    for location in body["dictionary"]["locationTable"]:
        if "lines" in location:
            location["line"] = location.pop("lines")
    tables = read(json.dumps(body).encode(), Encoding.JSON)
    assert tables.profiles["format"].to_list() == ["otlp 1.8"]
    expected = read(encode(json_batch(), "otlp 1.10"))
    assert rows_of_tables(tables) == rows_of_tables(expected)


def test_old_json_is_refused_or_read_from_its_original() -> None:
    """The key locationsStartIndex tells a layout of 1.7 or older; a pprof original is read from it all the same."""
    profile: dict[str, Any] = {"sample": [{"locationsStartIndex": 1}], "timeNanos": "5"}
    body = {"resourceProfiles": [{"scopeProfiles": [{"profiles": [profile, {"timeNanos": "1"}]}]}]}
    with pytest.raises(UnknownFormat, match=r"otlp 1\.6"):
        read(json.dumps(body).encode(), Encoding.JSON)
    profile |= {"originalPayloadFormat": "pprof", "originalPayload": base64.b64encode(pprof_body()).decode()}
    tables = read(json.dumps(body).encode(), Encoding.JSON)
    assert tables.samples["value"].to_list() == [30]
    assert [reject.count for reject in tables.rejects] == [1]


json_values = st.recursive(
    st.none() | st.integers(-5, 2**64) | st.sampled_from(("", "abcd", "pprof", "zz")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ("scopeProfiles", "profiles", "samples", "sample", "profileId", "originalPayload", "resource")
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None)
@given(value=json_values, tables=json_values)
def test_any_json_gives_tables_or_a_clear_error(value: Any, tables: Any) -> None:
    """JSON of any shape is read or refused, with an error of ours."""
    for kind in (PayloadKind.OTLP_PROFILES, PayloadKind.OTLP_PROFILES_EXPERIMENTAL):
        with suppress(CorrelateError):
            read(json.dumps({"resourceProfiles": value, "dictionary": tables}).encode(), Encoding.JSON, kind)


@settings(max_examples=60, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_captures_give_tables_or_a_clear_error(flips: list[tuple[int, int]]) -> None:
    """A request with every kind of table in it, altered at random, never fails otherwise."""
    body = bytearray(encode(json_batch(), "otlp 1.9"))
    for at, byte in flips:
        body[at % len(body)] = byte
    with suppress(CorrelateError):
        read(bytes(body))


def test_a_damaged_real_capture_is_read_or_refused(shared_data: Path) -> None:
    """Cut anywhere, a real capture gives tables or an error of ours."""
    body = (shared_data / "otlp" / "ebpf-profiler.v1_8.profile.otlp").read_bytes()
    for end in range(0, len(body), 1777):
        with suppress(BadInput):
            read(body[:end])
