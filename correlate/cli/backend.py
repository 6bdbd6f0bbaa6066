"""Where the query commands get their answers: a running server, or the lake itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import orjson

from correlate import bootstrap
from correlate.errors import ConfigError, CorrelateError, NotFound
from correlate.model.answers import Method, Scope
from correlate.model.ids import parse_span_id, parse_trace_id
from correlate.services.doctor_report import report
from correlate.services.render import Format
from correlate.settings import Settings

_TIMEOUT_S = 60.0


class Backend(Protocol):
    """Answers as the REST API words them."""

    def profile(self, trace_id: str, span_id: str, params: dict[str, str]) -> bytes:
        """The profile of a span in the format that ``params["format"]`` names."""
        ...

    def services(self) -> list[dict[str, Any]]:
        """All services."""
        ...

    def operations(self) -> list[dict[str, Any]]:
        """All operations."""
        ...

    def doctor(self, service: str | None) -> dict[str, Any]:
        """What is wrong with the correlation of one service, or of all."""
        ...


class RemoteBackend:
    """A running server, over HTTP."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def profile(self, trace_id: str, span_id: str, params: dict[str, str]) -> bytes:
        """Ask the server to render."""
        return self._get(f"/api/v1/spans/{trace_id}/{span_id}/profile", params)

    def services(self) -> list[dict[str, Any]]:
        """Ask the server."""
        found: list[dict[str, Any]] = orjson.loads(self._get("/api/v1/services", {}))["services"]
        return found

    def operations(self) -> list[dict[str, Any]]:
        """Ask the server."""
        found: list[dict[str, Any]] = orjson.loads(self._get("/api/v1/operations", {}))["operations"]
        return found

    def doctor(self, service: str | None) -> dict[str, Any]:
        """Ask the server."""
        params = {} if service is None else {"service": service}
        found: dict[str, Any] = orjson.loads(self._get("/api/v1/doctor", params))
        return found

    def _get(self, path: str, params: dict[str, str]) -> bytes:
        answer = self._client.get(path, params=params)
        if answer.is_success:
            return answer.content
        kind = NotFound if answer.status_code == httpx.codes.NOT_FOUND else CorrelateError
        raise kind(_detail(answer))


class LocalBackend:
    """The lake of this machine, opened by this process."""

    def __init__(self, services: bootstrap.Services) -> None:
        self._services = services

    def profile(self, trace_id: str, span_id: str, params: dict[str, str]) -> bytes:
        """Explain and render here."""
        found = self._services.explain.span_profile(
            parse_trace_id(trace_id),
            parse_span_id(span_id),
            wanted_type=params["type"],
            scope_wanted=Scope(params["scope"]),
            method=Method(params["method"]),
        )
        return self._services.render(found, Format(params["format"]), max_nodes=int(params["max_nodes"])).body

    def services(self) -> list[dict[str, Any]]:
        """From the catalogue."""
        return self._services.catalogue.services().to_dicts()

    def operations(self) -> list[dict[str, Any]]:
        """From the catalogue."""
        return self._services.catalogue.operations().to_dicts()

    def doctor(self, service: str | None) -> dict[str, Any]:
        """Examine here."""
        return report(self._services.doctor.examine(service))


@contextmanager
def backend(settings: Settings, url: str | None, data_dir: Path | None) -> Iterator[Backend]:
    """Choose: the server at `url`; the lake in `data_dir`; else the server of the settings or, without one, their lake.

    Raises:
        ConfigError: there is neither a server nor a lake.
    """
    if data_dir is None:
        base = (url or settings.resolved_public_url).rstrip("/")
        with httpx.Client(base_url=base, timeout=_TIMEOUT_S) as client:
            if _answers(client):
                yield RemoteBackend(client)
                return
        if url is not None:
            raise ConfigError(f"nothing answers at {base}: is `correlate serve` running there?")
    if not _may_exist(settings.resolved_lake_url):
        raise ConfigError(
            f"there is no server at {settings.resolved_public_url} and no lake in {settings.resolved_lake_url}: "
            "start `correlate serve`, or name a server with --url or a folder with --data-dir"
        )
    with bootstrap.running(settings) as services:
        yield LocalBackend(services)


def _may_exist(lake_url: str) -> bool:
    """Whether a lake can be there; what lies in an object store shows when it is opened."""
    return "://" in lake_url or Path(lake_url).exists()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz", timeout=2.0).text == "ok\n"
    except httpx.HTTPError:
        return False


def _detail(answer: httpx.Response) -> str:
    try:
        return str(orjson.loads(answer.content)["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return f"the server answered {answer.status_code}: {answer.text[:200]}"
