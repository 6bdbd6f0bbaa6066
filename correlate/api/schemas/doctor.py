"""The outward form of an examination."""

from pydantic import BaseModel, Field

from correlate.doctor.checklist import State
from correlate.doctor.complaint import Severity


class ComplaintModel(BaseModel):
    """One fault, with its figures and its fix."""

    name: str = Field(description="kind of fault, for instance orphan-spans")
    service: str = Field(description="whose; empty: of the installation")
    severity: Severity = Field(description="high: answers are missing or wrong; medium: less complete or less sure")
    sentence: str = Field(description="what was found, with figures")
    fix: str = Field(description="what to do about it")
    evidence: dict[str, str | int | float | list[str]] = Field(description="the figures by name, with their units")
    doc: str = Field(description="where the documents explain it")


class ItemModel(BaseModel):
    """A point of the checklist for production."""

    name: str
    title: str = Field(description="what should be in place")
    state: State
    evidence: str = Field(description="what was seen, one sentence")
    fix: str = Field(description="what to do; empty where nothing is")


class LabelsModel(BaseModel):
    """Where the value of the samples went that were looked at; the parts add up to the total."""

    profile_type: str
    unit: str
    hits: int = Field(description="how often the profiler looked")
    total: int
    attributed: int = Field(description="names a stored span")
    orphaned: int = Field(description="names a span that is not stored")
    misnamed: int = Field(description="names what is no span of its stored trace")
    trace_only: int = Field(description="names a trace and no span")
    unreadable: int = Field(description="carries an id that cannot be read")
    ambiguous: int = Field(description="names two spans at once")
    unlabelled: int = Field(description="names nothing")
    pending: int = Field(description="names a span that may still be running or on its way")
    attributed_ratio: float = Field(description="attributed, of all but what is pending")
    orphan_spans: int = Field(description="how many missing spans are named")


class SkewModel(BaseModel):
    """How labelled samples lie to the spans they name."""

    hits: int
    outside_hits: int
    offset_ns: int = Field(description="above 0: the profiler's clock is ahead of the tracer's")


class ExaminedModel(BaseModel):
    """What was looked at of a service."""

    service: str
    start_ns: int = Field(description="the stretch of time that was looked at; 0: none")
    end_ns: int
    span_count: int = Field(description="spans stored in all")
    profile_count: int = Field(description="profiles stored in all")
    span_rows: int = Field(description="spans looked at, the newest")
    sample_rows: int = Field(description="samples looked at, the newest of one profile type")
    period_ns: int | None = Field(description="time between two hits of that profiler; None: unknown")
    parentless_count: int = Field(description="spans looked at whose parent is not stored")
    labels: LabelsModel | None = Field(description="None: no profiles")
    skew: SkewModel | None = Field(description="None: no sample names a stored span")


class DoctorReport(BaseModel):
    """What is wrong with the correlation, the gravest first, and the checklist for production."""

    complaints: list[ComplaintModel]
    checklist: list[ItemModel]
    services: list[ExaminedModel]
    skipped: list[str] = Field(description="services that were not looked into, because there are too many")
    now_ns: int = Field(description="when this was found out")
