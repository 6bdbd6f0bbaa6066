"""Files of the collector's file exporter, followed: nothing lost, nothing held up, whatever happens to the files."""

import gzip
import os
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.otlp_file import OtlpFileOptions, OtlpFileSource
from connectors.otlp_records import Framing
from connectors.otlp_signal import BrokenRecord, message_of
from correlate.errors import SourceUnreachable
from correlate.formats import registry
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from tests.support.exporter import append, prefixed, span_json, span_proto
from tests.support.otlp import Batch, Profile, Sample, encode
from tests.support.rows import T0
from tests.support.store import FixedClock

S = 1_000_000_000
PROFILES = encode(Batch((("shop", Profile((Sample(("work", "main"), values=(3,)),), time_ns=T0)),)), "otlp 1.10")


class Tail:
    """A source, asked for window after window as a puller does that stores everything."""

    def __init__(self, *patterns: str, options: OtlpFileOptions | None = None) -> None:
        self.clock = FixedClock(T0)
        self.source = OtlpFileSource("files", patterns, self.clock, options)
        self.mark_ns = T0 - S

    def look(self, *, stored: bool = True) -> list[RawPayload]:
        """What comes now; unless it is stored, the watermark stays."""
        self.clock.at_ns += S
        payloads = list(self.source.fetch(TimeRange(self.mark_ns, self.clock.at_ns)))
        self.mark_ns = self.clock.at_ns if stored else self.mark_ns
        return payloads

    def numbers(self, *, stored: bool = True) -> list[int]:
        """The spans that come now."""
        return [number for payload in self.look(stored=stored) for number in spans_of(payload)]

    def told(self) -> str:
        """The notes."""
        return "; ".join(finding.text for finding in self.source.take_notes())


def spans_of(payload: RawPayload) -> list[int]:
    """The numbers of the spans of a payload."""
    return list(registry.read(payload).spans["span"].to_list())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the exporter writes."""
    return tmp_path / "traces.json"


@pytest.fixture
def tail(tmp_path: Path) -> Tail:
    """Of that file and of whatever it is renamed to by the exporter."""
    return Tail(str(tmp_path / "traces*.json"))


def test_what_is_appended_comes_once(tail: Tail, file: Path) -> None:
    """Each look gives what is new."""
    append(file, span_json(1), span_json(2))
    assert tail.numbers() == [1, 2]
    assert tail.numbers() == []
    append(file, span_json(3))
    assert tail.numbers() == [3]
    assert tail.told() == ""


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_line_that_is_not_whole_is_left_for_later(tail: Tail, file: Path, cut: int) -> None:
    """Until its end is written."""
    append(file, span_json(1), span_json(2)[:cut])
    assert tail.numbers() == [1]
    append(file, span_json(2)[cut:])
    assert tail.numbers() == [2]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_messages_arrive_in_pieces_of_any_size(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A length or a message that is not whole waits."""
    file = tmp_path_factory.mktemp("pieces") / "p.bin"
    raw, tail, numbers = prefixed(*map(span_proto, range(1, 5))), Tail(str(file)), []
    for end in [*sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6))), len(raw)]:
        file.write_bytes(raw[:end])
        numbers += tail.numbers()
    assert numbers == [1, 2, 3, 4]
    assert tail.told() == ""


def test_rotation_loses_nothing(tail: Tail, file: Path) -> None:
    """The old file is read to its end under its new name, the new one from its beginning."""
    append(file, span_json(1))
    assert tail.numbers() == [1]
    append(file, span_json(2))
    file.rename(file.with_name("traces-2026.json"))
    append(file, span_json(3))
    assert sorted(tail.numbers()) == [2, 3]
    assert tail.numbers() == []


@pytest.mark.parametrize("stored", [True, False])
def test_a_file_renamed_out_of_the_pattern_is_read_to_its_end(tail: Tail, file: Path, stored: bool) -> None:
    """It is known by its inode; from the beginning if what was read is not stored. Strangers are not read."""
    append(file, span_json(1))
    assert tail.numbers(stored=stored) == [1]
    append(file, span_json(2))
    file.rename(file.with_name("old.1"))
    append(file.with_name("other.1"), span_json(9))
    assert tail.numbers() == ([2] if stored else [1, 2])


