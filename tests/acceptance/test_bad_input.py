"""Bad input over real sockets: an answer that helps, nothing else lost, memory bounded, and the service goes on."""

import itertools
import random
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import zstandard

from tests.support.otlp import chunk
from tests.support.requests import (
    NOT_UTF8,
    PERIOD_NS,
    SECOND,
    Answer,
    Doors,
    Meant,
    OtlpWriter,
    as_json,
    on_wire,
    pprof,
    profiles_request,
    push,
    push_json,
    read_answer,
    span,
    spans_request,
)
from tests.support.server import Served, served

MIB = 1 << 20
TRACE = 0xC0FFEE
YEAR_2100_NS = 4_102_444_800 * SECOND
ABSURD_NS = (0, 1, 1 << 63, (1 << 64) - 1, YEAR_2100_NS)
OTLP = pytest.mark.parametrize("door", ["http", "json", "grpc"])
PUSHES = pytest.mark.parametrize("door", ["push", "push-json"])
INGESTS = pytest.mark.parametrize("door", ["ingest", "multipart"])
_idents = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for everything here: what a bad request breaks, the next test notices."""
    with served(tmp_path_factory.mktemp("lake"), commit_linger_s="0.005") as running:
        yield running
        assert "Traceback" not in running.log.read_text()


@pytest.fixture(scope="module")
def doors(server: Served) -> Iterator[Doors]:
    """A client of every door; the spans that good profiles name are stored."""
    options = [("grpc.max_send_message_length", -1)]
    with (
        httpx.Client(base_url=server.url, timeout=60) as client,
        grpc.insecure_channel(server.grpc, options=options) as channel,
    ):
        found = Doors(server, client, channel)
        start_ns = time.time_ns() - 30 * SECOND
        spans = (span(TRACE, ident, start_ns=start_ns) for ident in range(1, 400))
        assert found.traces("http", spans_request(*spans)).status == 200
        yield found


@pytest.fixture
def ident() -> int:
    """A span of the trace TRACE that no other test gives samples to."""
    return next(_idents)


@pytest.fixture(autouse=True)
def goes_on(server: Served) -> Iterator[None]:
    """After every test the server is alive and ready."""
    yield
    assert httpx.get(f"{server.url}/readyz", timeout=10).status_code == 200


def refused(answer: Answer, status: int, *words: str) -> None:
    """The answer has the status, and a sentence with some words."""
    assert answer.status == status, answer
    assert len(answer.message) > 20, answer
    assert [word for word in words if word not in answer.message] == [], answer


def rss_bytes(server: Served, name: str = "VmRSS") -> int:
    """Resident memory of the server, now or at its highest."""
    status = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(name)) << 10


def growth_bytes(server: Served, work: Callable[[], object]) -> int:
    """By how much the highest resident memory during some work exceeds that before it."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")  # forget the highest so far
    before = rss_bytes(server)
    work()
    return rss_bytes(server, "VmHWM") - before


# Broken bytes


