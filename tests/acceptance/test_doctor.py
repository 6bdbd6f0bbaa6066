"""Recorded traffic of real clients, spoilt on the wire in eight ways: the doctor names each fault, over HTTP."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from correlate import bootstrap
from correlate.api.app import create_app
from correlate.demo import loading, traffic
from correlate.demo.traffic import Recorded
from correlate.formats.proto.pprof_pb2 import Profile, Sample
from correlate.formats.proto.pyroscope_push_pb2 import PushRequest
from tests.support.asgi import AppClient

SECOND = 10**9
AGO_NS = 120 * SECOND
MAGIC = b"\x1f\x8b"
Requests = list[Recorded]


def doctor(folder: Path, requests: Iterable[Recorded], **settings: Any) -> dict[str, Any]:
    """What GET /api/v1/doctor answers when these requests came, the last of them two minutes ago."""
    with bootstrap.running(loading.settings_within(folder, **settings)) as services:
        dated = traffic.ending_at(list(requests), services.clock.now_ns() - AGO_NS)
        loading.load(services.ingest, map(loading.payload_of, dated))
        answer = AppClient(create_app(services)).get("/api/v1/doctor")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@contextmanager
def opened(body: bytes) -> Iterator[list[bytes]]:
    """A body without its compression, if it has one; what is left in the list becomes the body again."""
    held = [gzip.decompress(body) if body.startswith(MAGIC) else body]
    yield held
    if body.startswith(MAGIC):
        held[0] = gzip.compress(held[0], 1)


def every_span(requests: Requests, change: Callable[[Any], None]) -> Requests:
    """Change all spans of all exports."""

    def changed(request: Recorded) -> Recorded:
        with opened(request.body) as held:
            message = ExportTraceServiceRequest.FromString(held[0])
            for resource in message.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        change(span)
            held[0] = message.SerializeToString()
        return replace(request, body=held[0])

    return [changed(each) if each.carries_spans else each for each in requests]


def every_profile(requests: Requests, change: Callable[[Any, Profile], None]) -> Requests:
    """Change all profiles of all pushes, each with its series of labels."""

    def changed(request: Recorded) -> Recorded:
        with opened(request.body) as held:
            push = PushRequest.FromString(held[0])
            for series in push.series:
                for sample in series.samples:
                    with opened(sample.raw_profile) as raw:
                        profile = Profile.FromString(raw[0])
                        change(series, profile)
                        raw[0] = profile.SerializeToString()
                    sample.raw_profile = raw[0]
            held[0] = push.SerializeToString()
        return replace(request, body=held[0])

    return [changed(each) if each.carries_profiles else each for each in requests]


def relabelled(requests: Requests, change: Callable[[int, list[bytes], Sample], None]) -> Requests:
    """Change the samples that carry labels, given their number and the profile's strings."""

    def each(_series: Any, profile: Profile) -> None:
        strings = list(profile.string_table)
        for number, sample in enumerate(profile.sample):
            if sample.label:
                change(number, strings, sample)
        del profile.string_table[:]
        profile.string_table.extend(strings)

    return every_profile(requests, each)


def keep_labels(sample: Sample, strings: list[bytes], *gone: bytes) -> None:
    """Take labels away."""
    kept = [label for label in sample.label if strings[label.key] not in gone]
    del sample.label[:]
    sample.label.extend(kept)


def stripped(requests: Requests) -> Requests:
    """Without ids on three of four samples."""
    return relabelled(
        requests, lambda n, strings, sample: keep_labels(sample, strings, b"span_id", b"trace_id") if n % 4 else None
    )


def exports_lost(requests: Requests) -> Requests:
    """Every third export of spans never arrived."""
    lost = [id(each) for each in [each for each in requests if each.carries_spans][::3]]
    return [each for each in requests if id(each) not in lost]


def only_traces(requests: Requests) -> Requests:
    """Labels name a trace, and no span."""
    return relabelled(requests, lambda _, strings, sample: keep_labels(sample, strings, b"span_id"))


def renamed(requests: Requests) -> Requests:
    """The profiler has another name than the tracer."""

    def rename(series: Any, _profile: Profile) -> None:
        for label in series.labels:
            if label.name == b"service_name":
                label.value = b"checkout-backend"

    return every_profile(requests, rename)


