"""The API keeps what its OpenAPI document promises, whatever it is asked."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from correlate.api.app import create_app
from correlate.model.alert_policy import AlertConfig, ReceiverRoute
from correlate.services.alerts import Alerts
from correlate.services.receivers import Receivers
from correlate.storage.state import open_state
from tests.fakes.ingest import FakeClock
from tests.fakes.lake import FakeLake
from tests.fakes.server import serving
from tests.support.alerts import HOUR, T0, alert, books_of, in_the_course_of_a_day
from tests.unit.api.conftest import ROOT, TRACE_HEX, World, cpu, shop

TRACES, SPANS = "/api/v1/traces/{trace_id}", "/api/v1/spans/{trace_id}/{span_id}"
LISTS = tuple(f"/api/v1/{name}" for name in ("services", "operations", "profile-types", "coverage", "spans", "doctor"))
STORED = {"trace_id": TRACE_HEX, "span_id": ROOT, "fingerprint": alert().fingerprint, "id": 1}
CODE = ("/api/v1/frames", "/api/v1/frames/traces", f"{SPANS}/breakdown")
PATHS = (*LISTS, *CODE, TRACES, f"{TRACES}/profile", f"{SPANS}/profile", "/healthz", "/readyz", "/metrics")
ALERT = "/api/v1/alerts/{fingerprint}"
ALERTS = (
    *(("GET", f"/api/v1/{name}") for name in ("findings", "alerts", "silences", "receivers")),
    ("GET", ALERT),
    ("POST", f"{ALERT}/acknowledge"),
    ("POST", f"{ALERT}/feedback"),
    ("POST", "/api/v1/silences"),
    ("DELETE", "/api/v1/silences/{id}"),
)
OPERATIONS = (*(("GET", path) for path in PATHS), *ALERTS)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """The OpenAPI document of an application that listens on a socket, over a small lake in memory and some alerts."""
    clock, config = FakeClock(T0 + HOUR), AlertConfig(receivers=(ReceiverRoute("hook"),))
    url = f"sqlite:///{tmp_path_factory.mktemp('state')}/state.db"
    with open_state(url, clock=clock) as state:
        books = books_of(state, clock)
        in_the_course_of_a_day(books, clock, config)
        services = replace(
            World(FakeLake(shop(), cpu())).services(),
            alerts=Alerts(books, config, clock),
            receivers=Receivers(config.receivers, books, state, clock),
        )
        yield from _served(create_app(services))


def _served(app: FastAPI) -> Iterator[BaseSchema]:
    with serving(app) as port:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")


def keeps_its_promise(document: BaseSchema, method: str, path: str, examples: int) -> None:
    """No 5xx; status codes, media types and bodies are those of the document; bad parameters are refused."""
    operation = document[path][method]

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)), st.booleans())
    def check(case: Case, of_what_is_stored: bool) -> None:
        if of_what_is_stored and case.meta and case.meta.generation.mode is GenerationMode.POSITIVE:
            case.path_parameters = {name: STORED[name] for name in case.path_parameters}
        # Ids, times and profile types follow rules that no JSON schema expresses: they may be refused with 400.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_documented(document: BaseSchema, method: str, path: str) -> None:
    """A few requests to every endpoint."""
    keeps_its_promise(document, method, path, 25)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_answer_is_documented_asked_often(document: BaseSchema, method: str, path: str) -> None:
    """Many requests to every endpoint."""
    keeps_its_promise(document, method, path, 500)
