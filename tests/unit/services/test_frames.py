"""Functions, and the spans that paid most for them, over a lake in memory."""

import pytest

from correlate.errors import BadQuery, NotFound, SourceUnreachable
from correlate.model.ids import TraceId, format_span_id
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.model.queries import TimeRange
from correlate.services.existence import Existence
from correlate.services.explain import Explain
from correlate.services.frames import Frames, Payers
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.services.on_demand import Fetcher, Fetching
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.fakes.on_demand import FakeOnDemand
from tests.fakes.tempo import FakeSpan, traces_data
from tests.support.rows import CPU, SECOND, T0, TRACE, profile, spans, with_series

MS = 1_000_000
ALWAYS = TimeRange.everything()
OTHER = (8, 8)

SPANS = with_series(
    spans(
        {"span": 1},
        {"span": 2, "name": "GET /items", "trace_hi": 8, "trace_lo": 8},
        {"span": 3, "name": "late", "start_ns": T0 + 100 * SECOND},
    )
)
PROFILE = profile(
    [
        {"stack": "main;serve;rank", "value": 30 * MS, "span": 1, "trace": TRACE},
        {"stack": "main;serve;rank;rank", "value": 20 * MS, "span": 1},
        {"stack": "main;serve", "value": 50 * MS, "span": 1, "trace": TRACE},
        {"stack": "main;rank", "value": 70 * MS, "span": 2, "trace": OTHER},
        {"stack": "main;rank", "value": 80 * MS, "span": 77, "trace": (5, 5)},
        {"stack": "main;rank", "value": 10 * MS},
        {"stack": "main;rank", "value": 10 * MS, "trace": TRACE},
    ]
)


class Nobody:
    """No system can be asked."""

    def bring(self, trace: TraceId, wait_s: float) -> list[str] | None:
        """Nothing."""
        return None


def frames(*parts: object) -> Frames:
    """The service over some tables."""
    lake = FakeLake(*parts or (SPANS, PROFILE))  # type: ignore[arg-type]
    return Frames(lake, Existence(lake, Nobody()), skew_ns=60 * SECOND)


def payers(function: str = "rank", *parts: object, window: TimeRange = ALWAYS, limit: int = 10) -> Payers:
    """Who paid for a function in checkout."""
    return frames(*parts).payers(function, "checkout", "cpu", window, limit=limit)


def test_spans_are_ranked_by_what_they_paid_for_a_function() -> None:
    """Callees included, recursion once; with the share of all that the span spent."""
    found = payers()
    columns = ("span", "name", "value", "samples", "span_value", "share")
    assert found.rows.select(columns).rows() == [
        (2, "GET /items", 70 * MS, 7, 70 * MS, 1.0),
        (1, "POST /checkout", 50 * MS, 5, 100 * MS, 0.5),
    ]
    assert (found.total, found.unnamed, found.span_count) == (220 * MS, 20 * MS, 3)
    assert (found.checked.checked, found.checked.dead, found.checked.dead_share) == (3, 1, 1 / 3)


def test_only_as_many_as_wanted_are_looked_for() -> None:
    """The most expensive first."""
    found = payers(limit=1)
    assert found.rows["span"].to_list() == [2]
    assert found.checked.checked == 2


@pytest.mark.parametrize(
    ("function", "value"),
    [("serve", 100), ('=~"^ra"', 220), ("=~ra|se", 270), ('="rank"', 220), ("rank", 220), ('=~"(main|rank)$"', 270)],
)
def test_a_function_is_a_name_or_an_expression(function: str, value: int) -> None:
    """A bare name is exact; an expression is looked for anywhere in the name."""
    assert payers(function).total == value * MS


def test_an_unknown_function_is_told_apart_from_one_that_did_not_run() -> None:
    """With names that look like it; in a window without samples a known function has no spans."""
    with pytest.raises(NotFound, match=r"no function 'RAN' .* there are rank$"):
        payers("RAN")
    with pytest.raises(NotFound, match="no function of service 'checkout' matches 'nope'"):
        payers("=~nope")
    nothing = payers(window=TimeRange(T0 + 500 * SECOND, T0 + 600 * SECOND))
    assert (nothing.total, nothing.span_count, len(nothing.rows)) == (0, 0, 0)
    assert nothing.checked.dead_share is None


