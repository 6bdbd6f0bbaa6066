"""Pulling from Tempo: everything, whatever traps it sets."""

import gc
from collections.abc import Callable
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import Endpoint
from connectors.tempo import TempoOptions, TempoSource
from correlate.errors import BadQuery, SourceError, SourceMalformed, SourceRefused, SourceTooSlow
from correlate.model.ids import TraceId
from correlate.model.payload import Encoding, PayloadKind
from correlate.model.queries import TimeRange
from tests.fakes.tempo import NS, FakeSpan, FakeTempo, spans_of
from tests.fakes.timing import FakeTime
from tests.fakes.upstream import answering, upstream

NOW_NS = FakeTempo().now_ns
AT_S = NOW_NS // NS - 3600
Handler = Callable[[httpx.Request], httpx.Response]


def source(handle: FakeTempo | Handler, endpoint: Endpoint | None = None, **options: Any) -> TempoSource:
    """A source that a fake answers."""
    time = FakeTime(at_s=NOW_NS / NS)
    answer = handle.handle if isinstance(handle, FakeTempo) else handle
    return TempoSource(
        "prod",
        endpoint or Endpoint("http://tempo"),
        time,
        TempoOptions(**options),
        transport=httpx.MockTransport(answer),
        timing=time.timing(),
    )


def span(
    number: int, start_s: float, length_s: float = 0.1, *, trace: int | None = None, service: str = "shop"
) -> FakeSpan:
    """A span of a trace of its own, or of the one given; times relative to `AT_S`."""
    start_ns = AT_S * NS + int(start_s * NS)
    trace_id = f"{number if trace is None else trace:032x}"
    return FakeSpan(trace_id, f"{number:016x}", service, "GET", start_ns, start_ns + int(length_s * NS))


def window(start_s: float, end_s: float) -> TimeRange:
    """A range relative to `AT_S`."""
    return TimeRange(AT_S * NS + int(start_s * NS), AT_S * NS + int(end_s * NS))


def pulled(tempo: TempoSource, *windows: TimeRange) -> list[FakeSpan]:
    """All spans of some pulls."""
    return [one for each in windows for payload in tempo.fetch(each) for one in spans_of(payload.body)]


def ids(spans: list[FakeSpan]) -> list[str]:
    return sorted(one.span_id for one in spans)


def test_a_payload_is_a_trace_as_otlp() -> None:
    """Kind, encoding, sender and time are what the formats need."""
    tempo = FakeTempo()
    tempo.push([span(0xABC, 5)])
    (payload,) = source(tempo).fetch(window(0, 60))
    assert (payload.kind, payload.encoding) == (PayloadKind.OTLP_TRACES, Encoding.PROTOBUF)
    assert (payload.sender, payload.received_ns) == ("tempo:prod", NOW_NS)
    assert payload.params == {"trace": f"{0xABC:032x}"}
    assert spans_of(payload.body) == [span(0xABC, 5)]


@given(
    st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200), st.integers(1, 30)), max_size=60),
    st.integers(2, 40),
    st.lists(st.integers(1, 299), max_size=4),
)
def test_everything_is_pulled_whatever_the_windows(
    drawn: list[tuple[float, float, int]], limit: int, cuts: list[int]
) -> None:
    """Spans that overlap the time come, with limits that overflow, long traces, and pulls cut anywhere."""
    spans = [span(100 + n, start, length, trace=trace) for n, (start, length, trace) in enumerate(drawn)]
    tempo = FakeTempo()
    tempo.push(spans)
    edges = sorted({0, 300, *cuts})
    got = pulled(source(tempo, limit=limit), *(window(a, b) for a, b in pairwise(edges)))
    assert {one.span_id for one in got} == {one.span_id for one in spans}


def test_a_trace_is_fetched_once_per_pull() -> None:
    """A long trace is found by many windows and asked for once."""
    tempo = FakeTempo()
    tempo.push([span(1, 0, 300)])
    assert len(pulled(source(tempo, slice_s=10), window(0, 300))) == 1
    assert len(tempo.asked("/api/v2/traces")) == 1
    assert len(tempo.asked("/api/search")) > 3


def test_a_second_with_many_traces_is_complete() -> None:
    """When a second cannot be cut, the limit rises."""
    tempo = FakeTempo()
    tempo.push(span(n, 30.5) for n in range(1, 200))
    puller = source(tempo, limit=20)
    assert len(pulled(puller, window(0, 60))) == 199
    assert puller.take_notes() == []


