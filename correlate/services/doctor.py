"""The doctor: gathers figures of every service, runs the checks over them, and walks the checklist for production."""

from collections.abc import Callable
from typing import Final

from correlate.doctor import examine, names
from correlate.doctor.checklist import Practices
from correlate.doctor.examine import Diagnosis
from correlate.doctor.figures import ServiceFigures
from correlate.errors import NotFound
from correlate.ports import Clock, Lake
from correlate.services.doctor_evidence import Known, gather
from correlate.services.doctor_reading import Budget

MAX_SERVICES: Final = 50
"""Services that one examination looks into, those seen last first; of the others only names are compared."""

MAX_SAMPLE_ROWS: Final = 1_000_000
"""Samples that one examination reads, shared out among the services: shares need far fewer, and answers are quick."""


class Doctor:
    """Finds out why joins fail, from what is stored.

    Args:
        lake: what is stored.
        clock: the time of day.
        practices: how this installation is run; asked for each examination.
        skew_ns: how far label joins look to both sides of a span.
    """

    def __init__(self, lake: Lake, clock: Clock, practices: Callable[[], Practices], *, skew_ns: int) -> None:
        self._lake = lake
        self._clock = clock
        self._practices = practices
        self._skew_ns = skew_ns

    def examine(self, service: str | None = None) -> Diagnosis:
        """Look at one service, or at all.

        Per service it reads the newest quarter of an hour of one profile type and of the spans, less where that would
        be more than a share of `MAX_SAMPLE_ROWS`; sums over everything stored come from aggregates.

        Raises:
            NotFound: no such service.
            StoreError: the lake cannot be read.
        """
        now_ns = self._clock.now_ns()
        known = self._known(now_ns)
        chosen, skipped = _chosen(known, service)
        budget = Budget(now_ns, MAX_SAMPLE_ROWS // max(1, len(chosen)))
        looked = [gather(self._lake, each, budget) for each in chosen]
        left = [ServiceFigures(each.service, each.arrival) for each in skipped]
        practices = self._practices()
        found = examine.complaints([*looked, *left], practices, self._skew_ns)
        shown = [each for each in looked if service in (None, each.service)]
        return Diagnosis(
            complaints=tuple(
                each for each in found if service is None or service in _concerned(each.evidence, each.service)
            ),
            checklist=tuple(examine.checklist(shown, practices)),
            services=tuple(shown),
            skipped=tuple(sorted(each.service for each in skipped)) if service is None else (),
            now_ns=now_ns,
        )

    def _known(self, now_ns: int) -> list[Known]:
        """What aggregates say of every service, those seen last first."""
        spans = self._lake.operations().partition_by("service", as_dict=True)
        types = self._lake.profile_types().partition_by("service", as_dict=True)
        keys = sorted({*spans, *types}, key=str)
        known = [Known.of(str(key[0]), spans.get(key), types.get(key), now_ns) for key in keys]
        return sorted(
            known, key=lambda each: (-max(each.arrival.last_span_ns, each.arrival.last_profile_ns), each.service)
        )


def _concerned(evidence: object, service: str) -> set[str]:
    """The services a complaint is about."""
    named = evidence if isinstance(evidence, dict) else {}
    return {service, *(str(named[key]) for key in ("spans_service", "profiles_service") if key in named)}


def _chosen(known: list[Known], service: str | None) -> tuple[list[Known], list[Known]]:
    """Those to look into, and the others; one with a wrong name has its partner among those that lack a signal."""
    if service is None:
        return known[:MAX_SERVICES], known[MAX_SERVICES:]
    mine = [each for each in known if each.service == service]
    if not mine:
        raise NotFound(f"there is no service {service!r}; GET /api/v1/services lists those there are")
    others = [each for each in known if each.service != service]
    bare = ServiceFigures(service, mine[0].arrival)
    partners = [each for each in others if names.unpaired(ServiceFigures(each.service, each.arrival))]
    if not names.unpaired(bare):
        partners = [each for each in partners if each.arrival.span_count == 0]  # whose samples may name its spans
    chosen = [*mine, *partners[: MAX_SERVICES - 1]]
    return chosen, [each for each in others if each not in chosen]
