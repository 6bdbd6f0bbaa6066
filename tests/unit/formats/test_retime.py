"""Times move; nothing else does."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from correlate.errors import BadInput, Malformed
from correlate.formats.inflate import gunzip, gzip
from correlate.formats.proto import pprof_pb2, pyroscope_push_pb2
from correlate.formats.retime import retime_push, retime_traces

T0_NS = 1_795_000_000_000_000_000
TIMES_NS = st.one_of(st.just(0), st.integers(T0_NS, T0_NS + 10**15))
TEXT = st.text("aé", max_size=5)
DELTAS_NS = st.integers(-(10**17), 10**17)
# A field no schema here knows: number 1000, text "later".
UNKNOWN = b"\xc2\x3e\x05later"


@st.composite
def exports(draw: st.DrawFn) -> ExportTraceServiceRequest:
    """Trace exports of a few spans with events, attributes and links."""
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource = request.resource_spans.add(schema_url=draw(TEXT))
        resource.resource.attributes.add(key="service.name").value.string_value = draw(
            st.sampled_from(["", "checkout", "x" * 300])
        )
        for _ in range(draw(st.integers(0, 3))):
            span = resource.scope_spans.add().spans.add(name=draw(TEXT), span_id=draw(st.binary()))
            span.start_time_unix_nano, span.end_time_unix_nano = draw(TIMES_NS), draw(TIMES_NS)
            span.events.add(name="event", time_unix_nano=draw(TIMES_NS))
            span.links.add(trace_id=draw(st.binary()))
    return request


def moved(request: ExportTraceServiceRequest, delta_ns: int) -> ExportTraceServiceRequest:
    """The slow twin: the same request with its times changed field by field."""
    copy = ExportTraceServiceRequest.FromString(request.SerializeToString())
    for resource in copy.resource_spans:
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            span.start_time_unix_nano += delta_ns if span.start_time_unix_nano else 0
            span.end_time_unix_nano += delta_ns if span.end_time_unix_nano else 0
            for event in span.events:
                event.time_unix_nano += delta_ns if event.time_unix_nano else 0
    return copy


def push(time_ns: int, *, zipped: bool) -> bytes:
    """A push of one series with one profile, with fields nobody knows at every level."""
    profile = pprof_pb2.Profile(time_nanos=time_ns, duration_nanos=5 * 10**9, string_table=[b"", b"cpu"])
    raw = profile.SerializeToString() + UNKNOWN
    request = pyroscope_push_pb2.PushRequest()
    series = request.series.add()
    series.labels.add(name=b"__name__", value=b"process_cpu")
    series.samples.add(raw_profile=gzip(raw) if zipped else raw, ID=b"one")
    return request.SerializeToString() + UNKNOWN


@given(exports(), DELTAS_NS)
def test_traces_move_as_the_slow_twin_moves_them(request: ExportTraceServiceRequest, delta_ns: int) -> None:
    """Starts, ends and events move; times that are not set, and every other field, stay byte for byte."""
    body = request.SerializeToString(deterministic=True)
    assert retime_traces(body, delta_ns) == moved(request, delta_ns).SerializeToString(deterministic=True)


@given(exports(), DELTAS_NS)
def test_there_and_back_is_where_it_began(request: ExportTraceServiceRequest, delta_ns: int) -> None:
    """Moving by a shift and by its opposite gives the same bytes, unknown fields included."""
    body = request.SerializeToString() + UNKNOWN
    assert retime_traces(retime_traces(body, delta_ns), -delta_ns) == body


@pytest.mark.parametrize("zipped", [False, True])
def test_pushes_move(zipped: bool) -> None:
    """The time of a profile moves, gzip stays gzip, and fields that nobody knows survive at every level."""
    assert retime_push(push(T0_NS, zipped=zipped), 10**12) == push(T0_NS + 10**12, zipped=zipped)


def test_a_push_is_moved_the_same_way_every_time() -> None:
    """Equal input gives equal bytes, although the profile is compressed anew."""
    body = push(T0_NS, zipped=True)
    assert retime_push(body, 17) == retime_push(body, 17)


@pytest.mark.parametrize("time_ns", [0, -5])
def test_a_profile_without_a_time_stays_without(time_ns: int) -> None:
    """No time, or a negative one, is not made up by moving it."""
    assert retime_push(push(time_ns, zipped=False), 10**12) == push(time_ns, zipped=False)


def test_a_time_cannot_leave_the_calendar() -> None:
    """A shift that would give a negative or an overflowing time is refused."""
    with pytest.raises(Malformed, match="leaves the years"):
        retime_push(push(T0_NS, zipped=False), -2 * T0_NS)
    with pytest.raises(Malformed, match="leaves the years"):
        retime_push(push(T0_NS, zipped=False), 1 << 63)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x0a\x05ab", "ends 3 bytes after"),
        (b"\x0a", "does not end"),
        (b"\xff" * 11, "does not end"),
        (b"\x09\x00", "ends 7 bytes after"),
        (b"\x0b\x0c", "wire type 3"),
    ],
)
def test_broken_messages_are_named(body: bytes, reason: str) -> None:
    """What is not protobuf is refused with the place where it breaks."""
    with pytest.raises(Malformed, match=reason):
        retime_traces(body, 1)


def test_a_broken_gzip_inside_a_push_is_named() -> None:
    """A profile whose gzip stream is cut off is refused."""
    request = pyroscope_push_pb2.PushRequest()
    request.series.add().samples.add(raw_profile=gzip(b"profile")[:-4])
    with pytest.raises(Malformed, match="ends early"):
        retime_push(request.SerializeToString(), 1)


@given(st.binary(max_size=60), DELTAS_NS)
def test_any_bytes_give_bytes_or_an_error_of_ours(body: bytes, delta_ns: int) -> None:
    """Nonsense never raises anything else."""
    for retime in (retime_traces, retime_push):
        with suppress(BadInput):
            assert isinstance(retime(body, delta_ns), bytes)


def test_gzip_written_here_is_read_here() -> None:
    """The helper pair the codec relies on is an identity."""
    assert gunzip(gzip(UNKNOWN)) == UNKNOWN
