"""What a detector is: a pure function from what was observed of a service until a time to verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import polars as pl

from correlate.detectors.sensitivity import Sensitivity
from correlate.model.verdicts import Verdict

RECENT_S: Final = 3 * 3600.0
"""How far back short buckets are looked at."""

LOOKBACK_S: Final = 72 * 3600.0
"""How far back any detector looks."""

STEP_S: Final = 1800.0
"""Length of a long bucket."""


@dataclass(frozen=True, slots=True)
class Case:
    """What a detector sees.

    Attributes:
        service: the service's name.
        until_ns: end of the last bucket; nothing later is known.
        bucket_ns: length of a bucket.
        rows: OBSERVATIONS rows of the service of the last hours, see `RECENT_S`.
        step_ns: length of a long bucket.
        history: the same in long buckets that are over, as far back as detectors look.
        snapshots: the same of what one process holds, profile by profile, for the last minutes only: of the process
            that grew most, if one did.
        stacks: function names of example stacks, root first.
        sensitivity: how easily the detector is to speak.
        pace_ratio: what times are multiplied by: 1, less for demonstrations; detectors that compare levels of buckets
            follow only as far as there are enough buckets.
    """

    service: str
    until_ns: int
    bucket_ns: int
    rows: pl.DataFrame
    step_ns: int
    history: pl.DataFrame
    snapshots: pl.DataFrame
    stacks: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    sensitivity: Sensitivity = Sensitivity.NORMAL
    pace_ratio: float = 1.0

    @property
    def long(self) -> "Case":
        """The same seen in long buckets."""
        until_ns = self.until_ns // self.step_ns * self.step_ns
        return replace(self, until_ns=until_ns, bucket_ns=self.step_ns, rows=self.history)


class Detector(Protocol):
    """Looks for one kind of trouble."""

    @property
    def name(self) -> str:
        """What its verdicts call it."""
        ...

    @property
    def by_steps(self) -> bool:
        """Whether it looks at long buckets only, so that there is nothing new to see before the next one ends."""
        ...

    def judge(self, case: Case) -> Sequence[Verdict]:
        """Everything it has to say about a service now, loudest first; what it does not mention is not there."""
        ...
