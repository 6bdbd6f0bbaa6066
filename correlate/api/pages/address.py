"""Addresses of pages: that of the page being looked at with its variations, and those it leads to."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from correlate.flame.matching import MAX_PATTERN_CHARS
from correlate.model.queries import TimeRange

_EVER = TimeRange.everything()
_OPERATORS = ("=", "!", "~")
_QUOTES = "\"'`"


@dataclass(frozen=True, slots=True)
class Here:
    """What was asked for, as it was written.

    Attributes:
        path: of the page, quoted as it stands in an address.
        params: query parameters that say something.
    """

    path: str
    params: Mapping[str, str]

    @classmethod
    def of(cls, request: Request) -> "Here":
        """The address of a request; of parameters that come twice the last counts, as it does for the server."""
        return cls(request.url.path, {name: value for name, value in request.query_params.items() if value})

    def get(self, name: str, usual: str = "") -> str:
        """A parameter as it was written."""
        return self.params.get(name, usual)

    def to(self, path: str = "", **changes: str) -> str:
        """The same question to another page or with other parameters; an empty one is dropped."""
        return address(path or self.path, {**self.params, **changes})

    def asked(self, *names: str) -> dict[str, str]:
        """Some of the parameters."""
        return {name: self.params[name] for name in names if name in self.params}


@dataclass(frozen=True, slots=True)
class Payers:
    """Leads from functions to the spans that paid for them.

    Attributes:
        service: where; empty: in all services.
        wanted_type: an alias, or a five-part profile type id.
        window: when.
    """

    service: str
    wanted_type: str
    window: TimeRange

    def of(self, function: str) -> str:
        """The address for a function by its whole name; "" where it is too long to be asked for."""
        if not function or len(function) > MAX_PATTERN_CHARS:
            return ""
        asked = {"function": _exactly(function), "service": self.service, "type": self.wanted_type}
        return address("/frames/traces", asked | times(self.window))


def address(path: str, params: Mapping[str, str]) -> str:
    """A path with those parameters that are not empty."""
    told = {name: value for name, value in params.items() if value}
    return f"{path}?{urlencode(told)}" if told else path


def times(window: TimeRange) -> dict[str, str]:
    """The parameters that mean a window; what is unbounded is left out."""
    start = {"from": str(window.start_ns)} if window.start_ns > _EVER.start_ns else {}
    return start | ({"to": str(window.end_ns)} if window.end_ns < _EVER.end_ns else {})


def _exactly(function: str) -> str:
    """A name so that it is read as nothing else: in quotes where it looks like an operator or a quotation."""
    looks = function.startswith(_OPERATORS) or function[0] in _QUOTES or function != function.strip()
    return f"='{function}'" if looks else function
