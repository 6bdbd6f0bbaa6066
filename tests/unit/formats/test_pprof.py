"""pprof in: frames, values, ids, heads, and what is refused."""

import contextlib
import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadInput, Malformed, TooLarge, UnknownFormat
from correlate.formats import limits, pprof_labels, pprof_link
from correlate.formats.pprof import read_pprof
from correlate.formats.proto.pprof_pb2 import Profile
from correlate.tables.build import Linked, build
from correlate.tables.hashing import hash_one
from correlate.tables.schema import EVIDENCE_LABEL
from correlate.tables.tables import check
from tests.support.pprof import CPU, RECEIVED_NS, ProfileMaker, context, simple, stack_names

SPAN = "00f067aa0ba902b7"


def read(*payloads: bytes, **known: object) -> Linked:
    """Read profiles that all came with the same knowledge."""
    return read_pprof(payloads, [context(**known)] * len(payloads))


def test_stacks_are_root_first_and_heads_are_types() -> None:
    """One row per sample and type, each with its head."""
    linked = read(simple("leaf", 3))
    assert stack_names(linked) == [["root", "leaf"]] * 2
    assert linked.heads["type"].to_list() == [
        "process_cpu:samples:count:cpu:nanoseconds",
        "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
    ]
    assert linked.samples.select("head", "value", "weight").rows() == [(0, 3, 3), (1, 30_000_000, 3)]


def test_inlined_lines_become_frames() -> None:
    """The last line of a location is the outermost call; the others are inlined into it."""
    maker = ProfileMaker()
    inner, middle, outer = (maker.function(name) for name in ("inner", "middle", "outer"))
    location = maker.location(inner, middle, outer, address=64)
    maker.sample([location, maker.location(maker.function("root"))], [1, 10])
    linked = read(maker.bytes())
    assert stack_names(linked)[0] == ["root", "outer", "middle", "inner"]
    by_name = {row["function"]: row for row in linked.frames.to_dicts()}
    assert [by_name[name]["inlined"] for name in ("outer", "middle", "inner")] == [False, True, True]
    assert [by_name[name]["address"] for name in ("outer", "middle", "inner")] == [64] * 3
    assert [by_name[name]["line"] for name in ("outer", "middle", "inner")] == [12, 11, 10]


def test_a_location_without_lines_is_a_native_frame() -> None:
    """Address and mapping are all that is known of it."""
    maker = ProfileMaker()
    maker.profile.mapping.add(id=7, filename=maker.text("/bin/app"), build_id=maker.text("abc"))
    maker.sample([maker.location(address=2**63 + 1, mapping=7)], [1, 10])
    frame = read(maker.bytes()).frames.row(0, named=True)
    assert (frame["function"], frame["mapping"], frame["build_id"]) == ("", "/bin/app", "abc")
    assert frame["address"] == 1 - 2**63


def test_an_empty_stack() -> None:
    """A sample without locations is kept, with the empty stack."""
    maker = ProfileMaker()
    maker.sample([], [1, 10])
    assert build(read(maker.bytes())).samples["stack"].to_list() == [0, 0]


@pytest.mark.parametrize("ids", [(1, 2, 3), (3, 1, 2), (900, 7, 40), (2**63 + 5, 2**40, 9)])
def test_ids_are_not_positions(ids: tuple[int, int, int]) -> None:
    """Sequential, shuffled, sparse and huge ids give the same stacks."""
    maker = ProfileMaker()
    functions = [maker.function(name, ident=ident) for name, ident in zip("abc", ids, strict=True)]
    locations = [maker.location(function, ident=ident) for function, ident in zip(functions, ids, strict=True)]
    maker.sample(list(reversed(locations)), [1, 10])
    assert stack_names(read(maker.bytes(), simple("z")))[0] == ["a", "b", "c"]


