"""Where the query commands get their answers: a running server, or the same application over the lake itself."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import orjson

from correlate import bootstrap
from correlate.errors import BadQuery, ConfigError, CorrelateError, NoProfile, NotFound, StoreError
from correlate.settings import Settings

Params = Mapping[str, str]

_TIMEOUT_S = 120.0
_KINDS = {400: BadQuery, 404: NotFound, 422: BadQuery, 503: StoreError}


class Client(Protocol):
    """What is asked: `httpx.Client`, or `InProcess`."""

    def get(self, url: str, /, *, params: Any = None) -> httpx.Response:
        """GET a path."""
        ...


class Backend:
    """Answers as the REST API words them, whoever gives them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, path: str, params: Params | None = None) -> bytes:
        """The body of an answer.

        Args:
            path: beneath ``/api/v1``.
            params: of the query; empty ones are left out.

        Raises:
            NoProfile: there is none; says why.
            NotFound: there is no such thing.
            BadQuery: a parameter cannot be understood.
            CorrelateError: the server could not answer.
        """
        answer = self._client.get(f"/api/v1{path}", params={key: text for key, text in (params or {}).items() if text})
        if answer.is_success:
            return answer.content
        raise _error(answer)

    def json(self, path: str, params: Params | None = None) -> dict[str, Any]:
        """An answer that is a JSON object; see `get`."""
        found: dict[str, Any] = orjson.loads(self.get(path, params))
        return found

    def profile(self, trace_id: str, span_id: str, params: Params) -> bytes:
        """The profile of a span in the format that ``params["format"]`` names."""
        return self.get(f"{span_path(trace_id, span_id)}/profile", params)

    def services(self) -> list[dict[str, Any]]:
        """All services."""
        found: list[dict[str, Any]] = self.json("/services")["services"]
        return found

    def operations(self) -> list[dict[str, Any]]:
        """All operations."""
        found: list[dict[str, Any]] = self.json("/operations")["operations"]
        return found

    def doctor(self, service: str | None) -> dict[str, Any]:
        """What is wrong with the correlation of one service, or of all."""
        return self.json("/doctor", {"service": service or ""})


@dataclass(frozen=True, slots=True)
class InProcess:
    """An ASGI application within this process, without a socket."""

    app: Callable[..., Awaitable[None]]

    def get(self, url: str, /, *, params: Any = None) -> httpx.Response:
        """GET a path."""
        return asyncio.run(self._get(url, params))

    async def _get(self, url: str, params: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(url, params=params)


def span_path(trace_id: str, span_id: str) -> str:
    """Where the answers about a span are."""
    return f"/spans/{quote(trace_id, safe='')}/{quote(span_id, safe='')}"


def slow_path(service: str, operation: str) -> str:
    """Where the comparison of an operation's slow spans with the others is.

    Raises:
        BadQuery: the service's name cannot stand in an address.
    """
    if "/" in service or not operation:
        raise BadQuery(
            f"{service!r} {operation!r} cannot stand in an address: use `correlate compare` with two queries"
        )
    return f"/operations/{quote(service, safe='')}/{quote(operation, safe='')}/slow"


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
                yield Backend(client)
                return
        if url is not None:
            raise ConfigError(f"nothing answers at {base}: is `correlate serve` running there?")
    if not _may_exist(settings.resolved_lake_url):
        raise ConfigError(
            f"there is no server at {settings.resolved_public_url} and no lake in {settings.resolved_lake_url}: "
            "start `correlate serve`, or name a server with --url or a folder with --data-dir"
        )
    from correlate.api.app import create_app

    with bootstrap.running(settings) as services:
        yield Backend(InProcess(create_app(services)))


def _may_exist(lake_url: str) -> bool:
    """Whether a lake can be there; what lies in an object store shows when it is opened."""
    return "://" in lake_url or Path(lake_url).exists()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz", timeout=2.0).text == "ok\n"
    except httpx.HTTPError:
        return False


def _error(answer: httpx.Response) -> CorrelateError:
    """The error that the server ran into, as far as its answer tells."""
    try:
        problem = orjson.loads(answer.content)
        detail, reason = str(problem["detail"]), problem.get("reason")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        detail, reason = f"the server answered {answer.status_code}: {answer.text[:200]}", None
    if reason:
        return NoProfile(detail, reason=str(reason))
    return _KINDS.get(answer.status_code, CorrelateError)(detail)
