"""A fault that was found, with its figures and its fix."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Fact = str | int | float | list[str]
"""One figure of the evidence, as JSON can say it."""


class Severity(StrEnum):
    """How much of the answers a fault spoils."""

    HIGH = "high"
    """Answers are missing or wrong."""
    MEDIUM = "medium"
    """Answers are there, and less complete or less sure than they could be."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One fault of one service.

    Attributes:
        name: of the kind of fault, lower case with dashes; also its heading in the documents.
        service: whose.
        severity: how much of the answers it spoils.
        sentence: what was found, with figures.
        fix: what to do about it, one sentence or two.
        evidence: the figures by name; quantities carry their units in their names, `_ratio` is a share, 0 to 1.
    """

    name: str
    service: str
    severity: Severity
    sentence: str
    fix: str
    evidence: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def doc(self) -> str:
        """Where the documents explain it."""
        return f"docs/doctor.md#{self.name}"


def percent(share: float) -> str:
    """A share, 0 to 1, as people read it: one digit after the point below ten percent."""
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
