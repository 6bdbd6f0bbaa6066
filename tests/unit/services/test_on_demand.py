"""Questions that fetch what they lack: once, from who has it, and never at the price of the answer."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from correlate.errors import NoProfile, SourceUnreachable, StoreError
from correlate.model.answers import Method, Reason, Scope
from correlate.model.ids import TraceId, format_span_id
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.ports import OnDemand
from correlate.services.errands import Errands
from correlate.services.explain import Explain
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.services.on_demand import Fetcher, Fetching, Patience
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.fakes.on_demand import FakeOnDemand
from tests.fakes.tempo import FakeSpan, traces_data
from tests.support.rows import CPU, SECOND, T0, TRACE, profile, spans, with_series

T = TraceId(*TRACE)
ROOT, CHILD = 1, 2
MS = 1_000_000


class Time:
    """A monotonic clock that a test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def stored() -> FakeLake:
    """A trace of checkout with a child, no samples."""
    return FakeLake(with_series(spans({"span": ROOT}, {"span": CHILD, "parent": ROOT, "duration_ns": 500 * MS})))


def spans_payload() -> RawPayload:
    """The same trace as a source gives it."""
    pairs = [(ROOT, ""), (CHILD, format_span_id(ROOT))]
    body = traces_data(
        FakeSpan(str(T), format_span_id(span), "checkout", "POST", T0, T0 + SECOND, parent) for span, parent in pairs
    )
    return RawPayload(PayloadKind.OTLP_TRACES, body, T0, Encoding.PROTOBUF)


def samples_payload(span: int, text: str = "main;work 30000000\nmain;wait 20000000\n") -> RawPayload:
    """The samples of one span, which do not name it."""
    params = {"service": "checkout", "type": CPU, "from": str(T0), "until": str(T0 + SECOND)}
    params |= {"span_id": format_span_id(span), "trace_id": str(T)}
    return RawPayload(PayloadKind.COLLAPSED, text.encode(), T0, Encoding.RAW, params=params)


@contextmanager
def fetching(lake: FakeLake, *sources: OnDemand, time: Time | None = None, wait_s: float = 5.0) -> Iterator[Fetching]:
    """The service over a lake in memory, with sources."""
    ingest = Ingest(lake, FakeClock(T0 + 600 * SECOND), AcceptedTimes())
    patience = Patience(wait_s=wait_s, monotonic_s=time or Time())
    service = Fetching(Explain(lake, skew_ns=60 * SECOND), Fetcher(ingest, lake, skew_ns=60 * SECOND), patience)
    with service.asking(sources):
        yield service


def missing(service: Fetching, span: int = ROOT, **kwargs: object) -> NoProfile:
    """Why there is no profile."""
    with pytest.raises(NoProfile) as caught:
        service.span_profile(T, span, **kwargs)  # type: ignore[arg-type]
    return caught.value


def test_an_unknown_trace_and_its_samples_are_fetched_for_one_question() -> None:
    """First the spans, then the samples; the next question finds both in the lake."""
    tempo, pyroscope = FakeOnDemand("tempo"), FakeOnDemand("pyroscope")
    tempo.traces, pyroscope.profiles = [spans_payload()], [samples_payload(ROOT)]
    lake = FakeLake()
    with fetching(lake, tempo, pyroscope) as service:
        found = service.span_profile(T, ROOT)
        assert (found.coverage.total, found.method, found.confidence.level) == (50 * MS, Method.LABEL, "exact")
        assert service.span_profile(T, ROOT, scope_wanted=Scope.TRACE).coverage.total == 50 * MS
    assert (tempo.asked, pyroscope.asked) == (["trace", [ROOT, CHILD]], [[ROOT, CHILD]])
    assert (len(lake.tables.spans), len(lake.tables.samples)) == (2, 2)


def test_the_spans_of_an_unknown_trace_are_fetched() -> None:
    """For the list of its spans too."""
    tempo = FakeOnDemand()
    tempo.traces = [spans_payload()]
    with fetching(FakeLake(), tempo) as service:
        assert service.trace(T)["span"].sort().to_list() == [ROOT, CHILD]
        assert len(service.trace(T)) == 2
    assert tempo.asked == ["trace"]


def test_who_comes_second_is_asked_for_the_rest_only() -> None:
    """Two sources may hold the same samples."""
    first, second = FakeOnDemand("a"), FakeOnDemand("b")
    first.profiles, second.profiles = [samples_payload(ROOT)], [samples_payload(CHILD)]
    with fetching(stored(), first, second) as service:
        assert service.span_profile(T, ROOT).coverage.total == 100 * MS
    assert (first.asked, second.asked) == ([[ROOT, CHILD]], [[CHILD]])


def test_spans_with_stored_samples_are_not_asked_for() -> None:
    """Neither when the question has an answer, nor for the sake of another span."""
    source = FakeOnDemand()
    lake = stored()
    lake.submit(profile([{"stack": "main", "value": 10 * MS, "span": ROOT, "trace": TRACE}]))
    with fetching(lake, source) as service:
        assert service.span_profile(T, ROOT).coverage.total == 10 * MS
        assert source.asked == []
        assert service.span_profile(T, CHILD).confidence.level == "inferred"
        assert missing(service, ROOT, method=Method.LINK).reason == Reason.TOO_WEAK
    assert source.asked == [[CHILD]]


