"""The profile of a span, over a lake in memory."""

import pytest

from correlate.errors import NoProfile
from correlate.model.answers import Method, Reason, Scope
from correlate.model.ids import TraceId
from correlate.model.queries import TimeRange
from correlate.services.catalogue import Catalogue
from correlate.services.explain import Explain
from correlate.tables.schema import EVIDENCE_AMBIGUOUS, EVIDENCE_LINK
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, TRACE, of_instances, profile, spans, with_series

T = TraceId(*TRACE)
MS = 1_000_000
ROOT, CHILD, REMOTE, SHORT = 1, 2, 3, 4


def lake(*profiles: object) -> FakeLake:
    """A trace of checkout with a child, a remote call to payment, and a short child; plus profiles."""
    rows = spans(
        {"span": ROOT},
        {"span": CHILD, "parent": ROOT, "name": "charge card", "duration_ns": 500 * MS},
        {"span": REMOTE, "parent": CHILD, "service": "payment", "name": "POST /charge", "duration_ns": 400 * MS},
        {"span": SHORT, "parent": REMOTE, "service": "payment", "name": "check", "duration_ns": 2 * MS},
    )
    return FakeLake(with_series(rows), *profiles)  # type: ignore[arg-type]


def explain(store: FakeLake) -> Explain:
    """The service, with a minute of tolerated clock skew."""
    return Explain(store, skew_ns=60 * SECOND)


def reason(store: FakeLake, span: int, **kwargs: object) -> str:
    """Why there is no profile."""
    with pytest.raises(NoProfile) as caught:
        explain(store).span_profile(T, span, **kwargs)  # type: ignore[arg-type]
    return caught.value.reason


CHECKOUT = profile(
    [
        {"stack": "main;checkout;price", "value": 30 * MS, "span": ROOT, "trace": TRACE},
        {"stack": "main;checkout;charge", "value": 20 * MS, "span": ROOT},
        {"stack": "main;checkout", "value": 10 * MS, "trace": TRACE},
        {"stack": "main;gc", "value": 70 * MS},
        {"stack": "main;mixed", "value": 40 * MS, "evidence": EVIDENCE_AMBIGUOUS},
        {"stack": "main;other", "value": 90 * MS, "span": ROOT, "trace": (8, 8)},
    ]
)
PAYMENT = profile(
    [{"stack": "main;pay", "value": 50 * MS, "span": REMOTE, "trace": TRACE, "evidence": EVIDENCE_LINK}],
    service="payment",
)


def test_a_span_has_exactly_the_samples_that_name_it() -> None:
    """Not those of the same span id in another trace, not those that name only the trace, not the ambiguous ones."""
    found = explain(lake(CHECKOUT, PAYMENT)).span_profile(T, ROOT, scope_wanted=Scope.SPAN)
    assert found.coverage.total == 50 * MS
    assert (found.method, found.confidence.level, found.coverage.samples) == (Method.LABEL, "exact", 5)


def test_a_subtree_reaches_into_other_services() -> None:
    """And names the evidence of each part; the strongest names the whole."""
    found = explain(lake(CHECKOUT, PAYMENT)).span_profile(T, ROOT)
    assert found.coverage.total == 100 * MS
    assert found.evidence == {"link": 50 * MS, "label": 50 * MS}
    assert found.method is Method.LINK


def test_a_trace_includes_samples_that_name_no_span() -> None:
    """The trace id is enough there."""
    found = explain(lake(CHECKOUT, PAYMENT)).span_profile(T, ROOT, scope_wanted=Scope.TRACE)
    assert found.coverage.total == 110 * MS


def test_a_method_asked_for_by_name_gives_that_one_or_a_reason() -> None:
    """No silent mixture."""
    found = explain(lake(CHECKOUT, PAYMENT)).span_profile(T, ROOT, method=Method.LINK)
    assert (found.evidence, found.coverage.total) == ({"link": 50 * MS}, 50 * MS)
    assert reason(lake(CHECKOUT), ROOT, method=Method.LINK) == Reason.TOO_WEAK
    assert reason(lake(profile([{"value": MS}])), ROOT, method=Method.LINK) == Reason.DROPPED


def test_coverage_says_what_was_expected_and_what_could_not_be_attributed() -> None:
    """A busy second at 100 Hz has 100 samples; gc, mixed and trace-less value stays in the bucket."""
    found = explain(lake(CHECKOUT)).span_profile(T, ROOT, scope_wanted=Scope.SPAN).coverage
    assert found.expected_samples == 100
    assert found.ratio == 0.05
    assert found.sampled_ns == 50 * MS
    assert found.unattributed == 110 * MS


def test_a_span_may_name_its_profile() -> None:
    """By a 16-byte profile id, or by the label that its samples carry."""
    rows = spans({"span": 9, "profile_ref": f"{5:016x}{6:016x}"}, {"span": 10, "profile_ref": f"{77:016x}"})
    whole = profile([{"stack": "main;job", "value": 60 * MS}], profile_id=(5, 6))
    label = profile([{"stack": "main;task", "value": 10 * MS, "span": 77}])
    service = explain(FakeLake(with_series(rows), whole, label))
    assert service.span_profile(T, 9).coverage.total == 60 * MS
    found = service.span_profile(T, 10)
    assert (found.coverage.total, found.method) == (10 * MS, Method.PROFILE_ID)


