"""Routes whose requests have a small JSON body: a larger one is refused while it arrives, not after."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

MAX_BYTES: Final = 64 << 10


class SmallBody(APIRoute):
    """A route that reads at most `MAX_BYTES` of a request's body, whatever its headers promise."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, over a request that ends in 413 when it goes on for too long."""
        handle = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await handle(Request(request.scope, _counted(request.receive)))

        return limited


def _counted(receive: Receive) -> Receive:
    seen_bytes = 0

    async def counted() -> Message:
        nonlocal seen_bytes
        message: dict[str, Any] = dict(await receive())
        seen_bytes += len(message.get("body", b""))
        if seen_bytes > MAX_BYTES:
            raise HTTPException(413, "Too large")
        return message

    return counted
