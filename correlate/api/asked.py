"""Query parameters that go together: what is asked of a profile, in which time, and how it is shown."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from correlate.api.deps import (
    FormatQuery,
    FromQuery,
    MaxNodesQuery,
    MethodQuery,
    ScopeQuery,
    ServicesDep,
    ToQuery,
    TypeQuery,
)
from correlate.api.lens import LensDep
from correlate.api.times import parse_range
from correlate.flame.focus import Lens
from correlate.model.answers import Method, Scope
from correlate.model.queries import TimeRange
from correlate.services.render import Format


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which samples are asked for.

    Attributes:
        wanted_type: an alias, or a five-part profile type id.
        scope: how much of a trace.
        method: one join method, or the strongest there is.
    """

    wanted_type: str
    scope: Scope
    method: Method


@dataclass(frozen=True, slots=True)
class Shown:
    """How a profile is shown.

    Attributes:
        lens: which part of it.
        wanted: in which format.
        max_nodes: nodes kept where a tree is drawn.
    """

    lens: Lens
    wanted: Format
    max_nodes: int


def _evidence(
    wanted_type: TypeQuery = "cpu", scope: ScopeQuery = Scope.SUBTREE, method: MethodQuery = Method.AUTO
) -> Evidence:
    return Evidence(wanted_type, scope, method)


def _shown(lens: LensDep, wanted_format: FormatQuery = Format.JSON, max_nodes: MaxNodesQuery = 16384) -> Shown:
    return Shown(lens, wanted_format, max_nodes)


def _window(services: ServicesDep, start: FromQuery = None, end: ToQuery = None) -> TimeRange:
    return parse_range(start, end, services.clock)


EvidenceDep = Annotated[Evidence, Depends(_evidence)]
ShownDep = Annotated[Shown, Depends(_shown)]
WindowDep = Annotated[TimeRange, Depends(_window)]
