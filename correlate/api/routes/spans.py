"""Profiles of spans and traces."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from correlate.api import convert, schemas
from correlate.api.deps import (
    FormatQuery,
    FromQuery,
    MaxNodesQuery,
    MethodQuery,
    ScopeQuery,
    ServicesDep,
    SpanDep,
    ToQuery,
    TraceDep,
    TypeQuery,
)
from correlate.api.errors import documented
from correlate.api.times import parse_range
from correlate.bootstrap import Services
from correlate.model.answers import Method, Scope
from correlate.services.answers import Profile
from correlate.services.render import Format, media_types

router = APIRouter(tags=["spans"])

_PROFILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": schemas.SpanProfile | schemas.OtherFormat,
        "content": {media: {} for media in media_types() if media != "application/json"},
        "description": "the profile, in the format asked for",
    },
    **documented(400, 404),
}


@router.get("/spans", response_model=schemas.Spans, responses=documented(400))
def list_spans(
    services: ServicesDep,
    service: Annotated[str, Query(max_length=1024)],
    operation: Annotated[str | None, Query(max_length=4096)] = None,
    start: FromQuery = None,
    end: ToQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    order: Literal["newest", "slowest"] = "newest",
) -> dict[str, Any]:
    """List spans of a service or operation, with the number of samples each has."""
    window = parse_range(start, end, services.clock)
    rows = services.catalogue.spans(service, operation, window, limit=limit, slowest=order == "slowest")
    return {"spans": convert.spans(rows)}


@router.get("/spans/{trace_id}/{span_id}/profile", responses=_PROFILE_RESPONSES)
def span_profile(
    services: ServicesDep,
    trace: TraceDep,
    span: SpanDep,
    wanted_type: TypeQuery = "cpu",
    scope: ScopeQuery = Scope.SUBTREE,
    method: MethodQuery = Method.AUTO,
    wanted_format: FormatQuery = Format.JSON,
    max_nodes: MaxNodesQuery = 16384,
) -> Response:
    """The code that ran for a span, with samples, coverage and confidence."""
    profile = services.explain.span_profile(trace, span, wanted_type=wanted_type, scope_wanted=scope, method=method)
    return _rendered(services, profile, wanted_format, max_nodes)


@router.get("/traces/{trace_id}", response_model=schemas.Spans, responses=documented(400, 404), tags=["traces"])
def trace_spans(services: ServicesDep, trace: TraceDep) -> dict[str, Any]:
    """The spans of a trace by start time, with the number of samples each has."""
    return {"spans": convert.spans(services.explain.trace(trace))}


@router.get("/traces/{trace_id}/profile", responses=_PROFILE_RESPONSES, tags=["traces"])
def trace_profile(
    services: ServicesDep,
    trace: TraceDep,
    wanted_type: TypeQuery = "cpu",
    method: MethodQuery = Method.AUTO,
    wanted_format: FormatQuery = Format.JSON,
    max_nodes: MaxNodesQuery = 16384,
) -> Response:
    """The code that ran for a whole trace, in one flame graph."""
    profile = services.explain.span_profile(trace, 0, wanted_type=wanted_type, scope_wanted=Scope.TRACE, method=method)
    return _rendered(services, profile, wanted_format, max_nodes)


def _rendered(services: Services, profile: Profile, wanted: Format, max_nodes: int) -> Response:
    rendered = services.render(profile, wanted, max_nodes=max_nodes)
    headers = {"Content-Disposition": f'attachment; filename="{rendered.file_name}"'} if rendered.file_name else None
    return Response(rendered.body, media_type=rendered.media_type, headers=headers)
