"""What inferred joins look at, piece by piece."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from correlate.model.queries import TimeRange
from correlate.services.scenes import Scenes
from correlate.tables.hashing import hash_one
from correlate.tables.tables import Tables
from tests.fakes.lake import FakeLake
from tests.support.rows import CPU, SECOND, T0, profile, spans, with_series

MS = 1_000_000
CPU_ID = hash_one(CPU)
SLOW_CLOCK_NS = 700 * MS


STARTS_NS = T0 + np.cumsum(np.random.default_rng(1).integers(400 * MS, 1600 * MS, 90)).astype(np.int64)


def requests() -> Tables:
    """Requests of 300 ms at odd times, all on one thread."""
    rows = (
        {"span": 1 + at, "trace_lo": at, "thread": 1, "start_ns": start, "duration_ns": 300 * MS}
        for at, start in enumerate(STARTS_NS.tolist())
    )
    return with_series(spans(*rows))


def skewed(times_ns: Sequence[int]) -> Tables:
    """Samples of that thread, by a clock that is behind."""
    return profile(
        [{"value": number + 1, "thread": 1, "time_ns": time - SLOW_CLOCK_NS} for number, time in enumerate(times_ns)]
    )


def test_every_sample_is_in_one_slice_though_clocks_are_corrected_in_some_only() -> None:
    """The first slice has evidence enough to correct the clock, the second has not: the border loses nothing."""
    busy = [start + part * 10 * MS for start in STARTS_NS[:25].tolist() for part in range(30)]
    border = STARTS_NS[25] + 15 * SECOND
    late = [int(border) + SLOW_CLOCK_NS + part * 100 * MS for part in (-3, -2, -1, 1)]
    lake = FakeLake(requests(), skewed(busy + late))
    window = TimeRange(T0, T0 + 200 * SECOND)
    scenes = list(Scenes(lake).slices(["checkout"], CPU_ID, window, int(border) - T0))
    assert [bool(scene.correction) for scene in scenes] == [True, False]
    found = pl.concat([scene.samples["value"] for scene in scenes])
    assert sorted(found.to_list()) == list(range(1, len(busy) + len(late) + 1))


def test_profiles_that_straddle_a_border_are_in_one_slice() -> None:
    """That in which they begin; the one that began before the first is in the first."""
    parts = [
        profile([{"value": 1 + at, "stack": f"main;{at}"}], time_ns=T0 + (7 * at - 5) * SECOND, duration_ns=10 * SECOND)
        for at in range(12)
    ]
    lake = FakeLake(requests(), *parts)
    scenes = Scenes(lake).slices(["checkout"], CPU_ID, TimeRange(T0, T0 + 80 * SECOND), 20 * SECOND)
    found = pl.concat([scene.samples for scene in scenes])
    assert sorted(found["value"].to_list()) == list(range(1, 13))