def test_labels_become_ids_and_label_sets() -> None:
    """A span id names the span; text is a label; sizes are neither."""
    maker = ProfileMaker()
    place = maker.location(maker.function("f"))
    labels = {"span_id": SPAN, "span_name": "GET /", "pid": 12, "bytes": 512}
    maker.sample([place], [1, 10], labels)
    maker.label(maker.profile.sample[0], "latency", 5, unit="ms")
    linked = read(maker.bytes())
    assert linked.samples["evidence"].to_list() == [EVIDENCE_LABEL] * 2
    ((first, second),) = linked.labelsets.to_list()
    assert {(first["key"], first["value"]), (second["key"], second["value"])} == {("span_name", "GET /"), ("pid", "12")}


@pytest.mark.parametrize(
    ("types", "period", "values", "weights"),
    [
        ((("cpu", "nanoseconds"),), 10, [35], [3]),
        ((("cpu", "nanoseconds"),), 10, [5], [1]),
        ((("contentions", "count"), ("delay", "nanoseconds")), 1, [4, 99], [4, 4]),
        ((("alloc_objects", "count"), ("alloc_space", "bytes")), 512, [4, 99], [1, 1]),
    ],
)
def test_weight(types: tuple[tuple[str, str], ...], period: int, values: list[int], weights: list[int]) -> None:
    """Hits are counted by a count type, else by the period, else they are 1; objects are not hits."""
    maker = ProfileMaker(types, period=period)
    maker.sample([maker.location(maker.function("f"))], values)
    assert read(maker.bytes()).samples["weight"].to_list() == weights


@pytest.mark.parametrize(
    ("types", "period_type", "name"),
    [
        (CPU, ("cpu", "nanoseconds"), "process_cpu"),
        ((("wall", "nanoseconds"),), ("cpu", "nanoseconds"), "wall"),
        ((("inuse_space", "bytes"),), ("space", "bytes"), "memory"),
        ((("goroutine", "count"),), ("goroutine", "count"), "goroutine"),
        ((("off_cpu", "nanoseconds"),), ("", ""), "off_cpu"),
        ((("samples", "count"),), ("wallclock", "nanoseconds"), "wall"),
    ],
)
def test_guessed_names(types: tuple[tuple[str, str], ...], period_type: tuple[str, str], name: str) -> None:
    """Without a name from the sender, the sample types tell it."""
    maker = ProfileMaker(types, period_type)
    maker.sample([maker.location(maker.function("f"))], [1] * len(types))
    assert read(maker.bytes()).heads["type"][0].split(":")[0] == name
    assert read(maker.bytes(), name="given").heads["type"][0].split(":")[0] == "given"


def test_time_falls_back_to_what_the_door_knows() -> None:
    """A profile that does not know its time takes the window of the upload, else ends when it arrived."""
    profile = Profile.FromString(simple())
    profile.time_nanos = 5_000_000_000
    assert (
        read(profile.SerializeToString(), from_ns=RECEIVED_NS - 7).heads["time_ns"].to_list() == [RECEIVED_NS - 7] * 2
    )
    assert read(profile.SerializeToString()).heads["time_ns"][0] == RECEIVED_NS - profile.duration_nanos


def test_a_broken_profile_is_rejected_alone() -> None:
    """Others of the same call are kept; the reason has its number."""
    broken = Profile.FromString(simple("broken"))
    broken.sample[0].location_id[0] = 77
    linked = read(simple("one"), broken.SerializeToString(), b"\xff\xff", simple("two"))
    assert stack_names(linked)[::2] == [["root", "one"], ["root", "two"]]
    reasons = [reject.reason for reject in linked.rejects]
    assert len(reasons) == 2
    assert reasons[0].startswith("profile 2")
    assert "location 77" in reasons[0]


def faulty(change: str) -> bytes:
    """A profile with one fault."""
    profile = Profile.FromString(simple())
    exec(change, {"p": profile})
    return profile.SerializeToString()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("p.sample[0].location_id[0] = 9", "location 9"),
        ("p.location[0].line[0].function_id = 8", "function 8"),
        ("p.location[0].mapping_id = 3", "mapping 3"),
        ("p.function[0].name = 999", "string 999 of"),
        ("p.function[0].name = -1", "string -1 of"),
        ("p.sample[0].value.append(1)", "3 values, the profile declares 2"),
        ("p.location[0].id = 0", "id 0"),
        ("p.location[1].id = 1", "two locations have the id 1"),
        ("p.function[0].id = 2", "two functions have the id 2"),
        ("p.string_table[0] = b'x'", "begin with the empty string"),
        ("p.sample[0].label.add(key=500)", "string 500"),
        ("p.MergeFrom(type(p).FromString(p.SerializeToString()))", "one after the other"),
    ],
)
def test_faults_are_named(change: str, message: str) -> None:
    """The message says what is wrong, with numbers."""
    with pytest.raises(Malformed, match=message):
        read(faulty(change))


