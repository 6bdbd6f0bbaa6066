"""The doctor over a real lake and the REST API: every planted fault is named with its fix, and clean data is clean."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from correlate.doctor.checklist import Practices
from correlate.services.doctor import Doctor
from correlate.storage.lake import LakeOptions, open_lake
from correlate.tables.hashing import hash_one
from correlate.tables.schema import EVIDENCE_AMBIGUOUS
from tests.fakes.lake import FakeLake
from tests.support.asgi import AppClient
from tests.support.clinic import BANK, MS, NOW_NS, SHOP, Clinic, clinic
from tests.support.rows import SECOND, T0
from tests.support.store import FixedClock
from tests.unit.api.conftest import World

Found = dict[tuple[str, str], dict[str, Any]]
HOUR = 3600 * SECOND


@contextmanager
def examined(tmp_path: Path, patient: Clinic) -> Iterator[AppClient]:
    """The REST API over a lake that holds what the patient sent."""
    options = LakeOptions(linger_s=0)
    with open_lake(str(tmp_path / "lake"), options=options, clock=FixedClock(NOW_NS)) as lake:
        lake.submit(patient.rows()).result()
        yield World(lake, now_ns=NOW_NS).client()  # type: ignore[arg-type]  # a world over a real lake


def complaints(tmp_path: Path, patient: Clinic, **params: str) -> Found:
    """What GET /doctor complains about, by service and name; every complaint has a sentence, a fix and figures."""
    with examined(tmp_path, patient) as client:
        answer = client.get("/api/v1/doctor", params=params)
    assert answer.status_code == 200, answer.text
    found = answer.json()["complaints"]
    assert all(each["sentence"] and each["fix"] and each["evidence"] and each["doc"] for each in found)
    assert len({(each["service"], each["name"]) for each in found}) == len(found)
    return {(each["service"], each["name"]): each for each in found}


def unlabelled(patient: Clinic) -> Clinic:
    """The bridge is missing in most of the service."""
    return patient.change(SHOP, 0.8, span=0, trace_hi=0, trace_lo=0, evidence=0)


def exports_lost(patient: Clinic) -> Clinic:
    """A third of all traces never arrived."""
    return patient.with_spans(patient.spans.filter(pl.col("trace_lo") % 3 != 0))


def traces_only(patient: Clinic) -> Clinic:
    """Labels name traces and no spans."""
    return patient.change(SHOP, 0.3, span=0)


def profile_ids(patient: Clinic) -> Clinic:
    """Labels name ids of the profiler's own instead of spans."""
    return patient.change(SHOP, 0.3, span=pl.when(pl.col("span") != 0).then(pl.col("span") + 10**12).otherwise(0))


def misspelt(patient: Clinic) -> Clinic:
    """The key of the label is none that is read."""
    bare = patient.change(SHOP, 0.3, span=0, trace_hi=0, trace_lo=0, evidence=0)
    return bare.labelled(SHOP, {"spanId": "00f067aa0ba902b7"}, 0.3)


def other_name(patient: Clinic) -> Clinic:
    """The profiler was configured with another name."""
    return patient.renamed(SHOP, "com.shop.checkout-service")


def late_by_minutes(patient: Clinic) -> Clinic:
    """The profiler's clock is wrong."""
    return patient.moved(SHOP, -300 * SECOND)


def late_by_hours(patient: Clinic) -> Clinic:
    """Local time was sent as UTC."""
    return patient.moved(SHOP, -8 * HOUR)


