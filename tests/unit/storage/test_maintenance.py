"""Merging, retention, vacuum, checkpoints: what they change, and what they never change."""

import threading
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from correlate.model.queries import TimeRange
from correlate.storage.delta_log import DataFile
from correlate.storage.lake import LakeOptions, LakeStore, open_lake
from correlate.storage.maintenance import MaintenanceOptions, crowded_tier, first_hour_within
from correlate.storage.vacuum import Vacuum
from tests.support.rows import SECOND, T0
from tests.support.store import EVERYTHING, FixedClock, payload

HOUR = 3600 * SECOND
FAR = 1 << 62  # later than whatever the disk says about files
ALWAYS = TimeRange(0, 1 << 62)


def options(**maintenance: float) -> LakeOptions:
    """No waiting, and nothing kept for readers in flight unless said otherwise."""
    return LakeOptions(linger_s=0.0, maintenance=MaintenanceOptions(**({"grace_s": 0.0} | maintenance)))  # type: ignore[arg-type]


def files(folder: Path, table: str) -> list[str]:
    """The files of a table's newest version, as any other Delta reader sees them."""
    return DeltaTable(folder / "default" / table).file_uris()


def on_disk(folder: Path, table: str) -> list[Path]:
    """The Parquet files of a table that exist."""
    return sorted((folder / "default" / table).rglob("date*/*/*.parquet"))


def answers(lake: LakeStore) -> list[pl.DataFrame]:
    """Everything the lake says, in a fixed order."""
    frames = [
        lake.samples(EVERYTHING),
        lake.spans_of_service("checkout", None, ALWAYS, limit=1000, slowest=False),
        lake.profiles([], ALWAYS),
        lake.operations(),
        lake.profile_types(),
    ]
    return [frame.sort([c for c in frame.columns if frame[c].dtype != pl.List]) for frame in frames]


def same(left: list[pl.DataFrame], right: list[pl.DataFrame]) -> None:
    """Assert equality frame by frame."""
    for one, other in zip(left, right, strict=True):
        assert_frame_equal(one, other)


def test_closed_hours_become_one_file_and_no_row_changes(tmp_path: Path) -> None:
    """All files of an hour that is over are merged; old files go once the grace period is over."""
    clock = FixedClock(T0)
    with open_lake(str(tmp_path), options=options(), clock=clock) as lake:
        for number in range(1, 6):
            lake.submit(payload(number)).result(30)
        before = answers(lake)
        clock.at_ns += 4 * HOUR
        assert lake.maintenance.run_once().merged >= 15
        same(answers(lake), before)
        assert len(files(tmp_path, "spans")) == 1
        assert len(files(tmp_path, "samples")) == 2
        assert lake.submit(payload(3)).result(30).duplicates == 2
    with open_lake(str(tmp_path), options=options(), clock=clock) as lake:
        same(answers(lake), before)


def test_small_files_of_an_open_hour_are_merged_when_they_are_many(tmp_path: Path) -> None:
    """Neither early nor never; symbols too."""
    with open_lake(str(tmp_path), options=options(small_files=4), clock=FixedClock(T0)) as lake:
        for number in range(1, 5):
            lake.submit(payload(2 * number)).result(30)
        assert lake.maintenance.run_once().merged == 0
        lake.submit(payload(10)).result(30)
        before = answers(lake)
        assert lake.maintenance.run_once().merged > 0
        same(answers(lake), before)
        assert len(files(tmp_path, "samples")) == 1
        assert len(files(tmp_path, "stacks")) <= 2


def test_rounds_can_be_run_by_hand_after_the_thread_was_stopped(tmp_path: Path) -> None:
    """Stopping stops the thread, not the object; it can be started again too."""
    clock = FixedClock(T0)
    with open_lake(str(tmp_path), options=options(interval_s=60.0), clock=clock) as lake:
        for number in (2, 4):
            lake.submit(payload(number)).result(30)
        for _ in range(2):
            lake.maintenance.start()
            lake.maintenance.stop()
        clock.at_ns += 4 * HOUR
        assert lake.maintenance.run_once().merged > 0


def test_files_stay_for_readers_in_flight(tmp_path: Path) -> None:
    """A file that left the table is deleted after the grace period, counted from when that was first seen."""
    clock = FixedClock(FAR)
    with open_lake(str(tmp_path), options=options(grace_s=60, retention_s=1e12), clock=clock) as lake:
        for number in (2, 4):
            lake.submit(payload(number)).result(30)
        log = lake.maintenance._logs["spans"]
        vacuum = Vacuum(log, 60 * SECOND)
        clock.at_ns += 4 * HOUR
        assert lake.maintenance.run_once().merged == 6
        assert vacuum.run(clock.at_ns) == 0
        assert vacuum.run(clock.at_ns + 59 * SECOND) == 0
        assert len(on_disk(tmp_path, "spans")) == 3
        assert vacuum.run(clock.at_ns + 60 * SECOND) == 2
        assert len(on_disk(tmp_path, "spans")) == 1
        assert len(lake.operations()) == 1


def test_a_reader_survives_that_its_file_was_deleted(tmp_path: Path) -> None:
    """When files vanish between looking and reading, the reader looks again."""
    clock = FixedClock(FAR)
    with open_lake(str(tmp_path), options=replace(options(retention_s=1e12), poll_s=1e9), clock=clock) as lake:
        for number in (2, 4):
            lake.submit(payload(number)).result(30)
        same(answers(lake), before := answers(lake))
        with open_lake(str(tmp_path), options=options(retention_s=1e12), clock=clock) as other:
            clock.at_ns += 4 * HOUR
            assert other.maintenance.run_once().deleted == 6
        same(answers(lake), before)


