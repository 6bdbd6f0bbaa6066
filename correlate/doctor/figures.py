"""What the checks look at: figures of a service, of its spans and of its samples, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """Where the value of a service's samples of one profile type went; the parts add up to the total.

    Values are in the unit of the profile type.

    Attributes:
        profile_type: the type's id.
        unit: of all values.
        hits: how often the profiler looked.
        total: all value.
        attributed: names a span that is stored.
        orphaned: names a span that is not stored, and neither is anything that rules it out.
        misnamed: names something that is no span of its trace, although the trace is stored.
        trace_only: names a trace and no span.
        unreadable: carries an id under a key or in a form that cannot be read as one.
        ambiguous: names two spans at once.
        unlabelled: names nothing.
        pending: names a span that may still be running or on its way.
        orphan_spans: how many different missing spans are named.
        owners: attributed value by the service of the span.
        unreadable_keys: keys of the labels that could not be read.
    """

    profile_type: str
    unit: str
    hits: int
    total: int = 0
    attributed: int = 0
    orphaned: int = 0
    misnamed: int = 0
    trace_only: int = 0
    unreadable: int = 0
    ambiguous: int = 0
    unlabelled: int = 0
    pending: int = 0
    orphan_spans: int = 0
    owners: Mapping[str, int] = field(default_factory=dict)
    unreadable_keys: tuple[str, ...] = ()

    def share(self, value: int) -> float:
        """A part of what can be judged already: all but what is pending; 0 when there is nothing."""
        judged = self.total - self.pending
        return value / judged if judged > 0 else 0.0


@dataclass(frozen=True, slots=True)
class SkewFigures:
    """How samples lie to the spans they name.

    Attributes:
        hits: of the profiler, in samples whose span is stored, among those looked at.
        outside_hits: those whose own interval lies wholly outside their span's, by more than is tolerated.
        offset_ns: median distance from the middle of a span to the middle of its samples; above 0 when the profiler's
            clock is ahead of the tracer's.
        own_times: whether the samples have times of their own, not only those of their profiles.
    """

    hits: int
    outside_hits: int
    offset_ns: int
    own_times: bool


@dataclass(frozen=True, slots=True)
class OperationFigures:
    """Spans of one name at which work enters the service: those that bridges between SDK and profiler label.

    Attributes:
        name: of the spans.
        span_count: how many.
        median_duration_ns: half of them are shorter.
        time_ratio: their part of the time of all such spans of the service, 0 to 1.
    """

    name: str
    span_count: int
    median_duration_ns: float
    time_ratio: float


@dataclass(frozen=True, slots=True)
class TraceFigures:
    """How whole the traces are.

    Attributes:
        child_count: spans that name a parent.
        parentless_count: those whose parent is not stored.
    """

    child_count: int
    parentless_count: int


@dataclass(frozen=True, slots=True)
class SampledOutFigures:
    """Profiles of which only the totals were kept.

    Attributes:
        profile_count: profiles looked at.
        bare_profile_count: those with a total and not one sample.
        total: value of the samples looked at.
        marked: value under the label ``__sampled__="true"``.
        stackless: value without a stack, the marked included.
    """

    profile_count: int
    bare_profile_count: int
    total: int
    marked: int
    stackless: int


@dataclass(frozen=True, slots=True)
class ArrivalFigures:
    """When spans and profiles of a service were last seen; nanoseconds since the Unix epoch, 0: never.

    Attributes:
        span_count: spans stored.
        profile_count: profiles stored.
        last_span_ns: end of the last span.
        last_profile_ns: end of the last profile.
        longest_profile_ns: the longest time that one profile covers.
        profiles_ahead_ns: how far the newest profile ends after it was received; below 0: before.
        now_ns: the time of the examination.
    """

    span_count: int
    profile_count: int
    last_span_ns: int
    last_profile_ns: int
    longest_profile_ns: int
    profiles_ahead_ns: int
    now_ns: int


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """Everything that was measured of one service; what could not be is None.

    Attributes:
        service: its name.
        arrival: from sums over everything stored.
        start_ns: start of the stretch of time whose samples and spans were looked at, 0: none was.
        end_ns: its end.
        sample_rows: samples looked at.
        span_rows: spans looked at.
        labels: of the profile type that measures time on the CPU, or the nearest to it.
        skew: of the same samples.
        period_ns: the time between two hits of that profiler; None: unknown, or not a matter of time.
        operations: of the spans looked at.
        traces: of the spans looked at.
        sampled_out: of the profiles and samples looked at.
        identity: resource attributes and labels that tell its processes apart, as ``key=value``.
    """

    service: str
    arrival: ArrivalFigures
    start_ns: int = 0
    end_ns: int = 0
    sample_rows: int = 0
    span_rows: int = 0
    labels: LabelFigures | None = None
    skew: SkewFigures | None = None
    period_ns: int | None = None
    operations: tuple[OperationFigures, ...] = ()
    traces: TraceFigures | None = None
    sampled_out: SampledOutFigures | None = None
    identity: frozenset[str] = frozenset()
