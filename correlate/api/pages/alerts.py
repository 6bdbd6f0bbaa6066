"""The pages of alerts: which there are, and one with everything that is known about it and what can be done."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Path
from fastapi.responses import HTMLResponse, Response
from starlette.requests import Request

from correlate.alerting import payloads_words as words
from correlate.api.deps import ServiceQuery, ServicesDep
from correlate.api.pages.address import Here
from correlate.api.pages.forms import FormDep, comment, then, who
from correlate.api.pages.html import html_page, page_router
from correlate.api.routes.alerts import DetectorQuery
from correlate.api.schemas.alerts import FINGERPRINT
from correlate.errors import BadInput
from correlate.flame.labels import printable_one
from correlate.model.alert_changes import AlertFilter
from correlate.model.alerts import Alert, AlertStatus, Silence
from correlate.model.verdicts import Site, Tier
from correlate.services.alerts import AlertView

router = page_router()

FingerprintPath = Annotated[str, Path(pattern=FINGERPRINT, description="16 hexadecimal digits")]

_MOST: Final = 200
_NS_PER_S: Final = 1_000_000_000
_SILENCES: Final = {"3600": "1 h", "86400": "1 d"}
"""By seconds, what is written on the button."""

_EVIDENCE: Final = {
    "flame_graph": "flame graph",
    "difference": "before and after",
    "call_site": "the spans that paid most for the call site",
    "grafana": "Grafana",
}
"""What evidence is called on a page; what is not here is called by its name."""


@router.get("/alerts")
def alerts(
    request: Request,
    services: ServicesDep,
    status: AlertStatus | None = None,
    service: ServiceQuery = None,
    detector: DetectorQuery = None,
) -> HTMLResponse:
    """Firing ones first, then watched, then resolved."""
    wanted = AlertFilter((status,) if status else (), service, detector, limit=_MOST)
    views = services.alerts.list(wanted)
    return html_page(
        "alerts.html",
        here=Here.of(request),
        status=status,
        statuses=(AlertStatus.FIRING, AlertStatus.WATCH, AlertStatus.RESOLVED),
        service=service,
        detector=detector,
        alerts=[{"view": view, "title": words.headline(view.alert)} for view in views],
        most=_MOST,
        watching=services.settings.detectors.enable,
    )


@router.get("/alerts/{fingerprint}")
def alert(services: ServicesDep, fingerprint: FingerprintPath) -> HTMLResponse:
    """One alert: what was seen, where, why it was told or held back, and what happened to it."""
    view = services.alerts.get(fingerprint)
    return html_page("alert.html", silences=_SILENCES, Tier=Tier, **_shown(view, services.public_url))


@router.post("/alerts/{fingerprint}/acknowledge")
def acknowledge(services: ServicesDep, fingerprint: FingerprintPath, form: FormDep) -> Response:
    """Take it on."""
    services.alerts.acknowledge(fingerprint, who(form))
    return then(f"/alerts/{fingerprint}")


@router.post("/alerts/{fingerprint}/false-positive")
def false_positive(services: ServicesDep, fingerprint: FingerprintPath, form: FormDep) -> Response:
    """Call it wrong."""
    services.alerts.false_positive(fingerprint, who(form), comment(form))
    return then(f"/alerts/{fingerprint}")


@router.post("/alerts/{fingerprint}/silence")
def silence(services: ServicesDep, fingerprint: FingerprintPath, form: FormDep) -> Response:
    """Let nobody be told of it for a while."""
    services.alerts.get(fingerprint)  # one that is not there is not silenced
    now_ns = services.clock.now_ns()
    end_ns = now_ns + _duration_s(form) * _NS_PER_S
    services.alerts.silence(Silence(0, {"fingerprint": fingerprint}, now_ns, end_ns, comment(form), who(form)))
    return then(f"/alerts/{fingerprint}")


def _duration_s(form: Mapping[str, str]) -> int:
    if form.get("duration_s") not in _SILENCES:
        raise BadInput(f"a page silences for {' or '.join(_SILENCES.values())}; the REST API for any time")
    return int(form["duration_s"])


def _shown(view: AlertView, public_url: str) -> dict[str, Any]:
    """What the page of an alert tells, in text that is still to be escaped."""
    found, verdict = view.alert, view.alert.verdict
    return {
        "view": view,
        "alert": found,
        "title": words.headline(found),
        "figures": words.figures_of(found),
        "guards": verdict.guards,
        "sites": [_site(site, found) for site in verdict.sites],
        "evidence": _evidence(found, public_url),
        "events": view.events,
    }


def _site(site: Site, found: Alert) -> dict[str, Any]:
    unit = "bytes" if any(name.endswith("bytes_per_hour") for name in found.verdict.figures) else "count"
    return {
        "place": words.place(site),
        "growth": words.quantity(f"growth_{unit}_per_hour", site.growth_per_hour)[1] if site.growth_per_hour else "",
        "share": site.share_ratio,
        "stack": [printable_one(name) for name in site.stack],
        "operations": site.operations,
    }


def _evidence(found: Alert, public_url: str) -> dict[str, str]:
    """Links by what they are called; pages of this server are reached however the reader reached this one."""
    own = public_url.rstrip("/") + "/"
    return {
        _EVIDENCE.get(name, name.replace("trace_", "example trace ").replace("_", " ")): (
            "/" + url.removeprefix(own) if url.startswith(own) else url
        )
        for name, url in words.links_of(found, "")
    }
