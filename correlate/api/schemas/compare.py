"""The outward form of comparisons."""

from typing import Literal

from pydantic import BaseModel, Field

from correlate.api.schemas import ConfidenceModel
from correlate.api.schemas.cohorts import Cohort
from correlate.model.answers import Method


class SideModel(BaseModel):
    """One of the two sets of spans; limits are null where they cannot be told."""

    name: str
    cohort: Cohort
    method: Method
    confidence: ConfidenceModel
    spans: int = Field(description="those without samples included")
    samples: int
    total: int
    cost: float | None = Field(description="value per span")
    cost_low: float | None
    cost_high: float | None


class FrameDifference(BaseModel):
    """A function on both sides; differences are right minus left."""

    name: str
    place: str
    left_cost: float | None
    right_cost: float | None
    cost_difference: float | None
    cost_low: float | None
    cost_high: float | None
    cost_p: float | None
    cost_q: float | None = Field(description="adjusted for the number of functions tested")
    left_share: float | None
    right_share: float | None
    share_difference: float | None
    share_low: float | None
    share_high: float | None
    share_p: float | None
    share_q: float | None
    ratio: float | None = Field(description="of the costs, right over left")
    ratio_low: float | None
    ratio_high: float | None
    own_difference: float | None = Field(description="of the cost without callees")
    further: float | None = Field(description="what the difference adds to those of the frames before it, by the basis")
    left_spans: int
    right_spans: int
    left_samples: int
    right_samples: int
    significant: bool
    detectable: float | None = Field(description="the smallest difference that would have been found, by the basis")
    under_powered: bool
    needs_samples: int | None = Field(description="how many more samples it takes to see the observed difference")


class DiffGraph(BaseModel):
    """A differential flame graph as columns; node 0 is the root, parents come before their children."""

    name: list[str]
    parent: list[int]
    self_left: list[int]
    total_left: list[int]
    self_right: list[int]
    total_right: list[int]


class ComparisonAnswer(BaseModel):
    """What differs between two sets of spans."""

    left: SideModel = Field(description="the baseline")
    right: SideModel
    profile_type: str
    unit: str
    basis: Literal["cost", "share"]
    fdr: float
    difference: float | None = Field(description="of the values per span, right minus left")
    difference_low: float | None
    difference_high: float | None
    p_any: float | None = Field(description="chance that any function looks this different if the sides are equal")
    threshold_ns: int | None = Field(description="of slow spans: how long they lasted at least")
    sentences: list[str]
    frames: list[FrameDifference] = Field(description="the one to read first first")
    flamegraph: DiffGraph
