"""What a recording says about itself, straight from its bytes, by the slow generated classes.

Independent of the readers under test: spans come from the classes of the `opentelemetry-proto` package, profiles from
the plain generated classes and Python loops. Acceptance tests compare answers with these sums.
"""

import gzip
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from correlate.demo.traffic import Recorded
from correlate.formats.proto import pprof_pb2, pyroscope_push_pb2

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class TrueSpan:
    """A span as it was sent; ids in hexadecimal, no parent is an empty string."""

    trace: str
    span: str
    parent: str
    name: str
    service: str
    start_ns: int
    end_ns: int
    attributes: dict[str, object]


@dataclass(frozen=True)
class TrueSample:
    """A sample of a profile: labels, stack of function names root first, and the values by sample type."""

    profile: str
    series: dict[str, str]
    labels: dict[str, list[str]]
    stack: tuple[str, ...]
    values: dict[str, int]
    time_ns: int
    duration_ns: int


@dataclass
class Truth:
    """Spans and samples of a recording.

    Attributes:
        spans: by span id.
        samples: of all profiles, CPU and memory.
    """

    spans: dict[str, TrueSpan] = field(default_factory=dict)
    samples: list[TrueSample] = field(default_factory=list)

    @property
    def cpu_samples(self) -> list[TrueSample]:
        """Samples of CPU profiles."""
        return [sample for sample in self.samples if sample.profile == "process_cpu"]

    @property
    def total_cpu_ns(self) -> int:
        """CPU time of all samples, labelled or not."""
        return sum(cpu_ns(sample) for sample in self.cpu_samples)

    def cpu_ns_by_span(self) -> dict[str, int]:
        """CPU time by `span_id` label over all pushes; samples without one are under ``""``."""
        return self._cpu_ns_by_label("span_id")

    def cpu_ns_by_trace(self) -> dict[str, int]:
        """CPU time by `trace_id` label; samples without one are under ``""``."""
        return self._cpu_ns_by_label("trace_id")

    def cpu_ns_by_operation(self) -> dict[str, int]:
        """CPU time by name of the span that the labels name: ``""`` without label, ``"?"`` when it never arrived."""
        sums: Counter[str] = Counter()
        for span, spent_ns in self.cpu_ns_by_span().items():
            sums[self.spans[span].name if span in self.spans else "?" if span else ""] += spent_ns
        return dict(sums)

    def cpu_ns_by_stack(self, span: str) -> dict[tuple[str, ...], int]:
        """CPU time of one labelled span by stack of function names, root first."""
        sums: Counter[tuple[str, ...]] = Counter()
        for sample in self.cpu_samples:
            if only_label(sample, "span_id") == span:
                sums[sample.stack] += cpu_ns(sample)
        return dict(sums)

    def orphans(self, missing: Collection[str] = ()) -> set[str]:
        """Span ids on CPU samples whose span is not there, or would not be there without the `missing` ones."""
        return set(self.cpu_ns_by_span()) - {""} - (set(self.spans) - set(missing))

    def orphaned_cpu_ns(self, missing: Collection[str] = ()) -> int:
        """CPU time of the orphans."""
        spent_ns = self.cpu_ns_by_span()
        return sum(spent_ns[span] for span in self.orphans(missing))

    def _cpu_ns_by_label(self, key: str) -> dict[str, int]:
        sums: Counter[str] = Counter()
        for sample in self.cpu_samples:
            sums[only_label(sample, key)] += cpu_ns(sample)
        return dict(sums)


def truth(requests: Iterable[Recorded]) -> Truth:
    """Read everything that some requests carry; a request given twice counts twice."""
    found = Truth()
    for request in requests:
        body = _plain(request.body)
        if request.carries_spans:
            found.spans.update((span.span, span) for span in spans_of(body))
        elif request.carries_profiles:
            found.samples.extend(samples_of(body))
    return found


def cpu_ns(sample: TrueSample) -> int:
    """The CPU time of a sample of a CPU profile."""
    return sample.values["cpu/nanoseconds"]


def only_label(sample: TrueSample, key: str) -> str:
    """The one value of a label; empty when there is none, or several that disagree."""
    values = set(sample.labels.get(key, ()))
    return values.pop() if len(values) == 1 else ""


def spans_of(body: bytes) -> Iterator[TrueSpan]:
    """The spans of an OTLP trace export."""
    for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {pair.key: _value(pair.value) for pair in resource_spans.resource.attributes}
        for span in (span for scope in resource_spans.scope_spans for span in scope.spans):
            yield TrueSpan(
                trace=span.trace_id.hex(),
                span=span.span_id.hex(),
                parent=span.parent_span_id.hex(),
                name=span.name,
                service=str(resource.get("service.name", "")),
                start_ns=span.start_time_unix_nano,
                end_ns=span.end_time_unix_nano,
                attributes={pair.key: _value(pair.value) for pair in span.attributes},
            )


def samples_of(body: bytes) -> Iterator[TrueSample]:
    """The samples of all profiles in a Pyroscope push."""
    for series in pyroscope_push_pb2.PushRequest.FromString(body).series:
        labels = {pair.name.decode(): pair.value.decode() for pair in series.labels}
        for raw in series.samples:
            yield from _samples(pprof_pb2.Profile.FromString(_plain(raw.raw_profile)), labels)


def _samples(profile: pprof_pb2.Profile, series: dict[str, str]) -> Iterator[TrueSample]:
    strings = [text.decode() for text in profile.string_table]
    types = [f"{strings[kind.type]}/{strings[kind.unit]}" for kind in profile.sample_type]
    frames = _frames(profile, strings)
    for sample in profile.sample:
        labels = defaultdict(list)
        for label in sample.label:
            labels[strings[label.key]].append(strings[label.str] if label.str else str(label.num))
        leaf_first = [name for location in sample.location_id for name in frames[location]]
        yield TrueSample(
            profile=series["__name__"],
            series=series,
            labels=dict(labels),
            stack=tuple(reversed(leaf_first)),
            values=dict(zip(types, sample.value, strict=True)),
            time_ns=profile.time_nanos,
            duration_ns=profile.duration_nanos,
        )


def _frames(profile: pprof_pb2.Profile, strings: list[str]) -> dict[int, list[str]]:
    """Function names of each location, innermost first."""
    names = {function.id: strings[function.name] for function in profile.function}
    return {location.id: [names[line.function_id] for line in location.line] for location in profile.location}


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(GZIP_MAGIC) else body


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    return getattr(value, kind) if kind else None
