"""The doctor's page: faults with their fixes, coverage per service, and the checklist for production."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from correlate.api.deps import ServiceQuery, ServicesDep
from correlate.api.pages.routes import html_page, or_error
from correlate.bootstrap import Services
from correlate.services.doctor_report import report

router = APIRouter(include_in_schema=False)


@router.get("/doctor")
def doctor(services: ServicesDep, service: ServiceQuery = None) -> HTMLResponse:
    """What is wrong with the correlation of all services, or of one."""
    return or_error(lambda: _page(services, service), "")


def _page(services: Services, service: str | None) -> HTMLResponse:
    return html_page("doctor.html", service=service, **report(services.doctor.examine(service)))
