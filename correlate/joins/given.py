"""What joins without labels hand over: how much of each sample belongs to the chosen spans, or why nothing does."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Given:
    """What an inferred join gives to some chosen spans.

    Attributes:
        share: for each SAMPLES row the part of its value, 0 to 1, that belongs to the chosen spans.
        owner: for each SAMPLES row the row of the one chosen span that it belongs to, -1 where it is shared.
        error_bound: largest part of what was given, 0 to 1, that may belong to other spans.
        reason: one sentence on what the join rests on, with its figures.
        claimed: for each SAMPLES row the part that belongs to any span there is, chosen or not; None: not asked.
    """

    share: F64
    owner: I64
    error_bound: float
    reason: str
    claimed: F64 | None = None

    def nobodys(self, value: I64) -> float:
        """The value that no span at all was given.

        Args:
            value: that of each SAMPLES row; 0 for those that are not to count.
        """
        claimed = np.ones(len(value)) if self.claimed is None else self.claimed
        return float((value * (1.0 - claimed)).sum())


@dataclass(frozen=True, slots=True)
class Refused:
    """A join that would rather give nothing.

    Attributes:
        reason: one sentence: what is missing or too weak, with its figures, and what to ask instead.
        final: whether weaker evidence must not be asked: it is known that nothing belongs to the spans.
    """

    reason: str
    final: bool = False
