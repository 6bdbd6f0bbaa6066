"""Posting to addresses that are secrets themselves, as chat systems give them: the path lets everybody in.

Only scheme, host and port are shown in messages, and what an answer repeats of the rest is masked.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx

from connectors.endpoint import Endpoint
from connectors.http import JSON, Call, HttpSource, Reply, Timing
from correlate.errors import SourceError, SourceTooSlow

_MASK: Final = "/…"
_SHORTEST: Final = 4
"""Paths that are shorter are no secrets, and would be found in every text."""


class Post:
    """Posts bodies to one address; may be used by several threads at once."""

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        *,
        transport: httpx.BaseTransport | None = None,
        timing: Timing | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Raises:
            ConfigError: the URL, a header or a certificate file cannot be used.
        """
        origin, self._hidden = split(endpoint.url)
        self._http = HttpSource(name, replace(endpoint, url=origin), transport=transport, timing=timing)
        self.place = self._http.endpoint.address

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        body: bytes,
        headers: Mapping[str, str],
        *,
        method: str = "POST",
        content_type: str = JSON,
        status_only: bool = False,
    ) -> Reply:
        """Send a body, once.

        Raises:
            SourceError: see `HttpSource.send`; without the secret part of the address.
        """
        call = Call(
            method,
            "",
            accept="*/*",
            content=body,
            content_type=content_type,
            headers=headers,
            max_retries=0,
            hidden=self._hidden,
            status_only=status_only,
        )
        try:
            return self._http.send(call)
        except SourceError as exc:
            raise self._masked(exc) from None  # what it came from may show the address

    def _masked(self, error: SourceError) -> SourceError:
        text = str(error)
        for secret in sorted(_secrets(self._hidden), key=len, reverse=True):
            text = text.replace(secret, _MASK)
        if isinstance(error, SourceTooSlow):
            return SourceTooSlow(text, retry_after_s=error.retry_after_s)
        return type(error)(text)


def split(url: str) -> tuple[str, str]:
    """Scheme, user and host of an address, and the rest of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    hidden = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"{parts.scheme}://{parts.netloc}", hidden


def _secrets(hidden: str) -> set[str]:
    path, _, query = hidden.partition("?")
    found = {hidden, path, query, unquote(hidden), unquote(path), path.rpartition("/")[2]}
    return {each for each in found if len(each) > _SHORTEST}