def test_what_cannot_be_complete_is_said() -> None:
    """When the server allows no higher limit, what it gives comes and a note says what is missing."""
    tempo = FakeTempo(max_limit=20)
    tempo.push(span(n, 30.5) for n in range(1, 200))
    puller = source(tempo, limit=20)
    assert len(pulled(puller, window(0, 60))) == 20
    (note,) = puller.take_notes()
    assert "max_result_limit" in note.text
    assert puller.take_notes() == []


def test_spans_in_the_delay_come_with_a_later_pull() -> None:
    """A puller that stays behind `settled_until_ns` sees spans that searches hid at first."""
    tempo = FakeTempo(hidden_ns=60 * NS)
    tempo.push([span(1, 3599)])
    puller = source(tempo, lag_s=90.0)
    assert pulled(puller, window(3590, 3600)) == []
    assert puller.settled_until_ns(tempo.now_ns) == tempo.now_ns - 90 * NS
    tempo.now_ns += 90 * NS
    assert ids(pulled(puller, window(3590, 3600))) == ["0000000000000001"]


def test_only_traces_of_chosen_services() -> None:
    """Whole traces by default, the services' own spans when that is wanted; 60 names are several queries."""
    tempo = FakeTempo()
    tempo.push([span(1, 1, trace=7), span(2, 1, trace=7, service="db"), span(3, 1, service="other")])
    assert ids(pulled(source(tempo, services=("shop",)), window(0, 9))) == [f"{n:016x}" for n in (1, 2)]
    only = source(tempo, services=("shop",), whole_traces=False)
    assert ids(pulled(only, window(0, 9))) == [f"{1:016x}"]
    many = source(tempo, services=(*map(str, range(60)), "shop"))
    assert ids(pulled(many, window(0, 9))) == [f"{n:016x}" for n in (1, 2)]


def test_one_trace_by_id() -> None:
    """From a `TraceId` or text, short or long; None when it is missing although the answer is 200."""
    tempo = FakeTempo()
    tempo.push([span(0xAB, 1)])
    puller = source(tempo)
    for asked in ("ab", "0" * 30 + "AB", TraceId(0, 0xAB)):
        assert spans_of(puller.trace(asked) or b"") == [span(0xAB, 1)]
    assert puller.trace("cd") is None
    with pytest.raises(BadQuery):
        puller.trace("../x")


def test_an_old_tempo_without_v2() -> None:
    """The older path is found out once and used from then on; a missing trace is still none."""
    tempo = FakeTempo(has_v2=False, has_hint=False)
    tempo.push(span(n, n) for n in range(1, 40))
    puller = source(tempo, concurrency=1)
    assert puller.trace("ffff") is None
    assert len(pulled(puller, window(0, 60))) == 39
    assert len(tempo.asked("/api/v2/traces")) == 2
    assert len(list(puller.search("{}", window(0, 60), 10))) == 10


@pytest.mark.parametrize("has_v2", [True, False])
def test_a_trace_that_is_too_large_comes_in_part_and_is_noted(has_v2: bool) -> None:
    """What can be had is had, the payload says that it is partial, its neighbours are not touched."""
    tempo = FakeTempo(max_trace_bytes=1000, has_v2=has_v2)
    tempo.push([span(n, 1, 2, trace=0xB16) for n in range(1, 50)] + [span(99, 1)])
    puller = source(tempo)
    payloads = list(puller.fetch(window(0, 60)))
    assert spans_of(payloads[-1].body) == [span(99, 1)]
    partial = [payload for payload in payloads if "partial" in payload.params]
    assert bool(partial) is has_v2
    assert all("exceeds maximum size" in payload.params["partial"] for payload in partial)
    (note,) = puller.take_notes()
    assert note.text.startswith(f"trace {0xB16:032x} is not complete")


def test_searches_pass_traceql_through() -> None:
    """The newest, each once, with names and matches; windows longer than Tempo allows are cut."""
    tempo = FakeTempo()
    tempo.push([span(n, n) for n in range(1, 31)] + [span(100 + n, 5, trace=5) for n in range(150)])
    month = TimeRange(NOW_NS - 30 * 86_400 * NS, NOW_NS)
    puller = source(tempo)
    newest = list(puller.search('{ name = "GET" } | select(span:name)', month, 3))
    assert [hit.trace_id for hit in newest] == [f"{n:032x}" for n in (30, 29, 28)]
    assert newest[0].spans[0].name == "GET"
    wide = next(hit for hit in puller.search("{}", month, 1000) if hit.trace_id == f"{5:032x}")
    assert (wide.matched, len(wide.spans)) == (151, 100)
    with pytest.raises(SourceRefused, match="parse error"):
        list(puller.search("{ nonsense", month, 3))
    assert len(list(puller.search("{}", month, 3))) == 3


