"""An intake over a fake ingest, for every receiver."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from correlate.api.receivers.intake import Intake
from correlate.api.receivers.telemetry import ReceiverMetrics, RefusalLog
from tests.fakes.ingest import FakeClock, FakeIngest


@pytest.fixture
def ingest() -> FakeIngest:
    return FakeIngest()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def make_intake(ingest: FakeIngest, registry: CollectorRegistry) -> Callable[..., Intake]:
    """Builds an intake; keyword arguments replace its fields."""
    clock = FakeClock()
    base = Intake(ingest, clock, ReceiverMetrics(registry), RefusalLog(clock))

    def make(**changes: Any) -> Intake:
        return replace(base, **changes)

    return make


@pytest.fixture
def intake(make_intake: Callable[..., Intake]) -> Intake:
    return make_intake()