def test_two_profilers_of_one_process_are_never_added_up() -> None:
    """The type with the strongest evidence answers, the other is mentioned."""
    other = profile(
        [{"stack": "a", "value": 10 * MS, "span": ROOT, "evidence": EVIDENCE_LINK}],
        profile_type="process_cpu:cpu:nanoseconds::",
    )
    found = explain(lake(CHECKOUT, other)).span_profile(T, ROOT)
    assert found.coverage.total == 10 * MS
    assert found.also == [str(CHECKOUT.profiles["type"][0])]


def test_profiles_under_another_service_name_are_found_by_their_ids() -> None:
    """Exact evidence does not need the names to agree."""
    misnamed = profile([{"value": 30 * MS, "span": ROOT, "trace": TRACE}], service="checkout-prod")
    assert explain(lake(misnamed)).span_profile(T, ROOT).coverage.total == 30 * MS


def test_each_reason_for_no_data_is_told_apart() -> None:
    """Seven situations, seven reasons."""
    elsewhere = profile([{"value": 10 * MS}])
    late = profile([{"value": 10 * MS}], time_ns=T0 - 30 * SECOND)
    payment = profile([{"value": 10 * MS, "span": 999}], service="payment")
    assert reason(lake(), 12345) == Reason.UNKNOWN_SPAN
    assert reason(FakeLake(), ROOT) == Reason.UNKNOWN_SPAN
    assert reason(lake(), ROOT) == Reason.NO_PROFILER
    assert reason(lake(elsewhere), ROOT, wanted_type="inuse_space") == Reason.NO_PROFILER
    assert reason(lake(late), ROOT) == Reason.NOT_ARRIVED
    assert reason(lake(payment), SHORT) == Reason.TOO_SHORT
    assert reason(lake(payment), REMOTE) == Reason.DROPPED
    assert reason(lake(CHECKOUT), CHILD, scope_wanted=Scope.SPAN, method=Method.LABEL) == Reason.ON_ROOT
    crowd = with_series(spans(*({"span": 100 + number, "duration_ns": 10 * SECOND} for number in range(30))))
    assert reason(lake(elsewhere, crowd), CHILD) == Reason.TOO_WEAK


def test_a_child_gets_its_share_of_its_local_roots_samples() -> None:
    """Half of the root's second is the child's, and the child waits for payment four fifths of that: never exact."""
    found = explain(lake(CHECKOUT)).span_profile(T, CHILD, scope_wanted=Scope.SPAN)
    assert (found.method, found.confidence.level) == (Method.WINDOW, "inferred")
    assert found.coverage.total == pytest.approx(50 * MS * 0.1 / 0.6, abs=0.1 * MS)
    assert 0.5 < found.confidence.error_bound < 1


def test_samples_without_names_are_shared_out_by_time() -> None:
    """By the time each span was at work itself: the root waits for its child half of its second."""
    unnamed = profile([{"stack": "main;work", "value": 400 * MS}], duration_ns=SECOND)
    service = explain(lake(unnamed))
    whole = service.span_profile(T, ROOT)
    assert (whole.method, whole.confidence.level, whole.coverage.total) == (Method.WINDOW, "inferred", 400 * MS)
    assert whole.confidence.error_bound == pytest.approx(0)
    alone = service.span_profile(T, ROOT, scope_wanted=Scope.SPAN)
    assert alone.coverage.total == pytest.approx(400 * MS * 5 / 6, rel=0.01)


def test_threads_and_times_tell_spans_apart_that_run_at_once() -> None:
    """A sample goes to the span that was open on its thread."""
    rows = spans({"span": 1, "thread": 11}, {"span": 2, "thread": 12, "trace_lo": 12})
    timed = profile(
        [
            {"stack": "main;mine", "value": 30 * MS, "thread": 11, "time_ns": T0 + 100 * MS},
            {"stack": "main;theirs", "value": 50 * MS, "thread": 12, "time_ns": T0 + 100 * MS},
            {"stack": "main;gc", "value": 70 * MS, "thread": 13, "time_ns": T0 + 100 * MS},
        ]
    )
    found = explain(FakeLake(with_series(rows), timed)).span_profile(T, 1)
    assert (found.method, found.coverage.total, found.coverage.unattributed) == (Method.THREAD_TIME, 30 * MS, 70 * MS)
    assert found.rows["span"].to_list() == [1]


def test_the_window_scope_is_everything_the_process_did_meanwhile() -> None:
    """Whoever it was for; the bound says how little of it may be the span's."""
    found = explain(lake(CHECKOUT)).span_profile(T, ROOT, scope_wanted=Scope.WINDOW)
    assert found.coverage.total == int(CHECKOUT.samples["value"].sum())
    assert found.method is Method.WINDOW