def test_what_is_older_than_the_retention_goes(tmp_path: Path) -> None:
    """Whole hours, in all tables of telemetry; what is younger stays."""
    clock = FixedClock(T0)
    with open_lake(str(tmp_path), options=options(retention_s=24 * 3600), clock=clock) as lake:
        lake.submit(payload(2)).result(30)
        lake.submit(payload(4, at_ns=T0 + 20 * HOUR)).result(30)
        clock.at_ns = T0 + 30 * HOUR
        assert lake.maintenance.run_once().expired == 3
        assert set(lake.samples(EVERYTHING)["value"]) == {4}
        assert len(lake.profiles([], ALWAYS)) == 1
        assert lake.operations()["span_count"].to_list() == [1]


def test_the_oldest_hours_go_when_there_is_too_much(tmp_path: Path) -> None:
    """A size cap cuts from the oldest side."""
    with open_lake(str(tmp_path), options=options(max_bytes=1), clock=FixedClock(T0)) as lake:
        lake.submit(payload(2)).result(30)
        assert lake.maintenance.run_once().expired == 3
        assert len(lake.samples(EVERYTHING)) == 0


def test_logs_are_summed_up_in_checkpoints(tmp_path: Path) -> None:
    """After enough versions there is a checkpoint, and the lake opens from it."""
    with open_lake(str(tmp_path), options=options(checkpoint_every=3), clock=FixedClock(T0)) as lake:
        for number in range(1, 5):
            lake.submit(payload(number)).result(30)
        lake.maintenance.run_once()
        before = answers(lake)
    assert list((tmp_path / "default" / "samples" / "_delta_log").glob("*.checkpoint.parquet"))
    with open_lake(str(tmp_path), options=options(), clock=FixedClock(T0)) as lake:
        same(answers(lake), before)
        assert lake.submit(payload(1)).result(30).duplicates == 2


def test_everything_runs_at_the_same_time(tmp_path: Path) -> None:
    """Writers, readers and maintenance side by side: every row is there once, and no reader ever sees one missing."""
    wanted, count = options(small_files=2, interval_s=0.01), 24
    with open_lake(str(tmp_path), options=wanted, clock=FixedClock(T0)) as lake:
        acknowledged: set[int] = set()
        failures: list[str] = []
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                before = set(acknowledged)
                values = lake.samples(EVERYTHING)["value"].to_list()
                if not before <= set(values) or len(values) != 2 * len(set(values)):
                    failures.append(f"{before} {sorted(values)}")

        def write(numbers: range) -> None:
            for number in numbers:
                lake.submit(payload(number)).result(30)
                acknowledged.add(number)

        reader = threading.Thread(target=read)
        writers = [threading.Thread(target=write, args=(range(start, count, 3),)) for start in (1, 2, 3)]
        lake.maintenance.start()
        for thread in (reader, *writers):
            thread.start()
        for thread in writers:
            thread.join()
        stop.set()
        reader.join()
        lake.maintenance.stop()
        assert lake.maintenance.last_problem is None
    assert failures == []
    assert acknowledged == set(range(1, count))


def test_two_processes_share_a_lake(tmp_path: Path) -> None:
    """Each sees the other's commits, what one stored the other recognises, and both may maintain at once."""
    clock = FixedClock(T0)
    with (
        open_lake(str(tmp_path), options=options(), clock=clock) as one,
        open_lake(str(tmp_path), options=options(), clock=clock) as other,
    ):
        same_payloads = [lake.submit(payload(n)) for n in range(1, 6) for lake in (one, other)]
        receipts = [future.result(30) for future in same_payloads]
        assert sum(receipt.spans for receipt in receipts) == 5
        assert sum(receipt.samples for receipt in receipts) == 10
        same(answers(one), answers(other))
        before = answers(one)
        clock.at_ns += 4 * HOUR
        rounds = [threading.Thread(target=lake.maintenance.run_once) for lake in (one, other)]
        for thread in rounds:
            thread.start()
        for thread in rounds:
            thread.join()
        same(answers(one), before)
        same(answers(other), before)


def data_file(hour: int, size_bytes: int, name: str = "x") -> DataFile:
    """A file of some hour and size."""
    return DataFile(f"{name}-{hour}-{size_bytes}", size_bytes, hour, 0)


def test_only_crowded_size_classes_are_merged() -> None:
    """Files of very different size do not count together, so large files are not rewritten for a few small ones."""
    small = [data_file(1, 1000 + i) for i in range(5)]
    large = [data_file(1, (50 << 20) + i) for i in range(4)]
    assert crowded_tier([*small, *large], 5) == []
    assert crowded_tier([*small, *large], 4) == small
    assert crowded_tier([*small[:2], *large], 3) == [*small[:2], *large]


@pytest.mark.parametrize(("cap", "first"), [(100, 9), (30, 10), (29, 11), (5, 12)])
def test_a_size_cap_keeps_the_newest_hours(cap: int, first: int) -> None:
    """As many whole hours as fit, counted from the newest."""
    found = first_hour_within([data_file(9, 20), data_file(10, 10), data_file(11, 20)], cap)
    assert max(found, 9) == first
