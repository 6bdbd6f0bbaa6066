"""The pages that compare two sets of spans: what differs in sentences first, then the differential flame graph."""

from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Query
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from correlate.api.asked import WindowDep
from correlate.api.deps import ServicesDep, SpanDep, TraceDep
from correlate.api.pages import flames
from correlate.api.pages.address import Here, Payers, address, times
from correlate.api.pages.html import html_page, page_router
from correlate.api.routes.compare import AskedDep, TimesDep
from correlate.flame import plot
from correlate.flame.diff_look import Sides, headline
from correlate.model.queries import TimeRange
from correlate.services.compare import Compared, Side

router = page_router()

MOST_FUNCTIONS: Final = 25
_SAVED: Final = ("page", "picture", "JSON")

QuantileQuery = Annotated[float, Query(ge=0.5, lt=1)]


@router.get("/compare")
def compare(
    request: Request,
    services: ServicesDep,
    when: TimesDep,
    asked: AskedDep,
    left: Annotated[str, Query(max_length=8192)] = "",
    right: Annotated[str, Query(max_length=8192)] = "",
    edit: Annotated[bool, Query(description="show the boxes only")] = False,
) -> HTMLResponse:
    """What the spans of one query do differently from those of another; without queries, the boxes to write them in."""
    here = Here.of(request)
    if edit or not (left.strip() and right.strip()):
        return html_page("compare.html", here=Here(here.path, {**here.params, "edit": ""}), title="Compare two cohorts")
    found = services.compare.queries((left, when.left), (right, when.right), asked)
    return _page(found, here, "/api/v1/compare", "What the right side does differently from the left")


@router.get("/operations/slow")
def slow(
    request: Request,
    services: ServicesDep,
    service: Annotated[str, Query(max_length=1024)],
    operation: Annotated[str, Query(max_length=4096)],
    window: WindowDep,
    asked: AskedDep,
    quantile: QuantileQuery = 0.99,
) -> HTMLResponse:
    """What the slowest spans of an operation do differently from the rest, for names of any characters."""
    found = services.compare.slow(service, operation, window, quantile, asked)
    path = "" if "/" in service else f"/api/v1/operations/{quote(service)}/{quote(operation)}/slow"
    return _page(found, Here.of(request), path, f"What slow {operation} do differently")


@router.get("/operations/{service}/{operation:path}/slow")
def slow_at_its_path(
    request: Request,
    services: ServicesDep,
    service: str,
    operation: str,
    window: WindowDep,
    asked: AskedDep,
    quantile: QuantileQuery = 0.99,
) -> HTMLResponse:
    """The same at the address that the REST API has."""
    found = services.compare.slow(service, operation, window, quantile, asked)
    here = Here.of(request)
    return _page(found, here, f"/api/v1{here.path}", f"What slow {operation} do differently")


@router.get("/spans/{trace_id}/{span_id}/compare")
def span_and_operation(
    request: Request, services: ServicesDep, trace: TraceDep, span: SpanDep, asked: AskedDep
) -> HTMLResponse:
    """What one span did differently from all others of its operation."""
    here, info = Here.of(request), services.explain.span(trace, span)
    found = services.compare.with_operation(info, asked)
    links = {"the span": here.path.removesuffix("/compare"), "its trace": f"/traces/{info.trace}"}
    title = f"What this {info.name or 'span'} did differently from the others"
    return _page(found, here, f"/api/v1{here.path}", title, links)


def _page(compared: Compared, here: Here, path: str, title: str, links: dict[str, str] | None = None) -> HTMLResponse:
    """The page of any comparison; `path` is where the REST API has it."""
    unit = compared.profile_type.sample_unit
    sides = Sides(compared.left.name, compared.right.name, compared.comparison)
    return html_page(
        "compare.html",
        here=here,
        title=title,
        compared=compared,
        unit=unit,
        figures=headline(compared.tree, unit, sides),
        sides=[_side(compared.left, compared, here), _side(compared.right, compared, here)],
        picture=plot.picture_diff(compared.tree, unit, sides),
        functions=_functions(compared),
        links=links or {},
        saved=flames.saved_as(path, here, _SAVED) if path else {},
    )


def _side(side: Side, compared: Compared, here: Here) -> dict[str, Any]:
    """What is told of a side: its figures, and the page of its cohort."""
    kept = here.asked("type", "scope", "method", "focus", "ignore", "function", "self_of", "callers_of", "callees_of")
    sums = compared.comparison.left if side is compared.left else compared.comparison.right
    return {
        "name": side.name,
        "cohort": side.cohort,
        "found": side.gathered.found,
        "sums": sums,
        "url": address("/cohorts", {"q": side.cohort.query} | times(side.cohort.window) | kept),
    }


def _functions(compared: Compared) -> list[dict[str, Any]]:
    """The functions to read first, each with the spans that paid for it."""
    left, right = compared.left.cohort, compared.right.cohort
    services = sorted({*left.services, *right.services})
    window = TimeRange(min(left.window.start_ns, right.window.start_ns), max(left.window.end_ns, right.window.end_ns))
    payers = Payers(services[0] if len(services) == 1 else "", str(compared.profile_type), window)
    basis = compared.comparison.basis
    names = ("left", "right", "difference", "low", "high", "q")
    columns = (f"left_{basis}", f"right_{basis}", *(f"{basis}_{name}" for name in names[2:]))
    rows = compared.comparison.frames.head(MOST_FUNCTIONS)
    chosen = rows.select("name", "place", "significant", "under_powered", "needs_samples", *columns)
    return flames.with_payers(chosen.rename(dict(zip(columns, names, strict=True))), payers)
