"""The built-in detectors on what was observed: recorded services, and what each of them is made for."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from correlate.demo import traffic
from correlate.detectors import cases, cases_growth, cases_levels, cases_shares
from correlate.detectors.leak_options import DEMO, PRODUCTION
from correlate.detectors.port import Case
from correlate.detectors.registry import DETECTORS, Builtin
from correlate.detectors.sensitivity import Sensitivity
from correlate.model.verdicts import Tier, Verdict
from correlate.settings_detectors import NAMES
from correlate.tables.hashing import hash_one
from correlate.tables.schema import (
    OBSERVATIONS,
    OBSERVED_FUNCTION,
    OBSERVED_OPERATION,
    OBSERVED_SITE,
    OBSERVED_TOTAL,
)
from tests.support.observed import SECOND, case_of, read
from tests.support.rows import CPU

BUCKET = 300 * SECOND
HEAP = "memory:inuse_space:bytes:space:bytes"
GOROUTINE = "goroutine:goroutine:count:goroutine:count"
UNTIL = 1_795_392_000 * SECOND
MIB = 1 << 20
RNG = np.random.default_rng(5)


def found(case: Case) -> list[tuple[str, str, str]]:
    """Tier, detector and subject of everything that is said."""
    verdicts = [verdict for detector in DETECTORS for verdict in detector.judge(case)]
    return sorted((verdict.tier.value, verdict.detector, verdict.subject) for verdict in verdicts)


def test_the_configuration_knows_the_detectors() -> None:
    """Their names are written down there a second time."""
    assert tuple(detector.name for detector in DETECTORS) == NAMES


def test_two_minutes_of_the_recorded_checkout_earn_a_watch_and_nothing_else(shared_data: Path) -> None:
    """With the constants for production."""
    tables = read(traffic.read(shared_data / "recorded-clients" / "checkout.jsonl.gz"))
    assert found(case_of(tables, "checkout")) == [("watch", "memory-leak", "remember_session")]


def test_on_the_demonstrations_clock_the_leak_alone_pages(shared_data: Path) -> None:
    """Whatever the buckets; the shipped recording is a minute long, so it earns a watch."""
    tables = read(traffic.read(shared_data / "recorded-clients" / "checkout.jsonl.gz"))
    for bucket_s in (10, 300):
        said = found(case_of(tables, "checkout", bucket_s=bucket_s, step_s=bucket_s, pace_ratio=1 / 500))
        assert [each for each in said if each[0] == "page"] == [("page", "memory-leak", "remember_session")]
    shipped = case_of(read(traffic.shipped()), "checkout", bucket_s=10, step_s=10, pace_ratio=1 / 500)
    assert found(shipped) == [("watch", "memory-leak", "remember_session")]


def rows(
    kind: int, type_: str, values: np.ndarray, *, name: str = "", instance: int = 0, step_s: int = 300, **more: object
) -> pl.DataFrame:
    """A row for each bucket until now."""
    count, step_ns = len(values), step_s * SECOND
    usual = {column: pl.lit("" if dtype == pl.String else 0, dtype) for column, dtype in OBSERVATIONS.items()}
    given = {
        "service": "shop",
        "service_id": hash_one("shop"),
        "type": type_,
        "kind": kind,
        "name": name,
        "key": hash_one(name) if name and kind != OBSERVED_TOTAL else 0,
        "instance": instance,
        "instances": 1,
        "duration_ns": step_ns,
        "weight": 1000,
        **more,
    }
    times = UNTIL - np.arange(count, 0, -1) * step_ns
    frame = pl.DataFrame({"time_ns": times, "value": values.astype(np.int64), "floor": values.astype(np.int64)})
    return frame.select(
        (pl.col(column) if column in frame.columns else pl.lit(given[column]) if column in given else usual[column])
        .cast(dtype)
        .alias(column)
        for column, dtype in OBSERVATIONS.items()
    )


def case(*parts: pl.DataFrame, history: tuple[pl.DataFrame, ...] = (), **more: object) -> Case:
    """What is known of a shop: short buckets, long ones."""
    empty = pl.DataFrame(schema=OBSERVATIONS)
    whole = Case("shop", UNTIL, BUCKET, pl.concat([empty, *parts]), 6 * BUCKET, pl.concat([empty, *history]), empty)
    return replace(whole, **more)  # type: ignore[arg-type]


def leaking(per_hour: float, *, instance: int = 0, instances: int = 1, hours: int = 48) -> list[pl.DataFrame]:
    """Half-hours of memory that grows, with one site that does."""
    grown = np.arange(hours * 2) * per_hour / 2
    noise = RNG.normal(0, MIB, grown.size)
    total = (500 * MIB + grown + noise) * instances
    more = {"instance": instance, "step_s": 1800, "instances": instances}
    parts = [rows(OBSERVED_TOTAL, HEAP, total, name="i" if instance else "", **more)]
    if not instance:
        parts.append(rows(OBSERVED_SITE, HEAP, (grown + noise.clip(0)) * instances, name="keep", step_s=1800))
        parts.append(rows(OBSERVED_SITE, HEAP, np.full(grown.size, 500.0 * MIB) * instances, name="hold", step_s=1800))
    return parts


def test_a_leak_of_two_days_pages_whatever_the_number_of_instances() -> None:
    """And instances that are added are no leak."""
    for instances in (1, 5):
        said = found(case(history=tuple(leaking(30 * MIB, instances=instances))))
        assert said == [("page", "memory-leak", "keep")]
    more = np.repeat([2, 4, 6, 8], 24)
    added = rows(OBSERVED_TOTAL, HEAP, more * 500.0 * MIB, step_s=1800).with_columns(
        instances=pl.Series(more, dtype=pl.Int64)
    )
    assert found(case(history=(added,))) == []


def test_one_leaking_instance_of_many_is_named() -> None:
    """The usual instance does not show it."""
    calm = [leaking(0, instance=number)[0] for number in range(1, 12)]
    whole = leaking(0, instances=12)
    parts = [each.with_columns(name=pl.lit(f"shop-{number}")) for number, each in enumerate(calm)]
    sick = leaking(30 * MIB, instance=99)[0].with_columns(name=pl.lit("shop-sick"))
    assert found(case(history=(*whole, *parts, sick))) == [("page", "memory-leak", "shop-sick")]


def test_goroutines_that_pile_up_page() -> None:
    """By their counts over two days, and for certain by the profile of leaked ones."""
    counts = 500.0 + np.arange(96) * 50
    total = rows(OBSERVED_TOTAL, GOROUTINE, counts, step_s=1800)
    site = rows(OBSERVED_SITE, GOROUTINE, counts, name="wait", step_s=1800)
    assert ("page", "goroutine-leak", "wait") in found(case(history=(total, site)))
    leaked = rows(OBSERVED_SITE, "goroutineleak:goroutineleak:count::", np.array([0, 7]), name="stuck")
    assert found(case(leaked)) == [("page", "goroutine-leak", "stuck")]


def cpu(share_after: float, *, step_s: int = 1800, count: int = 144) -> Iterator[pl.DataFrame]:
    """Three days of CPU with traces, one function of which got dearer half a day ago."""
    ns = step_s * SECOND * 0.5
    grown = np.where(np.arange(count) >= count - 24, share_after, 0.1) * ns * RNG.normal(1, 0.02, count)
    rest = 0.9 * ns * RNG.normal(1, 0.02, count)
    yield rows(OBSERVED_TOTAL, CPU, grown + rest, step_s=step_s, weight=int(ns / 1e7))
    for name, values in (("work", grown), ("main", grown + rest), ("other", rest)):
        own = values if name != "main" else np.zeros(count)
        yield rows(OBSERVED_FUNCTION, CPU, values, name=name, step_s=step_s).with_columns(
            pl.Series("self", own.astype(np.int64))
        )
    yield rows(OBSERVED_TOTAL, "", np.zeros(count), step_s=step_s, spans=10_000, version="1.0")
    yield rows(OBSERVED_OPERATION, "", np.zeros(count), name="GET /", step_s=step_s, spans=10_000, busy_ns=10**12)
    yield rows(OBSERVED_OPERATION, CPU, grown + rest, name="GET /", step_s=step_s)


def test_a_function_that_got_dearer_is_a_regression_and_as_it_was_it_is_none() -> None:
    """In long buckets."""
    said = found(case(history=tuple(cpu(0.3))))
    assert ("page", "regression", "work") in said
    assert [each for each in found(case(history=tuple(cpu(0.1)))) if each[1] == "regression"] == []


def test_limits_are_told_from_profiles_and_from_metrics() -> None:
    """Goroutines from their profiles; CPU and memory of an instance in millionths."""
    many = rows(OBSERVED_TOTAL, GOROUTINE, np.full(12, 60_000.0), name="shop-1", instance=7)
    busy = rows(OBSERVED_TOTAL, "metric:cpu", np.full(12, 950_000.0), name="shop-1", instance=7)
    said = found(case(many, busy))
    assert ("page", "threshold", "goroutines shop-1") in said
    assert ("page", "threshold", "cpu shop-1") in said


def test_locks_that_hold_requests_up_are_contention() -> None:
    """A part of the time that requests took."""
    mutex = "mutex:delay:nanoseconds:contentions:count"
    delays = np.full(12, 200e9)
    parts = [
        rows(OBSERVED_TOTAL, mutex, delays),
        rows(OBSERVED_FUNCTION, mutex, delays, name="Lock").with_columns(pl.col("value").alias("self")),
        rows(OBSERVED_OPERATION, mutex, delays, name="GET /"),
        rows(OBSERVED_OPERATION, "", np.zeros(12), name="GET /", spans=1000, busy_ns=int(300e9)),
    ]
    assert found(case(*parts)) == [("page", "contention", "locks in GET /")]


def test_an_instance_that_is_not_like_its_siblings_is_a_hotspot() -> None:
    """By its functions, in the last hour."""
    parts = [rows(OBSERVED_TOTAL, CPU, np.full(4, 6e12), step_s=1800, weight=60_000)]
    for number in range(1, 8):
        share = 0.6 if number == 3 else 0.2
        more = {"instance": number, "step_s": 1800}
        total = np.full(4, 1e12)
        parts.append(rows(OBSERVED_TOTAL, CPU, total, name=f"shop-{number}", weight=10_000, **more))
        for name, part in (("work", share), ("rest", 1 - share)):
            own = rows(OBSERVED_FUNCTION, CPU, total * part, name=name, **more)
            parts.append(own.with_columns(pl.col("value").alias("self")))
    assert ("watch", "hotspot", "shop-3") in found(case(history=tuple(parts)))


def test_other_releases_and_fresh_starts_are_noticed() -> None:
    """From the versions that anything tells, and from memory that falls."""
    versions = pl.Series("version", ["1"] * 3 + [""] + ["2"] * 2)
    spans = rows(OBSERVED_TOTAL, "", np.zeros(6), spans=1).with_columns(versions)
    known = case(spans)
    assert cases.deploys(known).tolist() == [UNTIL - 2 * BUCKET]
    axis = cases.axis_of(known, known.rows, 3600.0)
    assert axis is not None
    assert cases.versions(known, axis) == ("1", "1", "1", "", "2", "2")
    values = np.array([9.0, 9, 2, 9, 9, 9]) * MIB
    memory = rows(OBSERVED_TOTAL, HEAP, values, step_s=1800)
    told = cases_growth.usual_instance(case(history=(memory,)).long, "inuse_space", PRODUCTION)
    assert told is not None
    assert told.total.restarts_ns.tolist() == [UNTIL - 4 * 6 * BUCKET]


def test_of_two_profilers_the_one_with_more_hits_is_believed() -> None:
    """They are never added up."""
    other = "cpu:cpu:nanoseconds:cpu:nanoseconds"
    both = case(rows(OBSERVED_TOTAL, CPU, np.ones(3)), rows(OBSERVED_TOTAL, other, np.ones(3), weight=5))
    assert cases.of_type(both.rows, "cpu")["type"].unique().to_list() == [CPU]
    assert cases.of_type(both.rows, "mutex").is_empty()


def test_nothing_known_is_nothing_said() -> None:
    """Empty cases of all shapes."""
    assert found(case()) == []
    assert cases_shares.instance_shares(case(), 3600.0) is None
    assert cases_growth.snapshots(case(), "inuse_space") is None
    assert list(cases_levels.levels(case(), None)) == []


def test_sensitivity_and_pace_change_the_constants() -> None:
    """The demonstration's are those of the leak detector's own."""
    paced = cases_growth.options_for(case(pace_ratio=1 / 500), PRODUCTION)
    assert paced == DEMO
    low = cases_growth.options_for(case(sensitivity=Sensitivity.LOW), PRODUCTION)
    assert low.least_growth == 1.5 * PRODUCTION.least_growth
    assert low.page_p_ratio == pytest.approx(0.1 * PRODUCTION.page_p_ratio)
    assert low.retained_ratio == PRODUCTION.retained_ratio


def test_of_several_verdicts_on_a_subject_the_loudest_counts() -> None:
    """Clear ones are left out."""
    tiers = (Tier.CLEAR, Tier.WATCH, Tier.PAGE)
    verdicts = [Verdict("d", "s", "same", tier, tier.value) for tier in tiers] + [
        Verdict("d", "s", "x", Tier.CLEAR, "")
    ]
    assert [each.headline for each in Builtin("d", lambda _: verdicts).judge(case())] == ["page"]
