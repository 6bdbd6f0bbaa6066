"""What a detector is: a pure function from what was observed of a service until a time to verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from correlate.detectors.sensitivity import Sensitivity
from correlate.model.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Case:
    """What a detector sees.

    Attributes:
        service: the service's name.
        until_ns: end of the last bucket; nothing later is known.
        bucket_ns: length of a bucket.
        rows: OBSERVATIONS rows of the service, as far back as the detectors look.
        snapshots: the same of what one process holds, profile by profile, for the last minutes only: of the process
            that grew most, if one did.
        stacks: function names of example stacks, root first.
        sensitivity: how easily the detector is to speak.
        pace_ratio: what the detectors' times are multiplied by: 1, less for demonstrations.
    """

    service: str
    until_ns: int
    bucket_ns: int
    rows: pl.DataFrame
    snapshots: pl.DataFrame
    stacks: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    sensitivity: Sensitivity = Sensitivity.NORMAL
    pace_ratio: float = 1.0


class Detector(Protocol):
    """Looks for one kind of trouble."""

    @property
    def name(self) -> str:
        """What its verdicts call it."""
        ...

    def judge(self, case: Case) -> Sequence[Verdict]:
        """Everything it has to say about a service now, loudest first; what it does not mention is not there."""
        ...
