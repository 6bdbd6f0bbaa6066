"""The page of silences, with a button to end each."""

from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import HTMLResponse, Response

from correlate.api.deps import ServicesDep
from correlate.api.pages.forms import FormDep, then
from correlate.api.pages.html import html_page, page_router

router = page_router()


@router.get("/silences")
def silences(services: ServicesDep, over: Annotated[bool, Query()] = False) -> HTMLResponse:
    """Those that hold or will hold, the newest first; with `over` those too that held."""
    found = services.alerts.silences(over=over)
    return html_page("silences.html", silences=found, over=over, now_ns=services.clock.now_ns())


@router.post("/silences/{ident}/expire")
def expire(services: ServicesDep, ident: Annotated[int, Path(ge=1, le=2**63 - 1)], _form: FormDep) -> Response:
    """End it now."""
    services.alerts.unsilence(ident)
    return then("/silences")
