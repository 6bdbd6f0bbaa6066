"""Two sets of spans compared, function by function."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from correlate.api.asked import EvidenceDep, ShownDep, WindowDep
from correlate.api.deps import ServicesDep, SpanDep, TraceDep
from correlate.api.errors import documented
from correlate.api.schemas import OtherFormat
from correlate.api.schemas.compare import ComparisonAnswer
from correlate.api.times import parse_range
from correlate.model.queries import TimeRange
from correlate.services.compare import Asked, Compared
from correlate.services.render_compare import FORMATS, media_types, render

router = APIRouter(tags=["compare"])

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ComparisonAnswer | OtherFormat,
        "content": {media: {} for media in media_types() if media != "application/json"},
        "description": f"what differs; as {', '.join(FORMATS)}",
    },
    **documented(400, 404),
}

_QUERY = Query(min_length=1, max_length=8192, description="spans in TraceQL")
_TIME = Query(max_length=64, description="where it differs from the common one")


def _asked(
    evidence: EvidenceDep,
    shown: ShownDep,
    basis: Annotated[
        Literal["cost", "share"], Query(description="what decides: value per span, or share of the whole")
    ] = "cost",
    fdr: Annotated[float, Query(gt=0, lt=1, description="part of the significant functions that may be wrong")] = 0.05,
) -> Asked:
    return Asked(evidence.wanted_type, evidence.scope, evidence.method, basis, fdr, shown.lens)


@dataclass(frozen=True, slots=True)
class _Times:
    left: TimeRange
    right: TimeRange


def _times(
    services: ServicesDep,
    common: WindowDep,
    left_from: Annotated[str | None, _TIME] = None,
    left_to: Annotated[str | None, _TIME] = None,
    right_from: Annotated[str | None, _TIME] = None,
    right_to: Annotated[str | None, _TIME] = None,
) -> _Times:
    def of(start: str | None, end: str | None) -> TimeRange:
        own = parse_range(start, end, services.clock)
        return TimeRange(own.start_ns if start else common.start_ns, own.end_ns if end else common.end_ns)

    return _Times(of(left_from, left_to), of(right_from, right_to))


AskedDep = Annotated[Asked, Depends(_asked)]
TimesDep = Annotated[_Times, Depends(_times)]


@router.get("/compare", responses=_RESPONSES)
def compare(
    services: ServicesDep,
    left: Annotated[str, _QUERY],
    right: Annotated[str, _QUERY],
    times: TimesDep,
    asked: AskedDep,
    shown: ShownDep,
) -> Response:
    """What the spans of `right` do differently from those of `left`, the baseline."""
    return _rendered(services.compare.queries((left, times.left), (right, times.right), asked), shown)


@router.get("/operations/{service}/{operation:path}/slow", responses=_RESPONSES)
def slow(
    services: ServicesDep,
    service: str,
    operation: str,
    window: WindowDep,
    asked: AskedDep,
    shown: ShownDep,
    quantile: Annotated[float, Query(ge=0.5, lt=1, description="of the durations: spans above it are slow")] = 0.99,
) -> Response:
    """What the slowest spans of an operation do differently from the rest, in one call."""
    return _rendered(services.compare.slow(service, operation, window, quantile, asked), shown)


@router.get("/spans/{trace_id}/{span_id}/compare", responses=_RESPONSES)
def span_and_operation(
    services: ServicesDep, trace: TraceDep, span: SpanDep, asked: AskedDep, shown: ShownDep
) -> Response:
    """What one span did differently from all others of its operation, an hour before and after."""
    return _rendered(services.compare.with_operation(services.explain.span(trace, span), asked), shown)


def _rendered(compared: Compared, shown: ShownDep) -> Response:
    made = render(compared, shown.wanted, shown.max_nodes)
    return Response(made.body, media_type=made.media_type)
