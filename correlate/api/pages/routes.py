"""All plain pages: here services and traces, and what pages load; the others are in modules of their own."""

from typing import Any, Final

import polars as pl
from fastapi.responses import FileResponse, HTMLResponse, Response

from correlate.api import convert
from correlate.api.deps import ServicesDep, TraceDep
from correlate.api.pages import alerts, cohorts, comparisons, operations, payers, receivers, silences, spans
from correlate.api.pages.html import HERE, html_page, page_router
from correlate.flame.page_script import SCRIPT
from correlate.flame.page_style import FLAME
from correlate.flame.plot import plotly_js

router = page_router()
for part in (operations, spans, cohorts, comparisons, payers, alerts, silences, receivers):
    router.include_router(part.router)

_SHOWN_SPANS: Final = 2_000
_FOREVER: Final = "public, max-age=86400"
_FRESH: Final = {"Cache-Control": "no-cache"}


@router.get("/")
def index(services: ServicesDep) -> HTMLResponse:
    """All services with their operations."""
    known = services.catalogue.operations().partition_by("service", as_dict=True)
    rows = [
        {**row, "operations": _with_links(known[(row["service"],)]) if (row["service"],) in known else []}
        for row in services.catalogue.services().to_dicts()
    ]
    return html_page("index.html", services=rows, public_url=services.public_url)


@router.get("/traces/{trace_id}")
def trace(services: ServicesDep, trace: TraceDep) -> HTMLResponse:
    """The spans of a trace, as a waterfall."""
    rows = convert.spans(services.explain.trace(trace))
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


@router.get("/static/plotly.min.js")
def plotly_script() -> Response:
    """The plotting library, served from the installed package so that pages work offline."""
    return Response(plotly_js(), media_type="text/javascript", headers={"Cache-Control": _FOREVER})


@router.get("/static/flame.js")
def flame_script() -> Response:
    """What a flame graph does in the browser."""
    return Response(SCRIPT, media_type="text/javascript", headers=_FRESH)


@router.get("/static/flame.css")
def flame_style() -> Response:
    """The style of a flame graph and of what stands around it."""
    return Response(FLAME, media_type="text/css", headers=_FRESH)


@router.get("/static/style.css")
def style() -> FileResponse:
    """The style sheet of all pages."""
    return FileResponse(HERE / "static" / "style.css", headers=_FRESH)


def _with_links(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """A service's operations, each with what leads to the profile of all its spans."""
    named = [(row, rows[number : number + 1]) for number, row in enumerate(rows.to_dicts())]  # a row per operation
    return [
        {
            **row,
            "cohort": operations.cohort_link(row["service"], row["name"], seen, {}) if row["name"] else "",
            "slow": operations.slow_link(row["service"], row["name"], seen, {}),
        }
        for row, seen in named
    ]


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
