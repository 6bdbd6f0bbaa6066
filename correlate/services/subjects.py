"""What an answer is about, a span or a cohort, in its outward forms."""

from typing import Any

from correlate.model.answers import CohortInfo, SpanInfo, Subject
from correlate.model.ids import format_span_id
from correlate.units import human


def title(subject: Subject) -> str:
    """What a picture of it is called."""
    if isinstance(subject, CohortInfo):
        return f"{subject.chosen:,} spans of {subject.query}"
    return f"{subject.name or '(no name)'} in {subject.service}"


def file_stem(subject: Subject) -> str:
    """What a saved file is called, without its suffix."""
    return "cohort" if isinstance(subject, CohortInfo) else format_span_id(subject.span)


def fields(subject: Subject) -> dict[str, Any]:
    """What an answer is about, in its outward form: under ``span``, or under ``cohort``."""
    if isinstance(subject, SpanInfo):
        return {"span": span_fields(subject)}
    return {
        "cohort": {
            "query": subject.query,
            "start_ns": subject.window.start_ns,
            "end_ns": subject.window.end_ns,
            "matched": subject.matched,
            "chosen": subject.chosen,
            "services": list(subject.services),
        }
    }


def span_fields(span: SpanInfo) -> dict[str, Any]:
    """A span in its outward form."""
    return {
        "trace_id": str(span.trace),
        "span_id": format_span_id(span.span),
        "parent_span_id": format_span_id(span.parent) if span.parent else None,
        "service": span.service,
        "name": span.name,
        "kind": span.kind,
        "status": span.status,
        "start_ns": span.start_ns,
        "duration_ns": span.duration_ns,
    }


def words(subject: Subject) -> dict[str, str]:
    """What a person should know about it, beside a picture."""
    if isinstance(subject, CohortInfo):
        spans = (
            f"{subject.chosen:,} of {subject.matched:,}" if subject.chosen < subject.matched else f"{subject.chosen:,}"
        )
        return {"cohort": subject.query, "spans": spans, "service": ", ".join(subject.services)}
    return {
        "span": f"{subject.name or '(no name)'} · {format_span_id(subject.span)}",
        "service": subject.service,
        "duration": human(subject.duration_ns, "nanoseconds"),
    }
