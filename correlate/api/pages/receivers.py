"""The page of receivers: who is told about alerts, how that goes, and buttons to try it."""

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Path, Query
from fastapi.responses import HTMLResponse, Response

from correlate.api.deps import ServicesDep
from correlate.api.pages.forms import FormDep, then
from correlate.api.pages.html import html_page, page_router

router = page_router()

_MOST_DEAD: Final = 50

NamePath = Annotated[str, Path(max_length=100)]


@router.get("/receivers")
def receivers(services: ServicesDep, tested: Annotated[str, Query(max_length=100)] = "") -> HTMLResponse:
    """All receivers; `tested` names the one that a test alert was just sent to."""
    known = services.receivers
    views = known.all()
    tested = next((view.name for view in views if view.name == tested), "")
    return html_page("receivers.html", receivers=views, dead=known.dead(limit=_MOST_DEAD), tested=tested)


@router.post("/receivers/{name}/test")
def test(services: ServicesDep, name: NamePath, _form: FormDep) -> Response:
    """Put a test alert on its way."""
    services.receivers.test_later(name, by="the page of receivers")
    return then(f"/receivers?tested={quote(name, safe='')}")


@router.post("/receivers/{name}/resend")
def resend(services: ServicesDep, name: NamePath, _form: FormDep) -> Response:
    """Try again what was given up."""
    services.receivers.resend(name)
    return then("/receivers")
