"""Which reader, and what kind a file is."""

import contextlib
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadInput, Malformed, TooLarge, UnknownFormat
from correlate.formats.inflate import gunzip
from correlate.formats.inflate import gzip as pack
from correlate.formats.pprof_write import parse, write
from correlate.formats.registry import READERS, encoding_of, read, sniff
from correlate.formats.top_level import top_level_fields
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.tables.tables import check
from tests.support.pprof import RECEIVED_NS, simple


def test_every_kind_has_a_reader() -> None:
    """A new kind must choose its reader."""
    assert set(READERS) == set(PayloadKind)


@given(st.sampled_from(PayloadKind), st.sampled_from(Encoding), st.binary(max_size=60))
def test_any_bytes_give_tables_or_bad_input(kind: PayloadKind, encoding: Encoding, body: bytes) -> None:
    """Whatever comes through whichever door, the answer is tables or one of our errors."""
    with contextlib.suppress(BadInput):
        check(read(RawPayload(kind, body, RECEIVED_NS, encoding)))


def test_files_take_options() -> None:
    """Service, name, type and window of a file come from the command line."""
    options = {"service": "shop", "name": "cpu_of_shop", "from": "1700000000", "until": "1700000010"}
    profiles = read(RawPayload(PayloadKind.PPROF, simple(), RECEIVED_NS, params=options, sender="a.pb.gz")).profiles
    assert profiles["service"].to_list() == ["shop", "shop"]
    assert profiles["type"].str.starts_with("cpu_of_shop:").all()
    folded = {**options, "type": "memory:inuse_space:bytes::"}
    profiles = read(RawPayload(PayloadKind.COLLAPSED, b"a;b 4", RECEIVED_NS, params=folded)).profiles
    assert profiles.select("service", "type", "total", "duration_ns").rows() == [
        ("shop", "memory:inuse_space:bytes::", 4, 10**10)
    ]


def test_files_without_options() -> None:
    """A plain import works; a bad type is told."""
    assert read(RawPayload(PayloadKind.COLLAPSED, b"a 4", RECEIVED_NS)).profiles["service"].to_list() == [
        "unknown_service"
    ]
    with pytest.raises(Malformed, match="type="):
        read(RawPayload(PayloadKind.COLLAPSED, b"a 4", RECEIVED_NS, params={"type": "cpu!"}))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (simple(), PayloadKind.PPROF),
        (gzip.compress(simple()), PayloadKind.PPROF),
        (b"\n\x04\x12\x02\x12\x00", PayloadKind.OTLP_TRACES),
        (b"\n\x04\x12\x02\x12\x00\x12\x00", PayloadKind.OTLP_PROFILES),
        (b' {"resourceSpans": []}', PayloadKind.OTLP_TRACES),
        (b'{"resource_profiles": [], "dictionary": {}}', PayloadKind.OTLP_PROFILES),
        (b"main;work 12\nmain 3\n", PayloadKind.COLLAPSED),
        (b"# comment\n\nmain;work 12", PayloadKind.COLLAPSED),
    ],
)
def test_sniffing(body: bytes, kind: PayloadKind) -> None:
    """The bytes tell, whatever the file is called."""
    assert sniff(body, "some.file") is kind


@pytest.mark.parametrize("body", [b"", b"hello world", b'{"a": 1}', b"FLR\0", b"\x00\x01", bytes(100)])
def test_unknown_files_are_named(body: bytes) -> None:
    """The message has the file's name and what can be read."""
    with pytest.raises(UnknownFormat, match=r"some\.file"):
        sniff(body, "some.file")


def test_sniffing_real_files(shared_data: Path) -> None:
    """Real captures are told apart; legacy formats are named."""
    assert sniff((shared_data / "otlp/ebpf-profiler.v1_8.profile.otlp").read_bytes(), "x") is PayloadKind.OTLP_PROFILES
    assert (
        sniff((shared_data / "otlp/ebpf-profiler.otel-ebpf-profile.pb.bin").read_bytes(), "x")
        is PayloadKind.OTLP_PROFILES
    )
    for path in [*(shared_data / "pprof/parca").iterdir(), *(shared_data / "pprof/pyroscope").iterdir()]:
        assert sniff(path.read_bytes(), path.name) is PayloadKind.PPROF
    for path in (shared_data / "pprof/google").iterdir():
        if path.suffix != ".string" and path.name != "large.cpu":
            with pytest.raises(UnknownFormat, match="legacy"):
                sniff(path.read_bytes(), path.name)


def test_encoding_of_files() -> None:
    """A brace means JSON, compressed or not."""
    assert encoding_of(b' {"resourceSpans": []}') is Encoding.JSON
    assert encoding_of(gzip.compress(b"{}")) is Encoding.JSON
    assert encoding_of(simple()) is Encoding.PROTOBUF
    assert encoding_of(b"\x1f\x8bbroken") is Encoding.PROTOBUF


@given(st.binary(max_size=60))
def test_top_level_fields_of_any_bytes(raw: bytes) -> None:
    """Foreign bytes are answered, never raised about."""
    fields = top_level_fields(raw, 8)
    assert fields is None or len(fields) <= 8


def test_top_level_fields_of_a_message() -> None:
    """Runs of the same field are told once, fixed-width fields are stepped over."""
    assert [field.number for field in top_level_fields(simple(), 20) or []] == [1, 2, 4, 5, 6, 9, 10, 11, 12]
    assert [field.number for field in top_level_fields(b"\x09" + bytes(8) + b"\x15" + bytes(4), 8) or []] == [1, 2]
    assert top_level_fields(b"\x09" + bytes(7), 8) is None


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=3))
def test_gunzip_undoes_gzip(parts: list[bytes]) -> None:
    """Several members in a row are one file."""
    assert gunzip(b"".join(pack(part) for part in parts)) == b"".join(parts)


def test_gunzip_limits_and_faults() -> None:
    """Too much, cut off, and damaged are told apart."""
    with pytest.raises(TooLarge):
        gunzip(pack(bytes(100)), 99)
    with pytest.raises(TooLarge):
        gunzip(b"plain" * 30, 99)
    with pytest.raises(TooLarge):
        gunzip(pack(bytes(60)) + pack(bytes(60)), 99)
    with pytest.raises(Malformed, match="ends early"):
        gunzip(pack(b"x" * 100)[:-9])
    with pytest.raises(Malformed, match="broken"):
        gunzip(b"\x1f\x8bnot gzip")


def test_a_written_profile_is_sniffed() -> None:
    """Our own output is recognised."""
    assert sniff(write(parse(simple())), "x") is PayloadKind.PPROF
