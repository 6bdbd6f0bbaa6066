"""Pyroscope's older upload."""

import contextlib
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadInput, Malformed, UnknownFormat
from correlate.formats.pyroscope_ingest import read
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.tables.tables import Tables, check
from tests.support.pprof import RECEIVED_NS, ProfileMaker, simple


def ingest(body: bytes, content_type: str = "", **query: str) -> Tables:
    """Read an upload as it came through the door."""
    payload = RawPayload(
        PayloadKind.PYROSCOPE_INGEST,
        body,
        RECEIVED_NS,
        Encoding.RAW,
        content_type,
        params={key.rstrip("_"): value for key, value in query.items()},
    )
    return check(read(payload))


def form(**parts: bytes) -> tuple[bytes, str]:
    """A multipart body and its content type."""
    pieces = [
        b'--XyZ\r\nContent-Disposition: form-data; name="%s"; filename="f"\r\n\r\n%s\r\n' % (name.encode(), content)
        for name, content in parts.items()
    ]
    return b"".join(pieces) + b"--XyZ--\r\n", "multipart/form-data; boundary=XyZ"


def labels_of(tables: Tables) -> dict[str, str]:
    """The labels of the first series."""
    return {label["key"]: label["value"] for label in tables.series["labels"][0].to_list()}


def test_raw_pprof() -> None:
    """The name carries the service and labels; the spy becomes a label."""
    tables = ingest(gzip.compress(simple()), name="app{env=prod,__session_id__=7,x=}", format="pprof", spyName="pyspy")
    assert tables.profiles["service"].to_list() == ["app", "app"]
    assert labels_of(tables) == {"__session_id__": "7", "env": "prod", "pyroscope_spy": "pyspy", "x": ""}


def test_a_service_name_among_the_labels_wins() -> None:
    """Then the application's name becomes a label."""
    tables = ingest(simple(), name='app{service_name="shop"}', format="pprof")
    assert tables.profiles["service"].to_list() == ["shop", "shop"]
    assert labels_of(tables) == {"app_name": "app"}


def test_form_with_sample_type_config() -> None:
    """Go's agent: display names tell lock profiles apart."""
    maker = ProfileMaker([("contentions", "count"), ("delay", "nanoseconds")], ("contentions", "count"))
    maker.sample([maker.location(maker.function("f"))], [1, 2])
    config = {"contentions": {"display-name": "block_count", "units": "lock_samples"}}
    body, content_type = form(profile=maker.bytes(), sample_type_config=json.dumps(config).encode())
    tables = ingest(body, content_type, name="app")
    assert sorted(tables.profiles["type"]) == [
        "block:contentions:count:contentions:count",
        "block:delay:nanoseconds:contentions:count",
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (form(other=b"x")[0], form()[1], "no part 'profile'"),
        (form(profile=b"x")[0][:-9], form()[1], "closed"),
        (form(profile=b"x")[0], "multipart/form-data", "boundary"),
        (form(profile=simple(), prev_profile=b"x")[0], form()[1], "prev_profile"),
        (form(profile=simple(), sample_type_config=b"[")[0], form()[1], "sample_type_config"),
        (form(profile=simple(), sample_type_config=b"[1]")[0], form()[1], "sample_type_config"),
        (b"--XyZ\r\n\r\nx\r\n--XyZ--", form()[1], "name"),
        (form(**{f"p{at}": b"" for at in range(40)})[0], form()[1], "parts"),
    ],
)
def test_broken_forms_are_malformed(body: bytes, content_type: str, message: str) -> None:
    """Each with what is missing."""
    with pytest.raises(Malformed, match=message):
        ingest(body, content_type, name="app")


@pytest.mark.parametrize("format_", ["jfr", "trie", "tree", "speedscope", "parquet"])
def test_formats_that_are_not_read(format_: str) -> None:
    """They are refused by name, with what to send instead."""
    with pytest.raises(UnknownFormat, match="pprof"):
        ingest(b"x", name="app", format_=format_)


def test_jfr_and_trie_without_a_format_parameter() -> None:
    """The content type and the parts of a form tell as well."""
    with pytest.raises(UnknownFormat, match="trie"):
        ingest(b"x", "binary/octet-stream+trie", name="app")
    with pytest.raises(UnknownFormat, match="JFR"):
        ingest(*form(jfr=b"FLR\0"), name="app")


def test_folded_is_the_default() -> None:
    """Hits become nanoseconds by the sampling rate; the window is that of the query."""
    tables = ingest(b"a;b 3\n", name="app.cpu{env=x}", sampleRate="50", from_="1700000000", until="1700000010")
    assert tables.profiles.select("service", "type", "total", "sample_count", "time_ns", "duration_ns").rows() == [
        ("app", "process_cpu:cpu:nanoseconds:cpu:nanoseconds", 60_000_000, 3, 1_700_000_000 * 10**9, 10 * 10**9)
    ]


def test_the_end_of_the_name_picks_the_type() -> None:
    """Only known ends count; dots in service names are fine."""
    tables = ingest(b"a 3\n", name="my.app.inuse_space")
    assert tables.profiles.select("service", "type", "total").rows() == [
        ("my.app", "memory:inuse_space:bytes:space:bytes", 3)
    ]
    assert ingest(b"a 3\n", name="my.app").profiles["service"].to_list() == ["my.app"]


def test_lines() -> None:
    """One stack a line, each counts once."""
    assert ingest(b"a;b\na;b\n", name="app", format="lines").profiles["sample_count"].to_list() == [2]


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1700000000", 1_700_000_000 * 10**9),
        ("1700000000.5", 1_700_000_000 * 10**9),
        ("1700000000123", 1_700_000_000_123 * 10**6),
        ("1700000000123456", 1_700_000_000_123_456 * 10**3),
        ("1700000000123456789", 1_700_000_000_123_456_789),
    ],
)
def test_times_tell_their_unit(text: str, time_ns: int) -> None:
    """Seconds to nanoseconds, by the number of digits."""
    assert ingest(b"a 3\n", name="app", from_=text).profiles["time_ns"].to_list() == [time_ns]


@pytest.mark.parametrize(
    "query",
    [
        {"from": "now-1h"},
        {"from": "-5"},
        {"until": "9" * 30},
        {"sampleRate": "0"},
        {"name": "app{env"},
        {"name": "a{b}"},
    ],
)
def test_bad_parameters_are_malformed(query: dict[str, str]) -> None:
    """The message names the parameter."""
    with pytest.raises(Malformed, match=next(iter(query))):
        ingest(b"a 1\n", **{"name": "app", **query})


def test_no_name_is_an_unknown_service() -> None:
    """Nothing is lost for want of a name."""
    assert ingest(b"a 1\n").profiles["service"].to_list() == ["unknown_service"]
    assert ingest(simple(), format="pprof").profiles["service"].to_list() == ["unknown_service"] * 2


@given(st.binary(max_size=100), st.sampled_from(["", "pprof", "lines"]), st.sampled_from(["", form()[1]]))
def test_any_bytes_give_tables_or_bad_input(body: bytes, format_: str, content_type: str) -> None:
    """Whatever comes, the answer is tables or one of our errors."""
    with contextlib.suppress(BadInput):
        ingest(body, content_type, name="app", format_=format_)