def test_rates_cover_more_than_a_day() -> None:
    """Long ranges are cut where Tempo would refuse them, no step counts twice, a missing value is 0."""
    tempo = FakeTempo()
    tempo.push(span(n, -100_000 + 40 * n) for n in range(2500))
    points = source(tempo).rate("{} | rate() by (name)", window(-100_000, 0), 60)
    times = [point.time_ns for point in points]
    assert times == sorted(set(times))
    assert round(60 * sum(point.value for point in points)) == 2499  # the first lies on the open edge
    assert min(point.value for point in points) == 0.0
    assert {str(point.labels) for point in points} == {"{'name': 'GET'}"}


def test_other_json_is_not_a_series() -> None:
    """It is said in our words."""
    with pytest.raises(SourceMalformed, match="time series"):
        source(lambda _: httpx.Response(200, json={"series": [{"samples": [{}]}]})).rate("{}", window(0, 9), 1)


def test_overload_in_the_middle_is_survived() -> None:
    """Every third request is refused for a moment; nothing is lost."""
    tempo, count = FakeTempo(), iter(range(10_000))
    tempo.push(span(n, n) for n in range(1, 50))

    def moody(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503 if next(count) % 3 == 0 else 429) if next(count) % 3 == 0 else tempo.handle(request)

    endpoint = Endpoint("http://tempo", max_retries=50, deadline_s=10_000.0)
    assert len(pulled(source(moody, endpoint), window(0, 60))) == 49


