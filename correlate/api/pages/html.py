"""What all pages share: templates, how they write figures, and pages that say in words what went wrong."""

import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from correlate.api.errors import mistakes
from correlate.api.pages.address import Here
from correlate.errors import CorrelateError, NoProfile
from correlate.flame.labels import printable_one
from correlate.model.answers import Method, Scope
from correlate.model.profile_type import ALIASES, ProfileType
from correlate.model.queries import TimeRange
from correlate.units import human

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
_SHORTEST_NS = 18
_FORMS = {
    "/spans/{trace_id}/{span_id}": "form_profile.html",
    "/spans/{trace_id}/{span_id}/compare": "form_compare.html",
    "/cohorts": "form_profile.html",
    "/compare": "form_compare.html",
    "/operations/slow": "form_compare.html",
    "/operations/{service}/{operation:path}/slow": "form_compare.html",
    "/frames/traces": "form_payers.html",
}
"""By the path of a page, the form that asks for it; it is shown again when the question was wrong."""


class PageRoute(APIRoute):
    """A route whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Draw, or say why not."""
        draw = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await draw(request)
            except RequestValidationError as exc:
                return self._refusal(request, "Invalid parameters", mistakes(exc), 422)
            except CorrelateError as exc:
                if exc.report:
                    log.exception("%s %s failed", request.method, request.url.path)
                return self._refusal(request, _title(exc), str(exc), exc.http_status, **_details(exc))

        return answer

    def _refusal(self, request: Request, title: str, message: str, status: int, **more: Any) -> Response:
        known = {"form": _FORMS.get(self.path), "here": Here.of(request), "ids": request.path_params}
        page = html_page("error.html", title=title, message=message, **known, **more)
        page.status_code = status
        return page


def page_router() -> APIRouter:
    """A router for pages."""
    return APIRouter(include_in_schema=False, route_class=PageRoute)


def html_page(template: str, **values: Any) -> HTMLResponse:
    """Fill in a template."""
    return HTMLResponse(_templates().get_template(template).render(**values))


def _title(exc: CorrelateError) -> str:
    if isinstance(exc, NoProfile):
        return exc.reason[:1].upper() + exc.reason[1:]
    return "That did not work"


def _details(exc: CorrelateError) -> dict[str, object]:
    return {"local_root": exc.details.get("local_root")} if isinstance(exc, NoProfile) else {}


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "ns": lambda value: human(value, "nanoseconds"),
        "human": human,
        "percent": _percent,
        "moment": moment,
        "period": period,
        "time_field": _time_field,
        "alias": lambda text: ProfileType.parse(text).alias,
        "shown": printable_one,
    }
    environment.globals |= {
        "ALIASES": tuple(ALIASES),
        "SCOPES": tuple(Scope),
        "METHODS": tuple(Method),
    }
    return environment


def moment(time_ns: int | None) -> str:
    """A time for people, UTC."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if time_ns else "never"


def period(window: TimeRange) -> str:
    """A window for people."""
    ever = TimeRange.everything()
    start = "" if window.start_ns <= ever.start_ns else f"from {moment(window.start_ns)}"
    end = "" if window.end_ns >= ever.end_ns else f"until {moment(window.end_ns)}"
    return " ".join(part for part in (start, end) if part) or "all that is stored"


def _percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def _time_field(text: str) -> str:
    """A time as a box of a form shows it: nanoseconds, which nobody can read, as a date."""
    if not (text.isascii() and text.isdigit() and len(text) >= _SHORTEST_NS):
        return text
    time_ns = int(text)
    if time_ns >= TimeRange.everything().end_ns:
        return ""
    return datetime.fromtimestamp(time_ns // 1000 / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
