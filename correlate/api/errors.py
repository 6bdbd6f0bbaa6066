"""Every error as RFC 9457 problem+json; one handler reads the handling off the error class."""

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from correlate.api.schemas import Problem
from correlate.errors import CorrelateError, NoProfile, Overloaded

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"

_MEANINGS = {
    400: "an id, a time or a profile type cannot be read; `detail` shows a good one",
    404: "there is no such thing; for a profile `reason` says why",
    413: "the body of the request is too large; `detail` names the limit",
    422: "a parameter is missing or not allowed; `detail` names it",
    503: "the store cannot answer now; ask again",
}


def problem(status: int, title: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem document; `more` are its extension members."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Response(orjson.dumps(body), status, headers, PROBLEM)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Error answers of a route, for OpenAPI."""
    content = {PROBLEM: {"schema": Problem.model_json_schema()}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


def mistakes(exc: RequestValidationError) -> str:
    """What is wrong with the parameters of a request, in words."""
    return "; ".join(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors())


def install(app: FastAPI) -> None:
    """Register the handlers on an application."""
    app.add_exception_handler(CorrelateError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _ours(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, CorrelateError)  # noqa: S101  the signature is Starlette's
    if exc.report:
        log.error("%s %s failed: %s", request.method, request.url.path, exc, exc_info=exc)
    more: dict[str, Any] = {"reason": exc.reason, **exc.details} if isinstance(exc, NoProfile) else {}
    headers = {"Retry-After": str(max(1, round(exc.retry_after_s)))} if isinstance(exc, Overloaded) else None
    return problem(exc.http_status, _title(exc), str(exc), headers=headers, **more)


def _invalid(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)  # noqa: S101  the signature is Starlette's
    return problem(422, "Invalid parameters", mistakes(exc))


def _http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101  the signature is Starlette's
    headers = dict(exc.headers) if exc.headers else {}
    what = f"{request.method} {request.url.path}"
    advice = {
        404: f"{what}: there is nothing at this address; /docs describes the API",
        405: f"{what}: this address takes {headers.get('Allow', 'another method')}",
        413: f"{what}: the body is larger than this address takes",
    }
    return problem(exc.status_code, str(exc.detail), advice.get(exc.status_code, what), headers=headers or None)


def _unexpected(request: Request, exc: Exception) -> Response:
    log.error("%s %s crashed", request.method, request.url.path, exc_info=exc)
    return problem(500, "Internal error", "this is a defect in correlate; the log has the details")


def _title(exc: CorrelateError) -> str:
    words = type(exc).__name__
    return "".join(f" {letter.lower()}" if letter.isupper() and i else letter for i, letter in enumerate(words))