def cut(body: bytes) -> bytes:
    """Two thirds of a body."""
    return body[: len(body) * 2 // 3]


def noise(body: bytes) -> bytes:
    """As many random bytes."""
    return random.Random(len(body)).randbytes(len(body))


def web_page(body: bytes) -> bytes:
    """Something that is sent by mistake."""
    return b"<html><body>502 Bad Gateway</body></html>"


BROKEN = pytest.mark.parametrize("broken", [cut, noise, web_page])


@OTLP
@BROKEN
def test_broken_otlp_is_a_bad_request(doors: Doors, door: str, broken: Callable[[bytes], bytes]) -> None:
    """Truncated, random or foreign bytes get 400 (INVALID_ARGUMENT) and a sentence, for both signals."""
    wire = as_json if door == "json" else on_wire
    now = time.time_ns()
    spans = broken(wire(spans_request(span(1, 1, start_ns=now))))
    profiles = broken(wire(profiles_request(Meant(span=1))))
    refused(doors.traces(door, spans), 400)
    refused(doors.profiles(door, profiles), 400)
    assert not doors.has_span(1, 1)


@BROKEN
def test_a_broken_push_is_a_bad_request(doors: Doors, broken: Callable[[bytes], bytes]) -> None:
    """As a whole: protobuf and JSON."""
    raw = on_wire(pprof(Meant()))
    refused(doors.post("/push.v1.PusherService/Push", broken(push(raw)), "application/proto"), 400)
    refused(doors.post("/push.v1.PusherService/Push", broken(push_json(raw)), "application/json"), 400)


@PUSHES
@BROKEN
def test_a_broken_profile_in_a_push_costs_only_itself(
    doors: Doors, door: str, broken: Callable[[bytes], bytes], ident: int
) -> None:
    """The profiles beside it are stored, and the answer counts and explains the broken one."""
    raw = on_wire(pprof(Meant(span=ident, hits=7)))
    answer = doors.pprofs(door, raw, broken(raw))
    refused(answer, 200, "profile 2")
    assert answer.refused == 1
    assert doors.total_ns(TRACE, ident) == 7 * PERIOD_NS


@INGESTS
@BROKEN
def test_a_broken_upload_is_a_bad_request(doors: Doors, door: str, broken: Callable[[bytes], bytes]) -> None:
    """An upload is one profile: 400."""
    refused(doors.pprofs(door, broken(on_wire(pprof(Meant())))), 400)


def test_bad_lines_of_folded_stacks_cost_only_themselves(doors: Doors) -> None:
    """Lines without a number are counted, the others are stored; bytes that are not UTF-8 become U+FFFD."""
    body = b"main;work 3\nno number\nmain;\xff\xfe 4\nmain 99999999999999999999\n"
    answer = doors.post("/ingest", body, "text/plain", name="folded")
    refused(answer, 200, "lines without a whole number")
    types = doors.http.get("/api/v1/profile-types", params={"service": "folded"}).json()["profile_types"]
    assert [row["total"] for row in types] == [7 * PERIOD_NS]
    refused(doors.post("/ingest", noise(body), "text/plain", name="folded"), 400, "root;caller;leaf 123")
    refused(doors.post("/ingest", b"", "text/plain", name="folded"), 400)
    refused(doors.post("/ingest", b"main 3", "multipart/form-data; boundary=EDGE", name="folded"), 400, "boundary")


# Wrong types and parameters


@pytest.mark.parametrize("path", ["/v1/traces", "/v1development/profiles", "/push.v1.PusherService/Push"])
def test_what_the_door_does_not_take_is_named(doors: Doors, path: str) -> None:
    """A content type or coding that is not known gets 415 and what to use; a coding that is not true gets 400."""
    for media in ("", "text/html", "application/grpc"):
        refused(doors.post(path, b"", media), 415, media, "application/json")
    refused(doors.post(path, b"abc", "application/json", "br"), 415, "'br'", "gzip, deflate, zstd")
    for coding in ("gzip", "deflate", "zstd"):
        refused(doors.post(path, b"abc", "application/json", coding), 400, coding)


def test_formats_and_parameters_of_uploads_are_checked(doors: Doors) -> None:
    """JFR and others are refused by name, and parameters that cannot be read are quoted."""
    for name in ("jfr", "trie", "tree", "speedscope", "xyz"):
        refused(doors.post("/ingest", b"abc", "application/octet-stream", name="x", format=name), 422, name, "pprof")
    refused(doors.post("/ingest", b"main 3", "text/plain", name="a{b"), 400, "a{b")
    for bad in ("-5", "abc", "1e9", "9" * 20):
        refused(doors.post("/ingest", b"main 3", "text/plain", **{"name": "x", "from": bad}), 400, bad)
    for far in ("4102444800", str(1 << 63)):
        refused(doors.post("/ingest", b"main 3", "text/plain", **{"name": "x", "from": far}), 422, "future")


def test_wrong_methods_are_told_the_right_one(doors: Doors) -> None:
    """405 with Allow, on every door."""
    for path in ("/v1/traces", "/v1development/profiles", "/push.v1.PusherService/Push", "/ingest"):
        answer = doors.http.get(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert "POST" in answer.text


BAD_IDS = ("xyz", "0", "%00", "%F0%9F%98%80", "1" * 40, "-1", "0x12", "1.5")


@pytest.mark.parametrize("bad", BAD_IDS)
def test_ids_in_addresses_that_cannot_be_read(doors: Doors, bad: str) -> None:
    """REST answers a problem document, pages a page; both say what an id looks like."""
    for path in (f"/api/v1/spans/{bad}/1/profile", f"/api/v1/spans/1/{bad}/profile", f"/api/v1/traces/{bad}"):
        answer = doors.http.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json"), answer.text
        assert "hexadecimal" in answer.json()["detail"] or "zeros" in answer.json()["detail"]
    page = doors.http.get(f"/traces/{bad}")
    assert page.status_code == 400
    assert page.headers["content-type"].startswith("text/html")


# Bombs and sizes


def gzip_bomb() -> bytes:
    """One GiB of zeros as one MiB of gzip."""
    return _zipped(bytes(16 * MIB)) * 64


def _zipped(body: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(body) + packer.flush()


BOMBS = {
    "gzip": gzip_bomb,
    "deflate": lambda: zlib.compress(bytes(128 * MIB), 9),
    "zstd": lambda: zstandard.ZstdCompressor().compress(bytes(16 * MIB)) * 64,
    "gzip, gzip": lambda: _zipped(gzip_bomb()),
}
SIZES = (("/v1/traces", "application/x-protobuf", 413), ("/v1development/profiles", "application/json", 413))
SIZES += (("/push.v1.PusherService/Push", "application/proto", 400), ("/ingest", "text/plain", 413))


@pytest.mark.parametrize("coding", BOMBS)
def test_bombs_are_noticed_while_they_are_small(doors: Doors, server: Served, coding: str) -> None:
    """Too large (Pyroscope's agents would try a 413 again, so Push says 400), and memory grows by little."""
    bomb = BOMBS[coding]()

    def send() -> None:
        for path, media, status in SIZES:
            refused(doors.post(path, bomb, media, coding, name="x"), status, "67108864 bytes", "body_limit_bytes")
        if coding == "gzip":
            refused(doors.traces("grpc", bomb), 413, "body_limit_bytes")
            refused(doors.profiles("grpc", bomb), 413, "body_limit_bytes")

    assert growth_bytes(server, send) < 300 * MIB


def test_bombs_inside_of_requests_cost_only_themselves(doors: Doors, server: Served, ident: int) -> None:
    """A profile in a push or in an OTLP profile that is a bomb is refused, its neighbours are stored."""
    bomb, good = gzip_bomb(), Meant(span=ident, trace=TRACE)

    def send() -> None:
        assert doors.pprofs("push", bomb, on_wire(pprof(good))).refused == 1
        refused(doors.pprofs("ingest", bomb), 413, "67,108,864")
        refused(doors.pprofs("multipart", bomb), 413, "67,108,864")
        request = profiles_request(good)
        profiles = request.resource_profiles[0].scope_profiles[0].profiles
        profiles.add(original_payload_format="pprof", original_payload=bomb)
        assert doors.profiles("http", request).refused == 1

    assert growth_bytes(server, send) < 500 * MIB
    assert doors.total_ns(TRACE, ident) == 6 * PERIOD_NS


def test_many_tiny_gzip_members_end_early(doors: Doors) -> None:
    """A stream of a million empty members is refused at once, whoever packed it."""
    member = zlib.compressobj(wbits=31).flush()
    refused(doors.pprofs("ingest", member * 1_000_000), 400, "members")
    refused(doors.post("/ingest", member * 1_000_000, "text/plain", "gzip", name="x"), 400, "streams")


@pytest.mark.parametrize(("path", "media", "status"), SIZES)
def test_bodies_of_65_mib_are_too_large(doors: Doors, server: Served, path: str, media: str, status: int) -> None:
    """With their length told or in chunks; the sender gets the answer though it has not sent everything."""

    def send() -> None:
        refused(doors.post(path, bytes(65 * MIB), media, name="x"), status, "67108864 bytes")
        chunks = (bytes(MIB) for _ in range(65))
        headers, params = {"Content-Type": media}, {"name": "x"}
        refused(read_answer(doors.http.post(path, content=chunks, headers=headers, params=params)), status, "67108864")

    assert growth_bytes(server, send) < 400 * MIB


def test_messages_of_65_mib_are_too_large_for_grpc(doors: Doors) -> None:
    """RESOURCE_EXHAUSTED, which without RetryInfo is not tried again."""
    refused(doors.traces("grpc", bytes(65 * MIB)), 413, "67108864")


AMPLIFIERS = {
    "resources": ("/v1/traces", "application/x-protobuf", 413, lambda: b"\x0a\x00" * (8 * MIB)),
    "series": ("/push.v1.PusherService/Push", "application/proto", 400, lambda: b"\x0a\x00" * (8 * MIB)),
    "profiles": ("/push.v1.PusherService/Push", "application/proto", 400, lambda: chunk(1, b"\x12\x00" * (8 * MIB))),
    "JSON": ("/v1/traces", "application/json", 413, lambda: b'{"resourceSpans":[' + b"{}," * (8 * MIB) + b"{}]}"),
    "JSON push": ("/push.v1.PusherService/Push", "application/json", 400, lambda: b'{"series":[' + b"{}," * (8 * MIB)),
    "lines": ("/ingest", "text/plain", 413, lambda: b"a 1\n" * (8 * MIB)),
}


@pytest.mark.parametrize("what", AMPLIFIERS)
def test_what_is_small_on_the_wire_and_large_in_memory(doors: Doors, server: Served, what: str) -> None:
    """Millions of empty items are counted before memory is spent on them; the answer names the limit."""
    path, media, status, body = AMPLIFIERS[what]
    grown = growth_bytes(server, lambda: refused(doors.post(path, body(), media, name="x"), status, "00,000"))
    assert grown < 500 * MIB


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


def test_a_hundred_thousand_attributes_of_a_span(doors: Doors, server: Served) -> None:
    """Are stored with it."""
    one = span(0xCC, 1, start_ns=time.time_ns())
    for number in range(100_000):
        one.attributes.add(key=f"key {number}").value.int_value = number
    request = spans_request(one, span(0xCC, 2, start_ns=time.time_ns()))
    assert growth_bytes(server, lambda: doors.traces("http", request)) < 300 * MIB
    assert doors.has_span(0xCC, 1)
    assert doors.has_span(0xCC, 2)


def test_a_hundred_thousand_labels_in_a_push(doors: Doors, server: Served, ident: int) -> None:
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
    assert growth_bytes(server, lambda: answers.append(doors.pprofs("push", *bodies))) < 500 * MIB
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
