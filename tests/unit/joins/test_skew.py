"""Skew between the clocks of samples and spans."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.joins import skew
from tests.unit.joins.scenes import samples, spans

MS = 1_000_000
AHEAD_MS = [0, 37, -250, 500]


def scene(ahead_ms: int, *, named: bool, jitter_ms: float = 0.0, seed: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Samples and spans of 4 threads: spans of 5 to 80 ms with pauses between, a sample every 10 ms of work or so."""
    rng = np.random.default_rng(seed)
    spans_, samples_ = [], []
    for thread in range(1, 5):
        at = 0
        for number in range(150):
            at += int(rng.integers(5, 120)) * MS
            length = int(rng.integers(5, 80)) * MS
            span = thread * 1000 + number
            spans_.append({"span": span, "start_ns": at, "duration_ns": length, "thread": thread})
            for _ in range(rng.poisson(length / (10 * MS))):
                time = at + int(rng.integers(length)) + int(rng.normal(0, jitter_ms * MS)) + ahead_ms * MS
                samples_.append(
                    {"time_ns": time, "thread": thread, "span": span if named else 0, "trace_lo": 1 * named}
                )
            at += length
    return samples(*samples_), spans(*spans_)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("ahead_ms", AHEAD_MS)
def test_a_known_skew_is_found(ahead_ms: int, named: bool) -> None:
    """Within its own uncertainty and a few milliseconds, with names and without; none is none."""
    taken, rows = scene(ahead_ms, named=named)
    (found,) = skew.estimate(taken, rows)
    assert found.uncertainty_ns is not None
    assert abs(found.offset_ns + ahead_ms * MS) <= found.uncertainty_ns <= 5 * MS
    assert found.significant == (ahead_ms != 0)
    corrected = skew.apply(taken, [found])["time_ns"] - taken["time_ns"]
    assert corrected.unique().to_list() == [found.offset_ns]


def test_late_samplers_do_not_hide_the_skew() -> None:
    """Five milliseconds of jitter cost precision, not the answer."""
    (found,) = skew.estimate(*scene(250, named=False, jitter_ms=5.0))
    assert found.significant
    assert found.offset_ns == pytest.approx(-250 * MS, abs=10 * MS)
    assert "ahead of the spans'" in found.reason


def test_threads_that_are_always_in_spans_say_nothing() -> None:
    """Every offset fits as well as every other: nothing is corrected."""
    rows = spans(*({"span": n, "start_ns": n * 100 * MS, "duration_ns": 100 * MS, "thread": 7} for n in range(1, 200)))
    times = np.random.default_rng(2).integers(4_000 * MS, 15_000 * MS, 500)
    taken = samples(*({"time_ns": int(time), "thread": 7} for time in times))
    (found,) = skew.estimate(taken, rows)
    assert (found.offset_ns, found.uncertainty_ns, found.significant) == (0, None, False)
    assert skew.apply(taken, [found]).equals(taken)


def test_a_steady_rhythm_fits_at_many_offsets() -> None:
    """Spans every 100 ms: an offset of 50 ms is as good as one of -50 ms, so none is believed."""
    rows = spans(*({"span": n, "start_ns": n * 100 * MS, "duration_ns": 30 * MS, "thread": 7} for n in range(1, 200)))
    taken = samples(*({"time_ns": n * 100 * MS + 60 * MS, "thread": 7} for n in range(60, 140)))
    (found,) = skew.estimate(taken, rows)
    assert not found.significant
    assert "no offset" in found.reason


def test_samples_unrelated_to_the_spans_say_nothing() -> None:
    """Chance fits a little better somewhere; that is not believed."""
    _, rows = scene(0, named=False)
    times = np.random.default_rng(3).integers(2_000 * MS, 10_000 * MS, 1000)
    (found,) = skew.estimate(samples(*({"time_ns": int(t), "thread": 1} for t in times)), rows)
    assert not found.significant


def test_profiles_without_sample_times_tell_of_large_skews_only() -> None:
    """Names in windows of ten seconds: agreement within about as much. Without names: nothing at all."""
    taken, rows = scene(37, named=True)
    windows = taken.with_columns(time_ns=pl.col("time_ns") // (10_000 * MS) * 10_000 * MS, duration_ns=10_000 * MS)
    (found,) = skew.estimate(windows, rows)
    assert not found.significant
    (blind,) = skew.estimate(windows.with_columns(span=0), rows)
    assert (blind.evidence, blind.uncertainty_ns) == (0, None)
    assert "cannot be compared" in blind.reason


def test_each_process_has_its_own_clock() -> None:
    """Unknown processes have none."""
    parts = [scene(ahead, named=True, seed=seed) for seed, ahead in enumerate((0, 500))]
    both = [
        pl.concat([part[side].with_columns(process=number) for number, part in enumerate(parts)]).cast(pl.Int64)
        for side in (0, 1)
    ]
    found = skew.estimate(pl.concat([both[0], both[0].with_columns(process=-1).cast(pl.Int64)]), both[1])
    assert [(one.process, one.significant) for one in found] == [(0, False), (1, True)]
    moved = skew.apply(both[0], found).with_columns(by=pl.col("time_ns") - both[0]["time_ns"])
    assert moved.filter(pl.col("process") == 0)["by"].unique().to_list() == [0]
    assert moved.filter(pl.col("process") == 1)["by"].unique().to_list() == [found[1].offset_ns]


INTERVALS = st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 9)), max_size=8)


@given(INTERVALS)
def test_the_counts_are_how_many_intervals_hold_an_offset(rows: list[tuple[int, int]]) -> None:
    """Slow twin: ask every interval."""
    low = np.array([start for start, _ in rows], np.int64)
    high = np.array([start + length for start, length in rows], np.int64)
    counts = skew._Counts.of(skew._Offsets(low, high, len(rows), 0.0))
    for offset, count in zip(counts.offset_ns.tolist(), counts.samples.tolist(), strict=True):
        assert count == sum(a <= offset < a + length for a, length in rows)
    assert 0 in counts.offset_ns


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(1, 9)), max_size=6), st.integers(0, 40))
def test_unnamed_samples_fit_where_any_span_of_their_thread_is_open(
    rows: list[tuple[int, int, int]], time: int
) -> None:
    """Slow twin: try every offset within the search."""
    told = [{"start_ns": start, "duration_ns": length, "thread": thread + 1} for thread, start, length in rows]
    search = 12
    found = skew._of_threads(samples({"time_ns": time, "thread": 1}), spans(*told), search)
    fits = {
        at for low, high in zip(found.low_ns.tolist(), found.high_ns.tolist(), strict=True) for at in range(low, high)
    }
    expected = {
        at
        for at in range(-search, search)
        if any(thread == 0 and start <= time + at < start + length for thread, start, length in rows)
    }
    assert fits == expected
