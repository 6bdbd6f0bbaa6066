"""OTLP over HTTP: traces and profiles, protobuf and JSON.

Follows the OTLP specification 1.11: the answer has the request's type; a partial refusal is a 200 that says so, never
an error; every error carries a google.rpc.Status; only 429, 502, 503 and 504 may be tried again.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from correlate.api.decompression import ACCEPTED_CODINGS
from correlate.api.receivers.intake import (
    Code,
    Entry,
    Intake,
    Stored,
    code_of,
    media_type,
    message_of,
    retry_headers,
    sender_of,
)
from correlate.errors import CorrelateError, UnknownFormat
from correlate.formats import otlp_response
from correlate.model.payload import Encoding, PayloadKind

_TRACES: Final = Entry("otlp_http_traces", PayloadKind.OTLP_TRACES, "spans")
_PROFILES: Final = Entry("otlp_http_profiles", PayloadKind.OTLP_PROFILES, "profiles")
_EXPERIMENTAL: Final = Entry("otlp_http_profiles_v1experimental", PayloadKind.OTLP_PROFILES_EXPERIMENTAL, "profiles")
PATHS: Final = {
    "/v1/traces": _TRACES,
    "/v1development/profiles": _PROFILES,
    "/v1/profiles": _PROFILES,
    "/v1experimental/profiles": _EXPERIMENTAL,
}
"""Where OTLP is received. ``/v1/profiles`` is what some senders are told to use, and what the signal will be called."""

_ENCODINGS: Final = {
    "application/x-protobuf": Encoding.PROTOBUF,
    "application/protobuf": Encoding.PROTOBUF,
    "application/json": Encoding.JSON,
}
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

Handler = Callable[[Request], Awaitable[Response]]


def build_otlp_router(intake: Intake) -> APIRouter:
    """The OTLP paths, for any application that should have them."""
    router = APIRouter()
    for path, entry in PATHS.items():
        router.add_route(path, _handler(intake, entry), methods=list(_METHODS), include_in_schema=False)
    return router


def _handler(intake: Intake, entry: Entry) -> Handler:
    async def export(request: Request) -> Response:
        if request.method != "POST":
            return _wrong_method(request)
        outcome = await intake.attempt(entry, sender_of(request), _export(intake, entry, request))
        if isinstance(outcome, CorrelateError):
            return _refusal(request, outcome)
        encoding = _ENCODINGS[media_type(request)]
        return Response(
            otlp_response.export_response(outcome.rejects, entry.signal, encoding), media_type=media_type(request)
        )

    return export


async def _export(intake: Intake, entry: Entry, request: Request) -> Stored:
    encoding = _ENCODINGS.get(media_type(request))
    if encoding is None:
        raise UnknownFormat(
            f"Content-Type {media_type(request)[:60]!r} is not OTLP; send application/x-protobuf or application/json"
        )
    return await intake.receive(entry, request, encoding)


def _refusal(request: Request, error: CorrelateError) -> Response:
    headers = retry_headers(error)
    if isinstance(error, UnknownFormat):
        headers["Accept-Encoding"] = ACCEPTED_CODINGS
    return _status(request, error.http_status, code_of(error), message_of(error), headers)


def _wrong_method(request: Request) -> Response:
    message = f"{request.url.path} takes POST, not {request.method}"
    return _status(request, 405, Code.INVALID_ARGUMENT, message, {"Allow": "POST"})


def _status(request: Request, http_status: int, code: Code, message: str, headers: dict[str, str]) -> Response:
    """A google.rpc.Status in the request's encoding; in JSON, which people can read, when it has none of ours."""
    encoding = _ENCODINGS.get(media_type(request), Encoding.JSON)
    return Response(
        otlp_response.status(code, message, encoding),
        status_code=http_status,
        headers=headers,
        media_type=media_type(request) if encoding is Encoding.PROTOBUF else "application/json",
    )
