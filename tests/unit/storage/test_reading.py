"""Pruning and probing give what a look at every row gives."""

from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from correlate.errors import StoreError
from correlate.model.ids import TraceId
from correlate.model.queries import SampleFilter, TimeRange
from correlate.storage import queries, reader, span_lists
from correlate.storage.file_cache import FileCache
from correlate.storage.index import read_footer
from correlate.storage.lake import LakeOptions, LakeStore, open_lake
from correlate.storage.location import open_folder
from correlate.storage.merge import cuts, merge_files
from correlate.storage.ordering import SLICE_NS, by_service_and_trace
from correlate.storage.reader import TableReader
from correlate.storage.rowgroups import collect, scan
from correlate.tables.tables import Tables
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, profile
from tests.support.store import EVERYTHING, FixedClock, many_samples, many_spans, payload

I64 = st.integers(-(2**63), 2**63 - 1)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[LakeStore, FakeLake]:
    """The same rows, in several files, in the lake and in memory."""
    parts = [Tables(samples=many_samples(300, seed), spans=many_spans(100, seed)) for seed in range(1, 4)]
    parts = [Tables(part.spans, part.samples, profiles=_profiles_of(part.samples)) for part in parts]
    lake_folder = tmp_path_factory.mktemp("lake")
    with open_lake(str(lake_folder), options=LakeOptions(linger_s=0.0), clock=FixedClock(T0)) as lake:
        for part in parts:
            lake.submit(part).result(30)
    return lake, FakeLake(*parts)


def _profiles_of(samples: pl.DataFrame) -> pl.DataFrame:
    one = profile([{"value": 1}]).profiles
    return pl.concat([one.with_columns(profile=pl.lit(p, pl.Int64)) for p in samples["profile"]])


def equal(left: pl.DataFrame, right: pl.DataFrame) -> None:
    """Assert the same rows in any order."""
    columns = [name for name in left.columns if left[name].dtype != pl.List]
    assert_frame_equal(left.sort(columns), right.select(left.columns).sort(columns))


SUBSETS = st.lists(st.integers(0, 6), max_size=3).map(tuple)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), services=SUBSETS, types=SUBSETS, start=st.integers(-50, 7300), length=st.integers(0, 3000))
def test_a_filter_selects_what_an_obvious_filter_selects(
    both: tuple[LakeStore, FakeLake],
    data: st.DataObject,
    services: tuple[int, ...],
    types: tuple[int, ...],
    start: int,
    length: int,
) -> None:
    """Whatever the combination of conditions."""
    lake, twin = both
    known = twin.tables.samples
    picked = data.draw(st.lists(st.sampled_from(known["span"].unique().sort().to_list()), max_size=4))
    trace = data.draw(st.one_of(st.none(), st.builds(TraceId, st.integers(0, 5), st.integers(0, 5))))
    begin = T0 + start * SECOND
    wanted = SampleFilter(services, types, begin, begin + length * SECOND, tuple(picked), trace)
    equal(lake.samples(wanted), twin.samples(wanted))
    assert len(lake.samples(wanted, ("stack", "value"))) == len(twin.samples(wanted))
    for scan_groups in (1, 1000):
        table = TableReader(lake.maintenance._logs["samples"], scan_groups=scan_groups)
        equal(queries.samples(table, wanted), twin.samples(wanted))
        equal(queries.stack_sums(table, wanted), twin.stack_sums(wanted))


