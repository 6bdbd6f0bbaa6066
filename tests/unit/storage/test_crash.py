"""What is left after the process died, or a commit failed, at every step of the way."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from correlate.errors import StoreError
from correlate.model.queries import TimeRange
from correlate.storage.delta_log import DeltaWriter
from correlate.storage.lake import LakeOptions, LakeStore, open_lake
from correlate.storage.location import Folder
from correlate.storage.maintenance import MaintenanceOptions
from tests.support.rows import T0
from tests.support.store import EVERYTHING, FixedClock, payload

OPTIONS = LakeOptions(linger_s=0.0, maintenance=MaintenanceOptions(grace_s=0.0))
COUNT = 4
TABLES = ["series", "frames", "stacks", "spans", "profiles", "samples"]

CHILD = """
import os, signal, sys
from correlate.storage.delta_log import DeltaWriter
from correlate.storage.lake import LakeOptions, open_lake
from tests.support.rows import T0
from tests.support.store import FixedClock, payload

folder, table, when = sys.argv[1:]
commit = DeltaWriter.commit

def dying(self, adds, now_ms, **more):
    mine = self._log.layout.name == table and self._log.snapshot().version >= 1
    if mine and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    done = commit(self, adds, now_ms, **more)
    if mine:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

DeltaWriter.commit = dying
with open_lake(folder, options=LakeOptions(linger_s=0.0), clock=FixedClock(T0)) as lake:
    for number in range(1, 5):
        lake.submit(payload(number)).result()
        print(number, flush=True)
"""


def everything_once(lake: LakeStore, numbers: range) -> bool:
    """Whether each payload's rows are there exactly once."""
    samples = lake.samples(EVERYTHING)["value"].sort().to_list()
    spans = lake.spans_named(list(numbers), TimeRange(0, 1 << 62))["span"].sort().to_list()
    profiles = lake.profiles([], TimeRange(0, 1 << 62))["total"].sort().to_list()
    operations = lake.operations()["span_count"].sum()
    return (
        samples == sorted([*numbers, *numbers])
        and spans == list(numbers)
        and profiles == [2 * number for number in numbers]
        and operations == len(numbers)
    )


@pytest.mark.parametrize(("table", "when"), [("profiles", "after"), ("samples", "after"), ("spans", "before")])
def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path: Path, table: str, when: str) -> None:
    """After SIGKILL between two commits everything acknowledged is there, and sending all again stores each once."""
    root = Path(__file__).parents[3]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), table, when], check=False, capture_output=True, text=True, cwd=root
    )
    assert child.returncode == -9, child.stderr
    acknowledged = [int(line) for line in child.stdout.split()]
    assert acknowledged == [1]
    with open_lake(str(tmp_path), options=OPTIONS, clock=FixedClock(T0)) as lake:
        assert set(acknowledged) <= set(lake.samples(EVERYTHING)["value"])
        for number in range(1, COUNT + 1):
            lake.submit(payload(number)).result(30)
        assert everything_once(lake, range(1, COUNT + 1))


class Interrupted:
    """Makes the n-th commit fail, before or after it happened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.countdown = -1
        self.after = False
        self.error: BaseException = OSError(28, "No space left on device")
        commit: Callable[..., bool] = DeltaWriter.commit
        monkeypatch.setattr(DeltaWriter, "commit", lambda *args, **more: self._commit(commit, *args, **more))

    def _commit(self, commit: Callable[..., bool], *args: object, **more: object) -> bool:
        self.countdown -= 1
        if self.countdown == 0 and not self.after:
            raise self.error
        done = commit(*args, **more)
        if self.countdown == 0:
            raise self.error
        return done


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrupted]:
    """Commits that can be made to fail."""
    return Interrupted(monkeypatch)


@pytest.mark.parametrize("after", [False, True])
def test_a_failed_commit_is_not_acknowledged_and_the_next_works(
    tmp_path: Path, interrupted: Interrupted, after: bool
) -> None:
    """Wherever a commit fails, senders get `StoreError`, may send again, and everything is there once."""
    with open_lake(str(tmp_path), options=OPTIONS, clock=FixedClock(T0)) as lake:
        for step in range(1, len(TABLES) + 1):
            interrupted.after, interrupted.countdown = after, step
            failed = lake.submit(payload(step))
            with pytest.raises(StoreError):
                failed.result(30)
            assert lake.probes[0].problem() is not None
            lake.submit(payload(step)).result(30)
            assert everything_once(lake, range(1, step + 1)), TABLES[step - 1]
            assert lake.probes[0].problem() is None
        assert lake.counters.failures == len(TABLES)
        lake.maintenance.run_once()
        assert everything_once(lake, range(1, len(TABLES) + 1))


def test_a_commit_that_only_seemed_to_fail_counts(tmp_path: Path, interrupted: Interrupted) -> None:
    """When the answer to the last commit is lost, the table itself says that it happened."""
    interrupted.error = StoreError("connection reset")
    with open_lake(str(tmp_path), options=OPTIONS, clock=FixedClock(T0)) as lake:
        interrupted.after, interrupted.countdown = True, 6
        assert lake.submit(payload(1)).result(30).samples == 2
        assert lake.submit(payload(1)).result(30).duplicates == 2
        assert everything_once(lake, range(1, 2))


def test_a_panic_does_not_end_the_committer(tmp_path: Path, interrupted: Interrupted) -> None:
    """Even an exception outside the usual tree fails only its group."""
    interrupted.error = BaseException("panic")
    interrupted.countdown = 5
    with open_lake(str(tmp_path), options=OPTIONS, clock=FixedClock(T0)) as lake:
        with pytest.raises(StoreError):
            lake.submit(payload(1)).result(30)
        lake.submit(payload(1)).result(30)
        assert everything_once(lake, range(1, 2))


def test_batches_that_never_counted_are_swept(tmp_path: Path, interrupted: Interrupted) -> None:
    """Profiles without their samples are invisible at once and removed after the grace period."""
    with open_lake(str(tmp_path), options=OPTIONS, clock=(clock := FixedClock(T0))) as lake:
        interrupted.countdown = 6
        with pytest.raises(StoreError):
            lake.submit(payload(1)).result(30)
        assert len(lake.profiles([], TimeRange(0, 1 << 62))) == 0
        assert len(lake.profile_types()) == 0
        clock.at_ns += 1_000_000_000
        assert lake.maintenance.run_once().swept == 1
        lake.submit(payload(1)).result(30)
        assert everything_once(lake, range(1, 2))


def test_a_full_disk_fails_the_group_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors while files are written reach the senders; the store works again as soon as there is room."""

    def full(_self: Folder, _path: str) -> None:
        raise OSError(28, "No space left on device")

    with open_lake(str(tmp_path), options=OPTIONS, clock=FixedClock(T0)) as lake:
        with monkeypatch.context() as patched:
            patched.setattr(Folder, "open_output", full)
            with pytest.raises(StoreError, match="No space"):
                lake.submit(payload(1)).result(30)
        lake.submit(payload(1)).result(30)
        assert everything_once(lake, range(1, 2))
