"""Good bytes with bad content: it costs the span or profile it is in, and no other."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.refusals import growth_bytes, refused
from tests.support.requests import (
    NOT_UTF8,
    PERIOD_NS,
    SECOND,
    TRACE,
    Doors,
    Meant,
    OtlpWriter,
    on_wire,
    pprof,
    profiles_request,
    push,
    span,
    spans_request,
)

pytestmark = pytest.mark.usefixtures("goes_on")

MIB = 1 << 20
YEAR_2100_NS = 4_102_444_800 * SECOND
ABSURD_NS = (0, 1, 1 << 63, (1 << 64) - 1, YEAR_2100_NS)
OTLP = pytest.mark.parametrize("door", ["http", "json", "grpc"])
PUSHES = pytest.mark.parametrize("door", ["push", "push-json"])
INGESTS = pytest.mark.parametrize("door", ["ingest", "multipart"])

# Broken references


def first_profile(request: Any) -> Any:
    """The first profile of an export request."""
    return request.resource_profiles[0].scope_profiles[0].profiles[0]


def break_stack(request: Any) -> None:
    first_profile(request).samples[0].stack_index = 999


def break_link(request: Any) -> None:
    first_profile(request).samples[0].link_index = 999


def break_type(request: Any) -> None:
    first_profile(request).sample_type.unit_strindex = -5


def break_attribute(request: Any) -> None:
    first_profile(request).samples[0].attribute_indices.append(999)


def break_function(request: Any) -> None:
    request.dictionary.location_table[1].lines[0].function_index = 1 << 30


@OTLP
@pytest.mark.parametrize("damage", [break_stack, break_link, break_type, break_attribute, break_function])
def test_dangling_indices_of_otlp_cost_one_profile(
    doors: Doors, door: str, damage: Callable[[Any], None], ident: int
) -> None:
    """The profile with the index is refused with the table's name, the one beside it is stored."""
    request = profiles_request(Meant(span=ident, trace=TRACE, stack=("bad",)), Meant(span=ident, trace=TRACE, hits=5))
    damage(request)
    answer = doors.profiles(door, request)
    refused(answer, 200, "beyond the", "table")
    assert answer.refused == 1
    assert doors.total_ns(TRACE, ident) == 5 * PERIOD_NS


@PUSHES
def test_dangling_ids_of_pprof_cost_one_profile(doors: Doors, door: str, ident: int) -> None:
    """Each broken profile is refused with what is missing, the good one beside them is stored."""
    broken = [pprof(Meant(span=ident)) for _ in range(4)]
    broken[0].sample[0].location_id[0] = 77
    broken[1].location[0].line[0].function_id = 77
    broken[2].function[0].name = 77
    broken[3].sample[0].value.append(1)
    answer = doors.pprofs(door, *map(on_wire, broken), on_wire(pprof(Meant(span=ident, hits=5))))
    refused(answer, 200, "location 77", "function 77", "string 77")
    assert answer.refused == 4
    assert doors.total_ns(TRACE, ident) == 5 * PERIOD_NS


# Times


@OTLP
def test_absurd_times_of_spans(doors: Doors, door: str) -> None:
    """Starts at 0, in 1970, 2100 or beyond 64 bits are refused, ends in the future too; a missing end is a warning."""
    now, trace = time.time_ns(), 0xA0 + len(door)
    starts = [span(trace, 10 + n, start_ns=ns, end_time_unix_nano=ns) for n, ns in enumerate(ABSURD_NS)]
    ends = [span(trace, 20 + n, start_ns=now, end_time_unix_nano=ns) for n, ns in enumerate(ABSURD_NS)]
    answer = doors.traces(door, spans_request(*starts, *ends, span(trace, 1, start_ns=now)))
    refused(answer, 200, "retention", "year 2262", "end before they start")
    assert answer.refused == len(ABSURD_NS) + 3
    spans = doors.http.get(f"/api/v1/traces/{trace:032x}").json()["spans"]
    stored = {int(row["span_id"], 16): row["duration_ns"] for row in spans}
    assert stored == {1: SECOND, 20: 0, 21: 0}