def test_empty_and_foreign_input() -> None:
    """Empty input is malformed; a message without sample types is not a profile."""
    with pytest.raises(Malformed, match="empty"):
        read(b"")
    with pytest.raises(Malformed, match="empty"):
        read(gzip.compress(b""))
    with pytest.raises(UnknownFormat, match="sample types"):
        read(Profile(period=4).SerializeToString())


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"heap profile: 1: 2 [3: 4] @ heap/1\n", "heap profile"),
        (b"heap profile: 1: 2 [3: 4] @ growthz\n", "growthz"),
        (b"--- contentionz 1 ---\n", "contentionz"),
        (b"--- threadz 1 ---\n", "threadz"),
        (b"goroutine profile: total 7\n", "Go text"),
        (b"FLR\0\0\2", "JFR"),
        (b"PERFILE2" + bytes(100), "perf.data"),
        (np.array([0, 3, 0, 10000, 0, 1, 2], "<u8").tobytes(), "binary CPU"),
        (np.array([0, 3, 1, 10000, 0, 1, 2], ">u4").tobytes(), "binary CPU"),
        (b'{"resourceSpans": []}', "JSON"),
    ],
)
def test_other_formats_are_named(body: bytes, name: str) -> None:
    """What is recognised is refused by name, compressed or not."""
    for sent in (body, gzip.compress(body)):
        with pytest.raises(UnknownFormat, match=name):
            read(sent)


def test_a_gzip_bomb_is_stopped() -> None:
    """64 MiB of all profiles together is the end, and what fits is kept."""
    bomb = gzip.compress(bytes(limits.MAX_RAW_BYTES + 1), 1)
    with pytest.raises(TooLarge):
        read(bomb)
    assert len(read(simple(), bomb).rejects) == 1


def deep(depth: int) -> bytes:
    """A profile whose one stack has `depth` frames, root to leaf."""
    maker = ProfileMaker()
    root, rest, leaf = (maker.location(maker.function(name)) for name in ("root", "rest", "leaf"))
    maker.sample([leaf] + [rest] * (depth - 2) + [root], [1, 10])
    return maker.bytes()


def test_stacks_of_ten_thousand_frames() -> None:
    """10,000 frames are kept whole; of a deeper stack those nearest to the leaf."""
    whole = stack_names(read(deep(10_000)))[0]
    assert (len(whole), whole[0], whole[-1]) == (10_000, "root", "leaf")
    cut = stack_names(read(deep(10_005)))[0]
    assert (len(cut), cut[0], cut[-1]) == (10_000, "rest", "leaf")