@pytest.mark.parametrize("more", [0, 5])
def test_a_file_that_is_written_anew_is_read_from_its_beginning(tail: Tail, file: Path, more: int) -> None:
    """Truncated in place, whether it is shorter or longer than before."""
    append(file, span_json(1), span_json(2))
    assert tail.numbers() == [1, 2]
    numbers = range(3, 4 + more)
    with file.open("r+b") as same:
        same.truncate(0)
        same.write(b"".join(map(span_json, numbers)))
    assert tail.numbers() == list(numbers)


def test_what_was_not_stored_comes_again(tail: Tail, file: Path) -> None:
    """Reading alone moves nothing; only a watermark at the end of the window does."""
    append(file, span_json(1))
    assert tail.numbers(stored=False) == [1]
    append(file, span_json(2))
    assert tail.numbers() == [1, 2]
    assert tail.numbers() == []


def test_a_look_that_was_broken_off_counts_for_nothing(tail: Tail, file: Path) -> None:
    """The process was stopped between two records."""
    append(file, span_json(1), span_json(2))
    started = tail.source.fetch(TimeRange(T0 - S, T0))
    next(started)
    started.close()  # type: ignore[attr-defined]  # it is a generator
    tail.mark_ns = T0
    assert tail.numbers() == [1, 2]


def test_two_pullers_in_turn_do_not_read_everything_for_ever(tail: Tail, file: Path) -> None:
    """A watermark that others moved well past a reading says that it is stored."""
    append(file, span_json(1))
    assert tail.numbers() == [1]
    tail.mark_ns += 1  # another one pulled
    assert tail.numbers() == [1]
    tail.mark_ns = tail.clock.at_ns = tail.clock.at_ns + 90 * S
    assert tail.numbers() == []


def test_after_a_restart_old_files_are_not_opened(tail: Tail, file: Path) -> None:
    """What did not change since well before the watermark is stored; what did is read from its beginning."""
    append(file, span_json(1))
    tail.clock.at_ns = tail.mark_ns = file.stat().st_ctime_ns + 61 * S
    assert tail.numbers() == []
    tail.clock.at_ns = tail.mark_ns = file.stat().st_ctime_ns + 50 * S
    assert tail.numbers() == [1]


def test_lines_that_are_broken_are_left_out_with_a_note(tail: Tail, file: Path) -> None:
    """And hold up nobody; a broken one that can be recognised goes to the reader, which keeps it as a dead letter."""
    metrics = b'{"resourceMetrics": [{}]}\n'
    append(file, span_json(1), b"\0\0garbage\n", b"\n", b"{}\n", metrics, b'{"other": 1}\n', span_json(2))
    assert tail.numbers() == [1, 2]
    told = tail.told()
    assert "is left out: it is neither JSON" in told
    assert "it holds metrics or logs" in told
    assert "neither resourceSpans nor resourceProfiles" in told
    append(file, b'{"resourceSpans": [{"resou\n')
    assert [payload.kind for payload in tail.look()] == [PayloadKind.OTLP_TRACES]


def test_a_line_that_is_too_long_is_skipped(file: Path) -> None:
    """Also when its end is not written yet; memory stays bounded."""
    tail = Tail(str(file), options=OtlpFileOptions(max_record_bytes=1000))
    append(file, span_json(1), b"{" + b"x" * 2500)
    assert tail.numbers() == [1]
    assert "max_record_bytes" in tail.told()
    append(file, b"x" * 2500 + b"\n", span_json(2))
    assert tail.numbers() == [2]
    assert tail.told() == ""


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (b"\xff" * 40, "max_record_bytes"),
        (bytes(8), "a length of 0"),
        (prefixed(b"\x09garbage"), "nor a request in protobuf"),
        (prefixed(b"\x28\xb5\x2f\xfdgarbage"), "zstd compression is broken"),
    ],
)
def test_a_file_of_messages_ends_where_it_is_broken(tmp_path: Path, broken: bytes, why: str) -> None:
    """With a note; other files go on, and so does a new one of that name."""
    tail, bad, good = Tail(str(tmp_path / "*.bin")), tmp_path / "bad.bin", tmp_path / "good.bin"
    append(bad, prefixed(span_proto(1)), broken, prefixed(span_proto(2)))
    append(good, prefixed(span_proto(3)))
    assert sorted(tail.numbers()) == [1, 3]
    assert why in tail.told()
    append(good, prefixed(span_proto(4)))
    append(bad, prefixed(span_proto(5)))
    assert tail.numbers() == [4]
    bad.unlink()
    append(tmp_path / "new", prefixed(span_proto(6)))
    (tmp_path / "new").rename(bad)
    assert tail.numbers() == [6]