def test_bad_questions_are_refused() -> None:
    """A broken expression, everything but a function, a type nobody sent, a service nobody knows."""
    for text in ("=~(", "!=rank", "=~"):
        with pytest.raises(BadQuery, match=r"^function: "):
            payers(text)
    with pytest.raises(NotFound, match=f"no profiles of type 'wall', only: {CPU}"):
        frames().functions("checkout", "wall", ALWAYS, limit=5)
    with pytest.raises(NotFound, match="only: none at all"):
        frames().functions("nobody", "cpu", ALWAYS, limit=5)
    with pytest.raises(NotFound, match="no service has profiles of type 'wall'"):
        frames().functions(None, "wall", ALWAYS, limit=5)


def test_without_a_service_all_that_have_the_type_are_searched() -> None:
    """Spans of every service in one ranking."""
    cart = profile([{"stack": "a;rank", "value": 90 * MS, "span": 1, "trace": TRACE}], service="cart")
    lake = FakeLake(SPANS, PROFILE, cart)
    found = Frames(lake, Existence(lake, Nobody()), skew_ns=0).payers("rank", None, "cpu", ALWAYS, limit=5)
    assert found.rows.select("span", "value").rows() == [(1, 140 * MS), (2, 70 * MS)]


def test_two_profilers_of_one_process_are_never_added_up() -> None:
    """The profile type with the most samples answers."""
    other = profile(
        [{"stack": "main;rank", "value": 10 * MS, "span": 2, "trace": OTHER}],
        profile_type="process_cpu:cpu:nanoseconds::",
    )
    found = payers("rank", SPANS, PROFILE, other)
    assert (str(found.profile_type), found.total) == (CPU, 220 * MS)


def test_client_and_server_may_share_a_span_id() -> None:
    """The side that was profiled is shown."""
    both = with_series(
        spans({"span": 1, "service": "caller", "kind": 3, "start_ns": T0 - 5}, {"span": 1, "service": "checkout"})
    )
    assert payers("serve", both, PROFILE).rows["service"].to_list() == ["checkout"]


def test_functions_by_own_or_whole_value() -> None:
    """For lists and completion: some of them, or those with a text in their name."""
    found = frames().functions("checkout", "cpu", ALWAYS, limit=2)
    assert found.rows.select("name", "self", "total").rows() == [
        ("rank", 220 * MS, 220 * MS),
        ("serve", 50 * MS, 100 * MS),
    ]
    assert (found.count, found.total) == (3, 270 * MS)
    by_total = frames().functions("checkout", "cpu", ALWAYS, limit=1, order="total")
    assert by_total.rows["name"].to_list() == ["main"]
    part = frames().functions(None, "cpu", ALWAYS, limit=9, part="RA")
    assert (part.rows["name"].to_list(), part.count) == (["rank"], 1)


def tempo_has(span: int) -> RawPayload:
    """A trace of one span, as Tempo gives it."""
    body = traces_data([FakeSpan(str(TraceId(5, 5)), format_span_id(span), "checkout", "GET /rank", T0, T0 + SECOND)])
    return RawPayload(PayloadKind.OTLP_TRACES, body, T0, Encoding.PROTOBUF)


@pytest.mark.parametrize(("error", "figures"), [(None, (3, 0, 0)), (SourceUnreachable("no route"), (2, 0, 1))])
def test_spans_that_are_not_stored_are_asked_for(error: Exception | None, figures: tuple[int, int, int]) -> None:
    """What a source has is taken and shown; a source that does not answer leaves the span in doubt, and is named."""
    lake, tempo = FakeLake(SPANS, PROFILE), FakeOnDemand("tempo")
    tempo.traces, tempo.error = [tempo_has(77)], error
    ingest = Ingest(lake, FakeClock(T0 + 600 * SECOND), AcceptedTimes())
    fetching = Fetching(Explain(lake, skew_ns=0), Fetcher(ingest, lake, skew_ns=0))
    with fetching.asking([tempo]):
        found = Frames(lake, Existence(lake, fetching), skew_ns=0).payers("rank", "checkout", "cpu", ALWAYS, limit=9)
    checked = found.checked
    assert (checked.checked, checked.dead, checked.unresolved) == figures
    assert ("GET /rank" in found.rows["name"]) == (error is None)
    assert (error is None) == (not checked.notes)
    assert tempo.asked == ["trace"]
