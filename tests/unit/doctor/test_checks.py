"""The checks: figures in, complaints out; thresholds, severities and what is said."""

from dataclasses import replace
from typing import Any

import pytest

from correlate.doctor import clocks, evidence, examine, names, sampling
from correlate.doctor.checklist import Forwarding, Practices, State, walk
from correlate.doctor.complaint import Complaint, Severity, percent
from correlate.doctor.endpoints import Endpoint, Reach, check, reach
from correlate.doctor.figures import (
    ArrivalFigures,
    LabelFigures,
    OperationFigures,
    SampledOutFigures,
    ServiceFigures,
    SkewFigures,
    TraceFigures,
)

SECOND = 1_000_000_000
NOW = 1_795_000_000 * SECOND
ARRIVAL = ArrivalFigures(1000, 60, NOW - SECOND, NOW - SECOND, 10 * SECOND, -SECOND, NOW)
LABELS = LabelFigures("process_cpu:cpu:nanoseconds:cpu:nanoseconds", "nanoseconds", 1000, 10_000, 9_500, unlabelled=500)
WELL = ServiceFigures(
    "shop",
    ARRIVAL,
    labels=LABELS,
    skew=SkewFigures(1000, 0, 10_000_000, own_times=False),
    period_ns=10_101_010,
    operations=(OperationFigures("GET /", 500, 80e6, 1.0),),
    traces=TraceFigures(400, 2),
    sampled_out=SampledOutFigures(60, 0, 10_000, 0, 20),
)


def complaints(figures: ServiceFigures, *others: ServiceFigures) -> dict[str, Complaint]:
    """What is said about one service beside others."""
    found = examine.complaints([figures, *others], Practices(), 60 * SECOND)
    return {each.name: each for each in found if each.service == figures.service}


def with_labels(**changes: Any) -> ServiceFigures:
    """Values taken from what was attributed."""
    return replace(WELL, labels=replace(LABELS, attributed=LABELS.attributed - sum(changes.values()), **changes))


def test_a_healthy_service_gives_nothing() -> None:
    """Not even about the few samples that every client loses."""
    assert complaints(WELL) == {}


@pytest.mark.parametrize(
    ("part", "name", "at"),
    [
        ("orphaned", "orphan-spans", evidence.MANY_ORPHANS),
        ("trace_only", "labels-name-no-span", evidence.MANY_NAMELESS),
        ("misnamed", "labels-name-no-span", evidence.MANY_NAMELESS),
        ("unreadable", "labels-name-no-span", evidence.MANY_NAMELESS),
        ("ambiguous", "two-spans-per-sample", evidence.MANY_AMBIGUOUS),
    ],
)
def test_shares_have_a_threshold(part: str, name: str, at: float) -> None:
    """Just below it nothing is said, from it on the complaint with its share."""
    value = round(at * LABELS.total)
    assert complaints(with_labels(**{part: value - 1})) == {}
    found = complaints(with_labels(**{part: value}))
    assert set(found) == {name}
    assert percent(at) in found[name].sentence


def test_few_hits_are_not_judged() -> None:
    """A share of a handful of samples says nothing."""
    few = replace(LABELS, hits=evidence.MIN_HITS - 1, attributed=0, unlabelled=10_000)
    assert complaints(replace(WELL, labels=few)) == {}


def test_what_is_pending_counts_for_nothing() -> None:
    """Neither as found nor as lost."""
    assert complaints(with_labels(pending=9_000)) == {}
    assert complaints(replace(WELL, labels=replace(LABELS, attributed=0, unlabelled=0, pending=10_000))) == {}


@pytest.mark.parametrize("part", ["unlabelled", "orphaned", "misnamed", "trace_only", "unreadable", "ambiguous"])
def test_low_coverage_says_what_the_rest_is(part: str) -> None:
    """The largest part that is lost decides on the fix; labels that are not there spoil less than wrong ones."""
    parts: dict[str, Any] = {"attributed": 4_000, "unlabelled": 0} | {part: 6_000}
    labels = replace(LABELS, **parts)
    found = complaints(replace(WELL, labels=labels))["low-coverage"]
    assert f"60%, is {part}" in found.sentence
    assert (found.severity is Severity.MEDIUM) == (part == "unlabelled")
    assert found.evidence["attributed_ratio"] == 0.4


