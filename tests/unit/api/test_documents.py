"""docs/rest.md and docs/receivers.md name what there is."""

from pathlib import Path

import pytest

from correlate.api.decompression import ACCEPTED_CODINGS
from correlate.api.receivers import otlp_http, pyroscope
from correlate.api.schemas import CoverageModel, FlameGraph, Links, SpanProfile
from correlate.formats import limits, otlp_limits
from correlate.model.answers import Method, Reason, Scope
from correlate.model.profile_type import ALIASES
from correlate.services.render import Format
from tests.support.asgi import AppClient

DOCS = Path(__file__).parents[3] / "docs"
REST, RECEIVERS = (DOCS / "rest.md").read_text(), (DOCS / "receivers.md").read_text()


def test_every_endpoint_is_described(client: AppClient) -> None:
    """Each path of the OpenAPI document has its row."""
    paths = client.get("/openapi.json").json()["paths"]
    assert [path for path in paths if f"`{path}" not in REST] == []


def test_every_value_of_a_parameter_is_described() -> None:
    """Formats, scopes, methods, aliases and reasons, by their names."""
    names = [*Format, *Scope, *Method, *ALIASES, *Reason]
    assert [name for name in names if f"`{name}`" not in REST] == []


@pytest.mark.parametrize("model", [SpanProfile, CoverageModel, FlameGraph, Links])
def test_every_field_of_the_answer_is_described(model: type[SpanProfile]) -> None:
    """By its name."""
    assert [name for name in model.model_fields if f"{name}`" not in REST] == []


def test_the_example_of_an_error_is_what_is_answered(client: AppClient) -> None:
    """Byte by byte."""
    assert client.get("/api/v1/spans/1/1/profile").text in REST


def test_every_door_is_described() -> None:
    """Paths and codings."""
    doors = (*otlp_http.PATHS, pyroscope.PUSH_PATH, *pyroscope.INGEST_PATHS)
    assert [path for path in doors if f"{path}`" not in RECEIVERS] == []
    assert ACCEPTED_CODINGS.replace(", zstd", " or zstd") in RECEIVERS
    assert pyroscope.REJECTED_HEADER in RECEIVERS


def test_every_limit_is_described() -> None:
    """With the number that is in force."""
    numbers = [
        limits.MAX_STACK_FRAMES,
        limits.MAX_LABEL_PAIRS,
        limits.MAX_LABEL_SETS,
        limits.MAX_COLLAPSED_LINES,
        limits.MAX_PUSH_ITEMS,
        limits.MAX_JSON_VALUES,
        otlp_limits.MAX_ITEMS,
    ]
    assert [number for number in numbers if f"| {number:,}" not in RECEIVERS] == []
    assert limits.MAX_RAW_BYTES == 64 << 20
