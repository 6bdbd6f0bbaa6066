"""Telling layouts of profiles apart, and reading each of them."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from correlate.errors import CorrelateError, Malformed
from correlate.formats import otlp_profiles
from correlate.formats.otlp_layout import Layout, candidates
from correlate.formats.proto.otlp_profiles_pb2 import Request_1_8
from correlate.model.payload import PayloadKind, RawPayload
from correlate.tables.tables import Tables, check
from tests.support.otlp import Batch, Profile, Sample, encode, rows_of_batch, rows_of_tables

LAYOUTS = ("otlp 1.8", "otlp 1.9", "otlp 1.10")
CAPTURES = {
    "ebpf-profiler.v1_8.profile.otlp": ("otlp 1.8", 189),
    "ebpf-profiler.otel-ebpf-profile.pb.bin": ("otlp 1.10", 5321),
}

T0 = 1_700_000_000_000_000_000

times_ns = st.integers(1, 2**62)
values = st.integers(1, 300) | st.integers(1, 2**40)
names = st.sampled_from(("main", "handle", "parse", "malloc", "", "[vdso]"))
attributes = st.dictionaries(
    st.sampled_from(("thread.id", "thread.name", "cpu.logical_number")), st.integers(1, 9), max_size=3
).map(lambda pairs: tuple((k, f"name {v}" if k == "thread.name" else v) for k, v in pairs.items()))
links = st.none() | st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8)).filter(
    lambda ids: any(ids[0]) and any(ids[1])
)


@st.composite
def samples(draw: st.DrawFn, shape: str) -> Sample:
    """A sample of one of the three shapes."""
    count = draw(st.integers(1, 4))
    return Sample(
        stack=tuple(draw(st.lists(names, max_size=4))),
        attributes=draw(attributes),
        link=draw(links),
        values=tuple(draw(values) for _ in range({"total": 1, "times": 0, "both": count}[shape])),
        times=tuple(draw(times_ns) for _ in range(0 if shape == "total" else count)),
    )


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """A profile whose samples have one shape."""
    shape = draw(st.sampled_from(("total", "times", "both")))
    cpu = draw(st.booleans())
    return Profile(
        samples=tuple(draw(st.lists(samples(shape), max_size=5))),
        sample_type=("samples", "count") if cpu else ("off_cpu", "nanoseconds"),
        period_type=("cpu", "nanoseconds") if cpu else ("", ""),
        period=draw(st.integers(0, 10**6)) if cpu else 0,
        profile_id=draw(st.just(b"") | st.binary(min_size=16, max_size=16)),
    )


# Each profile has a start of its own: equal profiles in one request would count once.
batches = st.lists(st.tuples(st.sampled_from(("a", "b")), profiles()), min_size=1, max_size=3).map(
    lambda pairs: Batch(tuple((name, replace(each, time_ns=T0 + nth)) for nth, (name, each) in enumerate(pairs)))
)


def read(body: bytes, kind: PayloadKind = PayloadKind.OTLP_PROFILES) -> Tables:
    return check(otlp_profiles.read(RawPayload(kind, body, 1)))


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "unpacked"])
@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=25, deadline=None)
@given(batch=batches)
def test_what_was_written_is_read_in_every_layout(batch: Batch, layout: str, packed: bool) -> None:
    """Each layout, packed or not, gives back the same samples; a payload of 1.9 is never read as 1.10."""
    tables = read(encode(batch, layout, packed))
    expected = rows_of_batch(batch)
    told = set(tables.profiles.filter(tables.profiles["sample_rows"] > 0)["format"])
    assert tables.rejects == ()
    assert rows_of_tables(tables) == expected
    assert not (layout == "otlp 1.9" and "otlp 1.10" in told and not _indifferent(batch))


def _indifferent(batch: Batch) -> bool:
    """Whether no sample has a field whose number differs between 1.9 and 1.10."""
    every = [sample for _, profile in batch.profiles for sample in profile.samples]
    return not any(sample.values or sample.attributes or sample.link for sample in every)


def test_the_known_corruption_does_not_happen() -> None:
    """Values of 1.9 that are valid attribute indices of 1.10 stay values, packed or not."""
    sample = Sample(("main",), (("thread.name", "worker"), ("cpu.logical_number", 3)), None, (1,), (5,))
    batch = Batch((("a", Profile((sample,))),))
    for packed in (True, False):
        tables = read(encode(batch, "otlp 1.9", packed))
        assert tables.profiles["format"].to_list() == ["otlp 1.9"]
        assert rows_of_tables(tables) == rows_of_batch(batch)


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_of_a_real_profiler_are_recognised(name: str, shared_data: Path) -> None:
    """The verdict on a real capture is the layout it was recorded in."""
    layout, rows = CAPTURES[name]
    body = (shared_data / "otlp" / name).read_bytes()
    assert candidates(body) == (layout,)
    tables = read(body)
    assert set(tables.profiles["format"]) == {layout}
    assert len(tables.samples) == rows
    assert tables.rejects == ()


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_read_as_a_plain_loop_reads_them(name: str, shared_data: Path) -> None:
    """Stacks, values, times and threads of a real capture equal those found with generated classes and loops."""
    body = (shared_data / "otlp" / name).read_bytes()
    if CAPTURES[name][0] == "otlp 1.8":
        request: Any = Request_1_8.FromString(body)
    else:
        service = pytest.importorskip("opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2")
        request = service.ExportProfilesServiceRequest.FromString(body)
    assert _rows_with_frames(read(body)) == _slow_rows(request)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _slow_rows(request: Any) -> Counter[tuple[Any, ...]]:
    """Loop over everything: root-first frames, value, time, thread and pid of each occurrence."""
    rows: Counter[tuple[Any, ...]] = Counter()
    for resource in request.resource_profiles:
        resource_pid = next(
            (a.value.int_value for a in resource.resource.attributes if _text(a.key) == "process.pid"), 0
        )
        for scope in resource.scope_profiles:
            for profile in scope.profiles:
                for sample in profile.samples:
                    labels = _labels(request.dictionary, sample)
                    stack = tuple(_slow_stack(request.dictionary, sample.stack_index))
                    values = sample.values or [profile.period] * len(sample.timestamps_unix_nano)
                    for value, time_ns in zip(values, sample.timestamps_unix_nano, strict=True):
                        pid = labels.get("process.pid", resource_pid)
                        rows[stack, value, time_ns, labels.get("thread.id", 0), str(pid)] += 1
    return rows


def _labels(dictionary: Any, sample: Any) -> dict[str, Any]:
    texts = [_text(text) for text in dictionary.string_table]
    table = dictionary.attribute_table
    found = [table[index] for index in sample.attribute_indices]
    return {texts[a.key_strindex]: a.value.int_value or _text(a.value.string_value) for a in found}


def _slow_stack(dictionary: Any, index: int) -> list[tuple[Any, ...]]:
    texts = [_text(text) for text in dictionary.string_table]
    frames: list[tuple[Any, ...]] = []
    for at in dictionary.stack_table[index].location_indices:
        location = dictionary.location_table[at]
        file = texts[dictionary.mapping_table[location.mapping_index].filename_strindex]
        kind = next(
            (
                _text(dictionary.attribute_table[a].value.string_value)
                for a in location.attribute_indices
                if texts[dictionary.attribute_table[a].key_strindex] == "profile.frame.type"
            ),
            "",
        )
        address = location.address if location.mapping_index or not location.lines else 0
        lines = [(texts[dictionary.function_table[x.function_index].name_strindex], x.line) for x in location.lines]
        frames.extend((*line, file, kind, address) for line in lines or [("", 0)])
    return frames[::-1]


def _rows_with_frames(tables: Tables) -> Counter[tuple[Any, ...]]:
    columns = ("function", "line", "mapping", "kind", "address")
    frames = {row["frame"]: tuple(row[name] for name in columns) for row in tables.frames.to_dicts()}
    stacks = {
        stack: tuple(frames[frame] for frame in items)
        for stack, items in zip(tables.stacks["stack"], tables.stacks["frames"], strict=True)
    }
    pid = {
        row["series"]: next(label["value"] for label in row["labels"] if label["key"] == "process.pid")
        for row in tables.series.to_dicts()
    }
    return Counter(
        (stacks[row["stack"]], row["value"], row["time_ns"], row["thread"], pid[row["series"]])
        for row in tables.samples.to_dicts()
    )


@settings(max_examples=150, deadline=None)
@given(body=st.binary(max_size=200))
def test_any_bytes_give_a_verdict_or_a_clear_error(body: bytes) -> None:
    """Random bytes are refused with an error of ours or read as an empty request."""
    with suppress(CorrelateError):
        assert all(isinstance(layout, Layout) for layout in candidates(body))
        read(body)


@settings(max_examples=150, deadline=None)
@given(batch=batches, cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255))))
def test_damaged_requests_give_tables_or_a_clear_error(batch: Batch, cut: int, flips: list[tuple[int, int]]) -> None:
    """Truncated and altered requests are read or refused, with an error of ours."""
    body = bytearray(encode(batch, "otlp 1.10"))
    for at, byte in flips:
        body[at % len(body)] = byte
    with suppress(CorrelateError):
        read(bytes(body[: len(body) - cut % len(body)]))


def test_a_number_that_does_not_end_is_malformed() -> None:
    """Bytes that end in the middle of a number, or of a field, are told from an empty request."""
    for body in (b"\x0a", b"\xff" * 20, b"\x0a\x05\x0a"):
        with pytest.raises(Malformed):
            candidates(body)
    assert candidates(b"") == (Layout.V1_10,)
