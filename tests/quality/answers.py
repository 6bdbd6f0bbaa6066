"""What a join answers, beside the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from correlate.joins.given import Given, Refused
from tests.quality.measures import mean, share_error
from tests.quality.scenes import Case
from tests.truth.world import Bools


@dataclass(frozen=True)
class Answer:
    """What a join gave to some spans, beside the truth; CPU time in nanoseconds.

    Attributes:
        given_ns: what it gave; 0 when it refused.
        right_ns: the part of that which does belong to them.
        true_ns: what belongs to them.
        error_bound: how much of what was given may be wrong, as the join says.
        refused: whether it refused.
    """

    given_ns: float
    right_ns: float
    true_ns: float
    error_bound: float = 0.0
    refused: bool = False

    @property
    def wrong(self) -> float:
        """The part of what was given that belongs to others, 0 to 1."""
        return 1 - self.right_ns / self.given_ns if self.given_ns else 0.0

    @property
    def held(self) -> bool:
        """Whether the stated bound holds."""
        return self.wrong <= self.error_bound + 1e-9

    @classmethod
    def of(cls, observed: Case, chosen: Bools, given: Given | Refused) -> "Answer":
        """Compare what was given to some spans with what is theirs."""
        true = observed.true_ns(chosen)
        if isinstance(given, Refused):
            return cls(0.0, 0.0, true, refused=True)
        amount = observed.value * given.share
        return cls(float(amount.sum()), float(amount[observed.owned_by(chosen)].sum()), true, given.error_bound)


def share_error_of(answers: Sequence[Answer]) -> float:
    """Half the L1 distance of the shares, over what was not refused; nan where fewer than two were answered."""
    told = [answer for answer in answers if not answer.refused]
    if len(told) < 2:  # shares of one are 1, whatever the answer
        return float("nan")
    return share_error(np.array([a.given_ns for a in told]), np.array([a.true_ns for a in told]))


def percent(flags: Sequence[bool]) -> str:
    """How many are true, as text."""
    return f"{100 * mean(flags):.0f} %" if flags else "none"


def bounds(answers: Sequence[Answer]) -> str:
    """How often the stated bounds hold, how far the truth lies beyond them at most, and how large they are."""
    if not answers:
        return "no bounds"
    beyond = max(answer.wrong - answer.error_bound for answer in answers)
    typical = float(np.median([answer.error_bound for answer in answers]))
    held = percent([answer.held for answer in answers])
    return f"bound held {held}, exceeded by {max(0.0, beyond):.2f} at most, median {typical:.2f}"
