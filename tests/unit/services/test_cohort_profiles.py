"""Profiles of many spans, over a lake in memory."""

import polars as pl
import pytest

from correlate.errors import BadQuery, NoProfile
from correlate.model.answers import CohortInfo, Method, Reason, Scope
from correlate.model.queries import TimeRange
from correlate.services.cohort_profiles import CohortProfiles
from correlate.services.cohorts import Cohorts
from correlate.tables.tables import Tables
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, profile, spans, with_series

MS = 1_000_000
WINDOW = TimeRange(T0 - SECOND, T0 + 3600 * SECOND)
FAST = "{ duration < 500ms }"
EVERYTHING = '{ name = "POST /checkout" }'


def shop(count: int = 20) -> Tables:
    """Requests one after the other, each of them in a trace of its own, every fourth slow, each with a child."""
    rows = []
    for number in range(count):
        start = T0 + number * SECOND
        length = 800 * MS if number % 4 == 0 else 200 * MS
        own = {"trace_lo": 100 + number, "start_ns": start}
        rows.append({**own, "span": 1 + 2 * number, "duration_ns": length})
        rows.append(
            {**own, "span": 2 + 2 * number, "parent": 1 + 2 * number, "name": "child", "duration_ns": length // 2}
        )
    return with_series(spans(*rows))


def labelled(count: int = 20) -> Tables:
    """Samples that name the requests: the slow ones sort, all of them work."""
    samples = []
    for number in range(count):
        named = {"span": 1 + 2 * number, "trace": (7, 100 + number)}
        samples.append({"stack": "main;work", "value": 100 * MS, **named})
        if number % 4 == 0:
            samples.append({"stack": "main;sort", "value": 300 * MS, **named})
    return profile(samples, duration_ns=count * SECOND)


def service(*parts: Tables) -> CohortProfiles:
    """The service over some tables."""
    lake = FakeLake(*parts)
    return CohortProfiles(lake, Cohorts(lake), skew_ns=60 * SECOND)


def test_a_cohort_has_the_samples_of_its_spans_and_no_others() -> None:
    """With the number of spans, those that were matched, and exact evidence."""
    found = service(shop(), labelled()).profile('{ name = "POST /checkout" && duration >= 500ms }', WINDOW)
    assert isinstance(found.subject, CohortInfo)
    assert (found.subject.matched, found.subject.chosen, found.subject.services) == (5, 5, ("checkout",))
    assert (found.method, found.confidence.level) == (Method.LABEL, "exact")
    assert found.coverage.total == 5 * 400 * MS


def test_functions_come_with_limits_counted_by_span() -> None:
    """Every span works; sorting is on five of twenty spans, whatever the number of their samples."""
    found = service(shop(), labelled()).profile(EVERYTHING, WINDOW)
    assert found.frames is not None
    rows = {row["name"]: row for row in found.frames.to_dicts()}
    assert (rows["sort"]["spans"], rows["work"]["spans"]) == (5, 20)
    assert rows["sort"]["share"] == pytest.approx(1500 / 3500)
    assert rows["sort"]["share_low"] < 1500 / 3500 < rows["sort"]["share_high"]
    assert rows["work"]["cost"] == pytest.approx(100 * MS)


def test_the_subtree_counts_for_the_chosen_span() -> None:
    """Samples of a child are its chosen ancestor's; with scope=span they are nobody's here."""
    child = profile([{"stack": "main;child", "value": 50 * MS, "span": 2, "trace": (7, 100)}], duration_ns=SECOND)
    cohorts = service(shop(), labelled(), child)
    assert cohorts.profile(EVERYTHING, WINDOW).coverage.total == 20 * 100 * MS + 5 * 300 * MS + 50 * MS
    alone = cohorts.profile(EVERYTHING, WINDOW, scope=Scope.SPAN)
    assert alone.coverage.total == 20 * 100 * MS + 5 * 300 * MS


def test_a_sample_with_another_trace_is_not_taken() -> None:
    """Span ids are unique within a trace only."""
    stranger = profile([{"value": 10 * MS, "span": 1, "trace": (9, 9)}])
    with pytest.raises(NoProfile):
        service(shop(), stranger).profile(EVERYTHING, WINDOW)


def test_without_names_the_time_is_shared_out_and_the_answer_says_why_not_better() -> None:
    """One window is too little to unmix."""
    unnamed = profile([{"stack": "main;work", "value": 1000 * MS}], duration_ns=20 * SECOND)
    found = service(shop(), unnamed).profile(EVERYTHING, WINDOW)
    assert (found.method, found.confidence.level) == (Method.WINDOW, "inferred")
    assert "not unmixed: only 1 windows" in found.confidence.reason
    assert found.coverage.total == 1000 * MS
    with pytest.raises(NoProfile) as refused:
        service(shop(), unnamed).profile(EVERYTHING, WINDOW, method=Method.UNMIXED)
    assert refused.value.reason == Reason.TOO_WEAK


def test_threads_and_times_tell_the_spans_of_a_cohort_apart() -> None:
    """Each sample counts for the span that was open on its thread, and for no other."""
    rows = spans(
        *(
            {"span": 1 + number, "trace_lo": number, "thread": 1 + number % 2, "start_ns": T0 + number // 2 * SECOND}
            for number in range(40)
        )
    ).with_columns(name=pl.when(pl.col("thread") == 1).then(pl.lit("left")).otherwise(pl.lit("right")))
    timed = profile(
        [
            {"stack": f"main;{side}", "value": 10 * MS, "thread": thread, "time_ns": T0 + at * SECOND // 10}
            for thread, side in ((1, "left"), (2, "right"))
            for at in range(1, 200)
            if at % 10
        ]
    )
    found = service(with_series(rows), timed).profile('{ name = "left" }', WINDOW)
    assert found.method is Method.THREAD_TIME
    assert found.coverage.total == 10 * MS * sum(1 for at in range(1, 200) if at % 10)
    assert found.frames is not None
    assert "right" not in found.frames["name"].to_list()


def test_nothing_matches() -> None:
    """The query is in the answer in its usual form."""
    with pytest.raises(NoProfile, match="no stored span in this time matches") as missing:
        service(shop(), labelled()).profile('{name="nobody"}', WINDOW)
    assert missing.value.reason == Reason.UNKNOWN_SPAN


def test_a_query_that_cannot_be_read() -> None:
    """Says where."""
    with pytest.raises(BadQuery, match="position"):
        service(shop(), labelled()).profile("{ name = }", WINDOW)


def test_no_profiler() -> None:
    """Names the type and the services."""
    with pytest.raises(NoProfile) as missing:
        service(shop(), labelled()).profile(EVERYTHING, WINDOW, wanted_type="inuse_space")
    assert missing.value.reason == Reason.NO_PROFILER
