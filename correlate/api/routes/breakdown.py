"""Where the wall time of a span went."""

from typing import Any

from fastapi import APIRouter

from correlate.api.deps import ServicesDep, SpanDep, TraceDep
from correlate.api.errors import documented
from correlate.api.schemas.breakdown import SpanBreakdownModel
from correlate.joins.breakdown import Part
from correlate.services.breakdown import SpanBreakdown, Used
from correlate.services.subjects import span_fields
from correlate.tables.hexadecimal import to_hex

router = APIRouter(tags=["spans"])


@router.get("/spans/{trace_id}/{span_id}/breakdown", response_model=SpanBreakdownModel, responses=documented(400, 404))
def span_breakdown(services: ServicesDep, trace: TraceDep, span: SpanDep) -> dict[str, Any]:
    """The wall time of a span as on-CPU, known waits, children, and what is unexplained; the parts add up to it."""
    answer = services.breakdowns.of_span(trace, span)
    found, wall_ns = answer.found, answer.span.duration_ns
    return {
        "span": span_fields(answer.span),
        "wall_ns": wall_ns,
        "parts": [_part(part, wall_ns) for part in found.parts],
        "cpu_ns": found.cpu_ns,
        "cpu_in_children_ns": found.cpu_in_children_ns,
        "parallelism": found.parallelism,
        "scale": found.scale,
        "evidence": [_evidence(used) for used in answer.used],
        "missing": answer.missing,
        "child_count": answer.children_count,
        "children": _children(answer),
    }


def _part(part: Part, wall_ns: int) -> dict[str, Any]:
    return {
        "name": part.name,
        "time_ns": part.time_ns,
        "share": part.time_ns / wall_ns if wall_ns else 0.0,
        "low_ns": part.low_ns,
        "high_ns": part.high_ns,
    }


def _evidence(used: Used) -> dict[str, Any]:
    sure = used.confidence
    return {
        "alias": used.alias,
        "profile_type": str(used.profile_type),
        "method": used.method.value,
        "confidence": {"level": sure.level, "reason": sure.reason, "error_bound": sure.error_bound},
        "time_ns": used.time_ns,
        "samples": used.samples,
        "covers_children": used.covers_children,
    }


def _children(answer: SpanBreakdown) -> list[dict[str, Any]]:
    rows = answer.children
    return rows.with_columns(to_hex(rows["span"].to_numpy()).alias("span_id")).drop("span").to_dicts()
