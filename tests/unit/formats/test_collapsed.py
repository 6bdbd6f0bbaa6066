"""Collapsed stacks in and out."""

import contextlib

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.errors import BadInput, Malformed, TooLarge
from correlate.formats import collapsed
from correlate.formats.collapsed import CollapsedContext, read_collapsed, write_collapsed
from correlate.model.profile_type import ProfileType
from correlate.tables.build import Linked, build
from correlate.tables.symbols import Symbols
from correlate.tables.tables import check
from tests.support.pprof import RECEIVED_NS, stack_names

SAMPLES = ProfileType("process_cpu", "samples", "count", "cpu", "nanoseconds")


def read(body: bytes, **known: object) -> Linked:
    """Read with defaults."""
    options = {"service": "svc", "received_ns": RECEIVED_NS, "profile_type": SAMPLES, **known}
    return read_collapsed(body, CollapsedContext(**options))  # type: ignore[arg-type]


def written(body: bytes) -> str:
    """Read and write again."""
    tables = build(read(body))
    return write_collapsed(Symbols.build(tables.stacks, tables.frames), tables.samples)


def test_stacks_are_root_first() -> None:
    """As on the line; names may hold spaces; the number is the value and the hits."""
    linked = read(b"main;do work;leaf 12\r\nmain 3\n")
    assert stack_names(linked) == [["main", "do work", "leaf"], ["main"]]
    assert linked.samples.select("value", "weight").rows() == [(12, 12), (3, 3)]
    assert linked.rejects == ()


def test_bad_lines_are_counted() -> None:
    """Comments and empty lines are no fault; lines without a number are, and are told."""
    linked = read(b"# made by hand\n\na;b 1\nno number\nc 1.5\nd 99999999999999999999\n")
    assert stack_names(linked) == [["a", "b"]]
    assert [(reject.signal, reject.count) for reject in linked.rejects] == [("profiles", 3)]


def test_only_bad_lines_are_malformed() -> None:
    """The message shows one of them."""
    with pytest.raises(Malformed, match="hello"):
        read(b"hello\n")
    with pytest.raises(Malformed):
        read(b"")


def test_hits_of_a_time() -> None:
    """With a period, hits become nanoseconds."""
    cpu = ProfileType("process_cpu", "cpu", "nanoseconds", "cpu", "nanoseconds")
    linked = read(b"a 3", profile_type=cpu, period_ns=10_000_000)
    assert linked.samples.select("value", "weight").rows() == [(30_000_000, 3)]
    assert linked.heads["period"].to_list() == [10_000_000]


def test_lines_without_numbers() -> None:
    """Each line counts once."""
    linked = read(b"a;b\na;b\nc 7\n", each_line_once=True)
    assert stack_names(linked) == [["a", "b"], ["a", "b"], ["c 7"]]
    assert linked.samples["value"].to_list() == [1, 1, 1]


def test_window() -> None:
    """Start and end are the sender's, else the time of arrival."""
    assert read(b"a 1", from_ns=10, until_ns=25).samples.select("time_ns", "duration_ns").rows() == [(10, 15)]
    assert read(b"a 1").samples.select("time_ns", "duration_ns").rows() == [(RECEIVED_NS, 0)]


def test_deep_stacks_keep_the_leaf() -> None:
    """10,000 frames are kept; of more, those nearest to the leaf."""
    (stack,) = stack_names(read(b"root;" + b"f;" * 9_998 + b"leaf 1"))
    assert (len(stack), stack[0]) == (10_000, "root")
    (stack,) = stack_names(read(b"root;" + b"f;" * 9_999 + b"leaf 1"))
    assert (len(stack), stack[0], stack[-1]) == (10_000, "f", "leaf")


def test_frames_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """More frames than the limit are refused before they are laid out."""
    monkeypatch.setattr(collapsed, "MAX_PROFILE_FRAMES", 5)
    with pytest.raises(TooLarge):
        read(b"a;b;c;d;e;f;g 1")


def test_written_stacks_are_sorted_and_summed() -> None:
    """Stacks of the same text become one line."""
    assert written(b"b 1\na;x 2\nb 3\n") == "a;x 2\nb 4\n"


def test_unknown_stacks_are_written() -> None:
    """Samples without symbols are not lost."""
    tables = build(read(b"a 1"))
    rows = pl.DataFrame({"stack": [5, 0], "value": [7, 8]})
    assert write_collapsed(Symbols.build(tables.stacks, tables.frames), rows) == " 8\n[unknown] 7\n"


NAMES = st.text(st.sampled_from("ab;%\n\r 3BDA025é"), min_size=1, max_size=8).filter(lambda name: name.strip() != "")


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_any_names_survive(names: list[str]) -> None:
    """Names with semicolons, line feeds and percent codes are the same after writing and reading."""
    tables = build(read(b"x 1"))
    frame = tables.frames.row(0, named=True)
    frames = pl.DataFrame(
        [{**frame, "frame": at + 1, "function": name} for at, name in enumerate(names)], schema=tables.frames.schema
    )
    stacks = pl.DataFrame(
        [{"service": 0, "stack": 9, "frames": list(range(1, len(names) + 1))}], schema=tables.stacks.schema
    )
    text = write_collapsed(Symbols.build(stacks, frames), pl.DataFrame({"stack": [9], "value": [4]}))
    if not text.startswith("#"):
        assert stack_names(read(text.encode())) == [names]


@given(st.binary(max_size=100))
def test_any_bytes_give_tables_or_bad_input(body: bytes) -> None:
    """Whatever comes, the answer is tables or one of our errors."""
    with contextlib.suppress(BadInput):
        check(build(read(body)))
