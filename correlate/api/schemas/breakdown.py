"""Answers about where the time of a span went."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from correlate.api.schemas import SPAN_ID, ConfidenceModel, Span


class BreakdownPart(BaseModel):
    """A part of the wall time."""

    name: Literal["on_cpu", "gc", "lock", "off_cpu", "children", "remote", "unexplained"]
    time_ns: int
    share: float = Field(description="of the wall time")
    low_ns: int | None = Field(description="of on_cpu and gc: lower end of the sampling error's 95 % interval")
    high_ns: int | None = Field(description="its upper end")


class BreakdownEvidence(BaseModel):
    """A profile that the breakdown rests on."""

    alias: str
    profile_type: str = Field(description="five-part profile type id")
    method: str
    confidence: ConfidenceModel
    time_ns: int = Field(description="what its samples add up to for the span, before anything is split or scaled")
    samples: int
    covers_children: bool = Field(description="whether the work of descendants without labels is among them")


class ChildTime(BaseModel):
    """A child of the span."""

    span_id: Annotated[str, SPAN_ID]
    service: str
    name: str
    kind: int = Field(description="OTLP SpanKind")
    start_ns: int
    duration_ns: int
    inside_ns: int = Field(description="the part within the span; children may overlap each other")
    remote: bool = Field(description="a call to elsewhere: a client, a producer, or in another service")


class SpanBreakdownModel(BaseModel):
    """Where the wall time of a span went; the parts add up to it."""

    span: Span
    wall_ns: int
    parts: list[BreakdownPart]
    cpu_ns: int | None = Field(description="CPU time of all threads, unscaled")
    cpu_in_children_ns: int | None = Field(description="the part of it put down to descendants; within `children`")
    parallelism: float | None = Field(description="threads on the CPU on average while at work")
    scale: float = Field(description="what samples were multiplied by to fit into the span's own time")
    evidence: list[BreakdownEvidence]
    missing: dict[str, str] = Field(description="for each profile type that gave nothing, why")
    child_count: int
    children: list[ChildTime] = Field(description="at most 100, those that ran longest within the span first")
