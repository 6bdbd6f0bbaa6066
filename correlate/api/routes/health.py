"""Liveness, readiness with reasons, and metrics for Prometheus."""

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from correlate.api import schemas
from correlate.api.deps import ServicesDep

router = APIRouter(tags=["health"])


@router.get("/healthz", response_class=Response)
def live() -> Response:
    """The process answers."""
    return Response("ok\n", media_type="text/plain")


@router.get("/readyz", response_model=schemas.Ready, responses={503: {"model": schemas.Ready}})
def ready(services: ServicesDep, response: Response) -> schemas.Ready:
    """Whether the process can do its work, and if not why."""
    problems = services.health.problems()
    response.status_code = 503 if problems else 200
    return schemas.Ready(ready=not problems, problems=problems)


@router.get("/metrics", response_class=Response)
def metrics(services: ServicesDep) -> Response:
    """Counters and gauges in Prometheus text format."""
    return Response(generate_latest(services.metrics), media_type=CONTENT_TYPE_LATEST)
