"""Tempo and Pyroscope asked for what a question lacks: from their bytes to the answer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
import pytest

from connectors.endpoint import Endpoint
from connectors.on_demand import PyroscopeOnDemand, TempoOnDemand, hurried
from connectors.pyroscope import PyroscopeSource
from connectors.tempo import TempoSource
from correlate.errors import NoProfile, SourceRefused, SourceTooSlow, SourceUnreachable
from correlate.formats import registry
from correlate.model.answers import Method, Scope, SpanInfo
from correlate.model.ids import TraceId, format_span_id, parse_span_id, parse_trace_id
from correlate.model.payload import RawPayload
from correlate.services.explain import Explain
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.services.on_demand import Fetcher, Fetching, Patience
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.fakes.pyroscope import CPU, Age, FakePyroscope, Stored
from tests.fakes.tempo import FakeSpan, FakeTempo
from tests.support.pprof_bytes import Stack

SECOND = 10**9
NOW = 1_790_000_010 * SECOND
START = NOW - 600 * SECOND
TRACE, ROOT, CHILD, REMOTE = (
    "5fc8f3e0a1b2c3d4e5f60718293a4b5c",
    "9a517183f26a089d",
    "0102030405060708",
    "00000000000000aa",
)
T = parse_trace_id(TRACE)
SAMPLES = (
    (("main", "checkout"), 30, ROOT, TRACE),
    (("main", "checkout", "hash"), 50, ROOT, TRACE),
    (("main", "items"), 20, CHILD, ""),
    (("sweep",), 70, "", ""),
)
SPANS = [
    FakeSpan(TRACE, ROOT, "shop", "GET /", START, START + 2 * SECOND),
    FakeSpan(TRACE, CHILD, "shop", "items", START, START + SECOND, ROOT),
    FakeSpan(TRACE, REMOTE, "stock", "GET /items", START, START + SECOND, CHILD),
]
REFUSING = httpx.MockTransport(lambda request: httpx.Response(503, text="down"))


def profiles(age: Age = Age.HEAD) -> FakePyroscope:
    """A server that holds the samples of two uploads."""
    stored = [Stored("shop", (START + offset * SECOND) // 10**6, SAMPLES) for offset in (-5, 1)]
    return FakePyroscope([*stored, Stored("stock", START // 10**6, ((("idle",), 5, "", ""),))], age)


def asked_pyroscope(transport: httpx.BaseTransport, now_ns: int = NOW, **options: object) -> PyroscopeOnDemand:
    """A Pyroscope asked on demand, over a transport."""
    endpoint, clock = Endpoint("http://pyroscope:4040", max_retries=0), FakeClock(now_ns)
    return PyroscopeOnDemand(PyroscopeSource("pyro", endpoint, clock, transport=transport), clock, **options)  # type: ignore[arg-type]


def asked_tempo(transport: httpx.BaseTransport) -> TempoOnDemand:
    """A Tempo asked on demand, over a transport."""
    clock = FakeClock(NOW)
    return TempoOnDemand(
        TempoSource("tempo", Endpoint("http://tempo", max_retries=0), clock, transport=transport), clock
    )


@contextmanager
def answering(lake: FakeLake, *sources: TempoOnDemand | PyroscopeOnDemand) -> Iterator[Fetching]:
    """The service of questions over a lake in memory, with sources."""
    fetcher = Fetcher(Ingest(lake, FakeClock(NOW), AcceptedTimes()), lake, skew_ns=60 * SECOND)
    service = Fetching(Explain(lake, skew_ns=60 * SECOND), fetcher, Patience(wait_s=30))
    with service.asking(sources):
        yield service


def infos(*spans: FakeSpan) -> list[SpanInfo]:
    """Spans as questions name them."""
    return [
        SpanInfo(T, parse_span_id(s.span_id), 0, s.service, s.name, 1, 0, s.start_ns, s.end_ns - s.start_ns)
        for s in spans
    ]


def values(payloads: Sequence[RawPayload]) -> dict[str, int]:
    """Value by span, as the tables have it."""
    tables = [registry.read(payload) for payload in payloads]
    return {
        format_span_id(span): value
        for each in tables
        for span, value in each.samples.group_by("span").agg(value=each.samples["value"].sum()).rows()
    }


def of_span(span: str) -> dict[Stack, int]:
    """What the server holds of a span in its two uploads."""
    return {stack: 2 * value for stack, value, labelled, _ in SAMPLES if labelled == span}


@pytest.mark.parametrize("age", [Age.HEAD, Age.V2_1, Age.V1_0])
def test_a_question_about_an_unknown_trace_is_answered_from_tempo_and_pyroscope(age: Age) -> None:
    """Exactly the samples that Pyroscope holds of the span; asked again, nothing is fetched and nothing comes twice."""
    tempo, pyroscope = FakeTempo(now_ns=NOW), profiles(age)
    tempo.push(SPANS)
    lake = FakeLake()
    with answering(
        lake, asked_tempo(httpx.MockTransport(tempo.handle)), asked_pyroscope(pyroscope.transport)
    ) as service:
        found = service.span_profile(T, parse_span_id(ROOT), scope_wanted=Scope.SPAN)
        by_stack = found.rows.group_by("stack").agg(value=found.rows["value"].sum())
        assert found.coverage.total == sum(of_span(ROOT).values())
        assert len(by_stack) == len(of_span(ROOT))
        assert (found.method, str(found.profile_type)) == (Method.LABEL, CPU)
        asked = len(pyroscope.asked)
        everything = service.span_profile(T, parse_span_id(ROOT)).coverage.total
        assert everything == sum((of_span(ROOT) | of_span(CHILD)).values())
    assert len(tempo.requests) == 1
    assert len(pyroscope.asked) == asked
    with answering(lake, asked_pyroscope(pyroscope.transport)) as service:  # it forgot, the lake did not
        assert service.span_profile(T, parse_span_id(ROOT)).coverage.total == everything
    assert len(pyroscope.asked) == asked


def test_what_comes_twice_is_stored_once() -> None:
    """Though the server gives samples in another order every time."""
    lake, asked = FakeLake(), asked_pyroscope(profiles().transport)
    for _ in range(2):
        for payload in asked.span_profiles(infos(*SPANS), "cpu"):
            lake.submit(registry.read(payload))
    assert lake.tables.samples["value"].sum() == sum((of_span(ROOT) | of_span(CHILD)).values())


def test_many_spans_take_few_requests() -> None:
    """One for all that have no samples, a few for each that has some."""
    fake = profiles(Age.HEAD)
    asked = asked_pyroscope(fake.transport)
    others = [FakeSpan(TRACE, f"{n:016x}", "shop", "x", START, START + SECOND) for n in range(1000, 1254)]
    assert values(list(asked.span_profiles(infos(*others), "cpu"))) == {}
    before = len(fake.asked)
    assert values(list(asked.span_profiles(infos(*others), "cpu"))) == {}
    assert [rpc for rpc, _ in fake.asked[before:]].count("SelectMergeStacktraces") == 1
    before = len(fake.asked)
    assert values(list(asked.span_profiles(infos(*SPANS[:2], *others), "cpu"))) == {ROOT: 160, CHILD: 40}
    assert [rpc for rpc, _ in fake.asked[before:]].count("SelectMergeStacktraces") <= 2 * (8 + 1) + 1


def test_sources_that_are_down_leave_a_reason_and_a_sentence() -> None:
    """The span is unknown, and who could know did not answer."""
    with answering(FakeLake(), asked_tempo(REFUSING), asked_pyroscope(REFUSING)) as service:
        with pytest.raises(NoProfile, match=r"not stored.*; tempo was asked and did not answer: ") as caught:
            service.trace(T)
        assert caught.value.reason == "unknown span"


def test_a_trace_that_tempo_lacks_is_unknown_without_more_words() -> None:
    """It answered: there is nothing to say of it."""
    with (
        answering(FakeLake(), asked_tempo(httpx.MockTransport(FakeTempo(now_ns=NOW).handle))) as service,
        pytest.raises(NoProfile, match=r"retention$"),
    ):
        service.trace(T)


def test_a_type_that_is_not_there_is_not_asked_for() -> None:
    """The services and types of that time are known first."""
    fake = profiles()
    assert list(asked_pyroscope(fake.transport).span_profiles(infos(*SPANS), "inuse_space")) == []
    assert "SelectMergeStacktraces" not in [rpc for rpc, _ in fake.asked]


def test_spans_that_just_ended_are_not_asked_for() -> None:
    """A part of their samples would be stored, and pass for all."""
    fake = profiles()
    with pytest.raises(SourceTooSlow, match="ask again in 50 s"):
        list(asked_pyroscope(fake.transport, START + 12 * SECOND).span_profiles(infos(SPANS[0]), "cpu"))
    assert fake.asked == []


def test_asking_ends() -> None:
    """After twenty seconds, however many spans are left."""
    ticks = iter(range(0, 1000, 15))
    asked = asked_pyroscope(profiles().transport, monotonic_s=lambda: float(next(ticks)))
    with pytest.raises(SourceTooSlow, match="within 20 s"):
        list(asked.span_profiles(infos(*SPANS), "cpu"))


def test_a_server_that_cannot_select_spans_is_not_believed() -> None:
    """It would answer with everything."""
    with pytest.raises(SourceRefused, match="does not select"):
        list(asked_pyroscope(profiles(Age.DROPS_SELECTORS).transport).span_profiles(infos(*SPANS), "cpu"))


def test_each_holds_one_half() -> None:
    """Tempo no profiles, Pyroscope no spans; neither is asked for the other."""
    assert list(asked_tempo(REFUSING).span_profiles(infos(*SPANS), "cpu")) == []
    assert list(asked_pyroscope(REFUSING).trace(TraceId(1, 2))) == []
    with pytest.raises((SourceTooSlow, SourceUnreachable)):
        list(asked_tempo(REFUSING).trace(T))


def test_requests_that_somebody_waits_for_are_short() -> None:
    """Shorter limits of the configuration stay."""
    found = hurried(Endpoint("http://a", timeout_s=10, deadline_s=60, max_retries=4))
    assert (found.timeout_s, found.deadline_s, found.max_retries) == (4, 4, 1)
    assert hurried(Endpoint("http://a", timeout_s=1, deadline_s=2, max_retries=0)).deadline_s == 2
