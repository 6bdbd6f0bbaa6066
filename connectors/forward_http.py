"""Payloads to OTLP/HTTP servers and to Pyroscope or Phlare, byte for byte as they were received.

Bodies go out compressed with gzip, which every OTLP server must accept and Connect servers do; ``/ingest`` takes a
body that is gzip of its own accord and no ``Content-Encoding``, so there nothing is compressed.
"""

import gzip
from typing import Final

import httpx

from connectors.bodies import excerpt
from connectors.http import Call, Endpoint, HttpSource, Reply, Timing
from connectors.retry import retry_after_s
from correlate.errors import SourceError, SourceTooSlow
from correlate.model.forward import DELIVERED, Fate, Target, Verdict
from correlate.model.payload import Encoding, PayloadKind, RawPayload

PATHS: Final = {
    PayloadKind.OTLP_TRACES: "/v1/traces",
    PayloadKind.OTLP_PROFILES: "/v1development/profiles",
    PayloadKind.OTLP_PROFILES_EXPERIMENTAL: "/v1experimental/profiles",
    PayloadKind.PYROSCOPE_PUSH: "/push.v1.PusherService/Push",
    PayloadKind.PYROSCOPE_INGEST: "/ingest",
}
"""Where each kind of payload goes below the target's URL."""

_NOT_LET_IN: Final = frozenset({401, 403, 407})
_LATER: Final = frozenset({408, 425, 429, 502, 503, 504})
_ANSWERS: Final = frozenset(range(400, 600))
_MIN_COMPRESSED_BYTES: Final = 512


class HttpCourier:
    """Carries payloads to one HTTP target; used by one thread."""

    def __init__(
        self, target: Target, *, transport: httpx.BaseTransport | None = None, timing: Timing | None = None
    ) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            ConfigError: the URL, a header or a certificate file cannot be used.
        """
        self._compress = target.compress
        self._http = HttpSource(target.name, endpoint_of(target), transport=transport, timing=timing)

    def deliver(self, payload: RawPayload) -> Verdict:
        """Post a payload once."""
        try:
            return judged(self._http.send(self._call(payload)))
        except SourceTooSlow as exc:
            return Verdict(Fate.LATER, str(exc), exc.retry_after_s)
        except SourceError as exc:
            # No connection, a redirect, a page for people: not a word about this payload.
            return Verdict(Fate.LATER, str(exc))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(self, payload: RawPayload) -> Call:
        headers = {"User-Agent": payload.sender} if _fits_a_header(payload.sender) else {}
        body = payload.body
        if self._compress and payload.kind is not PayloadKind.PYROSCOPE_INGEST:
            body = squeezed(body)
        if body is not payload.body:
            headers["Content-Encoding"] = "gzip"
        return Call(
            "POST",
            PATHS[payload.kind],
            dict(payload.params) if payload.kind is PayloadKind.PYROSCOPE_INGEST else {},
            accept="*/*",
            content=body,
            content_type=_content_type(payload),
            headers=headers,
            allow=_ANSWERS,
            max_retries=0,
        )


def endpoint_of(target: Target) -> Endpoint:
    """Address, credentials and limits of a target."""
    return Endpoint(
        url=target.url,
        tenant=target.tenant,
        headers=target.headers,
        bearer_token=target.bearer_token,
        basic_user=target.basic_user,
        basic_password=target.basic_password,
        ca_file=target.ca_file,
        timeout_s=target.timeout_s,
        deadline_s=target.timeout_s,
        max_retries=0,
        max_response_bytes=4 << 20,
    )


def judged(reply: Reply) -> Verdict:
    """What an answer means for the payload.

    Credentials that are not accepted would let no payload through: it waits until somebody mends them. Any other 4xx is
    about this payload. Of the 5xx those that name a passing state are waited for, the rest is doubtful.
    """
    if reply.status < 400:
        return DELIVERED
    reason = f"{reply.who} answered {reply.status} to {reply.path}: {excerpt(reply.body)}"
    if reply.status in _LATER:
        return Verdict(Fate.LATER, reason, retry_after_s(reply.headers))
    if reply.status in _NOT_LET_IN:
        return Verdict(Fate.LATER, f"{reason}; check tenant and credentials of this target")
    return Verdict(Fate.REFUSED if reply.status < 500 else Fate.DOUBTFUL, reason)


def squeezed(body: bytes) -> bytes:
    """The body as gzip, or itself where that would not make it smaller, as with profiles that are gzip inside."""
    if len(body) < _MIN_COMPRESSED_BYTES:
        return body
    smaller = gzip.compress(body, compresslevel=1, mtime=0)
    return smaller if len(smaller) < len(body) else body


def _content_type(payload: RawPayload) -> str:
    """As received; what came over gRPC had none, and is protobuf."""
    if payload.content_type or payload.kind is PayloadKind.PYROSCOPE_INGEST:
        return payload.content_type
    return "application/json" if payload.encoding is Encoding.JSON else "application/x-protobuf"


def _fits_a_header(text: str) -> bool:
    return bool(text) and text.isascii() and text.isprintable() and text == text.strip()
