"""Samples for many spans that no sample names, piece by piece."""

import pytest

from correlate.errors import NoProfile
from correlate.model.answers import Method, Scope
from correlate.services.cohort_evidence import SLICE_NS
from correlate.tables.tables import Tables
from tests.support.rows import SECOND, T0, of_instances, profile, spans, with_series
from tests.unit.services.test_cohort_profiles import EVERYTHING, MS, WINDOW, service, shop

LATER_NS = T0 + 2 * SLICE_NS
LEFT = '{ name = "left" }'


def two_threads(start_ns: int, trace: int) -> list[dict[str, object]]:
    """A request on each of two threads."""
    return [
        {"span": trace + thread, "trace_lo": trace + thread, "thread": thread, "name": name, "start_ns": start_ns}
        for thread, name in ((1, "left"), (2, "right"))
    ]


def ticks(start_ns: int, count: int) -> list[dict[str, object]]:
    """Samples of both threads, and of one that is nobody's."""
    return [
        {"stack": f"main;{thread}", "value": 10 * MS, "thread": thread, "time_ns": start_ns + at * 10 * MS}
        for at in range(5, 5 + count)
        for thread in (1, 2, 3)
    ]


def far_apart() -> Tables:
    """Requests in the first slice of a window and in the third."""
    return with_series(spans(*two_threads(T0, 100), *two_threads(LATER_NS, 200)))


def test_what_no_span_was_given_is_counted_in_every_slice() -> None:
    """Another operation's samples are not unattributed: only the third thread's are."""
    found = service(far_apart(), profile(ticks(T0, 20) + ticks(LATER_NS, 30))).profile(LEFT, WINDOW)
    assert (found.method, found.coverage.total) == (Method.THREAD_TIME, 50 * 10 * MS)
    assert found.coverage.unattributed == 50 * 10 * MS


def test_a_reason_with_the_figures_of_one_slice_says_so() -> None:
    """The figures are those of the piece that gave most."""
    found = service(far_apart(), profile(ticks(T0, 20) + ticks(LATER_NS, 30))).profile(LEFT, WINDOW)
    assert found.confidence.reason.startswith("joined in 2 pieces of 5 min; in the one that gave most, 30 samples")


def test_a_slice_that_gives_nothing_does_not_spoil_the_others() -> None:
    """In the first slice the profiler knew other threads; their samples stay unattributed."""
    strangers = [each | {"thread": 77} for each in ticks(T0, 20)]
    found = service(far_apart(), profile(strangers + ticks(LATER_NS, 30))).profile(LEFT, WINDOW)
    assert (found.method, found.coverage.total) == (Method.THREAD_TIME, 30 * 10 * MS)
    assert found.coverage.unattributed == (60 + 30) * 10 * MS


def test_shared_out_cohorts_say_what_was_done_for_nobody() -> None:
    """Five seconds of CPU time in a window in which spans were at work for four: the fifth is nobody's."""
    busy = profile([{"value": 5 * SECOND}], duration_ns=20 * SECOND)
    rows = [{"span": 1 + at, "trace_lo": at, "start_ns": T0 + at * SECOND} for at in range(4)]
    found = service(with_series(spans(*rows)), busy).profile(EVERYTHING, WINDOW, method=Method.WINDOW)
    assert (found.coverage.total, found.coverage.unattributed) == (4 * SECOND, SECOND)


def test_an_operation_is_not_sent_to_itself() -> None:
    """A cohort that is too little of what was at work is told what can be done, not to ask for what it asked for."""
    many = [
        {"span": 1000 + at, "trace_lo": 1000 + at, "name": "other", "duration_ns": 20 * SECOND} for at in range(100)
    ]
    rows = spans({"span": 1}, *many)
    unnamed = profile([{"value": 10 * SECOND}], duration_ns=20 * SECOND)
    with pytest.raises(NoProfile) as refused:
        service(with_series(rows), unnamed).profile(EVERYTHING, WINDOW)
    assert "ask for their operation" not in str(refused.value)
    assert "not unmixed: only 1 windows" in str(refused.value)


def test_profiles_under_another_service_name_are_found_by_their_ids() -> None:
    """As they are for one span."""
    rows = shop(4)
    named = [{"stack": "main", "value": 10 * MS, "span": 1 + 2 * at, "trace": (7, 100 + at)} for at in range(4)]
    found = service(rows, profile(named, service="shop-python", duration_ns=4 * SECOND)).profile(EVERYTHING, WINDOW)
    assert (found.method, found.coverage.total) == (Method.LABEL, 40 * MS)


def test_exact_cohorts_say_which_services_are_missing() -> None:
    """One service has labels, the other has not."""
    rows = spans({"span": 1}, {"span": 2, "parent": 1, "service": "payment", "name": "pay"})
    named = profile([{"value": 10 * MS, "span": 1, "trace": (7, 11)}])
    found = service(with_series(rows), named).profile(EVERYTHING, WINDOW)
    assert "no sample names a span of payment" in found.confidence.reason
    assert (
        "no sample"
        not in service(with_series(rows), named).profile(EVERYTHING, WINDOW, scope=Scope.SPAN).confidence.reason
    )


def test_instances_of_a_service_keep_their_samples() -> None:
    """What one instance did is not shared with the spans of another."""
    rows = of_instances(spans({"span": 1, "name": "left"}, {"span": 2, "trace_lo": 12, "name": "right"}), ["a", "b"])
    parts = [
        profile([{"stack": f"main;{name}", "value": value}], labels={"service_instance_id": name}, duration_ns=SECOND)
        for name, value in (("a", 300 * MS), ("b", 500 * MS))
    ]
    found = service(rows, *parts).profile(LEFT, WINDOW, method=Method.WINDOW)
    assert found.coverage.total == 300 * MS
    assert found.coverage.unattributed == 0


def test_spans_that_were_waiting_are_not_given_what_others_did() -> None:
    """Threads and times are known on both sides: to share out would be to make something up."""
    others = [each for each in ticks(T0, 20) if each["thread"] != 1]
    rows = spans(*two_threads(T0, 100), *two_threads(T0 + 10 * SECOND, 200))
    once = profile([*others, *(each for each in ticks(T0 + 30 * SECOND, 3) if each["thread"] == 1)])
    with pytest.raises(NoProfile, match="they were waiting"):
        service(with_series(rows), once).profile(LEFT, WINDOW)