@OTLP
def test_absurd_times_of_otlp_profiles(doors: Doors, door: str, ident: int) -> None:
    """Starts, lengths and single timestamps that cannot be cost their profile, and no other."""
    now = time.time_ns() - 30 * SECOND
    starts = [Meant(span=ident, trace=TRACE, time_ns=ns) for ns in ABSURD_NS]
    stamps = [Meant(span=ident, trace=TRACE, stamps=(now, ns)) for ns in ABSURD_NS]
    lengths = [Meant(span=ident, trace=TRACE, duration_ns=ns) for ns in ABSURD_NS[2:]]
    answer = doors.profiles(door, profiles_request(*starts, *stamps, *lengths, Meant(span=ident, trace=TRACE, hits=9)))
    refused(answer, 200, "retention", "year 2262")
    assert answer.refused == 13
    assert doors.total_ns(TRACE, ident) == 9 * PERIOD_NS


@PUSHES
def test_absurd_times_of_pprof(doors: Doors, door: str, ident: int) -> None:
    """A start before 1971 is no date, and the arrival counts; one in the future, or an end there, is refused."""
    no_dates = [pprof(Meant(span=ident, time_ns=ns, hits=n)) for n, ns in enumerate((0, 1, -1, -(1 << 63)), 1)]
    future = [pprof(Meant(span=ident, time_ns=ns)) for ns in (YEAR_2100_NS, (1 << 63) - 1)]
    endless = [pprof(Meant(span=ident, duration_ns=ns)) for ns in (1 << 62, (1 << 63) - 1)]
    answer = doors.pprofs(door, *map(on_wire, (*no_dates, *future, *endless)))
    refused(answer, 200, "in the future")
    assert doors.total_ns(TRACE, ident) == (1 + 2 + 3 + 4) * PERIOD_NS


@INGESTS
def test_an_upload_from_the_future_is_refused(doors: Doors, door: str) -> None:
    """422, as nothing of it was kept, with the setting that moves the limit."""
    refused(doors.pprofs(door, on_wire(pprof(Meant(time_ns=YEAR_2100_NS)))), 422, "future", "ahead_s")


def test_no_absurd_time_shows_in_the_catalogue(doors: Doors) -> None:
    """First and last seen stay within what is accepted, whatever the other tests sent."""
    last_ns = [row["last_ns"] for row in doors.http.get("/api/v1/services").json()["services"]]
    assert max(last_ns) < time.time_ns() + 3600 * SECOND


# Texts, depths and labels


@pytest.mark.parametrize("door", ["http", "grpc"])
def test_text_that_is_not_utf8_in_otlp(doors: Doors, door: str, ident: int) -> None:
    """Names of spans, functions and attributes get replacement characters; nothing is lost, answers stay JSON."""
    trace = 0xB0 + len(door)
    fields = {"name": f"GET {NOT_UTF8}", "trace_state": NOT_UTF8}
    assert doors.traces(door, spans_request(span(trace, 1, start_ns=time.time_ns(), **fields))).refused == 0
    name = doors.http.get(f"/api/v1/traces/{trace:032x}").json()["spans"][0]["name"]
    assert name.startswith("GET \N{REPLACEMENT CHARACTER}")
    labels = [("key", NOT_UTF8)]
    meant = Meant(span=ident, trace=TRACE, stack=("main", NOT_UTF8), labels=labels)
    assert doors.profiles(door, profiles_request(meant)).refused == 0
    assert doors.total_ns(TRACE, ident) == 3 * PERIOD_NS


def test_text_that_is_not_utf8_in_json(doors: Doors) -> None:
    """JSON is UTF-8 by definition: 400."""
    refused(doors.traces("json", spans_request(span(5, 1, start_ns=time.time_ns(), name=NOT_UTF8))), 400, "JSON")


@pytest.mark.parametrize("door", ["push", "push-json", "ingest", "multipart"])
def test_text_that_is_not_utf8_in_pprof(doors: Doors, door: str, ident: int) -> None:
    """Names of functions get replacement characters and show in every form of the answer."""
    meant = Meant(span=ident, stack=("main", NOT_UTF8), labels=[("key", NOT_UTF8)])
    assert doors.pprofs(door, on_wire(pprof(meant))).refused == 0
    for form in FORMATS:
        assert doors.http.get(profile_path(ident), params={"format": form}).status_code == 200


