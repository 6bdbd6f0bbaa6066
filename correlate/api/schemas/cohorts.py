"""The outward form of answers about cohorts."""

from pydantic import BaseModel, Field

from correlate.api.schemas import ProfileAnswer, Span


class Cohort(BaseModel):
    """Spans chosen by a query."""

    query: str = Field(description="in its usual form")
    start_ns: int
    end_ns: int
    matched: int = Field(description="how many spans the query matches")
    chosen: int = Field(description="how many were looked at; fewer than matched when there were too many")
    services: list[str]


class FrameShare(BaseModel):
    """What a cohort spends in a function, with 95 % limits; null where they cannot be told."""

    name: str
    place: str = Field(description="file:line or file, empty when unknown")
    share: float
    share_low: float | None
    share_high: float | None
    cost: float | None = Field(None, description="value per span")
    cost_low: float | None = None
    cost_high: float | None = None
    spans: int | None = Field(None, description="spans that have it")
    samples: int | None = None


class CohortProfile(ProfileAnswer):
    """The profile of a cohort."""

    cohort: Cohort
    frames: list[FrameShare] = Field([], description="largest functions first, resampled by span, not by sample")


class CohortSpans(BaseModel):
    """The slowest spans of a cohort."""

    query: str
    matched: int
    spans: list[Span]
