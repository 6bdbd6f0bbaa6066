"""What all receivers share: from a request to rows in a committed table version, or to an error as a value.

A receiver adds only its protocol: which requests it takes, and how it says yes, partly, later and no.
"""

import asyncio
import math
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from starlette.requests import Request

from correlate.api.bodies import BodyBudget, BodyLimits, first_guess_bytes, held_body, undo
from correlate.api.receivers.telemetry import ReceiverMetrics, RefusalLog
from correlate.errors import BadInput, CorrelateError, Overloaded, StoreError, TooLarge
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.ports import Clock, Receipt
from correlate.services.ingest import Accepted
from correlate.tables.tables import Reject

_RETRY_AFTER_S = 1.0
_MAX_MESSAGE = 1000


class Accepts(Protocol):
    """The use case behind every door, `services.ingest.Ingest`."""

    def accept(self, payload: RawPayload) -> Accepted:
        """Read a payload and queue its rows."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One way in.

    Attributes:
        door: its name in metrics and logs.
        kind: what arrives there.
        signal: what a refused part of it is called, ``spans`` or ``profiles``.
    """

    door: str
    kind: PayloadKind
    signal: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A request whose rows are committed.

    Attributes:
        receipt: what was stored.
        rejects: what was refused.
    """

    receipt: Receipt
    rejects: tuple[Reject, ...]

    @property
    def nothing_kept(self) -> bool:
        """Everything in the request was refused; what a retry finds already stored counts as kept.

        What the pipeline left out was not refused: rejects that count nothing are remarks.
        """
        kept = self.receipt.spans + self.receipt.samples + self.receipt.profiles + self.receipt.duplicates
        return any(reject.count for reject in self.rejects) and kept == 0


@dataclass(frozen=True, slots=True)
class Intake:
    """The receivers' common ground; one object serves all of them.

    Attributes:
        ingest: takes payloads.
        clock: tells when they arrived.
        metrics: counts them.
        refusals: notes those that were refused.
        limits: of one body.
        budget: of all bodies together.
        commit_timeout_s: how long a request waits for its commit.
        executor: where payloads are read; None is the event loop's own thread pool.
    """

    ingest: Accepts
    clock: Clock
    metrics: ReceiverMetrics
    refusals: RefusalLog
    limits: BodyLimits = field(default_factory=BodyLimits)
    budget: BodyBudget = field(default_factory=lambda: BodyBudget(256 << 20))
    commit_timeout_s: float = 30.0
    executor: Executor | None = None

    def __post_init__(self) -> None:
        self.metrics.held_bytes.set_function(lambda: self.budget.held_bytes)

    async def receive(
        self,
        entry: Entry,
        request: Request,
        encoding: Encoding,
        params: Mapping[str, str] | None = None,
    ) -> Stored:
        """Take an HTTP request; returns when its rows are committed.

        Raises:
            CorrelateError: it was refused, or the store failed.
        """
        accepted = await self._accept_request(entry, request, encoding, params or {})
        return await self._committed(accepted)

    async def receive_message(self, entry: Entry, sender: str, message: bytes, codings: Sequence[str]) -> Stored:
        """Take a protobuf message off another wire than HTTP's; returns when its rows are committed.

        Raises:
            CorrelateError: it was refused, or the store failed.
        """
        received_ns = self.clock.now_ns()
        async with self.budget.reserve(first_guess_bytes(len(message), codings, self.limits)) as room:
            message = await undo(codings, message, self.limits, room)
            accepted = await self._accept(entry, RawPayload(entry.kind, message, received_ns, sender=sender))
        del message  # the wait for the commit must not hold the bytes
        return await self._committed(accepted)

    async def attempt(self, entry: Entry, sender: str, work: Awaitable[Stored]) -> Stored | CorrelateError:
        """Await a request's work, count and log how it ended, and return errors instead of raising them."""
        with self.metrics.seconds.labels(entry.door).time():
            outcome = await _caught(work)
        if isinstance(outcome, CorrelateError):
            self.metrics.requests.labels(entry.door, type(outcome).__name__).inc()
            self.refusals.refused(entry.door, sender, outcome)
            return outcome
        self.metrics.requests.labels(entry.door, "partial" if outcome.rejects else "stored").inc()
        self.metrics.count_rejects(entry.door, outcome.rejects)
        if outcome.rejects:
            self.refusals.partly_refused(entry.door, sender, outcome.rejects)
        return outcome

    async def _accept_request(
        self, entry: Entry, request: Request, encoding: Encoding, params: Mapping[str, str]
    ) -> Accepted:
        received_ns = self.clock.now_ns()
        async with held_body(request, self.limits, self.budget) as body:
            payload = RawPayload(
                kind=entry.kind,
                body=body,
                received_ns=received_ns,
                encoding=encoding,
                content_type=request.headers.get("content-type", ""),
                sender=sender_of(request),
                params=params,
            )
            return await self._accept(entry, payload)

    async def _accept(self, entry: Entry, payload: RawPayload) -> Accepted:
        self.metrics.body_bytes.labels(entry.door).inc(len(payload.body))
        return await asyncio.get_running_loop().run_in_executor(self.executor, self.ingest.accept, payload)

    async def _committed(self, accepted: Accepted) -> Stored:
        return Stored(await _result(accepted.committed, self.commit_timeout_s), accepted.rejects)