def test_the_window_scope_leaves_other_instances_out() -> None:
    """The process is the one the span ran in, not all of its service."""
    rows = of_instances(spans({"span": 1}, {"span": 2, "trace_lo": 12}), ["a", "b"])
    here, there = (
        profile([{"stack": f"main;{name}", "value": value}], labels={"service_instance_id": name})
        for name, value in (("a", 300 * MS), ("b", 500 * MS))
    )
    found = explain(FakeLake(rows, here, there)).span_profile(T, 1, scope_wanted=Scope.WINDOW)
    assert found.coverage.total == 300 * MS


def test_the_window_scope_is_about_the_time_of_the_span_asked_for() -> None:
    """Not that of its whole trace, nor about the other services in it."""
    timed = profile(
        [{"stack": f"main;{at}", "value": MS << at, "time_ns": T0 + at * 100 * MS} for at in (1, 4, 7)],
    )
    found = explain(lake(timed, PAYMENT)).span_profile(T, CHILD, scope_wanted=Scope.WINDOW)
    assert (found.coverage.total, found.span_count) == (MS * (2 + 16), 1)
    assert found.coverage.wall_ns == 500 * MS


def test_a_method_asked_for_by_name_says_why_it_gives_nothing() -> None:
    """Not that the trace was not sampled, nor where else to look: other evidence was not asked for."""
    named = lake(PAYMENT)
    with pytest.raises(NoProfile, match="no sample says by label that it belongs to these spans") as refused:
        explain(named).span_profile(T, REMOTE, method=Method.LABEL)
    assert refused.value.reason == Reason.TOO_WEAK
    with pytest.raises(NoProfile, match="cohorts/profile"):
        explain(named).span_profile(T, REMOTE, method=Method.UNMIXED)


def test_exact_answers_say_which_spans_have_no_samples_by_name() -> None:
    """Those of payment name theirs; what checkout did in this tree is missing, and the answer does not hide it."""
    found = explain(lake(PAYMENT)).span_profile(T, ROOT)
    assert found.coverage.total == 50 * MS
    assert "no sample names a span of checkout" in found.confidence.reason


def test_one_span_is_not_unmixed() -> None:
    """The reason names what to ask instead."""
    with pytest.raises(NoProfile, match="cohorts/profile"):
        explain(lake(profile([{"value": 10 * MS}]))).span_profile(T, ROOT, method=Method.UNMIXED)


def test_the_parts_of_the_accounting_add_up_to_the_total() -> None:
    """Attributed, orphaned, trace only, ambiguous, unlabelled: everything is somewhere."""
    orphan = profile([{"value": 5 * MS, "span": 4711, "trace": (1, 1)}, {"value": 6 * MS, "span": 4712}])
    catalogue = Catalogue(lake(CHECKOUT, orphan), skew_ns=60 * SECOND)
    found = catalogue.accounting("checkout", "cpu", TimeRange(T0 - SECOND, T0 + 20 * SECOND))
    assert found.total == found.attributed + found.orphaned + found.trace_only + found.ambiguous + found.unlabelled
    assert (found.attributed, found.trace_only, found.ambiguous) == (50 * MS, 10 * MS, 40 * MS)
    assert (found.orphaned, found.orphan_spans) == (101 * MS, 3)
    assert found.unlabelled == 70 * MS


def test_services_are_listed_whatever_they_sent() -> None:
    """Spans only, profiles only, or both, with the share of CPU that names a span."""
    only_profiles = profile([{"value": 10 * MS}], service="batch")
    rows = Catalogue(lake(CHECKOUT, only_profiles), skew_ns=0).services()
    assert rows["service"].to_list() == ["batch", "checkout", "payment"]
    by_service = {row["service"]: row for row in rows.to_dicts()}
    assert by_service["batch"]["span_count"] == 0
    assert by_service["batch"]["cpu_labelled_ratio"] == 0
    assert by_service["payment"]["cpu_labelled_ratio"] is None
    assert by_service["checkout"]["cpu_labelled_ratio"] == pytest.approx(150 / 260)


def test_a_trace_lists_its_spans_with_their_samples() -> None:
    """By start time; spans without samples have 0."""
    rows = explain(lake(CHECKOUT, PAYMENT)).trace(T)
    assert dict(zip(rows["span"].to_list(), rows["samples"].to_list(), strict=True)) == {1: 5, 2: 0, 3: 5, 4: 0}


def test_snapshots_that_are_added_up_are_counted() -> None:
    """Memory in use seen twice is not twice the memory."""
    held = [
        profile(
            [{"stack": f"main;{at}", "value": 1 << 20}],
            profile_type="memory:inuse_space:bytes:space:bytes",
            time_ns=T0 + at * 500 * MS,
            duration_ns=500 * MS,
        )
        for at in range(2)
    ]
    whole = explain(lake(*held)).span_profile(T, ROOT, wanted_type="inuse_space", scope_wanted=Scope.WINDOW)
    assert "2 snapshots are added up" in whole.confidence.reason
    busy = explain(lake(CHECKOUT)).span_profile(T, ROOT)
    assert "snapshots" not in busy.confidence.reason