def test_a_source_that_does_not_answer_leaves_the_reason_as_it_was() -> None:
    """With a sentence on the source; what it gave before is not stored, for it may be a part only."""
    source = FakeOnDemand("pyro")
    source.profiles, source.error = [samples_payload(ROOT)], SourceUnreachable("pyro (http://p) refused the connection")
    lake = stored()
    with fetching(lake) as service:
        plain = missing(service)
    with fetching(lake, source) as service:
        told = missing(service)
    said = "pyro was asked and did not answer: pyro (http://p) refused the connection"
    assert str(told) == f"{plain}; {said}"
    assert (told.reason, told.details) == (plain.reason, plain.details)
    assert lake.tables.samples.is_empty()


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), BaseException("a panic")])
def test_a_defect_of_a_source_is_not_one_of_the_answer(error: BaseException) -> None:
    """The log has it, the other sources are asked."""
    broken, good = FakeOnDemand("broken"), FakeOnDemand("good")
    broken.error, good.traces = error, [spans_payload()]
    with fetching(FakeLake(), broken, good) as service:
        assert len(service.trace(T)) == 2
        assert "asking broken met a defect" in str(missing(service))


def test_what_cannot_be_read_is_told() -> None:
    """A broken payload is no reason to fail."""
    source = FakeOnDemand("pyro")
    source.profiles = [samples_payload(ROOT, "no numbers here\n")]
    with fetching(stored(), source) as service:
        assert "what pyro has of it could not be taken: no line is of the form" in str(missing(service))


def test_misses_are_remembered_for_a_while() -> None:
    """Then asked for again; what went wrong is told every time."""
    source, time = FakeOnDemand("tempo"), Time()
    source.error = SourceUnreachable("no route")
    with fetching(FakeLake(), source, time=time) as service:
        assert [str(missing(service)).count("no route") for _ in range(3)] == [1, 1, 1]
        assert source.asked == ["trace"]
        time.now_s += 31
        missing(service)
        assert source.asked == ["trace"] * 2


def test_questions_at_the_same_time_ask_once() -> None:
    """All wait for the one who asked first, and all are answered."""
    source = FakeOnDemand()
    source.profiles = [samples_payload(ROOT)]
    source.go_on.clear()
    lake = stored()
    with fetching(lake, source) as service, ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(service.span_profile, T, ROOT) for _ in range(8)]
        source.go_on.set()
        assert {answer.result(10).coverage.total for answer in answers} == {50 * MS}
    assert len(source.asked) == 1
    assert len(lake.tables.samples) == 2


def test_a_question_waits_only_so_long() -> None:
    """What comes later is stored for the next one."""
    source = FakeOnDemand()
    source.traces = [spans_payload()]
    source.go_on.clear()
    lake = FakeLake()
    with fetching(lake, source, wait_s=0.01) as service:
        assert "still being asked" in str(missing(service))
        source.go_on.set()
    assert len(lake.tables.spans) == 2


def test_after_the_block_nobody_is_asked() -> None:
    """And without sources nothing is prepared."""
    source = FakeOnDemand()
    with fetching(FakeLake(), source) as service:
        pass
    missing(service)
    assert source.asked == []


def test_errands_are_bounded() -> None:
    """Too many at once are turned away, and what is over is forgotten in time."""
    time, go_on = Time(), threading.Event()
    errands = Errands(remember_s=30, monotonic_s=time)

    def wait() -> list[str]:
        go_on.wait(10)
        return []

    said = [errands.run(number, wait, 0) for number in range(100)]
    assert said.count(["too many questions wait for the sources: ask again shortly"]) == 36
    go_on.set()
    assert errands.run(0, wait, 10) == []
    errands.close()
    assert errands.run("late", wait, 1) != []


def test_an_errand_that_broke_is_run_again() -> None:
    """What it raised is for who asked, and not for who asks next."""
    errands = Errands(remember_s=30, monotonic_s=Time())
    outcomes = iter([StoreError("the disk is full"), None])

    def job() -> list[str]:
        if (error := next(outcomes)) is not None:
            raise error
        return ["done"]

    with pytest.raises(StoreError):
        errands.run("key", job, 10)
    assert errands.run("key", job, 10) == errands.run("key", job, 10) == ["done"]
    errands.close()


def test_asking_does_not_change_what_the_process_did() -> None:
    """What a source gives for a span is in the profile of its process too, and counts once."""
    whole = profile([{"stack": "main", "value": 100 * MS}], duration_ns=SECOND)
    lake, source = stored(), FakeOnDemand("pyroscope")
    lake.submit(whole)
    source.profiles = [samples_payload(ROOT)]
    with fetching(lake, source) as service:
        assert service.span_profile(T, ROOT).coverage.total == 50 * MS
        for asked in ({"scope_wanted": Scope.WINDOW}, {"method": Method.WINDOW}):
            assert service.span_profile(T, ROOT, **asked).coverage.total == 100 * MS