async def _result(committed: Future[Receipt], timeout_s: float) -> Receipt:
    """Wait for a commit without ever cancelling it: others ride on the same one."""
    waiting = asyncio.wrap_future(committed)
    # A failure that comes after the timeout has nobody to take it; asking for it keeps asyncio quiet.
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([waiting], timeout=timeout_s)
    if not waiting.done():
        raise StoreError(f"not committed within {timeout_s:g} s; sent again, it is stored once")
    if waiting.cancelled():
        raise StoreError("the store closed before the commit")
    return waiting.result()


async def _caught(work: Awaitable[Stored]) -> Stored | CorrelateError:
    try:
        return await work
    except CorrelateError as exc:
        return exc
    except Exception as exc:  # noqa: BLE001 the door is the last line: whatever it is, the sender gets an answer
        internal = CorrelateError("an internal error; the log has more")
        internal.__cause__ = exc
        return internal


class Code(IntEnum):
    """The canonical codes of google.rpc and gRPC that receivers answer with."""

    INVALID_ARGUMENT = 3
    RESOURCE_EXHAUSTED = 8
    INTERNAL = 13
    UNAVAILABLE = 14


def code_of(error: CorrelateError) -> Code:
    """The canonical code of an error."""
    if error.retry:
        return Code.UNAVAILABLE
    if isinstance(error, TooLarge):
        return Code.RESOURCE_EXHAUSTED
    return Code.INVALID_ARGUMENT if isinstance(error, BadInput) else Code.INTERNAL


def message_of(error: CorrelateError) -> str:
    """The error's sentence, short and encodable enough for headers and trailers, which are limited to 8 KiB."""
    return str(error)[:_MAX_MESSAGE].encode("utf-8", "replace").decode()


def retry_after_s(error: CorrelateError) -> float | None:
    """How long a sender should wait before it tries again; None when it should not try again."""
    if not error.retry:
        return None
    return error.retry_after_s if isinstance(error, Overloaded) else _RETRY_AFTER_S


def retry_headers(error: CorrelateError) -> dict[str, str]:
    """``Retry-After`` in whole seconds, for errors that pass."""
    wait_s = retry_after_s(error)
    return {} if wait_s is None else {"Retry-After": str(max(1, math.ceil(wait_s)))}


def sender_of(request: Request) -> str:
    """Who sent a request: its user agent."""
    return request.headers.get("user-agent", "")


def media_type(request: Request) -> str:
    """The media type of a request's body, lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
