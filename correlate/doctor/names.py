"""Checks of names: one service that is called differently by its spans and by its profiles."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from typing import Final

from correlate.doctor.complaint import Complaint, Severity, percent
from correlate.doctor.evidence import MIN_HITS
from correlate.doctor.figures import ServiceFigures

NAME = "service-name-mismatch"

ALIKE: Final = 0.8
"""How alike two names must be (Ratcliff and Obershelp's ratio): one letter in five may differ."""

MOST: Final = 200
"""Services of each kind whose names are compared with each other, those seen last: pairs are many."""

FOREIGN: Final = 0.5
"""Most of what a service's samples name are spans of another one; processes of two names label both."""

_UNKNOWN: Final = "unknown_service"
_SUFFIXES: Final = re.compile(r"(service|server|svc|app|api|prod|production|cpu)$")


def check(services: Sequence[ServiceFigures]) -> list[Complaint]:
    """Complaints about pairs of a service with profiles and one with spans that are the same service."""
    found = [each for service in services if (each := _by_labels(service))]
    named = {each.service for each in found} | {str(each.evidence["spans_service"]) for each in found}
    profiled = [each for each in services if _profiles_only(each) and each.service not in named][:MOST]
    traced = [each for each in services if _spans_only(each) and each.service not in named][:MOST]
    return found + list(_pairs(profiled, traced))


def paired(complaints: Iterable[Complaint]) -> set[str]:
    """Services that a mismatch explains: about them it is no news that spans or profiles are missing."""
    mine = [each for each in complaints if each.name == NAME]
    return {str(each.evidence[key]) for each in mine for key in ("spans_service", "profiles_service")}


def unpaired(service: ServiceFigures) -> bool:
    """Whether a service has only spans or only profiles."""
    return _profiles_only(service) or _spans_only(service)


def _profiles_only(service: ServiceFigures) -> bool:
    return service.arrival.profile_count > 0 and service.arrival.span_count == 0


def _spans_only(service: ServiceFigures) -> bool:
    return service.arrival.span_count > 0 and service.arrival.profile_count == 0


def _by_labels(figures: ServiceFigures) -> Complaint | None:
    """The strongest evidence: the samples name spans, and these are another service's."""
    labels = figures.labels
    if labels is None or labels.hits < MIN_HITS or not labels.attributed:
        return None
    foreign = {owner: value for owner, value in labels.owners.items() if owner != figures.service}
    if not foreign or sum(foreign.values()) < FOREIGN * labels.attributed:
        return None
    owner = max(foreign, key=lambda name: foreign[name])
    share = foreign[owner] / labels.attributed
    return _mismatch(figures.service, owner, f"{percent(share)} of what its samples name are spans of it", share)


def _pairs(profiled: list[ServiceFigures], traced: list[ServiceFigures]) -> Iterable[Complaint]:
    """Services that have one signal each, by the process they run in or by their names; each once, the surest first."""
    ranked = sorted(
        (
            (*_likeness(mine, theirs, profiled, traced), mine.service, theirs.service)
            for mine in profiled
            for theirs in traced
        ),
        key=lambda each: (-each[0], each[2:]),
    )
    taken: set[str] = set()
    for likeness, why, mine, theirs in ranked:
        if likeness >= ALIKE and not taken & {f"p {mine}", f"t {theirs}"}:
            taken |= {f"p {mine}", f"t {theirs}"}
            yield _mismatch(mine, theirs, why, min(likeness, 1.0))


def _likeness(
    mine: ServiceFigures, theirs: ServiceFigures, profiled: list[ServiceFigures], traced: list[ServiceFigures]
) -> tuple[float, str]:
    """How likely two services are one, 0 to 2, and why."""
    if shared := mine.identity & theirs.identity:
        return 2.0, f"both come from the same process ({', '.join(sorted(shared))})"
    if (mine.service.startswith(_UNKNOWN) and len(traced) == 1) or (
        theirs.service.startswith(_UNKNOWN) and len(profiled) == 1
    ):
        return 1.5, "one of them was never given a name, and there is no other that it could be"
    matcher = SequenceMatcher(None, _plain(mine.service), _plain(theirs.service))
    ratio = matcher.ratio() if matcher.real_quick_ratio() >= ALIKE else 0.0  # the quick one is never smaller
    return ratio, f"one has only profiles, the other only spans, and their names are {percent(ratio)} alike"


def _plain(name: str) -> str:
    """A name without what people write differently: case, separators, namespaces in front, usual endings."""
    letters = re.sub(r"[^a-z0-9]", "", re.split(r"[/.]", name.lower())[-1])
    return _SUFFIXES.sub("", letters) or letters


def _mismatch(profiles_service: str, spans_service: str, why: str, certainty: float) -> Complaint:
    return Complaint(
        NAME,
        profiles_service,
        Severity.HIGH,
        f"The profiles of {profiles_service!r} and the spans of {spans_service!r} seem to be of one service: {why}.",
        f"Give both the same name: start the process with OTEL_SERVICE_NAME={profiles_service}, or configure the "
        f"profiler with application_name={spans_service!r} (PYROSCOPE_APPLICATION_NAME={spans_service}); or rename one "
        "on the way in by a step of the pipeline that updates service.name.",
        {"profiles_service": profiles_service, "spans_service": spans_service, "certainty_ratio": certainty},
    )
