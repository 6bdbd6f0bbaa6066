"""What every store does, whatever it is made of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import polars as pl
import pytest

from correlate.model.ids import TraceId
from correlate.model.queries import SampleFilter, TimeRange
from correlate.ports import Lake, Sink
from correlate.storage.lake import LakeOptions, open_lake
from correlate.tables.hashing import hash_one
from correlate.tables.tables import Tables, concat
from tests.fakes.lake import FakeLake
from tests.support.rows import CPU, SECOND, T0, TRACE, profile, spans, with_series
from tests.support.store import FixedClock, ids_of


class Store(Sink, Lake, Protocol):
    """Both halves."""


@pytest.fixture(params=["lake", "fake"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    if request.param == "fake":
        yield FakeLake()
        return
    with open_lake(str(tmp_path / "lake"), options=LakeOptions(linger_s=0.0), clock=FixedClock(T0)) as lake:
        yield lake


EVERYTHING = SampleFilter((), (), 0, 1 << 62)
ALWAYS = TimeRange(0, 1 << 62)

SPANS = with_series(
    spans(
        {"span": 1, "start_ns": T0},
        {"span": 2, "parent": 1, "start_ns": T0 + SECOND, "name": "validate", "duration_ns": 5},
        {"span": 3, "start_ns": T0 + 7200 * SECOND, "trace_lo": 12, "status": 2, "service": "cart"},
    )
)
PROFILE = profile(
    [
        {"stack": "main;work", "value": 30_000_000, "span": 1, "trace": TRACE},
        {"stack": "main;rest", "value": 10_000_000},
        {"stack": "main;rest", "value": 20_000_000, "trace": TRACE},
        {"stack": "main;other", "value": 10_000_000, "span": 9},
    ],
    labels={"region": "eu"},
)


def store_all(store: Store, *parts: Tables) -> None:
    """Submit, and wait until everything is stored."""
    for future in [store.submit(part) for part in parts]:
        future.result(30)


def test_an_empty_store_answers_with_empty_frames(store: Store) -> None:
    """Every question has an answer of the right shape before anything is stored."""
    assert len(store.spans_of_trace(TraceId(1, 2))) == 0
    assert store.spans_named([1], ALWAYS).columns == ["span", "trace_hi", "trace_lo"]
    assert len(store.spans_of_service("checkout", None, ALWAYS, limit=5, slowest=False)) == 0
    assert store.samples(EVERYTHING).schema == pl.Schema(Tables().samples.schema)
    assert store.stack_sums(EVERYTHING).schema == {"stack": pl.Int64, "value": pl.Int64, "weight": pl.Int64}
    assert len(store.symbols([1]).stacks) == 0
    assert len(store.series([1])) == 0
    assert len(store.profiles([], ALWAYS)) == 0
    assert "span_count" in store.operations().columns
    assert "max_duration_ns" in store.profile_types().columns


def test_a_receipt_says_what_was_stored(store: Store) -> None:
    """Counts are of rows stored now; the same content again is a duplicate and stored once."""
    first = store.submit(concat([SPANS, PROFILE])).result(30)
    assert (first.spans, first.samples, first.profiles, first.duplicates) == (3, 4, 1, 0)
    again = store.submit(concat([SPANS, PROFILE])).result(30)
    assert (again.spans, again.samples, again.profiles, again.duplicates) == (0, 0, 0, 2)
    assert len(store.samples(EVERYTHING)) == 4


def test_rows_come_back_as_they_were(store: Store) -> None:
    """Every column of every table survives storing."""
    store_all(store, SPANS, PROFILE)
    trace = store.spans_of_trace(TraceId(*TRACE))
    assert trace.equals(SPANS.spans.filter(pl.col("trace_lo") == TRACE[1]))
    kept = store.samples(EVERYTHING).sort("stack", "span", "value")
    assert kept.equals(PROFILE.samples.sort("stack", "span", "value"))
    assert store.profiles(["checkout"], ALWAYS).equals(PROFILE.profiles)
    ids = PROFILE.series["series"].to_list()
    assert store.series([*ids, 77]).sort("series").equals(PROFILE.series.sort("series"))


def test_samples_are_added_up_by_stack(store: Store) -> None:
    """What a filter selects, one row for each stack; wide enough for many hits."""
    store_all(store, SPANS, PROFILE)
    found = store.stack_sums(EVERYTHING).sort("stack")
    expected = PROFILE.samples.group_by("stack").agg(pl.col("value", "weight").cast(pl.Int64).sum())
    assert found.equals(expected.sort("stack"))


def test_samples_with_some_stacks_are_added_up_by_span(store: Store) -> None:
    """One row for each span and trace that is named, and one for what names neither; other stacks do not count."""
    store_all(store, SPANS, PROFILE, profile([{"value": 5, "span": 1, "trace": TRACE, "stack": "main;rest"}]))
    rest = store.samples(SampleFilter((), (), T0, T0 + 1, spans=(1,))).filter(pl.col("value") == 5)["stack"]
    found = store.span_sums(EVERYTHING, rest).sort("value")
    assert found.columns == ["trace_hi", "trace_lo", "span", "value", "weight"]
    assert found.rows() == [(*TRACE, 1, 5, 1), (0, 0, 0, 10_000_000, 1), (*TRACE, 0, 20_000_000, 2)]
    assert store.span_sums(EVERYTHING, pl.Series([1], dtype=pl.Int64)).schema == found.schema
    assert len(store.span_sums(SampleFilter((hash_one("cart"),), (), 0, 1 << 62), rest)) == 0
    by_all = store.span_sums(EVERYTHING, store.samples(EVERYTHING)["stack"].unique())
    assert by_all["value"].sum() == 70_000_005


def test_only_some_columns_of_profiles_can_be_asked_for(store: Store) -> None:
    """In the order they were asked for."""
    store_all(store, PROFILE)
    wanted = ("total", "type")
    assert store.profiles(["checkout"], ALWAYS, wanted).equals(PROFILE.profiles.select(wanted))


def test_a_span_stored_in_two_payloads_is_one_span(store: Store) -> None:
    """A re-batched request brings spans again under another payload hash; readers see each once."""
    again = SPANS.spans.filter(pl.col("span") < 3).with_columns(payload=pl.lit(2, pl.Int64))
    store_all(store, SPANS, Tables(spans=again))
    assert ids_of(store.spans_of_trace(TraceId(*TRACE))) == [1, 2]
    assert len(store.spans_named([1], ALWAYS)) == 1
    assert len(store.spans_of_service("checkout", None, ALWAYS, limit=9, slowest=True)) == 2


def test_samples_are_chosen_by_what_they_name(store: Store) -> None:
    """A span, the trace, or a profile: any of them makes a sample wanted."""
    store_all(store, PROFILE, profile([{"value": 5, "span": 1}], service="cart"))
    mine = (hash_one("checkout"),)

    def values(**wanted: object) -> list[int]:
        found = store.samples(SampleFilter(mine, (hash_one(CPU),), T0, T0 + 1, **wanted))  # type: ignore[arg-type]
        return sorted(found["value"].to_list())

    assert values(spans=(1,)) == [30_000_000]
    assert values(spans=(1, 9)) == [10_000_000, 30_000_000]
    assert values(trace=TraceId(*TRACE)) == [20_000_000, 30_000_000]
    assert values(trace=TraceId(*TRACE), spans=(9,)) == [10_000_000, 20_000_000, 30_000_000]
    assert len(values(profiles=tuple(PROFILE.profiles["profile"]), spans=(123,))) == 4
    assert values(spans=(123,)) == []
    assert len(store.samples(SampleFilter((), (), T0, T0 + 1, spans=(1,)))) == 2


def test_samples_are_chosen_by_overlap_in_time(store: Store) -> None:
    """A sample without own time stands for its profile's interval; one with its own time for that moment."""
    store_all(store, profile([{"value": 1}]), profile([{"value": 2, "time_ns": T0 + 3 * SECOND}], labels={"a": "b"}))

    def values(start_s: int, end_s: int) -> list[int]:
        found = store.samples(SampleFilter((), (), T0 + start_s * SECOND, T0 + end_s * SECOND))
        return sorted(found["value"].to_list())

    assert values(4, 6) == [1]
    assert values(2, 6) == [1, 2]
    assert values(11, 20) == []
    assert values(-5, -1) == []


