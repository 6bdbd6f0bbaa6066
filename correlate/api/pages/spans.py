"""The pages of one span: its flame graph, its comparison with its operation, and where its time went."""

from typing import Any, Final

from fastapi.responses import HTMLResponse
from starlette.requests import Request

from correlate.api.asked import EvidenceDep
from correlate.api.deps import ServicesDep, SpanDep, TraceDep
from correlate.api.lens import LensDep
from correlate.api.pages import flames
from correlate.api.pages.address import Here, Payers, address
from correlate.api.pages.html import html_page, page_router
from correlate.api.pages.operations import cohort_link, slow_link
from correlate.bootstrap import Services
from correlate.errors import CorrelateError, NoProfile
from correlate.model.answers import SpanInfo
from correlate.model.ids import format_span_id
from correlate.model.queries import TimeRange
from correlate.services.breakdown import SpanBreakdown
from correlate.services.words import PARTS

router = page_router()

_AROUND_NS: Final = 3_600_000_000_000


@router.get("/spans/{trace_id}/{span_id}")
def span(
    request: Request, services: ServicesDep, trace: TraceDep, span: SpanDep, asked: EvidenceDep, lens: LensDep
) -> HTMLResponse:
    """A span's flame graph, or why there is none."""
    here, info = Here.of(request), services.explain.span(trace, span)
    known = {"here": here, "span": info, "links": _links(services, info, here)}
    try:
        profile = services.explain.span_profile(
            trace, span, wanted_type=asked.wanted_type, scope_wanted=asked.scope, method=asked.method
        ).through(lens)
    except NoProfile as exc:
        types = services.catalogue.profile_types().filter(service=info.service)["type"].to_list()
        page = html_page("span.html", **known, problem=exc, title=_capital(exc.reason), also=types)
        page.status_code = exc.http_status
        return page
    window = TimeRange(info.start_ns - _AROUND_NS, info.end_ns + _AROUND_NS)
    shown = flames.of_profile(profile, Payers(info.service, str(profile.profile_type), window))
    more = {name: url for name, url in services.links.of_span(info, profile.profile_type, asked.scope).items() if url}
    return html_page(
        "span.html",
        **known,
        **shown,
        title=info.name or "(no name)",
        also=profile.also,
        grafana={name: url for name, url in more.items() if name.startswith("grafana")},
        saved=flames.saved_as(f"/api/v1{here.path}/profile", here),
        breakdown=_breakdown(services, info),
    )


@router.get("/spans/{trace_id}/{span_id}/breakdown")
def breakdown(request: Request, services: ServicesDep, trace: TraceDep, span: SpanDep) -> HTMLResponse:
    """Where the wall time of a span went, with the evidence for it."""
    found = services.breakdowns.of_span(trace, span)
    here = Here.of(request)
    return html_page(
        "breakdown.html",
        here=here,
        span=found.span,
        links={"flame graph": here.path.removesuffix("/breakdown"), "whole trace": f"/traces/{trace}"},
        breakdown=_parts(found),
        found=found,
        children=[{**row, "span_id": format_span_id(row["span"])} for row in found.children.to_dicts()],
    )


def _breakdown(services: Services, info: SpanInfo) -> list[dict[str, Any]] | None:
    """The parts; None where they cannot be told, which is no reason not to show the flame graph."""
    try:
        return _parts(services.breakdowns.of_span(info.trace, info.span))
    except CorrelateError:
        return None


def _parts(found: SpanBreakdown) -> list[dict[str, Any]]:
    wall_ns = found.span.duration_ns or 1
    return [
        {"part": part, "words": PARTS[part.name], "share": part.time_ns / wall_ns}
        for part in found.found.parts
        if part.time_ns
    ]


def _links(services: Services, info: SpanInfo, here: Here) -> dict[str, str]:
    """Where to go from a span."""
    path = f"/spans/{info.trace}/{format_span_id(info.span)}"
    operation = services.catalogue.operations().filter(service=info.service, name=info.name)
    kept = here.asked("type")
    return {
        "whole trace": f"/traces/{info.trace}",
        "where its time went": f"{path}/breakdown",
        "compare with its operation": address(f"{path}/compare", kept),
        f"profile of all {info.name or 'of them'}": cohort_link(info.service, info.name, operation, kept),
        "what the slow ones do differently": slow_link(info.service, info.name, operation, kept),
        "all its spans": address("/operations", {"service": info.service, "operation": info.name}),
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
