"""Checks of pprof endpoints: who can reach them, as far as the address tells."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

from correlate.doctor.complaint import Complaint, Severity

_BARE: Final = re.compile(r"[\w.-]+:\d+(/.*)?")  # host:port, as lists of targets have it

NAME: Final = "open-pprof-endpoint"

_INSIDE: Final = (".local", ".internal", ".lan", ".svc", ".cluster", ".localhost", ".home.arpa", ".test")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pprof endpoint that is scraped.

    Attributes:
        source: name of the source.
        place: its address, without credentials; ``http`` is meant where it names no scheme.
        guarded: whether the source is configured with credentials, so that the endpoint asks for them.
    """

    source: str
    place: str
    guarded: bool = False


class Reach(Enum):
    """Who can reach an endpoint."""

    INSIDE = 0
    OPEN = 1
    UNKNOWN = 2


def check(endpoints: Sequence[Endpoint]) -> list[Complaint]:
    """Complaints about endpoints with plain HTTP at an address that is not of a private network."""
    return [_complaint(each) for each in endpoints if reach(each) is Reach.OPEN]


def reach(endpoint: Endpoint) -> Reach:
    """Who can reach an endpoint; behind HTTPS credentials may be asked for, which an address does not tell."""
    url = _split(endpoint.place)
    if url is None:
        return Reach.UNKNOWN
    scheme, host = url
    if endpoint.guarded or _is_inside(host):
        return Reach.INSIDE
    return Reach.OPEN if scheme == "http" else Reach.UNKNOWN


def _split(place: str) -> tuple[str, str] | None:
    """Scheme and host of an address; None when it is something else, for instance a file that lists targets."""
    try:
        url = urlsplit(f"http://{place}" if _BARE.fullmatch(place) else place)
    except ValueError:
        return None
    return (url.scheme, url.hostname) if url.scheme in ("http", "https") and url.hostname else None


def _is_inside(host: str) -> bool:
    """Loopback, private and link-local addresses; names of one word, or of domains that are not public."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host or f".{host}".endswith(_INSIDE)


def _complaint(endpoint: Endpoint) -> Complaint:
    return Complaint(
        NAME,
        "",
        Severity.MEDIUM,
        f"The source {endpoint.source!r} reads {endpoint.place} by plain HTTP from an address outside of private "
        "networks: anybody who reaches it can profile the process, and read its command line.",
        "Bind the endpoint to loopback or a private address, or put TLS and credentials in front of it (the source "
        "takes https:// with token or user); an agent beside the process that pushes needs no open port.",
        {"source": endpoint.source, "place": endpoint.place},
    )
