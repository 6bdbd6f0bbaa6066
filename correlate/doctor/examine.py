"""All checks together: from figures to a diagnosis."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from correlate.doctor import clocks, endpoints, evidence, names, sampling
from correlate.doctor.checklist import Item, Practices, walk
from correlate.doctor.complaint import Complaint, Severity
from correlate.doctor.figures import ServiceFigures

_BY_NAME: Final = frozenset({"no-profiles", "low-coverage"})
"""What a wrong name explains."""

_BY_CLOCK: Final = frozenset({"profiles-stopped", "clock-ahead"})
"""What a profiler's clock that is off from the tracer's explains."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What an examination found.

    Attributes:
        complaints: the gravest first.
        checklist: the points for production, in their order.
        services: the figures of each service that was looked at, by name.
        skipped: services that were not looked at, because there are too many; the newest are.
        now_ns: when it was made, nanoseconds since the Unix epoch.
    """

    complaints: tuple[Complaint, ...]
    checklist: tuple[Item, ...]
    services: tuple[ServiceFigures, ...]
    skipped: tuple[str, ...]
    now_ns: int


def complaints(services: Sequence[ServiceFigures], practices: Practices, join_skew_ns: int) -> list[Complaint]:
    """Run every check, the gravest complaints first."""
    mismatches = names.check(services)
    explained = names.paired(mismatches)
    found = [each for service in services for each in _of(service, join_skew_ns)]
    told = [each for each in found if each.name not in _BY_NAME or each.service not in explained]
    grave = list(Severity)
    every = [*mismatches, *told, *endpoints.check(practices.endpoints)]
    return sorted(every, key=lambda each: (grave.index(each.severity), each.service, each.name))


def checklist(services: Sequence[ServiceFigures], practices: Practices) -> list[Item]:
    """Walk the checklist for production."""
    return walk(practices, services)


def _of(service: ServiceFigures, join_skew_ns: int) -> list[Complaint]:
    found = evidence.check(service) + clocks.check(service, join_skew_ns) + sampling.check(service)
    is_off = any(each.name == "clock-skew" for each in found)
    return [each for each in found if not is_off or each.name not in _BY_CLOCK]
