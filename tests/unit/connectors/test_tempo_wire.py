"""The bytes of Tempo's wrapper."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.tempo_wire import BrokenTrace, check_trace, only_services, read_response
from tests.fakes.tempo import FakeSpan, FakeTempo, spans_of, traces_data

SPANS = st.lists(
    st.builds(
        FakeSpan,
        st.just("0a" * 16),
        st.integers(1, 1 << 60).map("{:016x}".format),
        st.sampled_from(["shop", "db", "", "ünï"]),
        st.text(max_size=200),
        st.integers(0, 1 << 62),
        st.integers(0, 1 << 62),
    ),
    max_size=20,
    unique_by=lambda span: span.span_id,
)


def wrapped(body: bytes, tail: bytes = b"") -> bytes:
    """As ``/api/v2/traces`` sends it."""
    tempo = FakeTempo()
    tempo.push(spans_of(body))
    return tempo._trace_v2("0a" * 16, "application/protobuf").content + tail


@given(SPANS)
def test_a_wrapped_trace_is_unwrapped_unchanged(spans: list[FakeSpan]) -> None:
    """The bytes inside are handed on as they are."""
    body = traces_data(spans)
    stored = read_response(wrapped(body))
    assert set(map(str, spans_of(stored.body))) == set(map(str, spans))
    assert stored.partial == ""


def test_the_wrapper_says_when_it_is_partial() -> None:
    """Status 1 with a message, or without one; status 0 is complete."""
    assert read_response(b"\x0a\x00\x18\x01\x22\x02no").partial == "no"
    assert read_response(b"\x0a\x00\x18\x01").partial == "a partial trace is returned"
    assert read_response(b"\x0a\x00\x18\x00\x22\x02no").partial == ""


def test_parts_of_a_message_that_comes_twice_are_merged() -> None:
    """As protobuf demands of an embedded message."""
    half, other = traces_data([FakeSpan("01", "1" * 16, "a", "x", 1, 2)]), traces_data([])
    twice = b"".join(b"\x0a" + bytes([len(one)]) + one for one in (half, other, half))
    assert read_response(twice).body == half + half


@given(st.binary(max_size=300))
def test_any_bytes_are_a_trace_or_broken(data: bytes) -> None:
    """Never another error, never without end."""
    for read in (read_response, check_trace, lambda body: only_services(body, frozenset({"a"}))):
        with contextlib.suppress(BrokenTrace):
            read(data)


@given(SPANS, st.data())
def test_a_trace_that_is_cut_off_is_broken_or_shorter(spans: list[FakeSpan], data: st.DataObject) -> None:
    """A cut inside the wrapper's trace is always noticed."""
    whole = wrapped(traces_data(spans))
    cut = data.draw(st.integers(1, max(1, len(whole) - 3)))
    if cut < len(whole) - 2:
        with pytest.raises(BrokenTrace):
            read_response(whole[:cut])


@given(SPANS, st.frozensets(st.sampled_from(["shop", "db", "", "ünï", "other"])))
def test_only_chosen_services_stay(spans: list[FakeSpan], services: frozenset[str]) -> None:
    """The same as decoding, choosing and encoding."""
    got = spans_of(only_services(traces_data(spans), services))
    assert set(map(str, got)) == {str(span) for span in spans if span.service in services}
