"""Forms of pages that change something: they are taken from our own pages only, and are small."""

from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends
from fastapi.responses import RedirectResponse
from starlette.requests import Request

from correlate.api.deps import ServicesDep
from correlate.errors import BadInput, Foreign, TooLarge

Form = dict[str, str]

_MAX_BYTES: Final = 16 << 10
_MAX_FIELDS: Final = 20
_MAX_NAME_CHARS: Final = 200
_MAX_COMMENT_CHARS: Final = 2000


async def _read(request: Request, services: ServicesDep) -> Form:
    """The fields of a form that one of our pages sent; of fields that come twice the last counts.

    Raises:
        Foreign: another site made the browser send it.
        TooLarge: no form of ours is that long.
        BadInput: it is not a form.
    """
    if not _from_here(request, services.public_url):
        raise Foreign("this form was not sent from a page of this server, so nothing was changed: open the page anew")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise BadInput("only forms can be sent to this address; programs use the REST API, see /docs")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise TooLarge(f"the form is longer than {_MAX_BYTES:,} bytes")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="replace"))
    except ValueError as exc:
        raise BadInput("the form cannot be read") from exc


def _from_here(request: Request, public_url: str) -> bool:
    """Whether the browser says that one of our pages sent it.

    Browsers tell the site that a request comes from, and pages of other sites cannot change what they tell:
    ``Sec-Fetch-Site`` (https://www.w3.org/TR/fetch-metadata/) where the address counts as secure, else ``Origin``.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin", "")
    here = urlsplit(public_url)
    return origin == f"{here.scheme}://{here.netloc}" or origin in _own(request)


def _own(request: Request) -> tuple[str, ...]:
    """The origins of this server as the client calls it."""
    host = request.headers.get("host", "")
    return (f"http://{host}", f"https://{host}") if host else ()


FormDep = Annotated[Form, Depends(_read)]


def who(form: Form) -> str:
    """Who sends a form.

    Raises:
        BadInput: it does not say, or goes on for too long.
    """
    name = form.get("by", "").strip()
    if not name or len(name) > _MAX_NAME_CHARS:
        raise BadInput(f"say who you are, in at most {_MAX_NAME_CHARS} characters: it is kept in the alert's history")
    return name


def comment(form: Form) -> str:
    """What is said about it, "" for nothing.

    Raises:
        BadInput: it goes on for too long.
    """
    text = form.get("comment", "").strip()
    if len(text) > _MAX_COMMENT_CHARS:
        raise BadInput(f"a comment has at most {_MAX_COMMENT_CHARS:,} characters")
    return text


def then(path: str) -> RedirectResponse:
    """Show a page after a form was taken, so that loading it again sends nothing."""
    return RedirectResponse(path, 303)