def late(requests: Requests) -> Requests:
    """The profiler's clock is 40 seconds behind."""
    return [traffic.shift(each, -40 * SECOND) if each.carries_profiles else each for each in requests]


def short(requests: Requests) -> Requests:
    """All spans are a fiftieth as long."""

    def shorten(span: Any) -> None:
        span.end_time_unix_nano = (
            span.start_time_unix_nano + (span.end_time_unix_nano - span.start_time_unix_nano) // 50
        )

    return every_span(requests, shorten)


def thinned(requests: Requests) -> Requests:
    """Every third upload of profiles holds totals only."""
    uploads = [id(each) for each in [each for each in requests if each.carries_profiles][::3]]

    def thin(series: Any, profile: Profile) -> None:
        series.labels.add(name=b"__sampled__", value=b"true")
        for sample in profile.sample:
            del sample.location_id[:]
            del sample.label[:]

    return [every_profile([each], thin)[0] if id(each) in uploads else each for each in requests]


def two_ids(requests: Requests) -> Requests:
    """One sample in three carries the label of the request before too."""

    def double(number: int, strings: list[bytes], sample: Sample) -> None:
        names = [label for label in sample.label if strings[label.key] == b"span_id"]
        if number % 3 == 0 and names:
            strings.append(b"%016x" % (number + 1))
            sample.label.add(key=names[0].key, str=len(strings) - 1)

    return relabelled(requests, double)


PLANTED: dict[str, tuple[Callable[[Requests], Requests], set[str], str]] = {
    "1 low coverage": (stripped, {"low-coverage"}, "bridge"),
    "2 orphan ids": (exports_lost, {"orphan-spans"}, "trace exports"),
    "3 labels that name no span": (only_traces, {"labels-name-no-span", "low-coverage"}, "span_id"),
    "4 service names differ": (renamed, {"service-name-mismatch"}, "OTEL_SERVICE_NAME"),
    "5 clock skew": (late, {"clock-skew"}, "NTP"),
    "6 period too coarse": (short, {"sampling-too-coarse"}, "cohort"),
    "7 sampled out": (thinned, {"sampled-out-profiles"}, "sampling"),
    "8 two ids per sample": (two_ids, {"two-spans-per-sample"}, "asyncio"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_each_planted_fault_is_named_with_its_fix(fault: str, tmp_path: Path) -> None:
    """And no other than what follows from it."""
    plant, expected, fix = PLANTED[fault]
    found = {each["name"]: each for each in doctor(tmp_path, plant(list(traffic.shipped())))["complaints"]}
    assert set(found) == expected, found
    assert fix in found[min(expected - {"low-coverage"} or expected)]["fix"]


def test_the_shipped_recording_is_clean(tmp_path: Path) -> None:
    """What real clients sent gives nothing, and most of it is attributed."""
    found = doctor(tmp_path, traffic.shipped())
    assert found["complaints"] == []
    assert found["services"][0]["labels"]["attributed_ratio"] > 0.9


@pytest.mark.parametrize("name", ["checkout", "checkout-varying"])
def test_longer_recordings_are_clean(name: str, shared_data: Path, tmp_path: Path) -> None:
    """The same for minutes of traffic."""
    found = doctor(tmp_path, traffic.read(shared_data / "recorded-clients" / f"{name}.jsonl.gz"))
    assert found["complaints"] == []


def test_the_checklist_knows_the_configuration(tmp_path: Path) -> None:
    """Retention that somebody chose, Grafana, and targets that were never reached."""
    forward = [{"name": "upstream", "kind": "otlp_http", "url": "http://127.0.0.1:9"}]
    folder = tmp_path / "data"
    given = loading.settings_within(folder, retention_days=14, grafana={"url": "http://grafana:3000"})
    with bootstrap.running(given.model_copy(update={"forward": _targets(forward)})) as services:
        answer = AppClient(create_app(services)).get("/api/v1/doctor").json()
    items = {item["name"]: item for item in answer["checklist"]}
    assert (items["retention"]["state"], items["retention"]["evidence"]) == ("ok", "retention_days is 14 (set).")
    assert items["dashboards"]["state"] == "ok"
    assert (items["export-verified"]["state"], "nothing delivered yet" in items["export-verified"]["evidence"]) == (
        "missing",
        True,
    )


def _targets(entries: list[dict[str, str]]) -> list[Any]:
    from correlate.settings import ForwardSettings

    return [ForwardSettings.model_validate(each) for each in entries]