def test_without_a_local_path_nothing_is_scanned(
    both: tuple[LakeStore, FakeLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder on an object store is read row group by row group, a bounded number at a time."""
    lake, twin = both
    log = copy(lake.maintenance._logs["samples"])
    log.folder = replace(log.folder, local=False)
    monkeypatch.setattr(reader, "scan", None)
    monkeypatch.setattr(reader, "_BATCH_GROUPS", 1)
    table = TableReader(log, scan_groups=1)
    equal(queries.samples(table, EVERYTHING), twin.samples(EVERYTHING))
    equal(queries.stack_sums(table, EVERYTHING), twin.stack_sums(EVERYTHING))


@settings(max_examples=20, deadline=None)
@given(start=st.integers(-50, 7300), length=st.integers(1, 3000), named=st.booleans())
def test_profiles_are_the_same_whether_scanned_or_picked(
    both: tuple[LakeStore, FakeLake], start: int, length: int, named: bool
) -> None:
    """All columns, or those asked for in the order asked for."""
    lake, twin = both
    window = TimeRange(T0 + start * SECOND + 7, T0 + (start + length) * SECOND + 7)
    services = twin.tables.profiles["service"].unique().to_list() if named else []
    wanted = ("total", "service", "time_ns")
    assert lake.profiles(services, window, wanted).columns == list(wanted)
    for scan_groups in (1, 1000):
        table = TableReader(lake.maintenance._logs["profiles"], scan_groups=scan_groups)
        kept = FileCache()
        equal(queries.profiles(table, kept, services, window), twin.profiles(services, window))
        equal(queries.profiles(table, kept, services, window, wanted), twin.profiles(services, window, wanted))


@settings(max_examples=10, deadline=None)
@given(start=st.integers(-50, 7300), length=st.integers(1, 3000))
def test_spans_are_the_same_whether_scanned_or_picked(
    both: tuple[LakeStore, FakeLake], start: int, length: int
) -> None:
    """With their nested columns."""
    lake, _ = both
    window = TimeRange(T0 + start * SECOND, T0 + (start + length) * SECOND)
    scanned, picked = (
        span_lists.spans_of_service(
            TableReader(lake.maintenance._logs["spans"], scan_groups=count),
            *("checkout", None, window),
            limit=1000,
            slowest=True,
        )
        for count in (1, 1000)
    )
    assert_frame_equal(scanned, picked, check_row_order=False)


def test_a_scan_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    """A file that is gone is looked for again by the reader; a damaged one is a store error."""
    folder = open_folder(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        collect(scan(folder, "gone.parquet"))
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 not parquet at all, but long enough to look PAR1")
    with pytest.raises(StoreError, match="damaged"):
        collect(scan(folder, "bad.parquet"))


@settings(max_examples=20, deadline=None)
@given(data=st.data(), start=st.integers(-50, 7300), length=st.integers(1, 3000))
def test_spans_are_found_as_an_obvious_filter_finds_them(
    both: tuple[LakeStore, FakeLake], data: st.DataObject, start: int, length: int
) -> None:
    """By trace, by id and window, and the slowest of a service."""
    lake, twin = both
    trace = TraceId(*data.draw(st.sampled_from(twin.tables.spans.select("trace_hi", "trace_lo").rows())))
    equal(lake.spans_of_trace(trace), twin.spans_of_trace(trace))
    window = TimeRange(T0 + start * SECOND + 7, T0 + (start + length) * SECOND + 7)
    equal(lake.spans_named(range(50), window), twin.spans_named(range(50), window).unique())
    ours, theirs = (
        store.spans_of_service("checkout", None, window, limit=5, slowest=True)["duration_ns"].to_list()
        for store in both
    )
    assert ours == theirs


def test_absurd_durations_do_not_wrap_around(tmp_path: Path) -> None:
    """A sender's nonsense neither hides other rows nor fails a query."""
    nonsense = payload(3)
    spans_ = nonsense.spans.with_columns(duration_ns=pl.lit(2**63 - 1, pl.Int64))
    samples = nonsense.samples.with_columns(duration_ns=pl.lit(2**63 - 1, pl.Int64))
    with open_lake(str(tmp_path), options=LakeOptions(linger_s=0.0), clock=FixedClock(T0)) as lake:
        lake.submit(Tables(spans_, samples, profiles=nonsense.profiles)).result(30)
        later = T0 + 10**9 * SECOND
        assert len(lake.spans_named([3], TimeRange(later, later + 1))) == 1
        assert len(lake.samples(SampleFilter((), (), later, later + 1))) == 2


def test_a_damaged_file_is_a_store_error(tmp_path: Path) -> None:
    """Not a crash and not silence; the sentence names the file."""
    with open_lake(str(tmp_path), options=LakeOptions(linger_s=0.0), clock=FixedClock(T0)) as lake:
        lake.submit(payload(1)).result(30)
        for file in tmp_path.rglob("samples/date*/*/*.parquet"):
            file.write_bytes(b"not parquet at all, but long enough to look")
        with pytest.raises(StoreError, match="damaged"):
            lake.samples(SampleFilter((), (), 0, 1 << 62))


@settings(deadline=None)
@given(st.lists(st.tuples(I64, I64, st.integers(1, 1000)), min_size=1, max_size=20), st.integers(1, 2000))
def test_cuts_are_inside_and_ascending(groups: list[tuple[int, int, int]], slice_rows: int) -> None:
    """Never more cuts than slices need, whatever the ranges."""
    low = np.array([min(a, b) for a, b, _ in groups])
    high = np.array([max(a, b) for a, b, _ in groups])
    rows = np.array([n for *_, n in groups])
    found = cuts(low, high, rows, slice_rows)
    assert found == sorted(set(found))
    assert len(found) <= rows.sum() // slice_rows


def test_even_rows_are_cut_evenly() -> None:
    """Groups that each cover everything, and groups side by side."""
    assert cuts(np.zeros(4, int), np.full(4, 1000), np.full(4, 100), 200) == [500]
    assert cuts(np.array([0, 100, 200, 300]), np.array([99, 199, 299, 399]), np.full(4, 100), 100) == [100, 200, 300]


@pytest.mark.parametrize("table", ["samples", "spans"])
def test_merging_in_slices_keeps_every_row(both: tuple[LakeStore, FakeLake], table: str) -> None:
    """However small the slices are, the merged file has the rows of its parts, no more and no fewer."""
    lake, _ = both
    log = lake.maintenance._logs[table]
    files = list(log.snapshot().files.values())
    mine = [file for file in files if file.hour == files[0].hour]
    merged = merge_files(log, mine, slice_bytes=4096)
    assert read_footer(log.folder, merged.path).metadata.num_row_groups > 3
    parts = [pl.read_parquet(Path(log.folder.path, file.path), hive_partitioning=False) for file in mine]
    equal(pl.read_parquet(Path(log.folder.path, merged.path), hive_partitioning=False), pl.concat(parts))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 200), st.integers(0, 9))
def test_samples_are_ordered_by_service_type_and_slice(count: int, seed: int) -> None:
    """The order that pruning relies on, with equal ids side by side."""
    rows = many_samples(count, seed)
    ordered = by_service_and_trace(rows)
    equal(ordered, rows)
    keys = ordered.select("service", "type", slice=pl.col("time_ns") // SLICE_NS)
    assert keys.equals(keys.sort("service", "type", "slice"))
    identity = ordered.select(keys.to_struct("k"), "trace_hi", "trace_lo", "span", "thread").to_struct("i")
    assert len(identity.rle_id().unique()) == identity.n_unique()
