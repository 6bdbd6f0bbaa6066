"""What is wrong with the correlation, and what to do about it."""

from typing import Any

from fastapi import APIRouter

from correlate.api.deps import ServiceQuery, ServicesDep
from correlate.api.errors import documented
from correlate.api.schemas.doctor import DoctorReport
from correlate.services.doctor_report import report

router = APIRouter(tags=["doctor"])


@router.get("/doctor", response_model=DoctorReport, responses=documented(404))
def examine(services: ServicesDep, service: ServiceQuery = None) -> dict[str, Any]:
    """Faults with figures and fixes, and the checklist for production; looks at the newest 15 minutes with data."""
    return report(services.doctor.examine(service))