def test_spans_are_found_by_name_in_a_window(store: Store) -> None:
    """Only ids that are stored, and only where the span overlaps the window."""
    store_all(store, SPANS)
    assert ids_of(store.spans_named([1, 3, 99], ALWAYS)) == [1, 3]
    assert ids_of(store.spans_named([1, 3], TimeRange(T0 + 5, T0 + SECOND))) == [1]
    assert ids_of(store.spans_named([], ALWAYS)) == []


def test_spans_of_a_service_are_the_newest_or_the_slowest(store: Store) -> None:
    """Sorted by what was asked for, at most as many as asked for, also when hours lie between them."""
    hours = [{"span": 10 + i, "start_ns": T0 + i * 3600 * SECOND, "duration_ns": 100 - i} for i in range(6)]
    store_all(store, with_series(spans(*hours, {"span": 5, "name": "other"}, {"span": 6, "service": "cart"})))

    def found(operation: str | None, *, slowest: bool, limit: int = 2) -> list[int]:
        window = TimeRange(T0 - SECOND, T0 + 5 * 3600 * SECOND + 1)
        rows = store.spans_of_service("checkout", operation, window, limit=limit, slowest=slowest)
        return rows["span"].to_list()

    assert found("POST /checkout", slowest=False) == [15, 14]
    assert found("POST /checkout", slowest=True) == [10, 11]
    assert found(None, slowest=True, limit=1) == [5]
    assert len(found("POST /checkout", slowest=False, limit=50)) == 6