def short_spans(patient: Clinic) -> Clinic:
    """Requests take two milliseconds."""
    return patient.with_spans(patient.spans.with_columns(duration_ns=pl.col("duration_ns") // 60))


def sampled_out(patient: Clinic) -> Clinic:
    """Of every fifth sample only the total was kept."""
    return patient.labelled(SHOP, {"__sampled__": "true"}, 0.2).change(SHOP, 0.2, stack=0)


def broken(patient: Clinic) -> Clinic:
    """Of some traces the callers' spans were dropped."""
    lost = (pl.col("name") == "call payments") & (pl.col("trace_lo") % 2 == 0)
    return patient.with_spans(patient.spans.filter(~lost))


def two_ids(patient: Clinic) -> Clinic:
    """Requests share a thread."""
    return patient.change(SHOP, 0.1, span=0, trace_hi=0, trace_lo=0, evidence=EVIDENCE_AMBIGUOUS)


def unprofiled(patient: Clinic) -> Clinic:
    """Nobody profiles one of the services."""
    kept = patient.tables.profiles.filter(pl.col("service") != BANK)
    samples = patient.tables.samples.filter(pl.col("service") != hash_one(BANK))
    return patient.with_tables(profiles=kept, samples=samples)


def ahead(patient: Clinic) -> Clinic:
    """The clocks of all senders are ten minutes ahead."""
    later = patient.spans.with_columns(start_ns=pl.col("start_ns") + 600 * SECOND)
    return patient.with_spans(later).moved(SHOP, 600 * SECOND).moved(BANK, 600 * SECOND)


PLANTED: dict[str, tuple[Callable[[Clinic], Clinic], set[tuple[str, str]], str]] = {
    "1 low coverage": (unlabelled, {(SHOP, "low-coverage")}, "pyroscope-otel"),
    "2 orphans": (exports_lost, {(SHOP, "orphan-spans"), (BANK, "orphan-spans")}, "trace exports"),
    "3 labels that name no span": (traces_only, {(SHOP, "labels-name-no-span")}, "span_id"),
    "3 ids of the profiler's own": (profile_ids, {(SHOP, "labels-name-no-span")}, "span_id"),
    "3 labels that cannot be read": (misspelt, {(SHOP, "labels-name-no-span")}, "span_id"),
    "4 wrong service name": (
        other_name,
        {("com.shop.checkout-service", "service-name-mismatch")},
        "OTEL_SERVICE_NAME=com.shop.checkout-service",
    ),
    "5 clock skew": (late_by_minutes, {(SHOP, "clock-skew")}, "NTP"),
    "5 clock skew of hours": (late_by_hours, {(SHOP, "clock-skew")}, "NTP"),
    "6 sampling too coarse": (
        short_spans,
        {(SHOP, "sampling-too-coarse"), (BANK, "sampling-too-coarse")},
        "of them give 100 samples",
    ),
    "7 sampled-out profiles": (sampled_out, {(SHOP, "sampled-out-profiles")}, "__sampled__"),
    "7 sampled-out spans": (broken, {(BANK, "broken-traces")}, "parent-based sampling"),
    "8 two ids per sample": (two_ids, {(SHOP, "two-spans-per-sample")}, "asyncio"),
    "no profiles": (unprofiled, {(BANK, "no-profiles")}, "pprof endpoint"),
    "senders ahead": (ahead, {(SHOP, "clock-ahead"), (BANK, "clock-ahead")}, "NTP"),
}


def test_clean_data_gives_nothing(tmp_path: Path) -> None:
    """Two services, whole traces, labels on what ran for requests: no complaint."""
    assert complaints(tmp_path, clinic()) == {}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_named_with_its_fix(fault: str, tmp_path: Path) -> None:
    """That fault, of that service, and no other."""
    plant, expected, fix = PLANTED[fault]
    found = complaints(tmp_path, plant(clinic()))
    assert set(found) == expected
    assert all(fix in each["fix"] for each in found.values())


def test_figures_are_those_that_were_planted(tmp_path: Path) -> None:
    """Shares, counts and offsets are near what the plant says."""
    lost = complaints(tmp_path / "a", exports_lost(clinic()))[SHOP, "orphan-spans"]["evidence"]
    assert lost["orphan_span_count"] == 160
    assert lost["orphaned_ratio"] == pytest.approx(1 / 3, abs=0.03)
    skewed = complaints(tmp_path / "b", late_by_minutes(clinic()))[SHOP, "clock-skew"]
    assert skewed["evidence"]["offset_ns"] == pytest.approx(-300 * SECOND, abs=2 * SECOND)
    assert skewed["severity"] == "high"
    coarse = complaints(tmp_path / "c", short_spans(clinic()))[SHOP, "sampling-too-coarse"]["evidence"]
    assert (coarse["operations"], coarse["expected_samples_per_span"]) == (["POST /checkout"], pytest.approx(0.2))


def test_samples_with_times_of_their_own_show_a_small_skew(tmp_path: Path) -> None:
    """Three seconds are enough, and found to within the length of a span."""
    start = (pl.col("span") - 1) * (SECOND // 4) + T0 + 60 * MS
    exact = clinic().change(SHOP, time_ns=pl.when(pl.col("span") != 0).then(start).otherwise("time_ns"), duration_ns=0)
    assert complaints(tmp_path / "a", exact) == {}
    found = complaints(tmp_path / "b", exact.change(SHOP, time_ns=pl.col("time_ns") + 3 * SECOND))
    assert set(found) == {(SHOP, "clock-skew")}
    assert found[SHOP, "clock-skew"]["evidence"]["offset_ns"] == pytest.approx(3 * SECOND, abs=120 * MS)
    assert "times of the samples" in found[SHOP, "clock-skew"]["sentence"]


@pytest.mark.parametrize(
    ("name", "labels"),
    [("Check-Out", {}), ("backend", {"service.instance.id": "a"}), ("unknown_service:python", {})],
)
def test_a_wrong_name_is_found_without_labels_too(name: str, labels: dict[str, str], tmp_path: Path) -> None:
    """By a similar name, by the same process, or because one has no name at all; absent profiles are no news then."""
    bare = clinic().change(SHOP, span=0, trace_hi=0, trace_lo=0, evidence=0).renamed(SHOP, name)
    patient = bare.labelled(name, labels) if labels else bare
    assert set(complaints(tmp_path, patient)) == {(name, "service-name-mismatch")}


def test_services_that_merely_lack_a_signal_are_not_paired(tmp_path: Path) -> None:
    """A daemon without spans beside a service without profiles is no mismatch."""
    bare = clinic().change(SHOP, span=0, trace_hi=0, trace_lo=0, evidence=0).renamed(SHOP, "postgres")
    assert set(complaints(tmp_path, bare)) == {(SHOP, "no-profiles")}


def test_spans_that_may_still_run_are_no_orphans(tmp_path: Path) -> None:
    """What was labelled within the last half minute is pending, not lost."""
    patient = clinic()
    late = patient.spans.filter(pl.col("start_ns") < T0 + 100 * SECOND)
    with examined(tmp_path, patient.with_spans(late).moved(SHOP, 0)) as client:
        assert client.get("/api/v1/doctor").json()["complaints"] != []
    now_ns = T0 + 121 * SECOND
    lake = FakeLake(patient.with_spans(late).rows())
    found = World(lake, now_ns=now_ns).client().get("/api/v1/doctor").json()
    assert found["complaints"] == []
    (shop,) = [each for each in found["services"] if each["service"] == SHOP]
    assert shop["labels"]["pending"] > 0


def test_one_service_alone(tmp_path: Path) -> None:
    """Only its complaints and figures; a name that nobody has is a 404."""
    patient = two_ids(exports_lost(clinic()))
    assert {service for service, _ in complaints(tmp_path / "a", patient, service=BANK)} == {BANK}
    with examined(tmp_path / "b", patient) as client:
        assert [each["service"] for each in client.get("/api/v1/doctor?service=payments").json()["services"]] == [BANK]
        assert client.get("/api/v1/doctor?service=nobody").status_code == 404
    renamed = other_name(clinic())
    assert set(complaints(tmp_path / "c", renamed, service=SHOP)) == {
        ("com.shop.checkout-service", "service-name-mismatch")
    }


def test_an_empty_lake_is_healthy() -> None:
    """Nothing to complain about, and the checklist says what is unknown."""
    found = World(FakeLake()).client().get("/api/v1/doctor").json()
    assert (found["complaints"], found["services"]) == ([], [])
    assert {item["state"] for item in found["checklist"]} >= {"unknown", "missing", "not applicable"}


def test_the_budget_of_samples_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for few samples the newest profiles alone are read, and the answer says which time that is."""
    monkeypatch.setattr("correlate.services.doctor.MAX_SAMPLE_ROWS", 100)
    doctor = Doctor(FakeLake(clinic().rows()), FixedClock(NOW_NS), Practices, skew_ns=60 * SECOND)
    (shop,) = [each for each in doctor.examine().services if each.service == SHOP]
    assert shop.sample_rows < 150
    assert shop.start_ns >= T0 + 90 * SECOND


def test_only_so_many_services_are_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those seen last; the others are named."""
    monkeypatch.setattr("correlate.services.doctor.MAX_SERVICES", 1)
    doctor = Doctor(FakeLake(clinic().rows()), FixedClock(NOW_NS), Practices, skew_ns=60 * SECOND)
    found = doctor.examine()
    assert ([each.service for each in found.services], found.skipped, found.complaints) == ([SHOP], (BANK,), ())