def test_too_many_frames_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small samples of deep stacks cannot blow up: the largest profile goes first."""
    monkeypatch.setattr(pprof_link, "MAX_PROFILE_FRAMES", 100)
    linked = read(simple(), deep(200))
    assert [stack[-1] for stack in stack_names(linked)] == ["main", "main"]
    assert "frames" in linked.rejects[0].reason


@pytest.mark.parametrize(("limit", "word"), [("MAX_LABEL_PAIRS", "label pairs"), ("MAX_LABEL_SETS", "label sets")])
def test_label_limits(monkeypatch: pytest.MonkeyPatch, limit: str, word: str) -> None:
    """A profile with more distinct labels than the limit is refused; the limit is named."""
    monkeypatch.setattr(pprof_labels, limit, 3)
    maker = ProfileMaker()
    place = maker.location(maker.function("f"))
    for at in range(4):
        maker.sample([place], [1, 1], {"path": str(at)} if at else {"other": "x"})
    assert len(read(maker.bytes(), simple()).rejects) == 1
    with pytest.raises(TooLarge, match=word):
        read(maker.bytes())


def test_names_that_are_not_utf8_are_kept() -> None:
    """One bad name costs only its bad bytes."""
    maker = ProfileMaker()
    maker.sample([maker.location(maker.function(b"bad\xffname"))], [1, 10])
    assert stack_names(read(maker.bytes()))[0] == ["bad\ufffdname"]


def test_reading_together_is_reading_alone() -> None:
    """Several payloads in one call give the rows that single calls give."""
    payloads = [simple("a"), deep(5), simple("b", 7)]
    together = build(read(*payloads))
    alone = pl.concat([build(read(payload)).samples for payload in payloads])
    key = ["profile", "type", "stack", "value"]
    assert together.samples.sort(key).equals(alone.sort(key))


@given(st.binary(max_size=300) | st.integers(0, 10**6).map(lambda at: _mutated(simple(), at)))
def test_any_bytes_give_tables_or_bad_input(body: bytes) -> None:
    """Whatever comes, the answer is tables or one of our errors."""
    with contextlib.suppress(BadInput):
        check(build(read(body, simple())))
        check(build(read(body)))


def _mutated(raw: bytes, at: int) -> bytes:
    changed = bytearray(raw)
    changed[at % len(raw)] = (at // len(raw)) % 256
    return bytes(changed)


GOLDEN = ("google/large.cpu", "pyroscope/go.cpu.labels.pprof", "pyroscope/profile_python")


@pytest.mark.parametrize("name", [*GOLDEN, "parca/profile-with-labels.pb.gz", "parca/fgprof.pb.gz"])
def test_real_profiles_agree_with_a_loop(shared_data: Path, name: str) -> None:
    """Totals by stack of a real profile are those that a plain loop over the generated classes finds."""
    body = (shared_data / "pprof" / name).read_bytes()
    linked = read(body)
    raw = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    expected: dict[tuple[str, ...], int] = {}
    profile = Profile.FromString(raw)
    text = [entry.decode() for entry in profile.string_table]
    functions = {f.id: text[f.name] for f in profile.function}
    locations = {
        place.id: [functions[line.function_id] for line in reversed(place.line)] or [""] for place in profile.location
    }
    for sample in profile.sample:
        stack = tuple(name for at in reversed(sample.location_id) for name in locations[at])
        expected[stack] = expected.get(stack, 0) + sample.value[-1]
    found: dict[tuple[str, ...], int] = {}
    last = linked.samples["head"].max()
    for stack, head, value in zip(stack_names(linked), linked.samples["head"], linked.samples["value"], strict=True):
        if head == last:
            found[tuple(stack)] = found.get(tuple(stack), 0) + value
    assert found == {stack: value for stack, value in expected.items() if value}


def test_real_span_labels(shared_data: Path) -> None:
    """475 of the 480 samples of a Go span profile name 432 distinct spans."""
    samples = build(read((shared_data / "pprof/pyroscope/go.cpu.labels.pprof").read_bytes())).samples
    one_type = samples.filter(pl.col("type") == hash_one("process_cpu:cpu:nanoseconds:cpu:nanoseconds"))
    named = one_type.filter(pl.col("span") != 0)
    assert (len(one_type), len(named), named["span"].n_unique()) == (480, 475, 432)


def test_legacy_files_are_named(shared_data: Path) -> None:
    """Every legacy file of the reference implementation's test data is recognised."""
    for path in sorted((shared_data / "pprof/google").iterdir()):
        if path.suffix != ".string" and path.name != "large.cpu":
            with pytest.raises(UnknownFormat, match="legacy"):
                read(path.read_bytes())


def test_too_many_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that brings the request over the limit is refused; those before it are read."""
    monkeypatch.setattr("correlate.formats.pprof.MAX_PROFILE_SAMPLES", 1)
    linked = read_pprof([simple("one"), simple("two")], [context(), context()])
    assert [reject.count for reject in linked.rejects] == [1]
    assert "profile 2: 1 samples are too many" in linked.rejects[0].reason
    assert stack_names(linked) == [["root", "one"]] * 2
