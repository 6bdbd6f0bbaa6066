"""Bad bytes over real sockets: an answer that helps, nothing else lost, memory bounded, and the service goes on."""

import random
import time
import zlib
from collections.abc import Callable

import pytest
import zstandard

from tests.support.otlp import chunk
from tests.support.refusals import growth_bytes, refused
from tests.support.requests import (
    PERIOD_NS,
    TRACE,
    Doors,
    Meant,
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

pytestmark = pytest.mark.usefixtures("goes_on")

MIB = 1 << 20
OTLP = pytest.mark.parametrize("door", ["http", "json", "grpc"])
PUSHES = pytest.mark.parametrize("door", ["push", "push-json"])
INGESTS = pytest.mark.parametrize("door", ["ingest", "multipart"])

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
def test_bombs_are_noticed_while_they_are_small(doors: Doors, coding: str) -> None:
    """Too large (Pyroscope's agents would try a 413 again, so Push says 400), and memory grows by little."""
    bomb = BOMBS[coding]()

    def send() -> None:
        for path, media, status in SIZES:
            refused(doors.post(path, bomb, media, coding, name="x"), status, "67108864 bytes", "body_limit_bytes")
        if coding == "gzip":
            refused(doors.traces("grpc", bomb), 413, "body_limit_bytes")
            refused(doors.profiles("grpc", bomb), 413, "body_limit_bytes")

    assert growth_bytes(doors.server, send) < 300 * MIB


def test_bombs_inside_of_requests_cost_only_themselves(doors: Doors, ident: int) -> None:
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

    assert growth_bytes(doors.server, send) < 500 * MIB
    assert doors.total_ns(TRACE, ident) == 6 * PERIOD_NS


def test_many_tiny_gzip_members_end_early(doors: Doors) -> None:
    """A stream of a million empty members is refused at once, whoever packed it."""
    member = zlib.compressobj(wbits=31).flush()
    refused(doors.pprofs("ingest", member * 1_000_000), 400, "members")
    refused(doors.post("/ingest", member * 1_000_000, "text/plain", "gzip", name="x"), 400, "streams")


@pytest.mark.parametrize(("path", "media", "status"), SIZES)
def test_bodies_of_65_mib_are_too_large(doors: Doors, path: str, media: str, status: int) -> None:
    """With their length told or in chunks; the sender gets the answer though it has not sent everything."""

    def send() -> None:
        refused(doors.post(path, bytes(65 * MIB), media, name="x"), status, "67108864 bytes")
        chunks = (bytes(MIB) for _ in range(65))
        headers, params = {"Content-Type": media}, {"name": "x"}
        refused(read_answer(doors.http.post(path, content=chunks, headers=headers, params=params)), status, "67108864")

    assert growth_bytes(doors.server, send) < 400 * MIB


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
def test_what_is_small_on_the_wire_and_large_in_memory(doors: Doors, what: str) -> None:
    """Millions of empty items are counted before memory is spent on them; the answer names the limit."""
    path, media, status, body = AMPLIFIERS[what]
    grown = growth_bytes(doors.server, lambda: refused(doors.post(path, body(), media, name="x"), status, "00,000"))
    assert grown < 500 * MIB
