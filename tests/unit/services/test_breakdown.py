"""Where the time of a span went, over a lake in memory."""

from collections.abc import Mapping

import pytest

from correlate.errors import NoProfile
from correlate.model.answers import Reason
from correlate.model.ids import TraceId
from correlate.services.breakdown import Breakdowns, SpanBreakdown
from correlate.services.explain import Explain
from tests.fakes.lake import FakeLake
from tests.support.rows import SECOND, T0, TRACE, profile, spans, with_series

T = TraceId(*TRACE)
MS = 1_000_000
ROOT, CHILD, CALL = 1, 2, 3
OFF_CPU = "off_cpu:off_cpu:nanoseconds::"
BLOCK = "block:delay:nanoseconds:contentions:count"
MUTEX = "mutex:delay:nanoseconds:contentions:count"
WALL = "wall:wall:nanoseconds:wall:nanoseconds"

SPANS = with_series(
    spans(
        {"span": ROOT},
        {"span": CHILD, "parent": ROOT, "kind": 1, "name": "price", "duration_ns": 200 * MS},
        {"span": CALL, "parent": ROOT, "kind": 3, "start_ns": T0 + 300 * MS, "duration_ns": 400 * MS},
    )
)


def named(stack: str, time_ns: int, span: int = ROOT) -> Mapping[str, object]:
    """A sample that names a span."""
    return {"stack": stack, "value": time_ns, "span": span, "trace": TRACE}


def ask(*parts: object, span: int = ROOT) -> SpanBreakdown:
    """Of a second of which the span has 400 ms, a child 200 ms and a call 400 ms."""
    lake = FakeLake(SPANS, *parts)  # type: ignore[arg-type]
    return Breakdowns(lake, Explain(lake, skew_ns=60 * SECOND)).of_span(T, span)


def parts_ms(found: SpanBreakdown) -> dict[str, float]:
    """Parts that are not empty, milliseconds."""
    parts = {part.name: part.time_ns / MS for part in found.found.parts if part.time_ns}
    assert sum(part.time_ns for part in found.found.parts) == found.span.duration_ns
    return parts


def test_samples_of_a_labelled_root_are_split_with_its_children() -> None:
    """300 ms on the CPU in 400 ms own time and 200 ms of the child: two thirds are the span's own."""
    found = ask(profile([named("main;work", 270 * MS), named("main;work;runtime.gcAssistAlloc", 30 * MS)]))
    assert parts_ms(found) == {"on_cpu": 180, "gc": 20, "children": 200, "remote": 400, "unexplained": 200}
    (used,) = found.used
    assert (used.alias, used.method, used.samples, used.covers_children) == ("cpu", "label", 30, True)
    assert set(found.missing) == {"off_cpu", "block", "mutex", "wall"}
    assert found.children.select("span", "inside_ns", "remote").rows() == [
        (CALL, 400 * MS, True),
        (CHILD, 200 * MS, False),
    ]
    assert found.children_count == 2


def test_where_children_have_samples_of_their_own_nothing_is_split() -> None:
    """The SDK labels every span, so what names the span is its own."""
    found = ask(profile([named("main;work", 300 * MS), named("main;price", 100 * MS, CHILD)]))
    assert parts_ms(found) == {"on_cpu": 300, "children": 200, "remote": 400, "unexplained": 100}
    assert not found.used[0].covers_children
    assert found.found.parallelism == 0.75


def test_known_waits_are_taken_from_every_kind_of_profile() -> None:
    """Off-CPU time waits for the call first; locks of both kinds are taken off it."""
    found = ask(
        profile([named("main;work", 150 * MS)]),
        profile([named("main;sleep", 700 * MS)], profile_type=OFF_CPU),
        profile([named("main;select", 60 * MS)], profile_type=BLOCK),
        profile([named("main;Lock", 30 * MS)], profile_type=MUTEX),
    )
    assert parts_ms(found) == {
        "on_cpu": 100,
        "lock": 60,
        "off_cpu": 140,
        "children": 200,
        "remote": 400,
        "unexplained": 100,
    }
    assert [used.alias for used in found.used] == ["cpu", "off_cpu", "block", "mutex"]


def test_wall_clock_samples_tell_what_off_cpu_samples_would() -> None:
    """The thread was there for the whole second and on the CPU for 300 ms: it waited for 700 ms, 400 of them called."""
    found = ask(profile([named("main;work", 300 * MS)]), profile([named("main;wait", 1000 * MS)], profile_type=WALL))
    assert parts_ms(found) == {"on_cpu": 200, "off_cpu": 200, "children": 200, "remote": 400}


def test_a_span_too_short_for_the_profiler_has_a_limit_for_its_cpu_time() -> None:
    """No hit among 5 ms of a 10 ms period: zero, at most what there was."""
    lake = FakeLake(
        with_series(spans({"span": ROOT, "duration_ns": 5 * MS})), profile([{"value": 10 * MS, "span": 99}])
    )
    found = Breakdowns(lake, Explain(lake, skew_ns=SECOND)).of_span(T, ROOT)
    cpu = found.found.parts[0]
    assert (cpu.time_ns, cpu.low_ns, cpu.high_ns) == (0, 0, 5 * MS)
    assert found.missing["cpu"].startswith(Reason.TOO_SHORT)


def test_types_that_do_not_measure_time_are_told() -> None:
    """Counted hits without a period say nothing about time."""
    found = ask(profile([named("main", 5)], profile_type="cpu:cpu:count::", period=1))
    assert parts_ms(found) == {"children": 200, "remote": 400, "unexplained": 400}
    assert "does not say" in found.missing["cpu"]


def test_unknown_spans_have_no_breakdown() -> None:
    """Neither in a trace that is stored, nor without one."""
    with pytest.raises(NoProfile, match=r"unknown span: trace .* is stored, but has no span"):
        ask(span=99)
    with pytest.raises(NoProfile, match="unknown span"):
        Breakdowns(FakeLake(), Explain(FakeLake(), skew_ns=0)).of_span(T, ROOT)
