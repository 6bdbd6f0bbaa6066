"""The API keeps what its OpenAPI document promises, whatever it is asked."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import positive_data_acceptance

from correlate.api.app import create_app
from tests.fakes.lake import FakeLake
from tests.fakes.server import serving
from tests.unit.api.conftest import ROOT, TRACE_HEX, World, cpu, shop

TRACES, SPANS = "/api/v1/traces/{trace_id}", "/api/v1/spans/{trace_id}/{span_id}"
LISTS = tuple(f"/api/v1/{name}" for name in ("services", "operations", "profile-types", "coverage", "spans", "doctor"))
STORED = {"trace_id": TRACE_HEX, "span_id": ROOT}
CODE = ("/api/v1/frames", "/api/v1/frames/traces", f"{SPANS}/breakdown")
PATHS = (*LISTS, *CODE, TRACES, f"{TRACES}/profile", f"{SPANS}/profile", "/healthz", "/readyz", "/metrics")


@pytest.fixture(scope="module")
def document() -> Iterator[BaseSchema]:
    """The OpenAPI document of an application that listens on a socket, over a small lake in memory."""
    with serving(create_app(World(FakeLake(shop(), cpu())).services())) as port:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")


def keeps_its_promise(document: BaseSchema, path: str, examples: int) -> None:
    """No 5xx; status codes, media types and bodies are those of the document; bad parameters are refused."""
    operation = document[path]["GET"]

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)), st.booleans())
    def check(case: Case, of_a_stored_span: bool) -> None:
        if of_a_stored_span and case.meta and case.meta.generation.mode is GenerationMode.POSITIVE:
            case.path_parameters = {name: STORED[name] for name in case.path_parameters}
        # Ids, times and profile types follow rules that no JSON schema expresses: they may be refused with 400.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_documented(document: BaseSchema, path: str) -> None:
    """A few requests to every endpoint."""
    keeps_its_promise(document, path, 25)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_documented_asked_often(document: BaseSchema, path: str) -> None:
    """Many requests to every endpoint."""
    keeps_its_promise(document, path, 500)
