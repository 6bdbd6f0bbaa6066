"""Folders, files and the Delta tables that others read."""

from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from correlate.errors import ConfigError, Overloaded, StoreError
from correlate.storage import parquet
from correlate.storage.lake import LakeOptions, open_lake
from correlate.storage.layout import HOUR_NS, LAYOUTS, folder_of, hour_of, partition_values
from correlate.storage.location import open_folder
from correlate.storage.parquet import aggregate_of
from correlate.storage.probes import DiskProbe
from correlate.tables.schema import TABLES
from correlate.tables.tables import concat
from tests.support.rows import T0
from tests.support.store import EVERYTHING, FixedClock, payload

FAST = LakeOptions(linger_s=0.0)


def test_folders_are_local_or_on_s3() -> None:
    """Anything else is a mistake in the configuration."""
    assert open_folder("data/lake").path == str(Path("data/lake").absolute())
    assert open_folder("file:///var/lake").path == "/var/lake"
    remote = open_folder("s3://bucket/some/prefix/", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "x"})
    assert (remote.uri, remote.path, remote.local) == ("s3://bucket/some/prefix", "bucket/some/prefix", False)
    assert remote.child("t").uri == "s3://bucket/some/prefix/t"
    assert remote.free_bytes() is None
    with pytest.raises(ConfigError):
        open_folder("ftp://host/lake")


@pytest.mark.parametrize("hour", [0, 498_611, -5])
def test_an_hour_is_a_partition_and_back(hour: int) -> None:
    """Dates and hours are UTC."""
    assert hour_of(partition_values(hour)) == hour
    assert partition_values(498_611)["date"] == "2026-11-18"
    assert folder_of(498_611) == "date=2026-11-18/hour=11/"


def test_rows_are_split_by_hour() -> None:
    """Each row goes to the hour of its own time."""
    rows = concat([payload(1), payload(2, at_ns=T0 + 5 * HOUR_NS)]).samples
    parts = LAYOUTS["samples"].by_hour(rows)
    assert [hour for hour, _ in parts] == sorted({t // HOUR_NS for t in rows["time_ns"]})
    assert sum(len(part) for _, part in parts) == len(rows)
    assert LAYOUTS["samples"].by_hour(rows.clear()) == []


def test_other_delta_readers_read_the_tables(tmp_path: Path) -> None:
    """Same columns, same types, and the partitions."""
    with open_lake(str(tmp_path), options=FAST, clock=FixedClock(T0)) as lake:
        lake.submit(payload(1)).result(30)
    for name, schema in TABLES.items():
        table = pl.read_delta(str(tmp_path / "default" / name))
        assert {column: table.schema[column] for column in schema} == dict(pl.Schema(schema))
        assert ("hour" in table.columns) == (LAYOUTS[name].time_column is not None)
    stats = pl.DataFrame(DeltaTable(tmp_path / "default" / "samples").get_add_actions(flatten=True))
    assert stats["num_records"].sum() == 2


def test_tenants_do_not_see_each_other(tmp_path: Path) -> None:
    """A tenant is a folder of its own."""
    with (
        open_lake(str(tmp_path), options=FAST, clock=FixedClock(T0)) as mine,
        open_lake(str(tmp_path), tenant="b", options=FAST, clock=FixedClock(T0)) as theirs,
    ):
        mine.submit(payload(1)).result(30)
        assert len(theirs.samples(EVERYTHING)) == 0


def test_commits_can_be_flushed_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsync, data files, log entries and the folders above them are flushed before anything is acknowledged."""
    flushed: list[Path] = []
    monkeypatch.setattr("correlate.storage.location._flush", flushed.append)
    with open_lake(str(tmp_path), options=LakeOptions(linger_s=0.0, fsync=True), clock=FixedClock(T0)) as lake:
        lake.submit(payload(1)).result(30)
    table = tmp_path / "default" / "samples"
    assert set(table.rglob("date*/*/*.parquet")) <= set(flushed)
    assert {table / "_delta_log" / f"{1:020d}.json", table / "_delta_log", table} <= set(flushed)


def test_closing_drains_the_queue(tmp_path: Path) -> None:
    """What was taken is committed; what comes later is refused."""
    with open_lake(str(tmp_path), options=LakeOptions(linger_s=60.0), clock=FixedClock(T0)) as lake:
        future = lake.submit(payload(1))
    assert future.result(0).samples == 2
    with pytest.raises(Overloaded):
        lake.submit(payload(2))
    assert lake.counters.refused == 1
    assert lake.counters.samples == 2
    assert lake.probes[0].problem() == "the committer is not running"


def test_a_folder_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    """When opening already."""
    (tmp_path / "default").write_text("in the way")
    with pytest.raises(StoreError), open_lake(str(tmp_path), options=FAST, clock=FixedClock(T0)):
        pass


def test_little_room_is_a_problem(tmp_path: Path) -> None:
    """Said before the disk is full."""
    folder = open_folder(str(tmp_path))
    assert DiskProbe(folder, 0).problem() is None
    assert "are wanted" in (DiskProbe(folder, 1 << 60).problem() or "")
    assert "cannot be looked at" in (DiskProbe(folder.child("missing"), 0).problem() or "")


def test_too_many_operations_for_a_footer_are_summed_up_from_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is the same, only slower."""
    monkeypatch.setattr(parquet.aggregates, "MAX_ROWS", 0)
    with open_lake(str(tmp_path), options=FAST, clock=FixedClock(T0)) as lake:
        lake.submit(concat([payload(1), payload(2)])).result(30)
        log = lake.maintenance._logs["spans"]
        assert lake.operations()["span_count"].to_list() == [2]
        assert lake.profile_types()["profile_count"].to_list() == [2]
        (path,) = log.snapshot().files
        assert aggregate_of(parquet.pq.read_metadata(Path(log.folder.path, path)), "spans") is None
