"""What is there: services, operations, profile types, coverage."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from correlate.api import convert, schemas
from correlate.api.deps import FromQuery, ServiceQuery, ServicesDep, ToQuery, TypeQuery
from correlate.api.errors import documented
from correlate.api.times import parse_range

router = APIRouter(tags=["catalogue"])


@router.get("/services", response_model=schemas.Services)
def list_services(services: ServicesDep) -> dict[str, Any]:
    """All services that sent spans or profiles, with counts, coverage and when they were first and last seen."""
    return {"services": services.catalogue.services().to_dicts()}


@router.get("/operations", response_model=schemas.Operations, responses=documented(404))
def list_operations(services: ServicesDep, service: ServiceQuery = None) -> dict[str, Any]:
    """All operations (span names of a service), most frequent first."""
    return {"operations": services.catalogue.operations(service).to_dicts()}


@router.get("/profile-types", response_model=schemas.ProfileTypes, responses=documented(404))
def list_profile_types(services: ServicesDep, service: ServiceQuery = None) -> dict[str, Any]:
    """All profile types, with the share of their value that names a span or trace."""
    return {"profile_types": services.catalogue.profile_types(service).to_dicts()}


@router.get("/coverage", response_model=schemas.CoverageReport, responses=documented(400, 404))
def coverage(
    services: ServicesDep,
    service: Annotated[str, Query(max_length=1024)],
    wanted_type: TypeQuery = "cpu",
    start: FromQuery = None,
    end: ToQuery = None,
) -> dict[str, Any]:
    """Where all the value of a service went: attributed, orphaned, unlabelled; reads every sample in the range."""
    window = parse_range(start, end, services.clock)
    return convert.accounting(services.catalogue.accounting(service, wanted_type, window))
