"""The page of a cohort: a box for the question, and the profile of all spans that it chooses."""

from typing import Annotated, Any, Final

from fastapi import Query
from fastapi.responses import HTMLResponse
from starlette.requests import Request

from correlate.api import convert
from correlate.api.asked import EvidenceDep, WindowDep
from correlate.api.deps import ServicesDep
from correlate.api.lens import LensDep
from correlate.api.pages import flames
from correlate.api.pages.address import Here, Payers, address
from correlate.api.pages.html import html_page, page_router, period
from correlate.api.pages.operations import cohort_link
from correlate.api.routes.cohorts import LimitQuery
from correlate.bootstrap import Services
from correlate.model.answers import CohortInfo
from correlate.services.answers import Profile
from correlate.services.cohorts import DEFAULT_LIMIT, Chosen

router = page_router()

_SLOWEST: Final = 10
_EXAMPLES: Final = 12


@router.get("/cohorts")
def cohort(
    request: Request,
    services: ServicesDep,
    window: WindowDep,
    asked: EvidenceDep,
    lens: LensDep,
    query: Annotated[str, Query(alias="q", max_length=8192)] = "",
    limit: LimitQuery = DEFAULT_LIMIT,
) -> HTMLResponse:
    """The profile of all spans that a query chooses; without a query, the box to write one in."""
    here = Here.of(request)
    if not query.strip():
        return html_page("cohort.html", here=here, examples=_examples(services))
    chosen = services.cohorts.choose(query, window, limit=limit)
    gathered = services.cohorts.gather(chosen, asked.wanted_type, asked.scope, asked.method)
    profile = services.cohorts.described(gathered, asked.scope).through(lens)
    payers = Payers(_only(chosen.services), str(profile.profile_type), window)
    shown = flames.of_profile(profile, payers)
    told = {name: text for name, text in shown["facts"].items() if name not in {"cohort", "spans"}}
    return html_page(
        "cohort.html",
        here=here,
        cohort=gathered.info,
        **(shown | {"facts": told | {"time": period(window)}}),
        shares=_shares(profile, payers),
        slowest=_slowest(chosen),
        links=_links(services, gathered.info, profile, here),
        also=profile.also,
        saved=flames.saved_as("/api/v1/cohorts/profile", here),
    )


def _shares(profile: Profile, payers: Payers) -> list[dict[str, Any]]:
    """What the cohort spends in its largest functions, with limits."""
    return [] if profile.frames is None else flames.with_payers(profile.frames.head(flames.MOST_FUNCTIONS), payers)


def _slowest(chosen: Chosen) -> list[dict[str, Any]]:
    return convert.bare_spans(chosen.spans.sort("duration_ns", "span", descending=True).head(_SLOWEST))


def _links(services: Services, info: CohortInfo, profile: Profile, here: Here) -> dict[str, str]:
    """Where to go from a cohort: its comparison with another, and its traces in Grafana."""
    compared = here.asked("from", "to", "type", "scope") | {"left": info.query, "right": info.query}
    grafana = services.links.of_cohort(info, profile.profile_type)["grafana_trace"]
    return {"compare with another": address("/compare", compared | {"edit": "1"})} | (
        {"its traces in Grafana": grafana} if grafana else {}
    )


def _only(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else ""


def _examples(services: Services) -> list[dict[str, str]]:
    """The most frequent operations, each as a cohort."""
    rows = services.catalogue.operations().sort("span_count", "name", descending=[True, False]).head(_EXAMPLES)
    return [
        {
            "service": row["service"],
            "name": row["name"],
            "url": cohort_link(row["service"], row["name"], rows[number : number + 1], {}),
        }
        for number, row in enumerate(rows.to_dicts())
        if row["name"]
    ]