def test_wide_windows_that_are_too_slow_are_narrowed() -> None:
    """A server that times out on much answers on less."""
    tempo = FakeTempo()
    tempo.push(span(n, n) for n in range(1, 50))

    def slow(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        if "end" in params and int(params["end"]) - int(params["start"]) > 20:
            raise httpx.ReadTimeout("too much", request=request)
        return tempo.handle(request)

    assert len(pulled(source(slow), window(0, 60))) == 49


def test_a_tempo_that_stays_slow_is_an_error_after_what_it_gave() -> None:
    """What came before is kept; the window does not count as pulled."""
    tempo, got = FakeTempo(), []
    tempo.push(span(n, n) for n in range(1, 90))

    def slow(request: httpx.Request) -> httpx.Response:
        if int(request.url.params.get("start", 0)) >= AT_S + 60:
            raise httpx.ReadTimeout("too much", request=request)
        return tempo.handle(request)

    with pytest.raises(SourceTooSlow):
        got.extend(source(slow, slice_s=60).fetch(window(0, 120)))
    assert len(got) >= 30


def test_a_rate_limit_is_passed_on_not_worked_around() -> None:
    """When it says when to come back, narrower windows are not tried."""
    requests = []

    def limited(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(429, headers={"retry-after": "600"})

    with pytest.raises(SourceTooSlow) as caught:
        list(source(limited).fetch(window(0, 600)))
    assert (caught.value.retry_after_s, len(requests)) == (300.0, 1)


def test_one_broken_trace_does_not_block_the_others() -> None:
    """It is left out and noted; a login page instead of traces is an error, not a note."""
    tempo, login = FakeTempo(), []
    tempo.push(span(n, n) for n in range(1, 20))

    def lying(request: httpx.Request) -> httpx.Response:
        if "traces" in request.url.path and login:
            return httpx.Response(200, html="<html>Sign in</html>")
        if request.url.path.endswith("7"):
            return httpx.Response(200, content=b"\x0a\xff\x01cut", headers={"content-type": "application/protobuf"})
        return tempo.handle(request)

    puller = source(lying)
    assert len(pulled(puller, window(0, 60))) == 18
    (note,) = puller.take_notes()
    assert f"trace {7:032x} is left out" in note.text
    login.append(True)
    with pytest.raises(SourceMalformed, match="login page"):
        pulled(puller, window(0, 60))


def test_a_trace_larger_than_our_own_limit_is_noted() -> None:
    """`max_response_bytes` protects us, and one trace beyond it does not end the pull."""
    tempo = FakeTempo()
    tempo.push([span(n, 1, trace=1) for n in range(1, 500)] + [span(999, 2)])
    puller = source(tempo, Endpoint("http://tempo", max_response_bytes=10_000))
    assert ids(pulled(puller, window(0, 60))) == [f"{999:016x}"]
    assert "max_response_bytes" in puller.take_notes()[0].text


def test_json_instead_of_protobuf_is_an_error() -> None:
    """A gateway that drops the Accept header would make every trace look broken."""
    tempo = FakeTempo()
    tempo.push([span(1, 1)])

    def without_accept(request: httpx.Request) -> httpx.Response:
        request.headers["accept"] = "application/json"
        return tempo.handle(request)

    with pytest.raises(SourceMalformed, match="instead of protobuf"):
        pulled(source(without_accept), window(0, 9))


def test_memory_and_requests_stay_bounded_when_nobody_takes() -> None:
    """Only a few traces are fetched ahead of whoever stores them, and leaving early ends it."""
    tempo = FakeTempo()
    tempo.push(span(n, n / 10) for n in range(1, 500))
    flow = source(tempo, concurrency=4).fetch(window(0, 60))
    next(flow)
    assert len(tempo.asked("/api/v2/traces")) <= 2 * 4 + 1
    del flow
    gc.collect()
    assert len(tempo.asked("/api/v2/traces")) <= 2 * 4 + 1


def test_a_tenant_is_needed_and_said() -> None:
    """Without one the sentence names the setting, with it everything works."""
    tempo = FakeTempo(multitenant=True)
    tempo.push([span(1, 1)])
    with pytest.raises(SourceRefused, match="set tenant"):
        pulled(source(tempo), window(0, 9))
    assert len(pulled(source(tempo, Endpoint("http://tempo", tenant="a|b")), window(0, 9))) == 1


def findings(handle: FakeTempo | Handler, **options: Any) -> list[str]:
    """What a check says, one line each with its mark."""
    return [f"{'+' if one.ok else '-'} {one.text}" for one in source(handle, **options).check()]


def test_a_check_of_a_healthy_tempo() -> None:
    """It answers, its version, its services."""
    tempo = FakeTempo(version="3.0.1")
    tempo.push([span(1, 1), span(2, 1, service="db")])
    assert findings(tempo, services=("shop",)) == [
        "+ prod (http://tempo) answers",
        "+ it is Tempo, version 3.0.1",
        "+ services of the last hour: db, shop",
    ]


def test_a_check_names_what_is_wrong() -> None:
    """Tenant, misspelt services, no data, another server, a gateway that hides the version."""
    assert "set tenant" in findings(FakeTempo(multitenant=True))[-1]
    assert findings(FakeTempo())[-1].startswith("- no spans came in")
    tempo = FakeTempo()
    tempo.push([span(1, 1)])
    assert findings(tempo, services=("shop", "shpo"))[-1].startswith("- no spans of shpo")
    assert "another server" in findings(lambda _: httpx.Response(200, text="hello"))[-1]
    assert "answered 404 to /api/echo" in findings(lambda _: httpx.Response(404))[-1]

    def hides(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404) if "buildinfo" in request.url.path else tempo.handle(request)

    assert any("version is not shown" in line for line in findings(hides))


@pytest.mark.parametrize(("ahead_s", "words"), [(0, "agrees"), (-60, "60 s behind ours"), (60, "60 s ahead of ours")])
def test_a_check_compares_the_clocks(ahead_s: int, words: str) -> None:
    """Pulls go by time, so clocks that differ are worth a word."""
    date = httpx.Response(200, text="echo\n", headers={"date": formatdate(NOW_NS // NS + ahead_s, usegmt=True)})
    assert words in findings(lambda request: date if "echo" in request.url.path else FakeTempo().handle(request))[1]


@pytest.mark.parametrize(
    "answer",
    [
        *(httpx.Response(200, html="<html>"), httpx.Response(401), httpx.Response(200, json=[]), httpx.Response(503)),
        *(httpx.Response(200, text="echo"), httpx.ConnectError("refused")),
        httpx.Response(302, headers={"location": "//x/"}),
    ],
)
def test_a_check_never_raises(answer: httpx.Response | Exception) -> None:
    """Whatever the server does, it is a finding."""

    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert any(line.startswith("-") for line in findings(handle))


def test_over_a_real_socket() -> None:
    """The same through the network stack, with parallel connections."""
    tempo = FakeTempo()
    tempo.push(span(n, n) for n in range(1, 50))
    with upstream(answering(tempo.handle), read_head=False) as url:
        puller = TempoSource("prod", Endpoint(url), FakeTime(at_s=NOW_NS / NS))
        assert len(pulled(puller, window(0, 60))) == 49
        puller.close()


def test_errors_are_of_our_tree() -> None:
    """A dead server is one sentence, not a stack of somebody else's errors."""
    with pytest.raises(SourceError, match=r"prod \(http://tempo\): .*"):
        list(source(_dead).fetch(window(0, 9)))


def _dead(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused", request=request)
