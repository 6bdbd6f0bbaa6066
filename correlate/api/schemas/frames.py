"""Answers about functions, and about the spans that ran them."""

from pydantic import BaseModel, Field

from correlate.api.schemas import Links, Span


class Function(BaseModel):
    """A function, wherever it was called from."""

    name: str
    place: str = Field(description="file:line or file, empty when unknown")
    self: int = Field(description="its own value")
    total: int = Field(description="with what it called; a recursive call is not counted twice")


class FunctionList(BaseModel):
    """The functions with the largest values."""

    profile_type: str = Field(description="five-part profile type id")
    unit: str
    total: int = Field(description="value of all samples")
    snapshots: int | None = Field(
        default=None, description="moments added up, of types that say what is held at a moment, as inuse_space does"
    )
    function_count: int = Field(description="how many there are, or match")
    functions: list[Function]


class Payer(BaseModel):
    """A span, and what it spent in a function."""

    span: Span
    value: int = Field(description="in the function, with what it called")
    samples: int = Field(description="profiler hits that is")
    span_value: int = Field(description="of all samples that name the span, in the same time")
    share: float | None = Field(description="value / span_value")
    links: Links


class FrameTraces(BaseModel):
    """The spans that paid most for a function, of those that exist."""

    function: str
    profile_type: str = Field(description="five-part profile type id")
    unit: str
    total: int = Field(description="value of the function")
    unnamed: int = Field(description="the part of it whose samples name no span")
    span_count: int = Field(description="how many spans samples of the function name")
    checked: int = Field(description="spans looked at, the most expensive first, until enough were found")
    dead: int = Field(description="how many of them exist nowhere")
    dead_share: float | None = Field(description="dead / checked")
    unresolved: int = Field(description="more spans that a system that may have them was asked for in vain")
    notes: list[str] = Field(description="what went wrong while asking")
    spans: list[Payer]
