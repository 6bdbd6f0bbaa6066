"""The outward form of answers: JSON with ids in hexadecimal."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from correlate.model.answers import Method, Scope

TRACE_ID = Field(pattern="^[0-9a-f]{32}$", description="trace id, 32 hexadecimal digits")
SPAN_ID = Field(pattern="^[0-9a-f]{16}$", description="span id, 16 hexadecimal digits")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    reason: str | None = Field(None, description="why a span has no profile, one of the documented reasons")


class Span(BaseModel):
    """A stored span."""

    trace_id: Annotated[str, TRACE_ID]
    span_id: Annotated[str, SPAN_ID]
    parent_span_id: str | None = Field(description="None for a root")
    service: str
    name: str
    kind: int = Field(description="OTLP SpanKind")
    status: int = Field(description="OTLP StatusCode: 0 unset, 1 ok, 2 error")
    start_ns: int = Field(description="nanoseconds since the Unix epoch")
    duration_ns: int


class SpanWithSamples(Span):
    """A stored span and how many profiler hits name it."""

    samples: int = Field(description="hits, of the profile type that has most; 0: ask its local root")


class Spans(BaseModel):
    """Spans of a service, an operation or a trace."""

    spans: list[SpanWithSamples]


class ConfidenceModel(BaseModel):
    """How sure an answer is."""

    level: Literal["exact", "inferred", "estimated"]
    reason: str
    error_bound: float = Field(ge=0, le=1, description="largest share of the total that may belong elsewhere")


class CoverageModel(BaseModel):
    """How much was seen against how much there was to see."""

    samples: int = Field(description="profiler hits in this answer")
    sampled_ns: int | None = Field(description="their time, for profile types that measure time")
    wall_ns: int = Field(description="wall time of the spans in scope, overlaps counted once")
    expected_samples: float | None = Field(description="hits of one thread that is busy all that time")
    ratio: float | None = Field(description="samples / expected_samples")
    unattributed: int = Field(description="value, in the same profiles, of samples that no span was given")


class FlameGraph(BaseModel):
    """A flame graph as columns; node 0 is the root, parents come before their children."""

    name: list[str]
    parent: list[int] = Field(description="row of the parent, -1 for the root")
    self: list[int]
    total: list[int]
    samples: list[int] = Field(description="profiler hits beneath and at the node")


class Links(BaseModel):
    """Where to look next."""

    page: str
    pprof: str
    grafana_trace: str | None
    grafana_profile: str | None


class Kept(BaseModel):
    """How much `focus` and its like left."""

    value: int
    share: float | None = Field(description="of the whole profile; null when that is empty")


class ProfileAnswer(BaseModel):
    """What the profiles of spans and of cohorts have in common."""

    profile_type: str = Field(description="five-part profile type id")
    unit: str
    scope: Scope
    method: Method = Field(description="the strongest evidence used")
    evidence: dict[str, int] = Field(description="value by method")
    confidence: ConfidenceModel
    coverage: CoverageModel
    total: int
    span_count: int = Field(description="spans in scope")
    also_available: list[str] = Field(description="other profile types with samples for these spans")
    kept: Kept | None = Field(None, description="only where a part of the profile was asked for")
    flamegraph: FlameGraph
    links: Links


class SpanProfile(ProfileAnswer):
    """The profile of a span."""

    span: Span


OtherFormat = dict[str, Any] | list[Any]
"""The JSON of Grafana's, Pyroscope's and speedscope's own formats."""


class Service(BaseModel):
    """A service that sent spans or profiles."""

    service: str
    operation_count: int
    span_count: int
    error_count: int
    profile_count: int
    sample_count: int
    cpu_labelled_ratio: float | None = Field(description="share of CPU value whose samples name a span or trace")
    first_ns: int | None
    last_ns: int | None


class Services(BaseModel):
    """All services."""

    services: list[Service]


class Operation(BaseModel):
    """Spans of one name in one service."""

    service: str
    name: str
    kind: int
    span_count: int
    error_count: int
    mean_duration_ns: int
    first_ns: int
    last_ns: int


class Operations(BaseModel):
    """Operations, most frequent first within each service."""

    operations: list[Operation]


class ProfileTypeModel(BaseModel):
    """A profile type of one service."""

    service: str
    type: str
    alias: str
    profile_count: int
    sample_count: int
    total: int
    labelled_ratio: float | None
    ambiguous: int
    period: int
    first_ns: int
    last_ns: int


class ProfileTypes(BaseModel):
    """Profile types by service."""

    profile_types: list[ProfileTypeModel]


class CoverageReport(BaseModel):
    """Where all the value of a service and profile type went; the five parts add up to the total."""

    service: str
    profile_type: str
    unit: str
    start_ns: int
    end_ns: int
    total: int
    attributed: int = Field(description="names a span that is stored")
    orphaned: int = Field(description="names a span that is not stored")
    trace_only: int = Field(description="names a trace but no span")
    ambiguous: int = Field(description="names two spans at once")
    unlabelled: int = Field(description="names nothing")
    orphan_spans: int = Field(description="how many different missing spans are named")


class Ready(BaseModel):
    """Whether the process can do its work."""

    ready: bool
    problems: dict[str, str]
