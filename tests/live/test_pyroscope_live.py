"""Against a real Pyroscope: what is pulled equals what was pushed."""

import base64
import os
import time
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from connectors.endpoint import Endpoint
from connectors.pyroscope import PyroscopeOptions, PyroscopeSource
from correlate.bootstrap import SystemClock
from correlate.errors import BadQuery, SourceRefused
from correlate.formats import registry
from correlate.model.payload import PayloadKind
from correlate.model.queries import TimeRange
from tests.support.pprof_bytes import collapsed_stacks, cpu_profile, stacks_of

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        "PYROSCOPE_URL" not in os.environ, reason="set PYROSCOPE_URL to a Pyroscope that may be written to"
    ),
]
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
ONE, OTHER, TRACE = "9a517183f26a089d", "0102030405060708", "5fc8f3e0a1b2c3d4e5f60718293a4b5c"
MS = 10**6
SAMPLES = [
    (("main", "serve", "checkout"), 30 * MS, {"span_id": ONE, "trace_id": TRACE}),
    (("main", "serve", "checkout", "hash"), 50 * MS, {"span_id": ONE, "trace_id": TRACE}),
    (("main", "serve", "items; ranked"), 20 * MS, {"span_id": OTHER}),
    (("main", "sweep"), 70 * MS, {}),
]
STEP_NS = 15 * 10**9


@pytest.fixture(scope="module")
def pushed() -> tuple[str, int]:
    """A service of its own with three profiles in different steps; its name and the time of the first one."""
    url = os.environ["PYROSCOPE_URL"].rstrip("/")
    service, first_ns = f"live-{uuid4().hex[:8]}", (SystemClock().now_ns() // STEP_NS - 8) * STEP_NS
    for step in (0, 2, 3):
        body = cpu_profile(SAMPLES, first_ns + step * STEP_NS + 10**9)
        labels = [{"name": "__name__", "value": "process_cpu"}, {"name": "service_name", "value": service}]
        series = {"labels": labels, "samples": [{"rawProfile": base64.b64encode(body).decode()}]}
        answer = httpx.post(f"{url}/push.v1.PusherService/Push", json={"series": [series]})
        assert answer.status_code == 200, answer.text
    return service, first_ns


@pytest.fixture
def source(pushed: tuple[str, int]) -> Iterator[PyroscopeSource]:
    """A source that pulls that service only, once its profiles can be found."""
    service, first_ns = pushed
    made = PyroscopeSource(
        "live", Endpoint(os.environ["PYROSCOPE_URL"]), SystemClock(), options=PyroscopeOptions(services=(service,))
    )
    until = time.monotonic() + 20
    while len(list(made.fetch(TimeRange(first_ns, first_ns + 4 * STEP_NS)))) < 3 and time.monotonic() < until:
        time.sleep(0.5)
    yield made
    made.close()


def window_of(first_ns: int) -> TimeRange:
    return TimeRange(first_ns, first_ns + 4 * STEP_NS)


def test_a_span_profile_equals_the_pushed_samples(source: PyroscopeSource, pushed: tuple[str, int]) -> None:
    """Exactly the samples with the label come back, three times those of one profile; no span, no samples."""
    service, first_ns = pushed
    payload = source.span_profile([ONE], CPU, service, window_of(first_ns))
    assert payload is not None
    read = stacks_of if payload.kind is PayloadKind.PPROF else collapsed_stacks
    expected = {stack: 3 * value for stack, value, labels in SAMPLES if labels.get("span_id") == ONE}
    assert read(payload.body) == expected
    both = source.span_profile([ONE, OTHER], CPU, service, window_of(first_ns))
    assert both is not None
    assert sum(read(both.body).values()) == 300 * MS
    assert source.span_profile(["00000000000000ff"], CPU, service, window_of(first_ns)) is None
    with pytest.raises(BadQuery):
        source.span_profile([], CPU, service, window_of(first_ns))


def test_a_span_profile_of_one_upload_is_that_upload(source: PyroscopeSource, pushed: tuple[str, int]) -> None:
    """With a narrow window the values are those of a single profile."""
    service, first_ns = pushed
    narrow = PyroscopeSource(
        "live", Endpoint(os.environ["PYROSCOPE_URL"]), SystemClock(), options=PyroscopeOptions(margin_s=0)
    )
    payload = narrow.span_profile([ONE], CPU, service, TimeRange(first_ns, first_ns + STEP_NS))
    narrow.close()
    assert payload is not None
    read = stacks_of if payload.kind is PayloadKind.PPROF else collapsed_stacks
    assert read(payload.body) == {stack: value for stack, value, labels in SAMPLES if labels.get("span_id") == ONE}


def test_a_trace_profile_equals_the_pushed_samples(source: PyroscopeSource, pushed: tuple[str, int]) -> None:
    """Servers from 2.2 with v2 storage select by trace; others are not believed."""
    service, first_ns = pushed
    try:
        payload = source.trace_profile([TRACE], CPU, service, window_of(first_ns))
    except SourceRefused as exc:
        pytest.skip(str(exc))
    assert payload is not None
    read = stacks_of if payload.kind is PayloadKind.PPROF else collapsed_stacks
    assert sum(read(payload.body).values()) == 240 * MS


def test_bulk_pulls_bring_every_sample_once(source: PyroscopeSource, pushed: tuple[str, int]) -> None:
    """One profile per step that has any; windows in a row and one window bring the same content."""
    _, first_ns = pushed
    whole = list(source.fetch(window_of(first_ns)))
    assert [int(payload.params["from"]) for payload in whole] == [first_ns + step * STEP_NS for step in (0, 2, 3)]
    for payload in whole:
        assert stacks_of(payload.body) == {stack: value for stack, value, _ in SAMPLES}
    cut = first_ns + STEP_NS * 5 // 2
    parts = [*source.fetch(TimeRange(first_ns, cut)), *source.fetch(TimeRange(cut, first_ns + 4 * STEP_NS))]
    contents, again = ([registry.read(each).profiles.drop("received_ns") for each in some] for some in (whole, parts))
    assert len(parts) == 3
    for one, other in zip(contents, again, strict=True):
        assert one.equals(other)
    assert contents[0]["time_ns"].item() == first_ns
    assert contents[0]["duration_ns"].item() == STEP_NS
    assert contents[0]["type"].item() == CPU


def test_exemplars_name_the_pushed_spans(source: PyroscopeSource, pushed: tuple[str, int]) -> None:
    """A server with v2 storage lists spans that have samples."""
    service, first_ns = pushed
    found = source.span_exemplars(CPU, service, window_of(first_ns))
    assert {each.span_id for each in found} <= {ONE, OTHER}
    assert {(each.span_id, each.trace_id) for each in found} >= {(ONE, TRACE)} or found == []


def test_checking_finds_out_what_the_server_can_do(source: PyroscopeSource) -> None:
    """Kind of server, services, span selection."""
    texts = [finding.text for finding in source.check()]
    assert "Pyroscope" in texts[0]
    assert any("selects samples by spans" in text for text in texts)
    print(*texts, sep="\n")