def test_labels_of_a_push_that_are_not_utf8(doors: Doors) -> None:
    """A service name is kept with replacement characters."""
    body = push(on_wire(pprof(Meant())), labels={"service_name": f"pushed {NOT_UTF8}"})
    body = body.replace(NOT_UTF8.encode(), b"\xff" * 10)
    answer = doors.post("/push.v1.PusherService/Push", body, "application/proto")
    assert (answer.status, answer.refused) == (200, 0)
    names = [row["service"] for row in doors.http.get("/api/v1/services").json()["services"]]
    assert "pushed " + "\N{REPLACEMENT CHARACTER}" * 10 in names


FORMATS = ("json", "flamebearer", "nested-set", "pprof", "collapsed", "speedscope", "html", "svg")


def profile_path(ident: int) -> str:
    """Where the profile of a span of TRACE is."""
    return f"/api/v1/spans/{TRACE:032x}/{ident:016x}/profile"


DEEP = tuple(f"frame {depth}" for depth in range(10_000))


@pytest.mark.parametrize("door", ["http", "push", "folded"])
def test_stacks_of_ten_thousand_frames(doors: Doors, door: str, ident: int) -> None:
    """Are stored whole and drawn in every form; of deeper ones the frames nearest to the leaf are kept."""
    meant = Meant(span=ident, trace=TRACE, stack=("beyond", *DEEP))
    if door == "folded":
        answer = doors.post("/ingest", ";".join(meant.stack).encode() + b" 3\n", "text/plain", name="deep")
        assert (answer.status, answer.refused) == (200, 0)
        return
    if door == "push":
        assert doors.pprofs("push", on_wire(pprof(meant))).status == 200
    else:
        assert doors.profiles(door, profiles_request(meant)).status == 200
    names = doors.http.get(profile_path(ident)).json()["flamegraph"]["name"]
    assert (len(names), names[1], names[-1]) == (10_001, "frame 0", "frame 9999")
    for form in FORMATS:
        answer = doors.http.get(profile_path(ident), params={"format": form})
        assert answer.status_code == 200, (form, answer.text[:300])
    assert doors.http.get(f"/spans/{TRACE:032x}/{ident:016x}").status_code == 200


def test_a_hundred_thousand_attributes_of_a_span(doors: Doors) -> None:
    """Are stored with it."""
    one = span(0xCC, 1, start_ns=time.time_ns())
    for number in range(100_000):
        one.attributes.add(key=f"key {number}").value.int_value = number
    request = spans_request(one, span(0xCC, 2, start_ns=time.time_ns()))
    assert growth_bytes(doors.server, lambda: doors.traces("http", request)) < 300 * MIB
    assert doors.has_span(0xCC, 1)
    assert doors.has_span(0xCC, 2)


def test_a_hundred_thousand_labels_in_a_push(doors: Doors, ident: int) -> None:
    """On one sample they make one series; as many different sets are refused, and the profile beside is stored."""
    many = pprof(Meant(span=ident, labels=[(f"key {number}", "x") for number in range(99_000)]))
    sets = pprof(Meant(span=ident))
    sets.string_table.extend(f"value {number}".encode() for number in range(100_000))
    first, template = len(sets.string_table) - 100_000, sets.sample[0]
    key = list(sets.string_table).index(b"span_id")
    for number in range(100_000):
        sample = sets.sample.add(location_id=template.location_id, value=template.value)
        sample.label.add(key=key, str=first + number)
    good = pprof(Meant(span=ident, hits=5))
    bodies, answers = [on_wire(profile) for profile in (many, sets, good)], []
    assert growth_bytes(doors.server, lambda: answers.append(doors.pprofs("push", *bodies))) < 500 * MIB
    refused(answers[0], 200, "profile 2", "limit")
    assert doors.total_ns(TRACE, ident) == (3 + 5) * PERIOD_NS


def test_too_many_label_sets_in_otlp(doors: Doors, ident: int) -> None:
    """A profile with 100,000 sets of labels is refused, the one beside it is stored."""
    writer = OtlpWriter()
    profile = writer.add(Meant(span=ident, trace=TRACE))
    for number in range(100_000):
        index = len(writer.dictionary.attribute_table)
        writer.dictionary.attribute_table.add(key_strindex=writer.text("key")).value.int_value = number
        profile.samples.add(stack_index=1, values=[1], attribute_indices=[index])
    writer.add(Meant(span=ident, trace=TRACE, hits=5))
    answer = doors.profiles("http", writer.request)
    refused(answer, 200, "distinct sets of labels")
    assert answer.refused == 1
    assert doors.total_ns(TRACE, ident) == 5 * PERIOD_NS
