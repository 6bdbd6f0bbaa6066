"""What detectors say: a tier, one sentence, figures with their units, the places in the code, and why.

These are values: no I/O and no clock. A detector returns None where it has nothing to say. What happens to a verdict
over time (confirming, resolving, grouping, silencing) is alerting's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Tier(StrEnum):
    """How loudly a verdict speaks."""

    CLEAR = "clear"
    """Nothing to see; detectors say it only when asked to explain their silence."""
    WATCH = "watch"
    """Early and quiet: worth a look, wakes nobody."""
    PAGE = "page"
    """Confirmed: somebody should act."""

    @property
    def rank(self) -> int:
        """0 for clear, 1 for watch, 2 for page: comparable where the texts are not."""
        return list(Tier).index(self)


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the code that a verdict points at.

    Attributes:
        function: the function to look at; for allocations the nearest caller that is not library code.
        file: its source file, "" where unknown.
        line: its line, 0 where unknown.
        growth_per_hour: how fast its value grows, in the unit of the verdict's profile (bytes, goroutines, …).
        share_ratio: its part of all growth (or of the whole, for verdicts that are not about growth), 0 to 1.
        stack: functions from the root to the leaf.
        operations: the operations that are seen there, most frequent first; filled in by whoever has the traces.
    """

    function: str
    file: str = ""
    line: int = 0
    growth_per_hour: float = 0.0
    share_ratio: float = 0.0
    stack: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guard:
    """One check that was consulted before a verdict.

    Attributes:
        name: what it protects against, for instance ``plateau``.
        passed: whether it let the verdict through.
        reason: one sentence with the figures it looked at.
    """

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector found.

    Attributes:
        detector: its name, for instance ``memory-leak``.
        service: the service it is about.
        subject: what exactly within the service (an instance, a call site, an operation): with detector and service
            the identity of a finding, so it must not change while the finding lasts.
        tier: how loudly it speaks.
        headline: one sentence for a person.
        figures: quantities by name, each name with its unit: ``growth_bytes_per_hour``, ``limit_bytes``.
        sites: the places in the code, strongest first.
        guards: every check that was consulted, in order.
        minimum_detectable: the smallest effect that this evidence would have shown, in the unit of the main figure;
            None where that has no meaning.
    """

    detector: str
    service: str
    subject: str
    tier: Tier
    headline: str
    figures: Mapping[str, float] = field(default_factory=dict)
    sites: tuple[Site, ...] = ()
    guards: tuple[Guard, ...] = ()
    minimum_detectable: float | None = None

    @property
    def identity(self) -> tuple[str, str, str]:
        """What stays the same while the finding lasts: detector, service and subject."""
        return (self.detector, self.service, self.subject)

    @property
    def held_back_by(self) -> tuple[str, ...]:
        """Names of the checks that did not let a louder verdict through."""
        return tuple(guard.name for guard in self.guards if not guard.passed)
