"""The plain pages: services and operations, the spans of one, a trace, and a span's flame graph."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, HTMLResponse, Response

from correlate.api import convert
from correlate.api.deps import MaxNodesQuery, MethodQuery, ScopeQuery, ServicesDep, TypeQuery
from correlate.bootstrap import Services
from correlate.errors import CorrelateError, NoProfile
from correlate.flame.plot import plotly_js
from correlate.model.answers import Method, Scope
from correlate.model.ids import parse_span_id, parse_trace_id
from correlate.model.queries import TimeRange
from correlate.services.render import Format
from correlate.units import human

router = APIRouter(include_in_schema=False)

_HERE = Path(__file__).parent
_SHOWN_SPANS = 2_000
_FOREVER = "public, max-age=86400"
PLOTLY_PATH = "/static/plotly.min.js"


@router.get("/")
def index(services: ServicesDep) -> HTMLResponse:
    """All services with their operations."""
    operations = services.catalogue.operations().partition_by("service", as_dict=True)
    rows = [
        {**row, "operations": operations[(row["service"],)].to_dicts() if (row["service"],) in operations else []}
        for row in services.catalogue.services().to_dicts()
    ]
    return html_page("index.html", services=rows, public_url=services.public_url)


@router.get("/operations")
def operation_spans(
    services: ServicesDep,
    service: Annotated[str, Query(max_length=1024)],
    operation: Annotated[str, Query(max_length=4096)] = "",
    order: Literal["newest", "slowest"] = "newest",
) -> HTMLResponse:
    """The newest or slowest spans of an operation."""
    rows = services.catalogue.spans(
        service, operation or None, TimeRange.everything(), limit=100, slowest=order == "slowest"
    )
    spans = convert.spans(rows)
    return html_page(
        "operation.html",
        service=service,
        operation=operation,
        order=order,
        other_order="slowest" if order == "newest" else "newest",
        spans=spans,
        longest_ns=max((span["duration_ns"] for span in spans), default=1) or 1,
    )


@router.get("/traces/{trace_id}")
def trace(services: ServicesDep, trace_id: str) -> HTMLResponse:
    """The spans of a trace, as a waterfall."""
    return or_error(lambda: _trace_page(services, trace_id), trace_id)


@router.get("/spans/{trace_id}/{span_id}")
def span(
    services: ServicesDep,
    trace_id: str,
    span_id: str,
    wanted_type: TypeQuery = "cpu",
    scope: ScopeQuery = Scope.SUBTREE,
    method: MethodQuery = Method.AUTO,
    max_nodes: MaxNodesQuery = 4096,
) -> HTMLResponse:
    """A span's flame graph."""

    def draw() -> HTMLResponse:
        profile = services.explain.span_profile(
            parse_trace_id(trace_id),
            parse_span_id(span_id),
            wanted_type=wanted_type,
            scope_wanted=scope,
            method=method,
        )
        rendered = services.render(profile, Format.HTML, max_nodes=max_nodes, plotlyjs_url=PLOTLY_PATH)
        return HTMLResponse(rendered.body)

    return or_error(draw, trace_id)


@router.get(PLOTLY_PATH)
def plotly_script() -> Response:
    """The plotting library, served from the installed package so that pages work offline."""
    return Response(plotly_js(), media_type="text/javascript", headers={"Cache-Control": _FOREVER})


@router.get("/static/style.css")
def style() -> FileResponse:
    """The style sheet."""
    return FileResponse(_HERE / "static" / "style.css", headers={"Cache-Control": "no-cache"})


def _trace_page(services: Services, trace_id: str) -> HTMLResponse:
    rows = convert.spans(services.explain.trace(parse_trace_id(trace_id)))
    start_ns = min(row["start_ns"] for row in rows)
    end_ns = max(row["start_ns"] + row["duration_ns"] for row in rows)
    shown = _with_depth(rows[:_SHOWN_SPANS])
    return html_page(
        "trace.html",
        trace_id=rows[0]["trace_id"],
        spans=shown,
        more=len(rows) - len(shown),
        start_ns=start_ns,
        length_ns=max(1, end_ns - start_ns),
    )


def _with_depth(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Depth beneath the root for indentation; a circle of parents is cut open where it was entered."""
    parents = {row["span_id"]: row["parent_span_id"] for row in rows}
    depths: dict[str | None, int] = {}
    for span_id in parents:
        path: dict[str, None] = {}  # a set that keeps its order
        ancestor = span_id
        while ancestor in parents and ancestor not in depths and ancestor not in path:
            path[ancestor] = None
            ancestor = parents[ancestor]
        depth = depths.get(ancestor, -1)
        depths |= {descendant: depth + steps for steps, descendant in enumerate(reversed(path), 1)}
    return [{**row, "depth": depths[row["span_id"]]} for row in rows]


def or_error(draw: Callable[[], HTMLResponse], trace_id: str) -> HTMLResponse:
    """Draw a page, or a page that says in words why not."""
    try:
        return draw()
    except NoProfile as exc:
        title = exc.reason[:1].upper() + exc.reason[1:]
        known = {"local_root": exc.details.get("local_root"), "trace_id": trace_id}
        page = html_page("error.html", title=title, message=str(exc), **known)
    except CorrelateError as exc:
        page = html_page("error.html", title="That did not work", message=str(exc))
        page.status_code = exc.http_status
        return page
    page.status_code = NoProfile.http_status
    return page


def html_page(template: str, **values: Any) -> HTMLResponse:
    """Fill in a template."""
    return HTMLResponse(_templates().get_template(template).render(**values))


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True)
    environment.filters["ns"] = lambda value: human(value, "nanoseconds")
    environment.filters["moment"] = _moment
    return environment


def _moment(time_ns: int | None) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if time_ns else "never"
