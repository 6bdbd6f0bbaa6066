"""The way in: times that are accepted, and what becomes of the rest."""

import polars as pl

from correlate.model.payload import PayloadKind, RawPayload
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.tables.tables import Reject, Tables, concat
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, profile, spans, with_series

DAY = 86_400 * SECOND
PAYLOAD = RawPayload(PayloadKind.PPROF, b"", T0)


def accept(tables: Tables, lake: FakeLake) -> tuple[Reject, ...]:
    """Take rows at `T0` and give what was refused."""
    ingest = Ingest(lake, FakeClock(T0), AcceptedTimes(30, 3600), read=lambda _: tables)
    accepted = ingest.accept(PAYLOAD)
    accepted.committed.result()
    return accepted.rejects


def test_rows_older_than_the_retention_or_from_the_future_are_refused_and_the_rest_kept() -> None:
    """The reason says which settings decide."""
    rows = spans(
        {"span": 1, "start_ns": T0 - 31 * DAY},
        {"span": 2, "start_ns": T0 - 29 * DAY},
        {"span": 3, "start_ns": T0 + 2 * 3600 * SECOND},
        {"span": 4, "start_ns": 0},
    )
    lake = FakeLake()
    (reject,) = accept(with_series(rows), lake)
    assert lake.tables.spans["span"].to_list() == [2]
    assert (reject.signal, reject.count) == ("spans", 3)
    assert "retention_days" in reject.reason
    assert "ahead_s" in reject.reason


def test_a_profile_with_one_impossible_sample_is_refused_as_a_whole() -> None:
    """Half a profile would be a wrong one; other profiles of the payload are kept."""
    good = profile([{"value": 10, "time_ns": T0 - SECOND}])
    bad = profile([{"value": 10, "time_ns": T0 - SECOND}, {"value": 20, "time_ns": 0}], labels={"x": "y"})
    lake = FakeLake()
    (reject,) = accept(concat([good, bad]), lake)
    assert lake.tables.profiles["profile"].to_list() == good.profiles["profile"].to_list()
    assert lake.tables.samples["value"].to_list() == [10]
    assert (reject.signal, reject.count) == ("profiles", 1)


def test_the_same_profile_twice_in_one_payload_counts_once() -> None:
    """Content decides, not the number of copies."""
    once = profile([{"value": 10, "span": 1}, {"value": 20}])
    twice = concat([once, once])
    assert twice.samples.height == 4
    assert once.profiles["profile"].n_unique() == 1
    assert twice.profiles.select(pl.col("profile").n_unique()).item() == 1