def test_a_service_without_spans_and_labels_is_no_case_of_low_coverage() -> None:
    """A database with a profiler is fine as it is."""
    arrival = replace(ARRIVAL, span_count=0, last_span_ns=0)
    labels = replace(LABELS, attributed=0, unlabelled=10_000)
    assert complaints(replace(WELL, arrival=arrival, labels=labels, skew=None)) == {}


@pytest.mark.parametrize("offset_s", [-90, -20, 20, 90])
def test_skew_is_told_with_its_direction(offset_s: int) -> None:
    """Beyond what joins by label allow for it is grave."""
    figures = replace(WELL, skew=SkewFigures(1000, 50, offset_s * SECOND, own_times=True))
    found = complaints(figures)["clock-skew"]
    assert ("ahead of" in found.sentence) == (offset_s > 0)
    assert (found.severity is Severity.HIGH) == (abs(offset_s) > 60)
    assert clocks.check(replace(figures, skew=SkewFigures(1000, 49, SECOND, own_times=True)), 0) == []


@pytest.mark.parametrize("where", ["last_span_ns", "last_profile_ns", "profiles_ahead_ns"])
def test_senders_from_the_future(where: str) -> None:
    """A minute is tolerated, not more."""
    base = NOW if where != "profiles_ahead_ns" else 0
    late = replace(ARRIVAL, **{where: base + clocks.AHEAD_NS})
    assert "clock-ahead" in complaints(replace(WELL, arrival=late))
    assert complaints(replace(WELL, arrival=replace(ARRIVAL, **{where: base + clocks.AHEAD_NS - 1}))) == {}


def test_profiles_that_stopped() -> None:
    """Later than five minutes, or three of the longest profiles."""
    stopped = replace(ARRIVAL, last_profile_ns=ARRIVAL.last_span_ns - sampling.QUIET_NS - 1)
    assert set(complaints(replace(WELL, arrival=stopped))) == {"profiles-stopped"}
    rare = replace(stopped, longest_profile_ns=200 * SECOND)
    assert complaints(replace(WELL, arrival=rare)) == {}


@pytest.mark.parametrize(
    ("median_ns", "advice"), [(5e6, "Raise the rate to 200 Hz"), (2e5, "No tolerable sampling rate")]
)
def test_a_rate_that_is_too_coarse(median_ns: float, advice: str) -> None:
    """Hits per span, and the rate or the number of spans that would do; rare and cheap operations are left alone."""
    operations = (OperationFigures("GET /", 500, median_ns, 0.9), OperationFigures("slow", 500, 1e9, 0.1))
    found = complaints(replace(WELL, operations=operations))["sampling-too-coarse"]
    assert found.fix.startswith(advice)
    assert found.evidence["expected_samples_per_span"] == pytest.approx(median_ns / 10_101_010)
    assert found.evidence["operations"] == ["GET /"]
    for few in (replace(operations[0], span_count=19), replace(operations[0], time_ratio=0.001)):
        assert complaints(replace(WELL, operations=(few,))) == {}
    assert complaints(replace(WELL, operations=operations, period_ns=None)) == {}


def test_several_operations_are_one_complaint() -> None:
    """The one with most time is named, the others are counted."""
    operations = tuple(OperationFigures(name, 500, 1e6, ratio) for name, ratio in (("a", 0.2), ("b", 0.7), ("c", 0.1)))
    found = complaints(replace(WELL, operations=operations))["sampling-too-coarse"]
    assert "'b'" in found.sentence
    assert "2 more operations" in found.sentence


