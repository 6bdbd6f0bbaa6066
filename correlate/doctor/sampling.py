"""Checks of what is not there: profiles that never came, were thinned out, or are too coarse; traces with holes."""

import math
from typing import Final

from correlate.doctor.complaint import Complaint, Severity, percent
from correlate.doctor.figures import ArrivalFigures, OperationFigures, ServiceFigures
from correlate.units import human

MIN_SPANS: Final = 20
"""Spans below which medians and shares are not judged."""

MIN_TIME: Final = 0.01
"""Operations with less than this part of the service's time are not worth a word."""

SHOWN: Final = 20
"""Operations that one complaint lists."""

ENOUGH_HITS: Final = 100
"""Hits that a flame graph needs: what has a tenth of it is then known to 3 points."""

LONGEST_RATE_HZ: Final = 1000
"""Beyond a thousand hits a second profilers cost more than the 5 % of CPU that is tolerable in production."""

THINNED: Final = 0.01
"""Share of value that is marked as sampled out, or of profiles that are only a total. Otherwise there are none."""

STACKLESS: Final = 0.1
"""Share of value without a stack, marked or not. Profilers of threads that come and go lose a few in a hundred."""

BROKEN_TRACES: Final = 0.1
"""Share of spans whose parent is missing; callers outside of what is traced explain some."""

QUIET_NS: Final = 300_000_000_000
"""Five minutes without profiles while spans come; agents upload every 10 to 60 seconds."""

QUIET_PROFILES: Final = 3
"""So many lengths of a profile may pass without one; heap profiles of some agents cover minutes."""


def check(figures: ServiceFigures) -> list[Complaint]:
    """All complaints about what is missing of a service."""
    found = [
        _absent(figures.service, figures.arrival),
        _stopped(figures.service, figures.arrival),
        _coarse(figures),
        _thinned(figures),
        _broken(figures),
    ]
    return [each for each in found if each is not None]


def _absent(service: str, arrival: ArrivalFigures) -> Complaint | None:
    if arrival.profile_count or not arrival.span_count:
        return None
    return Complaint(
        "no-profiles",
        service,
        Severity.HIGH,
        f"There are {arrival.span_count:,} spans and not one profile.",
        "Run a profiler in the service or beside it (pyroscope-io, Alloy, the OpenTelemetry eBPF profiler), or name "
        "its pprof endpoint among the sources, with the same service name as the spans.",
        {"span_count": arrival.span_count},
    )


def _stopped(service: str, arrival: ArrivalFigures) -> Complaint | None:
    behind_ns = arrival.last_span_ns - arrival.last_profile_ns
    tolerated_ns = max(QUIET_NS, QUIET_PROFILES * arrival.longest_profile_ns)
    if not arrival.profile_count or not arrival.span_count or behind_ns <= tolerated_ns:
        return None
    return Complaint(
        "profiles-stopped",
        service,
        Severity.HIGH,
        f"The last profile ends {human(behind_ns, 'nanoseconds')} before the last span.",
        "Look whether the profiler still runs and what its log says about uploads; GET /api/v1/sources tells how "
        "pulling goes, and /metrics what receivers refused.",
        {"behind_ns": behind_ns, "last_profile_ns": arrival.last_profile_ns, "last_span_ns": arrival.last_span_ns},
    )


def _coarse(figures: ServiceFigures) -> Complaint | None:
    period_ns = figures.period_ns
    if not period_ns:
        return None
    short = [
        each
        for each in figures.operations
        if each.span_count >= MIN_SPANS and each.time_ratio >= MIN_TIME and each.median_duration_ns < period_ns
    ]
    if not short:
        return None
    worst = max(short, key=lambda each: each.time_ratio)
    hits = worst.median_duration_ns / period_ns
    return Complaint(
        "sampling-too-coarse",
        figures.service,
        Severity.MEDIUM,
        f"Half of the spans of {worst.name!r} are shorter than {human(worst.median_duration_ns, 'nanoseconds')}, at "
        f"{1e9 / period_ns:.0f} hits a second {hits:.2g} each: most have no sample"
        f"{_others(len(short) - 1)}.",
        _rate_advice(worst, hits),
        {
            "period_ns": period_ns,
            "operations": [each.name for each in short[:SHOWN]],
            "median_duration_ns": worst.median_duration_ns,
            "expected_samples_per_span": hits,
            "time_ratio": sum(each.time_ratio for each in short),
        },
    )


def _others(count: int) -> str:
    return f"; so it is with {count} more operation{'s' if count > 1 else ''}" if count else ""


def _rate_advice(worst: OperationFigures, hits: float) -> str:
    needed_hz = math.ceil(1e9 / max(1.0, worst.median_duration_ns))
    pooled = math.ceil(ENOUGH_HITS / max(hits, 1e-9))
    pool = f"ask for the operation or a cohort instead of single spans: {pooled:,} of them give {ENOUGH_HITS} samples"
    if needed_hz > LONGEST_RATE_HZ:
        return f"No tolerable sampling rate reaches such spans; {pool}."
    return f"Raise the rate to {needed_hz} Hz (one sample per span, at a higher cost), or {pool}."


def _thinned(figures: ServiceFigures) -> Complaint | None:
    thin = figures.sampled_out
    if thin is None:
        return None
    bare = thin.bare_profile_count / thin.profile_count if thin.profile_count else 0.0
    marked, stackless = (value / thin.total if thin.total > 0 else 0.0 for value in (thin.marked, thin.stackless))
    if max(bare, marked) < THINNED and stackless < STACKLESS:
        return None
    return Complaint(
        "sampled-out-profiles",
        figures.service,
        Severity.MEDIUM,
        f"{percent(stackless)} of the value and {thin.bare_profile_count:,} of {thin.profile_count:,} profiles hold "
        "totals without stacks: they were sampled out on their way here.",
        'Profiles that Pyroscope drops by sampling keep only their totals (label __sampled__="true"): raise its '
        "sampling for this service, or send the profiles to correlate before they are sampled; shares of what is left "
        "hold, totals of flame graphs are too low.",
        {
            "stackless_ratio": stackless,
            "marked": thin.marked,
            "bare_profile_count": thin.bare_profile_count,
            "profile_count": thin.profile_count,
        },
    )


def _broken(figures: ServiceFigures) -> Complaint | None:
    traces = figures.traces
    if traces is None or traces.child_count < MIN_SPANS or traces.parentless_count < BROKEN_TRACES * traces.child_count:
        return None
    share = traces.parentless_count / traces.child_count
    return Complaint(
        "broken-traces",
        figures.service,
        Severity.MEDIUM,
        f"{percent(share)} of {traces.child_count:,} spans with a parent ({traces.parentless_count:,}) name one that "
        "is not stored: only parts of their traces are.",
        "Let every service of a trace decide alike (parent-based sampling), sample whole traces when sampling at the "
        "tail, send the callers' spans here too, and look for dropped exports; profiles of a subtree or of a trace "
        "lack what hangs below the holes.",
        {"parentless_ratio": share, "child_count": traces.child_count, "parentless_count": traces.parentless_count},
    )
