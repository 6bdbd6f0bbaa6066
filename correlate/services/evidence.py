"""What the joins found for some spans, of the one profile type that says most."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins.unmix_estimate import Estimate
from correlate.model.answers import Confidence, Method
from correlate.model.profile_type import ProfileType

I64 = npt.NDArray[np.int64]

FETCHED = "correlate_fetched"
"""Label of profiles that sources gave for single spans on demand. Their samples may be in the lake a second time, in
the profile of the whole process, so joins that look at everything that a process did leave them out."""

ROWS = ["stack", "value", "weight", "span", "trace_hi", "trace_lo"]


@dataclass(frozen=True, slots=True)
class Estimated:
    """An unmixed profile.

    Attributes:
        stacks: ids, in the order of the estimate's values.
        estimate: values with their uncertainty.
    """

    stacks: I64
    estimate: Estimate


def told_of_snapshots(confidence: Confidence, profile_type: ProfileType, profiles: pl.DataFrame) -> Confidence:
    """Say of what is held at a moment how many moments were added up.

    Args:
        confidence: what was known so far.
        profile_type: the samples' type.
        profiles: PROFILES rows of this type that overlap the spans.
    """
    if not profile_type.is_snapshot or len(profiles) < 2:
        return confidence
    note = f"{len(profiles):,} snapshots are added up: no more than a part of the total was held at any moment"
    return replace(confidence, reason=f"{confidence.reason}; {note}")


@dataclass(frozen=True, slots=True)
class Found:
    """Samples given to some spans. Two profilers of a process are never added up.

    Attributes:
        profile_type: whose samples these are.
        rows: columns service and `ROWS`; span is 0 where only all spans together are known.
        method: the strongest method that contributed.
        evidence: value by method.
        confidence: how sure it is.
        unattributed: value in the same profiles that no span was given; None: that of samples without a name.
        also: other profile types that have samples for the same spans.
        estimated: how sure each part is, where the profile was unmixed.
    """

    profile_type: ProfileType
    rows: pl.DataFrame
    method: Method
    evidence: Mapping[str, int]
    confidence: Confidence
    unattributed: int | None = None
    also: list[str] = field(default_factory=list)
    estimated: Estimated | None = None
