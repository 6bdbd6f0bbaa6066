"""Where a source is and how to be let in: address, tenant, credentials, certificates, limits."""

import base64
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from correlate.errors import ConfigError

TENANT_HEADER: Final = "X-Scope-OrgID"
"""How Tempo, Pyroscope, Mimir and Loki are told the tenant."""

USER_AGENT: Final = "correlate"


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """Address, credentials and limits of one HTTP server. Its text form holds no secret.

    Attributes:
        url: ``http://`` or ``https://``, with a path prefix where the server has one.
        tenant: sent as ``X-Scope-OrgID``; empty: not sent.
        bearer_token: sent as ``Authorization: Bearer``; wins over basic authentication.
        basic_user: user name, or the instance id in Grafana Cloud.
        basic_password: its password, or an access token.
        headers: further headers of every request; they win over those made from the other fields.
        ca_file: PEM file with the certificates to trust instead of the system's.
        client_cert_file: PEM file with the client's certificate, for servers that ask for one (mTLS).
        client_key_file: PEM file with its key; empty: in the same file.
        verify: False accepts any server certificate.
        timeout_s: longest time for one attempt, from the connection to the last byte of the body.
        connect_timeout_s: longest time to establish a connection, within `timeout_s`.
        max_retries: further attempts after the first.
        max_response_bytes: largest body, after decompression.
        deadline_s: longest time for a request with all its retries and pauses.
    """

    url: str
    tenant: str = ""
    bearer_token: str = ""
    basic_user: str = ""
    basic_password: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    ca_file: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    verify: bool = True
    timeout_s: float = 10.0
    connect_timeout_s: float = 3.0
    max_retries: int = 4
    max_response_bytes: int = 256 << 20
    deadline_s: float = 60.0

    def __repr__(self) -> str:
        tenant = f", tenant={self.tenant!r}" if self.tenant else ""
        return f"Endpoint({self.address!r}{tenant})"

    @property
    def address(self) -> str:
        """The URL without user name, password, query and trailing slash, for messages."""
        # By pattern, since what cannot be parsed must be shown too, and greedily, since a password may hold anything.
        return re.sub(r"//.*@", "//", re.split(r"[?#]", self.url)[0]).rstrip("/")


def check_url(endpoint: Endpoint) -> None:
    """Refuse an address that no request could use.

    Raises:
        ConfigError: not http or https, or without a host.
    """
    try:
        url = httpx.URL(endpoint.url)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigError(f"url {endpoint.address!r} must look like http://host:port or https://host/prefix")


def request_headers(endpoint: Endpoint) -> dict[str, str]:
    """The headers that every request to an endpoint carries: tenant, credentials, its own.

    Raises:
        ConfigError: a value could not be written as a header, for instance a token with a line break in it.
    """
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
    if endpoint.tenant:
        headers[TENANT_HEADER] = endpoint.tenant
    if authorization := _authorization(endpoint):
        headers["Authorization"] = authorization
    headers.update(endpoint.headers)
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise ConfigError(
                f"the header {name} of {endpoint.address} holds a character that HTTP does not allow: "
                "look for a line break or a space at the end of the token, password or tenant"
            )
    return headers


def _authorization(endpoint: Endpoint) -> str:
    if endpoint.bearer_token:
        return f"Bearer {endpoint.bearer_token}"
    user, password = endpoint.basic_user, endpoint.basic_password
    if not (user or password):
        user, password = httpx.URL(endpoint.url).username, httpx.URL(endpoint.url).password
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user or password else ""


def tls_context(endpoint: Endpoint) -> ssl.SSLContext:
    """What to trust and what to show when the connection is encrypted.

    Raises:
        ConfigError: a certificate or key file is missing or unreadable; the message names the setting.
    """
    context = _trust(endpoint)
    if endpoint.client_cert_file:
        with _reading("client_cert_file / client_key_file", endpoint.client_cert_file, endpoint.client_key_file):
            context.load_cert_chain(endpoint.client_cert_file, endpoint.client_key_file or None)
    return context


def _trust(endpoint: Endpoint) -> ssl.SSLContext:
    if not endpoint.verify:
        return httpx.create_ssl_context(verify=False)
    if endpoint.ca_file:
        with _reading("ca_file", endpoint.ca_file):
            return ssl.create_default_context(cafile=endpoint.ca_file)
    context = httpx.create_ssl_context()
    # A company's own authority is usually installed on the machine, not in the bundle that comes with the client.
    context.load_default_certs()
    return context


@contextmanager
def _reading(setting: str, *paths: str) -> Iterator[None]:
    try:
        for path in filter(None, paths):
            Path(path).read_bytes()
        yield
    except OSError as exc:  # ssl.SSLError is one of them
        named = " and ".join(filter(None, paths))
        reason = exc.strerror if isinstance(exc, FileNotFoundError | PermissionError) else "not what PEM looks like"
        raise ConfigError(f"{setting}: {named} cannot be used: {reason}") from exc
