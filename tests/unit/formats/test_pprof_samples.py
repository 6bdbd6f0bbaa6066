"""Stored samples out as pprof."""

import gzip
import shutil
import subprocess
from pathlib import Path

import polars as pl
import pytest

from correlate.formats.pprof import read_pprof
from correlate.formats.pprof_samples import write_samples
from correlate.formats.proto.pprof_pb2 import Profile
from correlate.model.profile_type import ProfileType
from correlate.tables.build import build
from correlate.tables.hashing import hash_one
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables
from tests.support.pprof import RECEIVED_NS, ProfileMaker, context

CPU = ProfileType("process_cpu", "cpu", "nanoseconds", "cpu", "nanoseconds")
COLUMNS = ["stack", "value", "weight", "span", "trace_hi", "trace_lo"]
SPAN, TRACE = "00f067aa0ba902b7", "4bf92f3577b34da6a3ce929d0e0e4736"


def of_type(tables: Tables, profile_type: ProfileType) -> pl.DataFrame:
    """The samples of one type."""
    return tables.samples.filter(pl.col("type") == hash_one(str(profile_type)))


def again(tables: Tables, profile_type: ProfileType) -> Tables:
    """Write the samples of a type and read them back."""
    symbols = Symbols.build(tables.stacks, tables.frames)
    body = write_samples(
        symbols, of_type(tables, profile_type).select(COLUMNS), profile_type, RECEIVED_NS, 10**10, 10**7
    )
    return build(read_pprof([body], [context()]))


def sums(samples: pl.DataFrame) -> list[tuple[object, ...]]:
    """Values and weights by everything that tells samples apart."""
    keys = ["stack", "span", "trace_hi", "trace_lo"]
    return samples.group_by(keys).agg(pl.col("value", "weight").cast(pl.Int64).sum()).sort(keys).rows()


def labelled() -> Tables:
    """Inlined frames, a native frame, a mapping, an empty stack, and ids."""
    maker = ProfileMaker()
    maker.profile.mapping.add(id=1, filename=maker.text("/bin/app"), build_id=maker.text("abc"))
    inlined = maker.location(maker.function("inner"), maker.function("outer"), address=64, mapping=1)
    native = maker.location(address=128, mapping=1)
    root = maker.location(maker.function("root"))
    maker.sample([inlined, root], [2, 20], {"span_id": SPAN, "trace_id": TRACE})
    maker.sample([native, inlined, root], [1, 10], {"trace_id": TRACE})
    maker.sample([inlined, root], [5, 50])
    maker.sample([], [1, 10])
    return build(read_pprof([maker.bytes()], [context()]))


def test_what_is_written_is_read_again() -> None:
    """Stacks keep their ids, so frames are the same ones; values, weights and ids agree."""
    tables = labelled()
    back = again(tables, CPU)
    assert sums(of_type(back, CPU)) == sums(of_type(tables, CPU))
    assert sorted(back.frames["frame"]) == sorted(tables.frames["frame"])


def test_inlined_frames_share_a_location() -> None:
    """A location has its lines innermost first."""
    tables = labelled()
    symbols = Symbols.build(tables.stacks, tables.frames)
    rows = of_type(tables, CPU).select("stack", "value")
    profile = Profile.FromString(gzip.decompress(write_samples(symbols, rows, CPU, RECEIVED_NS, 10**10, 10**7)))
    text = [raw.decode() for raw in profile.string_table]
    names = {function.id: text[function.name] for function in profile.function}
    assert sorted([names[line.function_id] for line in place.line] for place in profile.location) == [
        [],
        ["inner", "outer"],
        ["root"],
    ]
    assert [text[mapping.build_id] for mapping in profile.mapping if mapping.filename] == ["abc"]
    assert (profile.time_nanos, profile.duration_nanos, profile.period) == (RECEIVED_NS, 10**10, 10**7)


def test_unknown_stacks_are_shown() -> None:
    """A stack without symbols is one frame of that name; nothing is dropped."""
    rows = pl.DataFrame({"stack": [99], "value": [5]})
    tables = labelled()
    body = write_samples(Symbols.build(tables.stacks, tables.frames), rows, CPU, 1, 1, 1)
    back = build(read_pprof([body], [context()]))
    assert back.frames["function"].to_list() == ["[unknown]"]
    assert back.samples["value"].to_list() == [5]


def test_no_samples() -> None:
    """Nothing to write is still a profile."""
    tables = labelled()
    rows = of_type(tables, CPU).select(COLUMNS).clear()
    body = write_samples(Symbols.build(tables.stacks, tables.frames), rows, CPU, RECEIVED_NS, 1, 1)
    assert build(read_pprof([body], [context()])).profiles["total"].to_list() == [0, 0]


def test_bytes_have_no_hits() -> None:
    """A type that is not a time is written alone."""
    tables = labelled()
    heap = ProfileType("memory", "inuse_space", "bytes", "space", "bytes")
    symbols = Symbols.build(tables.stacks, tables.frames)
    body = write_samples(symbols, of_type(tables, CPU).select(COLUMNS), heap, RECEIVED_NS, 0, 1)
    assert build(read_pprof([body], [context()])).profiles["type"].to_list() == [str(heap)]


@pytest.mark.parametrize("name", ["google/large.cpu", "pyroscope/go.cpu.labels.pprof"])
def test_real_samples_survive(shared_data: Path, name: str) -> None:
    """Real profiles are the same after a round trip through the tables."""
    tables = build(read_pprof([(shared_data / "pprof" / name).read_bytes()], [context()]))
    assert sums(of_type(again(tables, CPU), CPU)) == sums(of_type(tables, CPU))


@pytest.mark.slow  # the go tool may have to compile its pprof first
def test_go_reads_it(tmp_path: Path) -> None:
    """The reference implementation accepts what is written."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("needs the go tool")
    tables = labelled()
    symbols = Symbols.build(tables.stacks, tables.frames)
    path = tmp_path / "out.pb.gz"
    path.write_bytes(write_samples(symbols, of_type(tables, CPU).select(COLUMNS), CPU, RECEIVED_NS, 10**10, 10**7))
    shown = subprocess.run(
        [go, "tool", "pprof", "-symbolize=none", "-top", "-unit=ns", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "inner" in shown.stdout
    assert "90ns" in shown.stdout
