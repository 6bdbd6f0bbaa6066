"""Which windows are searched, and what the answers say."""

import contextlib
from collections.abc import Generator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.tempo_search import (
    MAX_LIMIT,
    MAX_RANGE_S,
    Answer,
    Ask,
    padded_trace_id,
    read_hits,
    service_queries,
    slices,
    sweep,
    whole_seconds,
)
from correlate.errors import SourceMalformed
from correlate.model.queries import TimeRange

NS = 1_000_000_000


def driven(window: TimeRange, limit: int, counts: dict[int, int], most: int = MAX_LIMIT) -> tuple[list[Ask], list[Ask]]:
    """All searches of a sweep over traces that last no time, by second; and those given up."""
    flow, asks = sweep(window, limit=limit, slice_s=60), []
    answer = None
    while True:
        try:
            asks.append(flow.send(answer))  # type: ignore[arg-type]
        except StopIteration as end:
            return asks, end.value
        ask = asks[-1]
        count = sum(number for second, number in counts.items() if ask.start_s <= second < ask.end_s)
        answer = Answer.REFUSED if ask.limit > most else Answer.FULL if count >= ask.limit else Answer.FEW


@given(
    st.integers(0, 10_000),
    st.integers(0, 2_000),
    st.dictionaries(st.integers(0, 12_000), st.integers(1, 40)),
    st.data(),
)
def test_a_sweep_covers_every_second_completely(
    start_s: int, length_s: int, counts: dict[int, int], data: object
) -> None:
    """Searches that were not full cover the whole range, whatever is where."""
    asks, given_up = driven(TimeRange(start_s * NS, (start_s + length_s) * NS), 20, counts)
    covered: set[int] = set()
    for ask in asks:
        count = sum(number for second, number in counts.items() if ask.start_s <= second < ask.end_s)
        if count < ask.limit:
            covered |= set(range(ask.start_s, ask.end_s))
    assert covered >= set(range(start_s, start_s + length_s))
    assert given_up == []


def test_quiet_times_are_crossed_in_wide_steps() -> None:
    """30 days without traces take few searches, none longer than Tempo allows."""
    asks, _ = driven(TimeRange(0, 30 * 86_400 * NS), 1000, {})
    assert len(asks) < 20
    assert max(ask.end_s - ask.start_s for ask in asks) <= MAX_RANGE_S


def test_a_second_with_too_much_is_asked_for_more_and_then_given_up() -> None:
    """The limit rises to Tempo's highest; what is still full is reported, and the next second comes."""
    asks, given_up = driven(TimeRange(10 * NS, 12 * NS), 1000, {10: 300_000})
    assert [ask.limit for ask in asks if ask.start_s == 10 and ask.end_s == 11] == [1000, 8000, 64_000, MAX_LIMIT]
    assert given_up == [Ask(10, 11, 1000)]
    assert asks[-1].start_s == 11


def test_a_server_that_refuses_the_higher_limit_is_taken_at_its_word() -> None:
    """The second is reported, nothing is repeated for ever."""
    asks, given_up = driven(TimeRange(0, 1 * NS), 1000, {0: 300_000}, most=5000)
    assert [ask.limit for ask in asks] == [1000, 8000]
    assert given_up == [Ask(0, 1, 1000)]


def test_a_slow_server_is_asked_for_less_and_then_left() -> None:
    """Three halvings, then the sweep ends: its caller raises what made it slow."""
    flow = sweep(TimeRange(0, 64 * NS), limit=10, slice_s=64)
    widths = [ask.end_s - ask.start_s for ask in _told(flow, Answer.SLOW)]
    assert widths == [64, 32, 16, 8]


def _told(flow: Generator[Ask, Answer, list[Ask]], answer: Answer) -> Iterator[Ask]:
    ask = next(flow)
    with contextlib.suppress(StopIteration):
        while True:
            yield ask
            ask = flow.send(answer)


@given(st.integers(-5 * NS, 1 << 63), st.integers(0, 1 << 62))
def test_times_fit_into_the_parameters(start_ns: int, length_ns: int) -> None:
    """Whole seconds around the range, never more than 32 bits, never backwards."""
    start_s, end_s = whole_seconds(TimeRange(start_ns, start_ns + length_ns))
    assert 0 <= start_s <= end_s < 1 << 32
    if start_ns >= 0 and start_ns + length_ns < 4 * 10**18:
        assert start_s * NS <= start_ns
        assert end_s * NS >= start_ns + length_ns


def test_slices_are_adjacent_and_newest_first() -> None:
    """They cover the range without a gap."""
    assert [(one.start_ns // NS, one.end_ns // NS) for one in slices(TimeRange(0, 25 * NS), 10)] == [
        (15, 25),
        (5, 15),
        (0, 5),
    ]


def test_services_become_traceql() -> None:
    """All spans without a name; names are quoted; many names make several queries."""
    assert service_queries([]) == ["{}"]
    assert service_queries(['a"b\\']) == ['{ resource.service.name = "a\\"b\\\\" }']
    assert service_queries(["a", "b"]) == ['{ resource.service.name = "a" || resource.service.name = "b" }']
    assert len(service_queries(map(str, range(120)))) == 3


@pytest.mark.parametrize("text", ["", "0x1", "-1", " 1", "1_0", "g", "1" * 33, "../../x"])
def test_what_is_no_trace_id_never_gets_into_a_path(text: str) -> None:
    """Only hexadecimal digits, up to 32."""
    with pytest.raises(ValueError, match="trace id"):
        padded_trace_id(text)


def test_hits_are_read_with_all_their_traps() -> None:
    """Stripped zeros are back, "nil" and missing values are None, the deprecated copy serves when it is alone."""
    attributes = [
        {"key": "http.route", "value": {"stringValue": "nil"}},
        {"key": "none", "value": {}},
        {"key": "n", "value": {"intValue": "7"}},
        {"key": "d", "value": {"doubleValue": 1.5}},
        {"key": "b", "value": {"boolValue": True}},
    ]
    span = {"spanID": "1f", "startTimeUnixNano": "5", "durationNanos": "7", "attributes": attributes}
    old = {"traceID": "ABC", "spanSet": {"spans": [span], "matched": 9}, "durationMs": 2}
    hit = read_hits({"traces": [old]}, "tempo")[0]
    assert (hit.trace_id, hit.matched, hit.duration_ns, hit.root_service) == ("abc".zfill(32), 9, 2_000_000, "")
    assert hit.spans[0].span_id == "000000000000001f"
    assert hit.spans[0].attributes == {"http.route": None, "none": None, "n": 7, "d": 1.5, "b": True}


@pytest.mark.parametrize(
    "answer",
    [
        *({"traces": [{}]}, {"traces": 5}, {"traces": ["a"]}, {"traces": [{"traceID": 5}]}),
        *({"traces": [{"traceID": "zz"}]}, {"traces": [{"traceID": "1", "durationMs": "x"}]}),
        {"traces": [{"traceID": "1", "spanSets": [{"spans": [{}]}]}]},
    ],
)
def test_other_json_is_malformed(answer: dict[str, object]) -> None:
    """Whatever is wrong in it."""
    with pytest.raises(SourceMalformed, match="not Tempo's"):
        read_hits(answer, "tempo")
