"""What Pyroscope's clients push: ``push.v1.PusherService/Push`` over Connect, and the older ``/ingest``.

Answers are those of Pyroscope: an empty message or body on success, Connect's JSON error otherwise, on both. Neither
knows a partial success: when a part of the profiles was refused, the request is a success with a header that counts
the rest; when all were, it is an error.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from correlate.api.decompression import ACCEPTED_CODINGS
from correlate.api.receivers.intake import Entry, Intake, Stored, media_type, message_of, retry_headers, sender_of
from correlate.errors import BadInput, BadQuery, CorrelateError, Malformed, OutOfRetention, TooLarge, UnknownFormat
from correlate.model.payload import Encoding, PayloadKind
from correlate.tables.tables import Reject

_PUSH: Final = Entry("pyroscope_push", PayloadKind.PYROSCOPE_PUSH, "profiles")
_INGEST: Final = Entry("pyroscope_ingest", PayloadKind.PYROSCOPE_INGEST, "profiles")
PUSH_PATH: Final = "/push.v1.PusherService/Push"
INGEST_PATHS: Final = ("/ingest", "/pyroscope/ingest")
REJECTED_HEADER: Final = "X-Correlate-Rejected-Profiles"
"""How many profiles of a successful request were refused, and why."""

_PUSH_ENCODINGS: Final = {"application/proto": Encoding.PROTOBUF, "application/json": Encoding.JSON}
_CONNECT_STATUS: Final = {"invalid_argument": 400, "out_of_range": 400, "internal": 500, "unavailable": 503}

Handler = Callable[[Request], Awaitable[Response]]


def build_pyroscope_router(intake: Intake) -> APIRouter:
    """The push paths of Pyroscope, for any application that should have them."""
    router = APIRouter()
    router.add_route(PUSH_PATH, _push_handler(intake), methods=["POST"], include_in_schema=False)
    for path in INGEST_PATHS:
        router.add_route(path, _ingest_handler(intake), methods=["POST"], include_in_schema=False)
    return router


def _push_handler(intake: Intake) -> Handler:
    async def push(request: Request) -> Response:
        outcome = await intake.attempt(_PUSH, sender_of(request), _push(intake, request))
        if isinstance(outcome, CorrelateError):
            return _error(outcome, 415 if isinstance(outcome, UnknownFormat) else None)
        empty = b"{}" if media_type(request) == "application/json" else b""
        return Response(empty, headers=_rejected(outcome.rejects), media_type=media_type(request))

    return push


def _ingest_handler(intake: Intake) -> Handler:
    async def ingest(request: Request) -> Response:
        outcome = await intake.attempt(_INGEST, sender_of(request), _ingest(intake, request))
        if isinstance(outcome, CorrelateError):
            return _error(outcome, _ingest_status(outcome))
        return Response(headers=_rejected(outcome.rejects))

    return ingest


async def _push(intake: Intake, request: Request) -> Stored:
    encoding = _PUSH_ENCODINGS.get(media_type(request))
    if encoding is None:
        raise UnknownFormat(
            f"Content-Type {media_type(request)[:60]!r} is not taken here; "
            "send Connect's application/proto or application/json"
        )
    return _some_kept(await intake.receive(_PUSH, request, encoding))


async def _ingest(intake: Intake, request: Request) -> Stored:
    params = dict(request.query_params)
    return _some_kept(await intake.receive(_INGEST, request, Encoding.RAW, params))


def _some_kept(stored: Stored) -> Stored:
    if stored.nothing_kept:
        raise BadInput(_reasons(stored.rejects))
    return stored


def _ingest_status(error: CorrelateError) -> int | None:
    """Where ``/ingest`` differs from Connect: 413 for size, 422 for what was understood and is not taken."""
    if isinstance(error, TooLarge):
        return 413
    understood = isinstance(error, BadInput) and not isinstance(error, Malformed | BadQuery)
    return 422 if understood else None


def _error(error: CorrelateError, http_status: int | None) -> Response:
    code = _connect_code(error)
    headers = retry_headers(error)
    if isinstance(error, UnknownFormat):
        headers["Accept-Encoding"] = ACCEPTED_CODINGS
    return Response(
        orjson.dumps({"code": code, "message": message_of(error)}),
        status_code=http_status or _CONNECT_STATUS[code],
        headers=headers,
        media_type="application/json",
    )


def _connect_code(error: CorrelateError) -> str:
    """Connect's name for an error; too large is no ``resource_exhausted``, because agents try that again."""
    if error.retry:
        return "unavailable"
    if isinstance(error, OutOfRetention):
        return "out_of_range"
    return "invalid_argument" if isinstance(error, BadInput) else "internal"


def _reasons(rejects: tuple[Reject, ...]) -> str:
    return "; ".join(f"{reject.count} {reject.signal} refused: {reject.reason}" for reject in rejects)


def _rejected(rejects: tuple[Reject, ...]) -> dict[str, str]:
    if not rejects:
        return {}
    count = sum(reject.count for reject in rejects)
    reasons = _reasons(rejects)[:300].encode("ascii", "replace").decode()
    # The value of a header must not end with a space, and a cut may fall anywhere.
    return {REJECTED_HEADER: f"{count}; {''.join(c if c.isprintable() else ' ' for c in reasons)}".strip()}
