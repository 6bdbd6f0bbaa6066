"""Functions, and the spans that paid most for them."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from correlate.api.deps import FromQuery, ServiceQuery, ServicesDep, ToQuery, TypeQuery
from correlate.api.errors import documented
from correlate.api.schemas.frames import FrameTraces, FunctionList
from correlate.api.times import parse_range
from correlate.bootstrap import Services
from correlate.joins.scope import span_info
from correlate.model.answers import Scope
from correlate.services.frames import Payers
from correlate.services.subjects import span_fields

router = APIRouter(prefix="/frames", tags=["frames"])


@router.get("", response_model=FunctionList, responses=documented(400, 404))
def list_functions(
    services: ServicesDep,
    service: ServiceQuery = None,
    wanted_type: TypeQuery = "cpu",
    start: FromQuery = None,
    end: ToQuery = None,
    part: Annotated[str, Query(alias="q", max_length=1024, description="only functions with this in their name")] = "",
    order: Annotated[Literal["self", "total"], Query(description="largest own value, or with what they call")] = "self",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> dict[str, Any]:
    """The functions with the largest values."""
    window = parse_range(start, end, services.clock)
    found = services.frames.functions(service, wanted_type, window, limit=limit, order=order, part=part)
    return {
        "profile_type": str(found.profile_type),
        "unit": found.profile_type.sample_unit,
        "total": found.total,
        "snapshots": found.snapshots,
        "function_count": found.count,
        "functions": found.rows.to_dicts(),
    }


@router.get("/traces", response_model=FrameTraces, responses=documented(400, 404))
def frame_traces(
    services: ServicesDep,
    function: Annotated[
        str,
        Query(min_length=1, max_length=4096, description='a name as flame graphs show it, or =~"a regular expression"'),
    ],
    service: ServiceQuery = None,
    wanted_type: TypeQuery = "cpu",
    start: FromQuery = None,
    end: ToQuery = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> dict[str, Any]:
    """The spans that paid most for a function; only such as exist, and how many of those named do not."""
    window = parse_range(start, end, services.clock)
    found = services.frames.payers(function, service, wanted_type, window, limit=limit)
    checked = found.checked
    return {
        "function": function,
        "profile_type": str(found.profile_type),
        "unit": found.profile_type.sample_unit,
        "total": found.total,
        "unnamed": found.unnamed,
        "span_count": found.span_count,
        "checked": checked.checked,
        "dead": checked.dead,
        "dead_share": checked.dead_share,
        "unresolved": checked.unresolved,
        "notes": checked.notes,
        "spans": _payers(services, found),
    }


def _payers(services: Services, found: Payers) -> list[dict[str, Any]]:
    rows = found.rows.iter_rows(named=True)  # as many as the limit allows
    spans = [(span_info(row), row) for row in rows]
    return [
        {
            "span": span_fields(span),
            **{name: row[name] for name in ("value", "samples", "span_value", "share")},
            "links": services.links.of_span(span, found.profile_type, Scope.SUBTREE),
        }
        for span, row in spans
    ]
