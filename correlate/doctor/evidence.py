"""Checks of what samples say: coverage, missing spans, labels that name no span, two spans at once."""

from typing import Final

from correlate.doctor.complaint import Complaint, Fact, Severity, percent
from correlate.doctor.figures import LabelFigures, ServiceFigures
from correlate.units import human

MIN_HITS: Final = 100
"""Hits of the profiler below which shares are not judged: of 100 hits a share of a half is known to 5 points."""

LOW_COVERAGE: Final = 0.5
"""Below it most of the CPU time is shown under no span. Runtimes spend up to a quarter on work of no request (garbage
collection, background threads), so a service without a fault stays clear of it."""

MANY_ORPHANS: Final = 0.05
"""Share of the value that names missing spans. Losses at the edges of what is looked at stay far below it."""

MANY_NAMELESS: Final = 0.05
"""Share of the value whose labels name no span. Clients that switch context between two labels leave a few in a
thousand."""

MANY_AMBIGUOUS: Final = 0.01
"""Share of the value that names two spans. A client that keeps its labels per thread and request has none at all."""


def check(figures: ServiceFigures) -> list[Complaint]:
    """All complaints about what a service's samples say."""
    labels = figures.labels
    if labels is None or labels.hits < MIN_HITS:
        return []
    found = [
        _coverage(figures, labels),
        _orphans(figures.service, labels),
        _nameless(figures.service, labels),
        _ambiguous(figures.service, labels),
    ]
    return [each for each in found if each is not None]


def _coverage(figures: ServiceFigures, labels: LabelFigures) -> Complaint | None:
    share = labels.share(labels.attributed)
    if not figures.arrival.span_count and not labels.total - labels.unlabelled:
        return None  # a service without spans whose samples name none: there is nothing to join
    if labels.total <= labels.pending or share >= LOW_COVERAGE:
        return None
    lost = {name: getattr(labels, name) for name in _FIXES}
    largest = max(lost, key=lambda name: lost[name])
    return Complaint(
        "low-coverage",
        figures.service,
        Severity.HIGH if largest != "unlabelled" else Severity.MEDIUM,
        f"Only {percent(share)} of the {human(labels.total - labels.pending, labels.unit)} in {labels.hits:,} samples "
        f"name a stored span; the largest part of the rest, {percent(labels.share(lost[largest]))}, is {largest}.",
        _FIXES[largest],
        _values(labels, "attributed", *_FIXES) | {"attributed_ratio": share, "hits": labels.hits},
    )


_FIXES: Final = {
    "unlabelled": "Install the bridge between the tracing SDK and the profiler (pyroscope-otel for Python, "
    "otel-profiling-go, otel-profiling-java …) and register its span processor before the first span; without one, "
    "ask with method=thread_time, window or unmixed, which need no labels.",
    "orphaned": "The spans that the samples name are missing: see orphan-spans.",
    "misnamed": "The labels name something else than spans: see labels-name-no-span.",
    "trace_only": "The labels name traces and no spans: see labels-name-no-span.",
    "unreadable": "The ids in the labels cannot be read: see labels-name-no-span.",
    "ambiguous": "The samples name two spans at once: see two-spans-per-sample.",
}
"""What to do about each part that is lost."""


def _orphans(service: str, labels: LabelFigures) -> Complaint | None:
    share = labels.share(labels.orphaned)
    if share < MANY_ORPHANS:
        return None
    return Complaint(
        "orphan-spans",
        service,
        Severity.HIGH,
        f"{percent(share)} of the value ({human(labels.orphaned, labels.unit)}) name {labels.orphan_spans:,} spans "
        "that are not stored.",
        "Send correlate the same spans that the profiler labels: look for failed or dropped trace exports, point the "
        "exporter (or the collector's pipeline before tail sampling) at correlate's OTLP port, and sample traces at "
        "the head, so that spans that will not be stored are not labelled either.",
        _values(labels, "orphaned") | {"orphaned_ratio": share, "orphan_span_count": labels.orphan_spans},
    )


def _nameless(service: str, labels: LabelFigures) -> Complaint | None:
    lost = labels.misnamed + labels.trace_only + labels.unreadable
    share = labels.share(lost)
    if share < MANY_NAMELESS:
        return None
    kinds = {
        "an id that is no span of its trace": labels.misnamed,
        "a trace and no span": labels.trace_only,
        f"an id that cannot be read ({', '.join(labels.unreadable_keys)})": labels.unreadable,
    }
    said = ", ".join(f"{percent(labels.share(value))} {kind}" for kind, value in kinds.items() if value)
    return Complaint(
        "labels-name-no-span",
        service,
        Severity.HIGH,
        f"{percent(share)} of the value carry labels that name no span: {said}.",
        "Let the profiler's bridge label samples with span_id (16 hexadecimal digits; its older alias is profile_id) "
        "and trace_id (32 digits) of the span that runs, and update bridge and profiler together: versions that do "
        "not belong together write profile ids of their own, or a trace id alone.",
        _values(labels, "misnamed", "trace_only", "unreadable")
        | {"nameless_ratio": share, "unreadable_keys": list(labels.unreadable_keys)},
    )


def _ambiguous(service: str, labels: LabelFigures) -> Complaint | None:
    share = labels.share(labels.ambiguous)
    if share < MANY_AMBIGUOUS:
        return None
    return Complaint(
        "two-spans-per-sample",
        service,
        Severity.HIGH if share >= LOW_COVERAGE else Severity.MEDIUM,
        f"{percent(share)} of the value ({human(labels.ambiguous, labels.unit)}) name two spans at once, so no span "
        "gets it.",
        "Requests share a thread (asyncio), or a thread of a pool keeps the labels of the request before: set and "
        "remove the labels around each task (in Python with the profiler's tag context inside the coroutine, without "
        "an await in it; in Go with pprof.Do; in Java with a wrapped executor), and until then ask with "
        "method=window, which does not use them.",
        _values(labels, "ambiguous") | {"ambiguous_ratio": share},
    )


def _values(labels: LabelFigures, *names: str) -> dict[str, Fact]:
    known: dict[str, Fact] = {"profile_type": labels.profile_type, "unit": labels.unit, "total": labels.total}
    return known | {name: getattr(labels, name) for name in names}
