"""What routes need, as annotated aliases."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from correlate.bootstrap import Services
from correlate.model.answers import Method, Scope
from correlate.model.ids import TraceId, parse_span_id, parse_trace_id
from correlate.services.render import Format


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _trace(trace_id: Annotated[str, Path(description="up to 32 hexadecimal digits", max_length=64)]) -> TraceId:
    return parse_trace_id(trace_id)


def _span(span_id: Annotated[str, Path(description="up to 16 hexadecimal digits", max_length=64)]) -> int:
    return parse_span_id(span_id)


ServicesDep = Annotated[Services, Depends(_services)]
TraceDep = Annotated[TraceId, Depends(_trace)]
SpanDep = Annotated[int, Depends(_span)]

TypeQuery = Annotated[
    str, Query(alias="type", max_length=512, description="cpu, wall, inuse_space …, or a five-part profile type id")
]
ScopeQuery = Annotated[Scope, Query(description="the span alone, with its descendants, or the whole trace")]
MethodQuery = Annotated[Method, Query(description="one join method, or the strongest there is")]
CohortQuery = Annotated[
    str,
    Query(
        alias="q",
        min_length=1,
        max_length=8192,
        description='which spans, in TraceQL: { resource.service.name = "checkout" && duration > 100ms }',
    ),
]
FormatQuery = Annotated[Format, Query(alias="format", description="what the answer looks like")]
MaxNodesQuery = Annotated[
    int, Query(ge=1, le=1_000_000, description="keep this many of the largest nodes; the rest becomes 'other'")
]
ServiceQuery = Annotated[str | None, Query(max_length=1024, description="only this service")]
FromQuery = Annotated[
    str | None, Query(alias="from", max_length=64, description="now-1h, RFC 3339, or s/ms/µs/ns since 1970")
]
ToQuery = Annotated[str | None, Query(alias="to", max_length=64, description="as from")]
