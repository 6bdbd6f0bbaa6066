"""The doctor's page: faults with their fixes, coverage per service, and the checklist for production."""

from fastapi.responses import HTMLResponse

from correlate.api.deps import ServiceQuery, ServicesDep
from correlate.api.pages.html import html_page, page_router
from correlate.services.doctor_report import report

router = page_router()


@router.get("/doctor")
def doctor(services: ServicesDep, service: ServiceQuery = None) -> HTMLResponse:
    """What is wrong with the correlation of all services, or of one."""
    return html_page("doctor.html", service=service, **report(services.doctor.examine(service)))
