"""The FastAPI application: routes, receivers and pages over services that somebody else composed."""

from concurrent.futures import Executor

from fastapi import FastAPI

from correlate import __version__
from correlate.api import errors
from correlate.api.bodies import BodyBudget, BodyLimits
from correlate.api.pages import doctor as doctor_page
from correlate.api.pages import routes as pages
from correlate.api.receivers.intake import Intake
from correlate.api.receivers.otlp_http import build_otlp_router
from correlate.api.receivers.pyroscope import build_pyroscope_router
from correlate.api.receivers.telemetry import ReceiverMetrics, RefusalLog
from correlate.api.routes import alerts, breakdown, catalogue, cohorts, compare, doctor, frames, health, sources, spans
from correlate.bootstrap import Services

_DESCRIPTION = """Joins traces and profiles: the flame graph of any span, with samples, coverage and confidence.

Start with `GET /api/v1/services`, pick a span with `GET /api/v1/spans`, and ask for
`GET /api/v1/spans/{trace_id}/{span_id}/profile`. Errors are RFC 9457 `problem+json`."""


def create_intake(services: Services, executor: Executor | None = None) -> Intake:
    """What the receivers of a process share, whatever port they listen on; `executor` is where payloads are read."""
    return Intake(
        ingest=services.forward,
        clock=services.clock,
        metrics=ReceiverMetrics(services.metrics),
        refusals=RefusalLog(services.clock),
        limits=BodyLimits(services.settings.body_limit_bytes),
        budget=BodyBudget(services.settings.inflight_limit_bytes),
        executor=executor,
    )


def create_app(services: Services, intake: Intake | None = None) -> FastAPI:
    """Build the application over running services."""
    app = FastAPI(title="correlate", version=__version__, description=_DESCRIPTION)
    app.state.services = services
    errors.install(app)
    for routes in (spans, breakdown, cohorts, compare, frames, catalogue, doctor, sources, alerts):
        app.include_router(routes.router, prefix="/api/v1", responses=errors.documented(422, 503))
    app.include_router(health.router)
    app.include_router(pages.router)
    app.include_router(doctor_page.router)
    intake = intake or create_intake(services)
    app.include_router(build_otlp_router(intake))
    app.include_router(build_pyroscope_router(intake))
    return app
