"""httpx's errors and HTTP's status codes in our words, each translated once and here."""

import socket
import ssl
from collections.abc import Iterator
from typing import Final

import httpx

from connectors.bodies import excerpt, looks_like_html
from connectors.retry import retry_after_s
from correlate.errors import SourceError, SourceMalformed, SourceRefused, SourceTooSlow, SourceUnreachable

OURS: Final[dict[type[Exception], type[SourceError]]] = {
    httpx.TimeoutException: SourceTooSlow,
    httpx.TransportError: SourceUnreachable,
    httpx.LocalProtocolError: SourceRefused,
    httpx.UnsupportedProtocol: SourceRefused,
    httpx.ProxyError: SourceRefused,
    httpx.DecodingError: SourceMalformed,
    httpx.TooManyRedirects: SourceMalformed,
    httpx.HTTPStatusError: SourceRefused,
    httpx.HTTPError: SourceUnreachable,
    httpx.InvalidURL: SourceRefused,
    httpx.CookieConflict: SourceMalformed,
    httpx.StreamError: SourceMalformed,
}
"""httpx's classes by the most specific one that is named; a test finds the ones that have none."""

RETRIED_STATUS: Final = frozenset({429, 502, 503, 504})
"""Answers that say: later."""

_BROKEN: Final = "the connection broke before the answer was complete; the server or a proxy in between gave up"


def ours(theirs: type[Exception]) -> type[SourceError] | None:
    """The class of ours that stands for one of httpx's; None when there is none."""
    return next((OURS[base] for base in theirs.__mro__ if base in OURS), None)


def translated(exc: Exception, who: str) -> SourceError:
    """An error of httpx as an error of ours, with a sentence that names the likely fix.

    Args:
        exc: what httpx raised.
        who: the source and its address, the subject of the sentence.
    """
    if isinstance(exc, httpx.RemoteProtocolError) and "disconnect" not in str(exc) and "closed" not in str(exc):
        return SourceMalformed(f"{who} does not speak HTTP/1.1 on this port ({exc}); is it the gRPC port?")
    return (ours(type(exc)) or SourceUnreachable)(f"{who}: {_reason(exc)}")


def is_final(exc: Exception) -> bool:
    """Whether trying again is pointless: a certificate does not get better by asking twice."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(exc))


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _reason(exc: Exception) -> str:
    for cause in _causes(exc):
        if isinstance(cause, ssl.SSLError):
            return _tls_reason(cause)
        if isinstance(cause, socket.gaierror):
            return f"the host name cannot be resolved ({cause.strerror}); check the url"
        if isinstance(cause, ConnectionRefusedError):
            return "connection refused; nothing listens there, check host and port of the url"
    return _reason_by_class(exc)


def _reason_by_class(exc: Exception) -> str:
    if isinstance(exc, httpx.LocalProtocolError):  # its text may quote a header, and so a secret
        return "the request cannot be written as HTTP; check headers and token for characters that do not belong there"
    if isinstance(exc, httpx.ConnectTimeout):
        return "no connection in time; check host and port of the url, and firewalls in between"
    if isinstance(exc, httpx.PoolTimeout):
        return "all connections are in use; ask less at a time"
    if isinstance(exc, httpx.TimeoutException):
        return "no complete answer in time; ask for a shorter time range or raise timeout_s"
    if isinstance(exc, httpx.ReadError | httpx.WriteError | httpx.CloseError | httpx.RemoteProtocolError):
        return f"{_BROKEN} ({exc})" if str(exc) else _BROKEN
    return str(exc) or type(exc).__name__


def _tls_reason(exc: ssl.SSLError) -> str:
    text = exc.reason or str(exc)
    if isinstance(exc, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted ({exc.verify_message}); set ca_file to the authority's PEM file, "
            "or use the host name that the certificate was made for"
        )
    if "CERTIFICATE_REQUIRED" in text or "HANDSHAKE_FAILURE" in text:
        return f"it wants a client certificate ({text}); set client_cert_file and client_key_file"
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text:
        return f"it does not speak TLS on this port ({text}); use http:// in the url"
    return f"the TLS handshake failed ({text}); check ca_file, client_cert_file and the port"


def refusal(response: httpx.Response, body: bytes, who: str, path: str) -> SourceError:
    """What an answer with an unwanted status code means, and what to do about it.

    Args:
        response: status and headers.
        body: its body or the beginning of it.
        who: the source and its address.
        path: what was asked for, without parameters.
    """
    status = response.status_code
    said = "an HTML page" if looks_like_html(response.headers.get("content-type", ""), body) else excerpt(body)
    answer = f"{who} answered {status} to {path}" + (f": {said}" if said else "")
    if status in (408, 429, 503, 504):
        return SourceTooSlow(f"{answer}; it is overloaded or limits us", retry_after_s=retry_after_s(response.headers))
    if status >= 500:
        return SourceUnreachable(f"{answer}; the server or the proxy before it is in trouble, see its log")
    return SourceRefused(f"{answer}; {_advice(status, said)}")


def _advice(status: int, said: str) -> str:
    if "HTTP request to an HTTPS server" in said or "plain HTTP request was sent to HTTPS" in said:
        return "use https:// in the url"
    if status in (401, 403) and "no org id" in said:
        return "it keeps several tenants apart: set tenant"
    if status in (401, 403):
        return "check tenant and credentials (bearer_token, or basic_user and basic_password)"
    if status == 407:
        return "a proxy in between wants credentials"
    if status == 404:
        return "the url may lack a path prefix, or name another server"
    return "the request is not acceptable to it"
