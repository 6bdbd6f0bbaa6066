"""Every error as RFC 9457 problem+json; one handler reads the handling off the error class."""

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from correlate.errors import CorrelateError, NoProfile, Overloaded

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"


def problem(status: int, title: str, detail: str, *, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem document; `more` are its extension members."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return Response(orjson.dumps(body), status, headers, PROBLEM)


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
    mistakes = [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in exc.errors()]
    return problem(422, "Invalid parameters", "; ".join(mistakes))


def _http(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)  # noqa: S101  the signature is Starlette's
    headers = dict(exc.headers) if exc.headers else None
    return problem(exc.status_code, str(exc.detail), f"{request.method} {request.url.path}", headers=headers)


def _unexpected(request: Request, exc: Exception) -> Response:
    log.error("%s %s crashed", request.method, request.url.path, exc_info=exc)
    return problem(500, "Internal error", "this is a defect in correlate; the log has the details")


def _title(exc: CorrelateError) -> str:
    words = type(exc).__name__
    return "".join(f" {letter.lower()}" if letter.isupper() and i else letter for i, letter in enumerate(words))
