"""Findings, alerts, silences and receivers."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from correlate.api import convert_alerts
from correlate.api.deps import ServiceQuery, ServicesDep
from correlate.api.errors import documented
from correlate.api.schemas.alerts import (
    FINGERPRINT,
    Acknowledgement,
    AlertDetail,
    AlertList,
    FeedbackBody,
    Findings,
    ReceiverList,
    SilenceBody,
    SilenceList,
    SilenceModel,
    TrialSent,
)
from correlate.api.small_bodies import SmallBody
from correlate.api.times import parse_time
from correlate.model.alert_changes import AlertFilter
from correlate.model.alerts import AlertStatus, Severity, Silence

router = APIRouter(tags=["alerts"], route_class=SmallBody)

_NS_PER_S = 1_000_000_000

FingerprintPath = Annotated[str, Path(pattern=FINGERPRINT, description="16 hexadecimal digits")]
SilencePath = Annotated[int, Path(alias="id", ge=1, le=2**63 - 1)]
DetectorQuery = Annotated[str | None, Query(max_length=200, description="only of this detector")]
LimitQuery = Annotated[int, Query(ge=1, le=1000)]


@router.get("/findings", response_model=Findings)
def list_findings(
    services: ServicesDep, service: ServiceQuery = None, detector: DetectorQuery = None, limit: LimitQuery = 100
) -> dict[str, Any]:
    """What detectors see now, confirmed or only watched, told or silenced."""
    views = services.alerts.findings(service, detector, limit=limit)
    return {"findings": [convert_alerts.finding(view) for view in views]}


@router.get("/alerts", response_model=AlertList)
def list_alerts(
    services: ServicesDep,
    status: Annotated[list[AlertStatus] | None, Query(max_length=3, description="any of these")] = None,
    service: ServiceQuery = None,
    detector: DetectorQuery = None,
    severity: Annotated[list[Severity] | None, Query(max_length=3, description="any of these")] = None,
    limit: LimitQuery = 100,
) -> dict[str, Any]:
    """Alerts in their last episode: firing, then watched, then resolved; the last changed first."""
    wanted = AlertFilter(tuple(status or ()), service, detector, tuple(severity or ()), limit)
    return {"alerts": [convert_alerts.alert(view) for view in services.alerts.list(wanted)]}


@router.get("/alerts/{fingerprint}", response_model=AlertDetail, responses=documented(404))
def get_alert(services: ServicesDep, fingerprint: FingerprintPath) -> dict[str, Any]:
    """One alert with everything that happened to it."""
    return convert_alerts.alert(services.alerts.get(fingerprint))


@router.post("/alerts/{fingerprint}/acknowledge", response_model=AlertDetail, responses=documented(400, 404, 413))
def acknowledge(services: ServicesDep, fingerprint: FingerprintPath, body: Acknowledgement) -> dict[str, Any]:
    """Take an alert on: it is neither repeated nor escalated in this episode. The first one counts."""
    return convert_alerts.alert(services.alerts.acknowledge(fingerprint, body.by))


@router.post("/alerts/{fingerprint}/feedback", response_model=AlertDetail, responses=documented(400, 404, 413))
def give_feedback(services: ServicesDep, fingerprint: FingerprintPath, body: FeedbackBody) -> dict[str, Any]:
    """Call an alert wrong: it is resolved and stays quiet, and its detector becomes less sensitive for the service."""
    return convert_alerts.alert(services.alerts.false_positive(fingerprint, body.by, body.comment))


@router.get("/silences", response_model=SilenceList)
def list_silences(
    services: ServicesDep, over: Annotated[bool, Query(description="those too that are over")] = False
) -> dict[str, Any]:
    """Silences that hold or will hold, the newest first."""
    now_ns = services.clock.now_ns()
    return {"silences": [convert_alerts.silence(each, now_ns) for each in services.alerts.silences(over=over)]}


@router.post("/silences", response_model=SilenceModel, status_code=201, responses=documented(400, 413))
def add_silence(services: ServicesDep, body: SilenceBody) -> dict[str, Any]:
    """Let nobody be told of some alerts for a while; they are shown as silenced."""
    start_ns = parse_time(body.start, services.clock)
    end_ns = parse_time(body.end, services.clock) if body.end is not None else 0
    end_ns = start_ns + body.duration_s * _NS_PER_S if body.duration_s is not None else end_ns
    matchers = {each.label: each.pattern for each in body.matchers}
    kept = services.alerts.silence(
        Silence(0, matchers, start_ns, min(end_ns, 2**63 - 1), comment=body.comment, by=body.by)
    )
    return convert_alerts.silence(kept, services.clock.now_ns())


@router.delete("/silences/{id}", response_model=SilenceModel, responses=documented(404))
def end_silence(services: ServicesDep, ident: SilencePath) -> dict[str, Any]:
    """End a silence now; one that is over stays as it is."""
    return convert_alerts.silence(services.alerts.unsilence(ident), services.clock.now_ns())


@router.get("/receivers", response_model=ReceiverList)
def list_receivers(services: ServicesDep) -> dict[str, Any]:
    """Who is told about alerts, and how that goes; messages that were given up are among it."""
    known = services.receivers
    return {"receivers": [convert_alerts.receiver(each, known.dead(each.name, limit=10)) for each in known.all()]}


@router.post("/receivers/{name}/test", response_model=TrialSent, status_code=202, responses=documented(400, 404, 413))
def try_receiver(
    services: ServicesDep, name: Annotated[str, Path(max_length=100)], body: Acknowledgement
) -> dict[str, Any]:
    """Put a test alert on its way; `tested_ns` of the receiver tells when it was taken."""
    told = services.receivers.test_later(name, body.by)
    return {"receiver": told.receiver, "key": told.key}
