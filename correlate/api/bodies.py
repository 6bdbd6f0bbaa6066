"""Request bodies: read with limits, decompressed with limits, and counted while they are held.

A body passes two gates. `BodyLimits` bounds one body, compressed and decompressed alike. `BodyBudget` bounds all
bodies held at the same time: whoever wants to read one reserves room first and waits a moment for it; who gets none is
sent away with `Overloaded`, which senders understand as "later". What a body needs beyond its first guess is granted at
once or refused at once: waiting with half a body in hand could lock everybody up.
"""

import asyncio
import io
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from starlette.requests import ClientDisconnect, Request

from correlate.api.decompression import ACCEPTED_CODINGS, expand, is_known
from correlate.errors import Malformed, Overloaded, TooLarge, UnknownFormat

_MIB: Final = 1 << 20
_FIRST_GUESS_BYTES: Final = _MIB
_USUAL_RATIO: Final = 4
_MAX_CODINGS: Final = 3


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What one request body may cost.

    Attributes:
        max_body_bytes: the largest body, before and after decompression.
        read_timeout_s: how long a sender may take to deliver it.
    """

    max_body_bytes: int = 64 * _MIB
    read_timeout_s: float = 30.0

    def check(self, size_bytes: int) -> None:
        """Refuse a size above the limit.

        Raises:
            TooLarge: it is.
        """
        if size_bytes > self.max_body_bytes:
            raise TooLarge(
                f"the body is larger than {self.max_body_bytes} bytes, compressed or decompressed; "
                "send smaller batches or raise body_limit_bytes"
            )


class BodyBudget:
    """How many bytes of request bodies may be held at once; one object for all doors, usable from any thread."""

    def __init__(self, max_bytes: int, wait_s: float = 5.0) -> None:
        self.max_bytes = max_bytes
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._queue: deque[tuple[int, Future[None]]] = deque()

    @property
    def held_bytes(self) -> int:
        """What is reserved now."""
        return self._held_bytes

    @asynccontextmanager
    async def reserve(self, size_bytes: int) -> AsyncIterator["Reservation"]:
        """Hold room for a body while the context lasts, waiting in line for it.

        Raises:
            Overloaded: no room came free in time.
        """
        size_bytes = min(size_bytes, self.max_bytes)
        await self._wait_for(size_bytes)
        reservation = Reservation(self, size_bytes)
        try:
            yield reservation
        finally:
            reservation.settle(0)

    def take(self, size_bytes: int) -> bool:
        """Reserve now or not at all; nobody who waits in line is asked."""
        with self._lock:
            fits = self._held_bytes + size_bytes <= self.max_bytes
            self._held_bytes += size_bytes if fits else 0
            return fits

    def give_back(self, size_bytes: int) -> None:
        """Return reserved bytes and let in those at the head of the line."""
        with self._lock:
            self._held_bytes -= size_bytes
            self._admit_head()

    async def _wait_for(self, size_bytes: int) -> None:
        ticket = self._enter(size_bytes)
        try:
            await asyncio.wait_for(asyncio.wrap_future(ticket), self._wait_s)
        except BaseException as exc:
            self._leave(size_bytes, ticket)
            if isinstance(exc, TimeoutError):
                raise Overloaded(f"request bodies fill the {self.max_bytes} bytes of inflight_limit_bytes") from exc
            raise

    def _enter(self, size_bytes: int) -> Future[None]:
        ticket: Future[None] = Future()
        with self._lock:
            self._queue.append((size_bytes, ticket))
            self._admit_head()
        return ticket

    def _leave(self, size_bytes: int, ticket: Future[None]) -> None:
        """Give up waiting; a ticket that was granted in the same moment is returned."""
        granted = not ticket.cancel()
        self.give_back(size_bytes if granted else 0)

    def _admit_head(self) -> None:
        while self._queue:
            size_bytes, ticket = self._queue[0]
            if not ticket.cancelled() and self._held_bytes + size_bytes > self.max_bytes:
                return
            self._queue.popleft()
            if ticket.set_running_or_notify_cancel():
                self._held_bytes += size_bytes
                ticket.set_result(None)


class Reservation:
    """The room one body has in a budget."""

    def __init__(self, budget: BodyBudget, size_bytes: int) -> None:
        self._budget = budget
        self._size_bytes = size_bytes

    def ensure(self, size_bytes: int) -> None:
        """Hold at least so much, in steps of a MiB.

        Raises:
            Overloaded: there is no room now.
            TooLarge: there never will be.
        """
        if size_bytes <= self._size_bytes:
            return
        if size_bytes > self._budget.max_bytes:
            raise TooLarge(f"the body needs more than the {self._budget.max_bytes} bytes of inflight_limit_bytes")
        more_bytes = min(max(size_bytes - self._size_bytes, _MIB), self._budget.max_bytes - self._size_bytes)
        if not self._budget.take(more_bytes):
            raise Overloaded(f"request bodies fill the {self._budget.max_bytes} bytes of inflight_limit_bytes")
        self._size_bytes += more_bytes

    def settle(self, size_bytes: int) -> None:
        """Keep no more than so much."""
        surplus_bytes = max(self._size_bytes - size_bytes, 0)
        self._size_bytes -= surplus_bytes
        self._budget.give_back(surplus_bytes)


@asynccontextmanager
async def held_body(request: Request, limits: BodyLimits, budget: BodyBudget) -> AsyncIterator[bytes]:
    """Read a body and keep its room reserved while the context lasts.

    Raises:
        BadInput: as `read_body`.
        Overloaded: as `read_body`, or no room came free in time.
    """
    codings = codings_of(request)
    guess_bytes = first_guess_bytes(_claimed_bytes(request, limits), codings, limits)
    async with budget.reserve(guess_bytes) as room:
        yield await read_body(request, limits, room)


async def read_body(request: Request, limits: BodyLimits, room: Reservation | None = None) -> bytes:
    """Read a request's body and undo its ``Content-Encoding``; decompression happens in a thread.

    Raises:
        TooLarge: over the limit before or after decompression; nothing is expanded further than that.
        UnknownFormat: an encoding that is not accepted.
        Malformed: broken or truncated.
        Overloaded: there is no room for it now, or it took too long to arrive.
    """
    codings = codings_of(request)
    _claimed_bytes(request, limits)
    room = room or Reservation(BodyBudget(3 * limits.max_body_bytes), 0)
    return await undo(codings, await _gather(request, limits, room), limits, room)


async def undo(codings: Sequence[str], body: bytes, limits: BodyLimits, room: Reservation) -> bytes:
    """Undo codings, given in the order they were applied, and keep as much room as the result needs.

    Raises:
        TooLarge: the result is over the limit.
        Malformed: broken or truncated.
        Overloaded: there is no room for the result now.
    """
    for coding in reversed(codings):
        body = await asyncio.to_thread(_expand, coding, body, limits, room)
    room.settle(len(body))
    return body


def first_guess_bytes(wire_bytes: int | None, codings: Sequence[str], limits: BodyLimits) -> int:
    """How much room to reserve for a body before it is known how far it expands."""
    if wire_bytes is None:
        wire_bytes = _FIRST_GUESS_BYTES
    return min(wire_bytes * (_USUAL_RATIO if codings else 1), limits.max_body_bytes)


def _expand(coding: str, body: bytes, limits: BodyLimits, room: Reservation) -> bytes:
    def allow(size_bytes: int) -> None:
        limits.check(size_bytes)
        room.ensure(len(body) + size_bytes)

    return expand(coding, body, allow)


def codings_of(request: Request) -> list[str]:
    """The content codings of a request in the order they were applied, identity left out.

    Raises:
        UnknownFormat: one of them, or their number, is not accepted.
    """
    named = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    codings = [coding for coding in (name.strip() for name in named) if coding not in ("", "identity")]
    unknown = [coding for coding in codings if not is_known(coding)]
    if unknown:
        raise UnknownFormat(f"Content-Encoding {unknown[0][:40]!r} is not accepted; use {ACCEPTED_CODINGS} or none")
    if len(codings) > _MAX_CODINGS:
        raise UnknownFormat(f"{len(codings)} content codings on top of each other are not accepted; use one")
    return codings


def _claimed_bytes(request: Request, limits: BodyLimits) -> int | None:
    claimed = request.headers.get("content-length", "")
    if not claimed.isdecimal():
        return None
    claimed_bytes = int(claimed[:19])  # more digits are too large in any case
    limits.check(claimed_bytes)
    return claimed_bytes


async def _gather(request: Request, limits: BodyLimits, room: Reservation) -> bytes:
    # BytesIO hands its buffer over without a copy, joining a list of chunks would double it.
    buffer = io.BytesIO()
    try:
        async with asyncio.timeout(limits.read_timeout_s):
            async for chunk in request.stream():
                limits.check(buffer.tell() + len(chunk))
                room.ensure(buffer.tell() + len(chunk))
                buffer.write(chunk)
    except TimeoutError as exc:
        raise Overloaded(f"the body did not arrive within {limits.read_timeout_s:g} s") from exc
    except ClientDisconnect as exc:
        raise Malformed("the connection closed before the body was complete") from exc
    return buffer.getvalue()
