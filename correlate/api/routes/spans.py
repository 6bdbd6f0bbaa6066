"""Profiles of spans and traces."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from correlate.api import convert, schemas
from correlate.api.asked import EvidenceDep, Shown, ShownDep, WindowDep
from correlate.api.deps import MethodQuery, ServicesDep, SpanDep, TraceDep, TypeQuery
from correlate.api.errors import documented
from correlate.bootstrap import Services
from correlate.model.answers import Method, Scope
from correlate.services.answers import Profile
from correlate.services.render import media_types

router = APIRouter(tags=["spans"])

PROFILE_RESPONSES: dict[int | str, dict[str, Any]] = {
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
    window: WindowDep,
    service: Annotated[str, Query(max_length=1024)],
    operation: Annotated[str | None, Query(max_length=4096)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    order: Literal["newest", "slowest"] = "newest",
) -> dict[str, Any]:
    """List spans of a service or operation, with the number of samples each has."""
    rows = services.catalogue.spans(service, operation, window, limit=limit, slowest=order == "slowest")
    return {"spans": convert.spans(rows)}


@router.get("/spans/{trace_id}/{span_id}/profile", responses=PROFILE_RESPONSES)
def span_profile(
    services: ServicesDep, trace: TraceDep, span: SpanDep, asked: EvidenceDep, shown: ShownDep
) -> Response:
    """The code that ran for a span, with samples, coverage and confidence."""
    profile = services.explain.span_profile(
        trace, span, wanted_type=asked.wanted_type, scope_wanted=asked.scope, method=asked.method
    )
    return rendered(services, profile, shown)


@router.get("/traces/{trace_id}", response_model=schemas.Spans, responses=documented(400, 404), tags=["traces"])
def trace_spans(services: ServicesDep, trace: TraceDep) -> dict[str, Any]:
    """The spans of a trace by start time, with the number of samples each has."""
    return {"spans": convert.spans(services.explain.trace(trace))}


@router.get("/traces/{trace_id}/profile", responses=PROFILE_RESPONSES, tags=["traces"])
def trace_profile(
    services: ServicesDep,
    trace: TraceDep,
    shown: ShownDep,
    wanted_type: TypeQuery = "cpu",
    method: MethodQuery = Method.AUTO,
) -> Response:
    """The code that ran for a whole trace, in one flame graph."""
    profile = services.explain.span_profile(trace, 0, wanted_type=wanted_type, scope_wanted=Scope.TRACE, method=method)
    return rendered(services, profile, shown)


def rendered(services: Services, profile: Profile, shown: Shown) -> Response:
    """A profile as a response, looked at and written as was asked for."""
    made = services.render(profile.through(shown.lens), shown.wanted, max_nodes=shown.max_nodes)
    headers = {"Content-Disposition": f'attachment; filename="{made.file_name}"'} if made.file_name else None
    return Response(made.body, media_type=made.media_type, headers=headers)
