"""The spans of an operation, and what leads from it to the profile of all of them."""

from datetime import UTC, datetime
from typing import Annotated, Literal

import polars as pl
from fastapi import Query
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from correlate.api import convert
from correlate.api.deps import ServicesDep
from correlate.api.pages.address import Here, address
from correlate.api.pages.html import html_page, page_router
from correlate.model.queries import TimeRange
from correlate.services.cohorts import query_of_operation
from correlate.traceql.write import of_service, write

router = page_router()


@router.get("/operations")
def operation_spans(
    request: Request,
    services: ServicesDep,
    service: Annotated[str, Query(max_length=1024)],
    operation: Annotated[str, Query(max_length=4096)] = "",
    order: Literal["newest", "slowest"] = "newest",
) -> HTMLResponse:
    """The newest or slowest spans of an operation, or of a whole service."""
    rows = services.catalogue.spans(
        service, operation or None, TimeRange.everything(), limit=100, slowest=order == "slowest"
    )
    spans = convert.spans(rows)
    known = services.catalogue.operations().filter(pl.col("service") == service)
    known = known.filter(pl.col("name") == operation) if operation else known
    return html_page(
        "operation.html",
        here=Here.of(request),
        service=service,
        operation=operation,
        order=order,
        other_order="slowest" if order == "newest" else "newest",
        spans=spans,
        longest_ns=max((span["duration_ns"] for span in spans), default=1) or 1,
        count=int(known["span_count"].sum()),
        links=_links(service, operation, known),
    )


def _links(service: str, operation: str, known: pl.DataFrame) -> dict[str, str]:
    if known.is_empty():
        return {}
    links = {"profile of all of them": cohort_link(service, operation, known, {})}
    if operation:
        links["what do the slow ones do differently?"] = slow_link(service, operation, known, {})
    return links


def cohort_link(service: str, operation: str, known: pl.DataFrame, more: dict[str, str]) -> str:
    """The page of the profile of all spans of an operation, or of a service.

    Args:
        service: its name.
        operation: the spans' name; "" for all of the service.
        known: rows of the catalogue's operations that are meant; the time is that in which they were seen.
        more: other query parameters.
    """
    query = query_of_operation(service, operation) if operation else write(of_service(service))
    return address("/cohorts", {"q": query} | _seen(known) | more)


def slow_link(service: str, operation: str, known: pl.DataFrame, more: dict[str, str]) -> str:
    """The page that compares the slowest spans of an operation with the others; parameters as of `cohort_link`."""
    return address("/operations/slow", {"service": service, "operation": operation} | _seen(known) | more)


def _seen(known: pl.DataFrame) -> dict[str, str]:
    """From the first span to the last, in whole seconds, which people can read."""
    if known.is_empty():
        return {}
    first_ns, last_ns = int(known["first_ns"].to_numpy().min()), int(known["last_ns"].to_numpy().max())
    return {"from": _second(first_ns // 10**9), "to": _second(last_ns // 10**9 + 1)}


def _second(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
