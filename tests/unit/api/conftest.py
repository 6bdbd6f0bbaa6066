"""The application over a lake in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields

import pytest
from prometheus_client import CollectorRegistry

from correlate.api.app import create_app
from correlate.bootstrap import Services
from correlate.doctor.checklist import Practices
from correlate.model.ids import TraceId, format_span_id
from correlate.services.breakdown import Breakdowns
from correlate.services.catalogue import Catalogue
from correlate.services.cohort_profiles import CohortProfiles
from correlate.services.cohorts import Cohorts
from correlate.services.compare import Compare
from correlate.services.doctor import Doctor
from correlate.services.existence import Existence
from correlate.services.explain import Explain
from correlate.services.frames import Frames
from correlate.services.health import Health
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.services.links import LinkMaker
from correlate.services.on_demand import Fetcher, Fetching
from correlate.settings import Settings
from correlate.tables.tables import Tables
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.support.asgi import AppClient
from tests.support.rows import SECOND, T0, TRACE, profile, spans, with_series

HOSTILE = '<script>alert("x")</script>&\'"\u202e'
TRACE_HEX = str(TraceId(*TRACE))
ROOT, CHILD, ELSEWHERE = (format_span_id(ident) for ident in (1, 2, 3))


@dataclass
class FakeProbe:
    """A probe that says what it is told."""

    name: str = "lake"
    says: str | None = None

    def problem(self) -> str | None:
        return self.says


@dataclass
class World:
    """An application and what is behind it."""

    lake: FakeLake
    probe: FakeProbe = field(default_factory=FakeProbe)
    practices: Practices = field(default_factory=Practices)
    now_ns: int = T0 + 60 * SECOND

    def services(self) -> Services:
        """What the doors under test need, over the lake in memory; what only others need is None."""
        clock = FakeClock(self.now_ns)
        ingest = Ingest(self.lake, clock, AcceptedTimes())
        fetcher = Fetcher(ingest, self.lake, skew_ns=60 * SECOND)
        fetching = Fetching(Explain(self.lake, skew_ns=60 * SECOND), fetcher)
        cohorts = CohortProfiles(self.lake, Cohorts(self.lake), skew_ns=60 * SECOND)
        known = {
            "settings": Settings(),
            "ingest": ingest,
            "forward": ingest,
            "explain": fetching,
            "breakdowns": Breakdowns(self.lake, fetching),
            "cohorts": cohorts,
            "compare": Compare(cohorts),
            "frames": Frames(self.lake, Existence(self.lake, fetching), skew_ns=60 * SECOND),
            "catalogue": Catalogue(self.lake, skew_ns=60 * SECOND),
            "doctor": Doctor(self.lake, clock, lambda: self.practices, skew_ns=60 * SECOND),
            "health": Health([self.probe]),
            "links": LinkMaker("http://here:8080", "http://grafana:3000"),
            "clock": clock,
            "metrics": CollectorRegistry(),
        }
        return Services(**{name: known.get(name) for name in (part.name for part in fields(Services))})

    def client(self) -> AppClient:
        """A client of an application over it."""
        return AppClient(create_app(self.services()))


def shop() -> Tables:
    """A trace of three spans in two services, and the CPU profile of the first."""
    return with_series(
        spans(
            {"span": 1},
            {"span": 2, "parent": 1, "name": "SELECT", "start_ns": T0 + SECOND // 4, "duration_ns": SECOND // 2},
            {"span": 3, "parent": 2, "service": "payments", "name": "charge", "status": 2, "duration_ns": 1000},
        )
    )


def cpu() -> Tables:
    """Five hits that name the first span, and one that names none."""
    named = {"stack": "main;handle;work", "value": 50_000_000, "span": 1, "trace": TRACE}
    return profile([named, {"stack": "main;idle", "value": 10_000_000}])


@pytest.fixture
def world() -> World:
    return World(FakeLake(shop(), cpu()))


@pytest.fixture
def client(world: World) -> AppClient:
    """A client of the application over `world`."""
    return world.client()


@pytest.fixture
def client_of() -> Callable[..., AppClient]:
    """Makes clients of applications over other tables."""
    return lambda *parts: World(FakeLake(*parts)).client()
