"""The page of a function: the spans that paid most for it."""

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from correlate.api.asked import WindowDep
from correlate.api.deps import ServicesDep, TypeQuery
from correlate.api.pages import flames
from correlate.api.pages.address import Here, Payers, address, times
from correlate.api.pages.html import html_page, page_router
from correlate.bootstrap import Services
from correlate.joins.scope import span_info
from correlate.model.ids import format_span_id
from correlate.model.queries import TimeRange
from correlate.services import frames
from correlate.traceql.write import of_service, write

router = page_router()


@router.get("/frames/traces")
def frame_traces(
    request: Request,
    services: ServicesDep,
    window: WindowDep,
    function: Annotated[str, Query(max_length=4096)] = "",
    service: Annotated[str, Query(max_length=1024)] = "",
    wanted_type: TypeQuery = "cpu",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> HTMLResponse:
    """The spans that paid most for a function; without a function, those there are to choose from."""
    here = Here.of(request)
    if not function.strip():
        return _choice(services, service, wanted_type, window, here)
    found = services.frames.payers(function, service or None, wanted_type, window, limit=limit)
    return html_page(
        "payers.html",
        here=here,
        function=function,
        found=found,
        unit=found.profile_type.sample_unit,
        most=max(found.rows["value"].to_list(), default=1) or 1,
        spans=[_payer(row) for row in found.rows.to_dicts()],
        cohort=_cohort(service, function, window) if service else "",
    )


def _payer(row: dict[str, Any]) -> dict[str, Any]:
    """A span of the handful shown, with what it paid."""
    info = span_info(row)
    return {**row, "info": info, "span_id": format_span_id(info.span)}


def _cohort(service: str, function: str, window: TimeRange) -> str:
    """The profile of all spans of a service, as far as it touches the function."""
    lens = function if function.startswith(("=", "!", "~")) else f"='{function}'"
    return address("/cohorts", {"q": write(of_service(service)), "function": lens} | times(window))


def _choice(services: Services, service: str, wanted_type: str, window: TimeRange, here: Here) -> HTMLResponse:
    found: frames.Functions = services.frames.functions(service or None, wanted_type, window, limit=50)
    payers = Payers(service, str(found.profile_type), window)
    return html_page(
        "payers.html",
        here=here,
        functions=flames.with_payers(found.rows, payers),
        total=found.total,
        count=found.count,
        unit=found.profile_type.sample_unit,
    )