@pytest.mark.parametrize(
    "thin",
    [
        SampledOutFigures(60, 1, 10_000, 0, 0),
        SampledOutFigures(60, 0, 10_000, 100, 100),
        SampledOutFigures(60, 0, 10_000, 0, 1_000),
    ],
    ids=["bare", "marked", "stackless"],
)
def test_profiles_without_stacks(thin: SampledOutFigures) -> None:
    """Whole profiles that are only a total, or value without a stack: a few of these are lost by every profiler."""
    assert set(complaints(replace(WELL, sampled_out=thin))) == {"sampled-out-profiles"}
    usual = SampledOutFigures(60, 0, 10_000, 0, 999)
    assert complaints(replace(WELL, sampled_out=usual)) == {}


def test_broken_traces() -> None:
    """A tenth of the parents is missing; a few spans are no sample."""
    assert set(complaints(replace(WELL, traces=TraceFigures(400, 40)))) == {"broken-traces"}
    assert complaints(replace(WELL, traces=TraceFigures(400, 39))) == {}
    assert complaints(replace(WELL, traces=TraceFigures(19, 19))) == {}


def only(name: str, *, spans: bool, identity: str = "") -> ServiceFigures:
    """A service with one signal."""
    arrival = replace(ARRIVAL, profile_count=0) if spans else replace(ARRIVAL, span_count=0)
    return ServiceFigures(name, arrival, identity=frozenset({identity} if identity else ()))


@pytest.mark.parametrize(
    ("mine", "theirs", "is_one"),
    [
        ("checkout-service", "checkout", True),
        ("shop.checkout", "checkout", True),
        ("prod/Checkout_API", "checkout", True),
        ("chekout", "checkout", True),
        ("unknown_service:java", "checkout", True),
        ("payments", "checkout", False),
        ("postgres", "gateway", False),
    ],
)
def test_names_that_mean_one_service(mine: str, theirs: str, is_one: bool) -> None:
    """Case, separators, namespaces, endings and a letter may differ; which signal has which name does not matter."""
    for flip in (False, True):
        found = names.check([only(mine, spans=flip), only(theirs, spans=not flip)])
        assert [(each.evidence["profiles_service"], each.evidence["spans_service"]) for each in found] == (
            [(theirs, mine) if flip else (mine, theirs)] if is_one else []
        )


def test_the_surest_pair_wins_and_each_service_has_one_partner() -> None:
    """The process beats a similar name."""
    found = names.check(
        [
            only("alpha", spans=False, identity="pod=1"),
            only("alphas", spans=True),
            only("zeta", spans=True, identity="pod=1"),
        ]
    )
    assert [each.evidence["spans_service"] for each in found] == ["zeta"]


def test_a_mismatch_explains_what_is_missing() -> None:
    """Nobody is told to install a profiler that runs under another name."""
    found = examine.complaints([only("checkout", spans=True), only("check-out", spans=False)], Practices(), 0)
    assert [each.name for each in found] == [names.NAME]


def test_the_gravest_comes_first() -> None:
    """By severity, then by service."""
    figures = with_labels(ambiguous=200, orphaned=1000)
    found = examine.complaints([replace(figures, service="b"), replace(figures, service="a")], Practices(), 0)
    assert [(each.service, each.severity.value) for each in found] == [
        ("a", "high"),
        ("b", "high"),
        ("a", "medium"),
        ("b", "medium"),
    ]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("http://127.0.0.1:6060", Reach.INSIDE),
        ("http://10.1.2.3:6060/debug/pprof", Reach.INSIDE),
        ("10.1.2.3:6060", Reach.INSIDE),
        ("http://[::1]:6060", Reach.INSIDE),
        ("http://[fd00::1]:6060", Reach.INSIDE),
        ("http://checkout:6060", Reach.INSIDE),
        ("http://checkout.shop.svc.cluster.local:6060", Reach.INSIDE),
        ("http://8.8.8.8:6060", Reach.OPEN),
        ("8.8.8.8:6060", Reach.OPEN),
        ("http://[2001:4860:4860::8888]:6060", Reach.OPEN),
        ("http://pprof.example.com", Reach.OPEN),
        ("https://pprof.example.com", Reach.UNKNOWN),
        ("targets/*.yml", Reach.UNKNOWN),
        ("http://[broken", Reach.UNKNOWN),
        ("", Reach.UNKNOWN),
    ],
)
def test_who_can_reach_an_endpoint(place: str, expected: Reach) -> None:
    """Told by the address alone; credentials of the source count."""
    assert reach(Endpoint("scrape", place)) is expected
    assert [each.name for each in check([Endpoint("scrape", place)])] == ["open-pprof-endpoint"] * (
        expected is Reach.OPEN
    )
    assert check([Endpoint("scrape", place, guarded=True)]) == []


