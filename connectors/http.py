"""HTTP for all connectors: limits, retries, credentials, and every failure as one `SourceError` with a sentence.

A request ends: its attempts, pauses and bodies share one deadline that holds on the socket too. A body is bounded
after decompression. Redirects stay on the host. A page for people is never taken for data.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import httpx
import orjson

from connectors.bodies import collected, excerpt, looks_like_html, unpacked
from connectors.endpoint import Endpoint, check_url, request_headers, tls_context
from connectors.retry import Backoff
from connectors.translate import RETRIED_STATUS, is_final, refusal, translated
from connectors.transport import BoundedTransport, Budget
from correlate.errors import SourceError, SourceMalformed, SourceRefused, SourceTooSlow

__all__ = ["JSON", "PROTOBUF", "Call", "Endpoint", "HttpSource", "Params", "Reply", "Timing"]

PROTOBUF: Final = "application/protobuf"
JSON: Final = "application/json"
Params = Mapping[str, str | int | float]
"""Query parameters."""

_MAX_REDIRECTS: Final = 5
_ERROR_BODY_BYTES: Final = 4096
_LOGIN_PATH: Final = re.compile(r"(?:^|[/_.-])(?:log_?in|sign_?in|oauth2?|sso|saml2?|auth)(?:[/_.-]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock, sleep and dice of the retries, to be replaced in tests.

    Attributes:
        monotonic_s: seconds since any moment, never going back.
        sleep: waits for some seconds.
        luck: a random number in [0, 1).
        backoff: how pauses grow.
    """

    monotonic_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    luck: Callable[[], float] = random.random
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, before the endpoint adds address and credentials.

    Attributes:
        method: ``GET`` or ``POST``.
        path: begins with a slash, appended to the endpoint's URL.
        params: query parameters.
        accept: the ``Accept`` header.
        content: the body.
        content_type: of the body.
        headers: further headers.
        allow: status codes besides 2xx that are answers and not errors.
        idempotent: whether doing it twice does no harm; None: when the method is GET.
        timeout_s: instead of the endpoint's, for what is known to take long.
        deadline_s: instead of the endpoint's.
        max_retries: instead of the endpoint's.
        hidden: the rest of the path, with its query; it holds a secret, so messages do not show it.
        status_only: any 2xx is the whole answer; its body is not read, whatever it is.
    """

    method: str
    path: str
    params: Params = field(default_factory=dict)
    accept: str = JSON
    content: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    allow: frozenset[int] = frozenset()
    idempotent: bool | None = None
    timeout_s: float | None = None
    deadline_s: float | None = None
    max_retries: int | None = None
    hidden: str = field(default="", repr=False)
    status_only: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, complete and unpacked.

    Attributes:
        status: 2xx, or one that the call allows.
        headers: case-insensitive.
        body: the bytes after content decoding.
        who: the source and its address, the subject of messages about the answer.
        path: what was asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    who: str
    path: str

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            SourceMalformed: it is something else; the message shows its beginning.
        """
        try:
            return orjson.loads(self.body)
        except json.JSONDecodeError as exc:
            raise SourceMalformed(
                f"{self.who} answered {self.path} with what is not JSON: {excerpt(self.body, 120)!r}"
            ) from exc

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            SourceMalformed: it is something else.
        """
        value = self.json()
        if not isinstance(value, dict):
            raise SourceMalformed(f"{self.who} answered {self.path} with JSON that is not an object")
        return value


@dataclass(frozen=True, slots=True)
class _Failure:
    error: SourceError
    again: bool
    timed_out: bool = False


class HttpSource:
    """A client of one endpoint; may be used by several threads at once."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: what the configuration calls the source, for messages.
            endpoint: where it is.
            transport: instead of the network.
            timing: clock, sleep and dice of the retries.

        Raises:
            ConfigError: the URL, a header or a certificate file cannot be used.
        """
        check_url(endpoint)
        self.endpoint = endpoint
        self.who = f"{name} ({endpoint.address})"
        self._timing = timing or Timing()
        self._budget = Budget(self._timing.monotonic_s)
        self._base = httpx.URL(endpoint.url).copy_with(query=None, fragment=None, userinfo=b"")
        self._client = httpx.Client(
            headers=request_headers(endpoint),
            transport=transport or BoundedTransport(tls_context(endpoint), self._budget),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, params: Params | None = None, *, accept: str = JSON) -> Reply:
        """Ask for something; see `send`."""
        return self.send(Call("GET", path, params or {}, accept))

    def send(self, call: Call) -> Reply:
        """Make a request, again where that may help, within its deadline.

        Raises:
            SourceUnreachable: no connection, or it broke.
            SourceTooSlow: no answer in time, or overloaded; `retry_after_s` says what the server asked for.
            SourceRefused: credentials, tenant, path, redirect to elsewhere, too large an answer.
            SourceMalformed: not what the protocol says, for instance a login page.
        """
        deadline_s = call.deadline_s or max(self.endpoint.deadline_s, call.timeout_s or 0.0)
        ends_s = self._timing.monotonic_s() + deadline_s
        retries = self.endpoint.max_retries if call.max_retries is None else call.max_retries
        attempt = 0
        while True:
            outcome = self._attempt(call, ends_s)
            if isinstance(outcome, Reply):
                return outcome
            # Who needs too long for an answer is asked once more, not again and again: that would make it slower.
            enough = attempt >= min(retries, 1 if outcome.timed_out else retries)
            pause_s = self._pause_s(attempt, outcome.error)
            if not outcome.again or enough or self._timing.monotonic_s() + pause_s >= ends_s:
                raise outcome.error
            self._timing.sleep(pause_s)
            attempt += 1

    def _pause_s(self, attempt: int, error: SourceError) -> float:
        wanted_s = error.retry_after_s if isinstance(error, SourceTooSlow) else None
        return self._timing.backoff.pause_s(attempt, self._timing.luck(), wanted_s)

    def _attempt(self, call: Call, ends_s: float) -> Reply | _Failure:
        now_s = self._timing.monotonic_s()
        ends_s = min(ends_s, now_s + (call.timeout_s or self.endpoint.timeout_s))
        repeatable = call.method == "GET" if call.idempotent is None else call.idempotent
        try:
            with self._budget.of(ends_s - now_s):
                response, body = self._followed(call, ends_s)
        except SourceError as exc:
            return _Failure(exc, again=False)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamError) as exc:
            return self._failed(exc, repeatable=repeatable)
        return self._judged(call, response, body, repeatable=repeatable)

    def _failed(self, exc: Exception, *, repeatable: bool) -> _Failure:
        unsent = isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        error = translated(exc, self.who)
        error.__cause__ = exc
        again = error.retry and (repeatable or unsent) and not is_final(exc)
        return _Failure(error, again, timed_out=isinstance(exc, httpx.ReadTimeout))

    def _judged(self, call: Call, response: httpx.Response, body: bytes, *, repeatable: bool) -> Reply | _Failure:
        if not (response.is_success or response.status_code in call.allow):
            error = refusal(response, body, self.who, call.path)
            return _Failure(error, again=response.status_code in RETRIED_STATUS and repeatable)
        if not call.status_only and looks_like_html(response.headers.get("content-type", ""), body):
            error = SourceMalformed(
                f"{self.who} answered {call.path} with an HTML page instead of data: a login page, or a proxy in "
                "between; check the url and the credentials"
            )
            return _Failure(error, again=False)
        return Reply(response.status_code, response.headers, body, self.who, call.path)

    def _followed(self, call: Call, ends_s: float) -> tuple[httpx.Response, bytes]:
        url = self._base.copy_with(raw_path=self._base.raw_path.rstrip(b"/") + (call.path + call.hidden).encode())
        params: Params | None = call.params or None
        for _ in range(_MAX_REDIRECTS + 1):
            response, body = self._exchange(call, url, params, ends_s)
            if not response.has_redirect_location:
                return response, body
            url, params = self._next_hop(call, url, response), None
        raise SourceMalformed(f"{self.who} redirects {call.path} in a circle; check the url, and the proxy before it")

    def _next_hop(self, call: Call, url: httpx.URL, response: httpx.Response) -> httpx.URL:
        target = url.join(response.headers["location"])
        where = f"{target.scheme}://{target.host}{'/…' if call.hidden else target.path}"
        elsewhere = target.host != url.host or not _as_safe(url, target)
        if elsewhere or _LOGIN_PATH.search(target.path):
            raise SourceRefused(
                f"{self.who} redirects {call.path} to {where}, likely a login page: check the credentials, or set the "
                "url to where the server itself answers"
            )
        if call.method != "GET":
            raise SourceRefused(f"{self.who} redirects {call.path} to {where}; set the url to where it really is")
        return target

    def _exchange(
        self, call: Call, url: httpx.URL, params: Params | None, ends_s: float
    ) -> tuple[httpx.Response, bytes]:
        left_s = max(ends_s - self._timing.monotonic_s(), 0.001)
        request = self._client.build_request(
            call.method,
            url,
            params=params,
            headers=_headers_of(call),
            content=call.content or None,
            timeout=httpx.Timeout(left_s, connect=min(self.endpoint.connect_timeout_s, left_s)),
        )
        response = self._client.send(request, stream=True)
        try:
            if call.status_only and response.is_success:
                return response, b""
            pieces = self._pieces(response, ends_s)
            if response.is_success or response.status_code in call.allow:
                return response, collected(pieces, self.endpoint.max_response_bytes, self.who)
            return response, _beginning(pieces)
        finally:
            response.close()

    def _pieces(self, response: httpx.Response, ends_s: float) -> Iterator[bytes]:
        if response.is_stream_consumed:  # a transport without a network hands over the body whole and unpacked
            return iter((response.content,))
        coding = response.headers.get("content-encoding", "")
        return unpacked(self._in_time(response.iter_raw(), ends_s), coding, self.who)

    def _in_time(self, chunks: Iterable[bytes], ends_s: float) -> Iterator[bytes]:
        for chunk in chunks:
            yield chunk
            if self._timing.monotonic_s() > ends_s:
                raise httpx.ReadTimeout("the body takes too long")


def _headers_of(call: Call) -> dict[str, str]:
    typed = {"Content-Type": call.content_type} if call.content_type else {}
    return {"Accept": call.accept, **typed, **call.headers}


def _as_safe(here: httpx.URL, there: httpx.URL) -> bool:
    same = (there.scheme, there.port) == (here.scheme, here.port)
    return same or (here.scheme == "http" and there.scheme == "https")


def _beginning(pieces: Iterable[bytes]) -> bytes:
    """As much of an error's body as a message may want; it may be endless."""
    body = b""
    for piece in pieces:
        body += piece
        if len(body) >= _ERROR_BODY_BYTES:
            break
    return body[:_ERROR_BODY_BYTES]
