"""Profiles of many spans at once, chosen by a query."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from correlate.api import convert
from correlate.api.asked import EvidenceDep, ShownDep, WindowDep
from correlate.api.deps import CohortQuery, ServicesDep
from correlate.api.errors import documented
from correlate.api.routes.spans import PROFILE_RESPONSES, rendered
from correlate.api.schemas.cohorts import CohortProfile, CohortSpans
from correlate.services.cohorts import DEFAULT_LIMIT

router = APIRouter(prefix="/cohorts", tags=["cohorts"])

_RESPONSES = PROFILE_RESPONSES | {200: PROFILE_RESPONSES[200] | {"model": CohortProfile}}

LimitQuery = Annotated[
    int, Query(ge=1, le=1_000_000, description="more spans than this are represented by so many of them")
]


@router.get("/profile", responses=_RESPONSES)
def cohort_profile(
    services: ServicesDep,
    query: CohortQuery,
    window: WindowDep,
    asked: EvidenceDep,
    shown: ShownDep,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> Response:
    """The code that ran for all spans that a query chooses, with 95 % limits for each function."""
    profile = services.cohorts.profile(
        query, window, wanted_type=asked.wanted_type, scope=asked.scope, method=asked.method, limit=limit
    )
    return rendered(services, profile, shown)


@router.get("/spans", response_model=CohortSpans, responses=documented(400, 404))
def cohort_spans(
    services: ServicesDep,
    query: CohortQuery,
    window: WindowDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> dict[str, Any]:
    """Which spans a query chooses: the slowest of them, and how many there are."""
    chosen = services.cohorts.choose(query, window)
    slowest = chosen.spans.sort("duration_ns", descending=True).head(limit)
    return {"query": chosen.query, "matched": chosen.matched, "spans": convert.bare_spans(slowest)}