def test_profiles_are_chosen_by_service_and_overlap(store: Store) -> None:
    """No service means all."""
    store_all(store, PROFILE, profile([{"value": 1}], service="cart", time_ns=T0 + 60 * SECOND))
    assert len(store.profiles([], ALWAYS)) == 2
    assert store.profiles(["cart"], ALWAYS)["service"].to_list() == ["cart"]
    assert store.profiles([], TimeRange(T0 + 5 * SECOND, T0 + 6 * SECOND))["service"].to_list() == ["checkout"]


def test_symbols_follow_what_is_stored(store: Store) -> None:
    """New stacks of a service show up with the next question; other services' do not."""
    store_all(store, PROFILE)
    service = hash_one("checkout")
    assert sorted(store.symbols([service]).names) == ["[unknown]", "main", "other", "rest", "work"]
    store_all(
        store, profile([{"value": 1, "stack": "main;fresh"}]), profile([{"value": 1, "stack": "x"}], service="cart")
    )
    symbols = store.symbols([service])
    assert "fresh" in symbols.names.to_list()
    assert "x" not in symbols.names.to_list()
    assert (symbols.rows_of(PROFILE.samples["stack"].to_numpy()) >= 0).all()


def test_operations_and_profile_types_are_summed_up(store: Store) -> None:
    """Sums over several commits, by operation and by profile type."""
    later = profile([{"value": 7, "weight": 2}], time_ns=T0 + 60 * SECOND, duration_ns=15 * SECOND, period=19)
    store_all(store, SPANS, PROFILE)
    store_all(store, later, with_series(spans({"span": 8, "start_ns": T0 - SECOND, "payload": 5, "status": 2})))
    post = store.operations().row(
        by_predicate=(pl.col("name") == "POST /checkout") & (pl.col("service") == "checkout"), named=True
    )
    assert (post["span_count"], post["error_count"], post["first_ns"], post["last_ns"]) == (
        2,
        1,
        T0 - SECOND,
        T0 + SECOND,
    )
    assert post["total_duration_ns"] == 2 * SECOND
    (cpu,) = store.profile_types().to_dicts()
    assert cpu["profile_count"] == 2
    assert (cpu["sample_count"], cpu["total"], cpu["labelled"]) == (9, 70_000_007, 60_000_000)
    assert (cpu["first_ns"], cpu["last_ns"], cpu["max_duration_ns"]) == (T0, T0 + 75 * SECOND, 15 * SECOND)
    assert cpu["period"] == (10_000_000 + 19) // 2
