"""The table of observations: what is written again replaces, on read and when files are merged."""

from pathlib import Path

import polars as pl

from correlate.model.queries import TimeRange
from correlate.storage.lake import LakeOptions, open_lake
from correlate.storage.maintenance import MaintenanceOptions
from correlate.tables.hashing import hash_one
from correlate.tables.schema import OBSERVATIONS, OBSERVED_SITE, OBSERVED_TOTAL
from tests.support.rows import SECOND, T0
from tests.support.store import FixedClock

BUCKET = 300 * SECOND
HOUR = 3600 * SECOND
START = T0 // HOUR * HOUR
EVER = TimeRange(0, 1 << 62)
OPTIONS = LakeOptions(linger_s=0.0, maintenance=MaintenanceOptions(grace_s=0.0, small_files=1))


def rows(service: str, value: int, *, at: int = 0, written: int = 1, kinds: tuple[int, ...] = (1,)) -> pl.DataFrame:
    """One row of each kind."""
    usual = {name: "" if kind == pl.String else 0 for name, kind in OBSERVATIONS.items()}
    given = {"service": service, "service_id": hash_one(service), "type": "t", "duration_ns": BUCKET, "value": value}
    given |= {"time_ns": START + at * BUCKET, "written_ns": written}
    return pl.DataFrame([usual | given | {"kind": kind} for kind in kinds], schema=OBSERVATIONS)


def values(found: pl.DataFrame) -> list[tuple[object, ...]]:
    """Service, bucket and value, sorted."""
    return sorted(found.select("service", (pl.col("time_ns") - START) // BUCKET, "value").rows())


def test_of_several_writings_of_a_bucket_the_latest_counts(tmp_path: Path) -> None:
    """A site that the later one does not have is gone; other services and buckets stay."""
    with open_lake(str(tmp_path), options=OPTIONS, clock=FixedClock(START)) as lake:
        store = lake.observations
        store.append(rows("a", 1, kinds=(OBSERVED_TOTAL, OBSERVED_SITE)))
        store.append(pl.concat([rows("b", 2), rows("a", 3, at=1)]))
        store.append(rows("a", 4, written=2))
        store.append(rows("a", 5).clear())
        expected = [("a", 0, 4), ("a", 1, 3), ("b", 0, 2)]
        assert values(store.read(["a", "b"], EVER, BUCKET)) == expected
        assert lake.maintenance.run_once().merged > 1
        assert values(store.read(["a", "b"], EVER, BUCKET)) == expected


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """By service, window, length and type."""
    with open_lake(str(tmp_path), options=OPTIONS, clock=FixedClock(START)) as lake:
        store = lake.observations
        long = rows("a", 9).with_columns(duration_ns=pl.lit(6 * BUCKET))
        store.append(pl.concat([rows("a", 1), rows("a", 2, at=1), rows("b", 3), long]))
        assert values(store.read(["a"], TimeRange(START, START + BUCKET), BUCKET)) == [("a", 0, 1)]
        assert values(store.read(["a"], EVER, 6 * BUCKET)) == [("a", 0, 9)]
        assert values(store.read(["b", "c"], EVER, BUCKET, types=["t"])) == [("b", 0, 3)]
        assert store.read(["a"], EVER, BUCKET, types=["u"]).is_empty()
        assert store.read([], EVER, BUCKET).schema == pl.Schema(OBSERVATIONS)


def test_other_processes_see_what_is_appended_and_old_rows_go(tmp_path: Path) -> None:
    """Retention is that of everything else."""
    clock = FixedClock(START)
    with open_lake(str(tmp_path), options=OPTIONS, clock=clock) as one, open_lake(str(tmp_path), clock=clock) as two:
        one.observations.append(rows("a", 1))
        two.observations.append(rows("a", 2, at=1))
        assert len(one.observations.read(["a"], EVER, BUCKET)) == 2
        clock.at_ns += 31 * 24 * HOUR
        assert one.maintenance.run_once().expired > 0
        assert two.observations.read(["a"], EVER, BUCKET).is_empty()
