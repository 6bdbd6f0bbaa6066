"""Answers of the use cases, as values; the API and the command line give them their outward form."""

from dataclasses import dataclass
from enum import StrEnum

from correlate.model.ids import TraceId, format_span_id
from correlate.model.profile_type import ProfileType
from correlate.model.queries import TimeRange


class Scope(StrEnum):
    """How much of a trace a profile is asked for."""

    SPAN = "span"
    SUBTREE = "subtree"
    TRACE = "trace"
    WINDOW = "window"
    """Everything the process did meanwhile, whoever it was done for."""


class Method(StrEnum):
    """By what evidence samples were given to a span; `AUTO` picks the strongest there is."""

    AUTO = "auto"
    LINK = "link"
    LABEL = "label"
    PROFILE_ID = "profile_id"
    THREAD_TIME = "thread_time"
    WINDOW = "window"
    UNMIXED = "unmixed"


class Reason(StrEnum):
    """Why a span has no profile. The text is part of the API."""

    UNKNOWN_SPAN = "unknown span"
    NO_PROFILER = "no profiler for this service"
    TOO_SHORT = "shorter than the sampling period"
    NOT_ARRIVED = "profiles not arrived yet"
    DROPPED = "dropped by sampling"
    ON_ROOT = "labelled at its local root only"
    TOO_WEAK = "evidence too weak"


@dataclass(frozen=True, slots=True)
class SpanInfo:
    """One stored span, without its attributes.

    Attributes:
        parent: span id of the parent, 0 for a root.
        kind: OTLP SpanKind, 0 to 5.
        status: OTLP StatusCode, 0 unset, 1 ok, 2 error.
        profile_ref: what the attribute ``pyroscope.profile.id`` or ``profile.id`` says, empty without one.
    """

    trace: TraceId
    span: int
    parent: int
    service: str
    name: str
    kind: int
    status: int
    start_ns: int
    duration_ns: int
    profile_ref: str = ""

    @property
    def end_ns(self) -> int:
        """When the span ended, nanoseconds since the Unix epoch."""
        return self.start_ns + self.duration_ns

    @property
    def label(self) -> str:
        """Service, operation and span id for messages."""
        return f"{self.service} {self.name!r} {format_span_id(self.span)}"


@dataclass(frozen=True, slots=True)
class CohortInfo:
    """Spans chosen by a query.

    Attributes:
        query: what chose them, in the language of ``docs/traceql.md``.
        window: when they ran.
        matched: how many spans the query matches.
        chosen: how many of them were looked at; fewer than `matched` when there were too many.
        services: where they ran, sorted.
    """

    query: str
    window: TimeRange
    matched: int
    chosen: int
    services: tuple[str, ...]


Subject = SpanInfo | CohortInfo
"""What a profile is of."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure an answer is.

    Attributes:
        level: ``exact`` or, for joins without labels, ``inferred`` or ``estimated``.
        reason: one sentence a person can judge it by.
        error_bound: largest share of the total that may belong elsewhere, 0 for exact joins.
    """

    level: str
    reason: str
    error_bound: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was seen against how much there was to see.

    Attributes:
        samples: hits of the profiler in the answer.
        total: sum of their values, in the profile type's unit.
        sampled_ns: the same in nanoseconds for types that measure time, else None.
        wall_ns: wall time of the spans in scope that are not inside one another.
        expected_samples: hits a thread would have had that was on the CPU for all of `wall_ns`; None if unknowable.
        period: the profiler's sampling period in its own unit, 0 if it did not say.
        unattributed: value, in the profiles that overlap, of samples that no span was given: they name none, or two.
    """

    samples: int
    total: int
    sampled_ns: int | None
    wall_ns: int
    expected_samples: float | None
    period: int
    unattributed: int

    @property
    def ratio(self) -> float | None:
        """Samples against expected samples; above 1 when several threads worked."""
        return self.samples / self.expected_samples if self.expected_samples else None


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where all the value of one service and profile type in a window went; the parts add up to the total.

    Attributes:
        attributed: names a span that is stored.
        orphaned: names a span that is not stored.
        trace_only: names a trace but no span.
        ambiguous: names two spans at once.
        unlabelled: names nothing.
        orphan_spans: how many different missing spans are named.
    """

    service: str
    profile_type: ProfileType
    window: TimeRange
    total: int
    attributed: int
    orphaned: int
    trace_only: int
    ambiguous: int
    unlabelled: int
    orphan_spans: int
