"""Errors of the REST API: problem documents, with the reason where there is one."""

from collections.abc import Callable
from typing import Any

import pytest

from correlate.errors import CorrelateError, Overloaded, StoreError
from tests.support.asgi import AppClient
from tests.support.rows import SECOND, T0, TRACE, profile, spans, with_series
from tests.unit.api.conftest import CHILD, ROOT, TRACE_HEX, World, cpu, shop

PROFILE = f"/api/v1/spans/{TRACE_HEX}/{ROOT}/profile"


def problem(client: AppClient, status: int, path: str, **params: Any) -> dict[str, Any]:
    """The problem document of an answer, whose form is checked."""
    answer = client.get(path, params=params)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    document: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail"} <= set(document)
    assert document["status"] == status
    assert len(document["detail"]) > 15
    return document


@pytest.mark.parametrize(
    ("path", "params", "word"),
    [
        ("/api/v1/spans/xyz/1/profile", {}, "xyz"),
        (f"/api/v1/spans/{TRACE_HEX}/0/profile", {}, "no id"),
        ("/api/v1/traces/" + "1" * 33, {}, "32 hexadecimal"),
        (PROFILE, {"type": "zzz"}, "inuse_space"),
        ("/api/v1/coverage", {"service": "checkout", "type": "a:b"}, "a:b"),
        ("/api/v1/spans", {"service": "checkout", "from": "yesterday"}, "now-15m"),
        ("/api/v1/spans", {"service": "checkout", "from": "now", "to": "now-1h"}, "before its start"),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(client: AppClient, path: str, params: Any, word: str) -> None:
    """400, with what was sent or what to send instead."""
    assert word in problem(client, 400, path, **params)["detail"]


@pytest.mark.parametrize(
    ("path", "params", "word"),
    [
        (PROFILE, {"scope": "all"}, "'subtree'"),
        (PROFILE, {"format": "zip"}, "'speedscope'"),
        (PROFILE, {"max_nodes": 0}, "query.max_nodes"),
        (PROFILE, {"method": "magic"}, "'label'"),
        ("/api/v1/spans", {}, "query.service"),
        ("/api/v1/spans", {"service": "checkout", "limit": 1001}, "query.limit"),
    ],
)
def test_what_is_not_allowed_is_named(client: AppClient, path: str, params: Any, word: str) -> None:
    """422, with the parameter's name."""
    assert word in problem(client, 422, path, **params)["detail"]


@pytest.mark.parametrize("path", ["/api/v1/operations", "/api/v1/profile-types", "/api/v1/coverage"])
def test_an_unknown_service_is_not_found(client: AppClient, path: str) -> None:
    """404, with where to look them up."""
    assert "/api/v1/services" in problem(client, 404, path, service="nobody")["detail"]


def test_a_profile_type_that_a_service_lacks(client: AppClient) -> None:
    """404, with those it has."""
    assert "process_cpu:cpu" in problem(client, 404, "/api/v1/coverage", service="checkout", type="wall")["detail"]


def test_addresses_and_methods_that_do_not_exist(client: AppClient) -> None:
    """404 with where the API is described, 405 with the method."""
    assert "/docs" in problem(client, 404, "/api/v1/nothing")["detail"]
    answer = client.post("/api/v1/services")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert "takes GET" in answer.json()["detail"]


QUIET = {"span": 1, "trace_hi": TRACE[0], "trace_lo": TRACE[1]}
LATER = {"time_ns": T0 + 100 * SECOND}
LABELLED = {"value": 10_000_000, "span": 99}
REASONS = {
    "unknown span": ([], "was not sent here"),
    "no profiler for this service": ([with_series(spans(QUIET))], "attach a profiler"),
    "profiles not arrived yet": (
        [with_series(spans(QUIET | {"start_ns": T0 + 50 * SECOND})), profile([LABELLED])],
        "try again shortly",
    ),
    "shorter than the sampling period": (
        [with_series(spans(QUIET | {"duration_ns": 1_000_000})), profile([LABELLED])],
        "look at its operation",
    ),
    "dropped by sampling": ([with_series(spans(QUIET)), profile([LABELLED])], "no sample names it"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_span_without_data_says_which_reason(client_of: Callable[..., AppClient], reason: str) -> None:
    """404 with the reason as a member of its own, and advice in the detail."""
    parts, advice = REASONS[reason]
    document = problem(client_of(*parts), 404, PROFILE)
    assert document["reason"] == reason
    assert document["detail"].startswith(reason)
    assert advice in document["detail"] or reason == "unknown span"


def test_a_span_labelled_at_its_root_names_the_root(client_of: Callable[..., AppClient]) -> None:
    """The document carries the id to ask for."""
    document = problem(client_of(shop(), cpu()), 404, f"/api/v1/spans/{TRACE_HEX}/{CHILD}/profile", method="label")
    assert (document["reason"], document["local_root"]) == ("labelled at its local root only", ROOT)


class BrokenLake:
    """Raises what it is told to, whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_args: object, **_kwargs: object) -> None:
            raise self._error

        return fail


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (StoreError("the disk is gone, mount it again"), 503, {}),
        (Overloaded("too many queries at once", retry_after_s=7.4), 503, {"retry-after": "7"}),
        (CorrelateError("something of ours went wrong"), 500, {}),
        (RuntimeError("secret"), 500, {}),
    ],
)
def test_failures_behind_the_api(error: Exception, status: int, headers: dict[str, str]) -> None:
    """Errors of ours keep their sentence, others tell nothing of the inside."""
    client = World(BrokenLake(error)).client()  # type: ignore[arg-type]
    document = problem(client, status, "/api/v1/services")
    assert ("secret" in document["detail"]) is False
    assert isinstance(error, RuntimeError) or document["detail"] == str(error)
    assert headers.items() <= client.get("/api/v1/services").headers.items()