def test_both_signals_in_all_encodings(tmp_path: Path) -> None:
    """Told apart by their content; lines, messages, and compressed messages of either."""
    tail = Tail(str(tmp_path / "**" / "*"))
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    profiles_json = b'{"dictionary": {}, "resourceProfiles": [{}]}\n'
    compress = zstandard.ZstdCompressor().compress
    append(folder / "1.json", span_json(1), profiles_json)
    append(folder / "2.proto", prefixed(span_proto(2), PROFILES))
    append(folder / "3.zst", prefixed(compress(span_json(3)), compress(PROFILES)))
    found = {(Path(payload.params["file"]).name, payload.kind.value, payload.encoding.value) for payload in tail.look()}
    assert found == {
        ("1.json", "otlp-traces", "json"),
        ("1.json", "otlp-profiles", "json"),
        ("2.proto", "otlp-traces", "protobuf"),
        ("2.proto", "otlp-profiles", "protobuf"),
        ("3.zst", "otlp-traces", "json"),
        ("3.zst", "otlp-profiles", "protobuf"),
    }
    assert tail.told() == ""


def test_the_signal_can_be_said() -> None:
    """In protobuf it is believed, in JSON other records are left out."""
    named = message_of(span_proto(1), "profiles", 1000)
    assert named is not None
    assert (named.kind, named.encoding) == (PayloadKind.OTLP_PROFILES, Encoding.PROTOBUF)


def test_a_compressed_record_cannot_become_too_large() -> None:
    """Decompression ends at the limit."""
    with pytest.raises(BrokenRecord, match="max_record_bytes"):
        message_of(zstandard.ZstdCompressor().compress(bytes(1 << 20)), "auto", 1000)


@given(st.binary(max_size=200), st.sampled_from(list(Framing)))
def test_garbage_never_raises(tmp_path_factory: pytest.TempPathFactory, raw: bytes, framing: Framing) -> None:
    """And whatever is given is one of the two kinds."""
    file = tmp_path_factory.mktemp("garbage") / "g"
    file.write_bytes(raw)
    tail = Tail(str(file), options=OtlpFileOptions(framing=framing))
    assert {payload.kind for payload in tail.look()} <= {PayloadKind.OTLP_TRACES, PayloadKind.OTLP_PROFILES}


def test_folders_pipes_and_missing_files_are_no_files(tail: Tail, tmp_path: Path) -> None:
    """Opening a pipe would wait for ever; that nothing matches is told."""
    (tmp_path / "traces-folder.json").mkdir()
    os.mkfifo(tmp_path / "traces-pipe.json")
    (tmp_path / "traces-nowhere.json").symlink_to(tmp_path / "gone")
    assert tail.look() == []
    assert "no file matches" in tail.told()
    assert [finding.ok for finding in tail.source.check()] == [False]


def test_files_that_cannot_be_read(tail: Tail, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is a note, all of them are an error that leaves the watermark where it is."""
    append(file, span_json(1))
    append(file.with_name("traces-2.json"), span_json(2))
    opened = Path.open

    def refused(path: Path, _mode: str) -> object:
        if path.name in closed:
            raise PermissionError(13, "Permission denied")
        return opened(path, "rb")

    monkeypatch.setattr(Path, "open", refused)
    closed = {file.name}
    assert tail.numbers() == [2]
    assert "Permission denied" in tail.told()
    assert {finding.ok for finding in tail.source.check()} == {True, False}
    closed.add("traces-2.json")
    with pytest.raises(SourceUnreachable, match="Permission denied"):
        tail.look()
    closed.clear()
    assert tail.numbers() == [1]


def test_a_check_says_what_is_there(tail: Tail, file: Path) -> None:
    """Format and signal of each file, or what is wrong with it."""
    append(file, span_json(1))
    append(file.with_name("traces-empty.json"))
    append(file.with_name("traces-metrics.json"), b'{"resourceMetrics":[]}\n')
    append(file.with_name("traces-packed.json"), gzip.compress(span_json(1)))
    texts = {finding.text.replace(f"{file.parent}/", ""): finding.ok for finding in tail.source.check()}
    assert texts.pop("traces.json: otlp-traces in json")
    assert texts.pop("traces-empty.json is empty so far")
    assert sorted(texts.values()) == [False, False]
    assert any("metrics or logs" in text for text in texts)
    assert any("gzip" in text for text in texts)