GOOD = Practices(
    retention_is_set=True,
    detectors=("leak", "goroutine"),
    alert_receivers=("team",),
    receivers_tested=("team",),
    forwards=(Forwarding("tempo", 10),),
    grafana_url="http://grafana:3000",
    endpoints=(Endpoint("scrape", "http://10.0.0.1:6060"),),
)


def states(practices: Practices, *services: ServiceFigures) -> dict[str, State]:
    """The states of the points; whatever is missing has a fix."""
    items = walk(practices, services)
    assert all(item.fix for item in items if item.state is State.MISSING)
    return {item.name: item.state for item in items}


def test_a_checklist_without_a_gap() -> None:
    """Every point is met."""
    assert set(states(GOOD, WELL).values()) == {State.OK}


@pytest.mark.parametrize(
    ("change", "item", "state"),
    [
        ({"retention_days": 4000.0}, "retention", State.MISSING),
        ({"detectors": None}, "leak-detectors", State.MISSING),
        ({"detectors": ()}, "leak-detectors", State.MISSING),
        ({"alert_receivers": None}, "alert-receivers", State.MISSING),
        ({"receivers_tested": ()}, "alert-receivers", State.MISSING),
        ({"forwards": ()}, "export-verified", State.NOT_APPLICABLE),
        ({"forwards": (Forwarding("tempo", 0),)}, "export-verified", State.MISSING),
        ({"forwards": (Forwarding("tempo", 5, "401"),)}, "export-verified", State.MISSING),
        ({"grafana_url": ""}, "dashboards", State.MISSING),
        ({"endpoints": ()}, "closed-endpoints", State.NOT_APPLICABLE),
        ({"endpoints": (Endpoint("a", "http://8.8.8.8:1"),)}, "closed-endpoints", State.MISSING),
        ({"endpoints": (Endpoint("a", "https://a.example"),)}, "closed-endpoints", State.UNKNOWN),
    ],
)
def test_a_gap_in_the_practices(change: dict[str, Any], item: str, state: State) -> None:
    """One point changes, the others do not."""
    found = states(replace(GOOD, **change), WELL)
    assert {name for name, each in found.items() if each is not State.OK} == {item}
    assert found[item] is state


@pytest.mark.parametrize(
    ("rate_hz", "state"), [(19, State.MISSING), (49, State.OK), (99, State.OK), (100, State.MISSING)]
)
def test_the_sampling_rate_of_the_checklist(rate_hz: int, state: State) -> None:
    """49 to 99 hits a second; without a period nobody knows."""
    assert states(GOOD, replace(WELL, period_ns=round(1e9 / rate_hz)))["sampling-rate"] is state
    assert states(GOOD, replace(WELL, period_ns=None))["sampling-rate"] is State.UNKNOWN


def test_joins_are_verified_by_one_service() -> None:
    """Where one service joins the way is proven; without samples nothing is."""
    bad = replace(WELL, service="bad", labels=replace(LABELS, attributed=0, unlabelled=10_000))
    assert states(GOOD, WELL, bad)["joins-verified"] is State.OK
    assert states(GOOD, bad)["joins-verified"] is State.MISSING
    assert states(GOOD, replace(WELL, labels=None))["joins-verified"] is State.UNKNOWN
