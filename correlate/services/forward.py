"""Passing on what came in, as it came: to a queue on disk before the sender has its answer, from there in order.

A 2xx to a sender still means one thing: the rows are in a committed table version here. Passing on follows from the
queue, at least once, and never makes a sender wait longer than `Target.wait_s`. The pipeline's rules are for what is
stored; targets get the message as it was received. Its transfer compression is not kept: that was an agreement
between the sender and us, and the target may not know the sender's.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from correlate.errors import BadInput, CorrelateError, Overloaded
from correlate.model.forward import Fate, Target, Verdict, WhenFull
from correlate.model.payload import RawPayload
from correlate.services.ingest import Accepted

_LOG: Final = logging.getLogger(__name__)
_IDLE_S: Final = 0.25
_DOUBTS: Final = 5


class Outbox(Protocol):
    """Payloads that wait for one target, first in, first out, kept when the process dies."""

    @property
    def waiting_count(self) -> int:
        """How many wait."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """How much they are."""
        ...

    def put(self, payload: RawPayload, *, wait_s: float) -> bool:
        """Keep a payload; False when there is no room within `wait_s` seconds."""
        ...

    def first(self, *, wait_s: float) -> RawPayload | None:
        """The oldest one; None when there is none within `wait_s` seconds."""
        ...

    def done(self) -> None:
        """Drop the oldest one."""
        ...

    def refuse(self, payload: RawPayload, reason: str) -> None:
        """Put one aside that the target will never take."""
        ...

    def close(self) -> None:
        """Take and give no more."""
        ...


class Courier(Protocol):
    """Carries payloads to one target."""

    def deliver(self, payload: RawPayload) -> Verdict:
        """Try once; never raises a `SourceError`."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Ingests(Protocol):
    """The way in that stands behind."""

    def accept(self, payload: RawPayload) -> Accepted:
        """Read a payload and queue its rows."""
        ...


@dataclass(slots=True)
class ForwardCounters:
    """What happened to the payloads of one target since the process started; read by metrics.

    Attributes:
        queued: written to its queue.
        delivered: taken by it.
        refused: put aside, because it will never take them.
        dropped: not passed on, because the queue was full or could not be written.
        retries: attempts that were put off.
        problem: why the last attempt failed, "" when it did not.
    """

    queued: int = 0
    delivered: int = 0
    refused: int = 0
    dropped: int = 0
    retries: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long to wait between attempts: up to `base_s`, doubled with each, up to `cap_s`; half of it is luck."""

    base_s: float = 0.5
    cap_s: float = 30.0

    def pause_s(self, attempt: int, luck: float, asked_s: float | None) -> float:
        """The pause after an attempt (0: the first), at least what the target asked for."""
        longest_s: float = min(self.cap_s, self.base_s * 2.0 ** min(attempt, 30))
        return max(longest_s * (1 + luck) / 2, (asked_s or 0.0) + luck * self.base_s)


class Lane:
    """One target with its queue, which is opened when it is first used: not every process receives data."""

    def __init__(self, target: Target, open_outbox: Callable[[Target], Outbox]) -> None:
        self.target = target
        self.counters = ForwardCounters()
        self._open = open_outbox
        self._lock = threading.Lock()
        self._outbox: Outbox | None = None

    @property
    def outbox(self) -> Outbox:
        """Its queue.

        Raises:
            ConfigError: another process uses it.
            StoreError: it cannot be opened.
        """
        with self._lock:
            if self._outbox is None:
                self._outbox = self._open(self.target)
            return self._outbox

    @property
    def waiting(self) -> tuple[int, int]:
        """How many payloads wait, and how many bytes they are; nothing while the queue was not opened."""
        return (self._outbox.waiting_count, self._outbox.waiting_bytes) if self._outbox else (0, 0)

    def keep(self, payload: RawPayload) -> None:
        """Queue a payload, if the target wants it.

        Raises:
            Overloaded: the queue is full and the target's policy is to refuse.
        """
        if not self.target.takes(payload.kind):
            return
        if self._put(payload):
            self.counters.queued += 1
            return
        if self.target.when_full is WhenFull.REFUSE:
            raise Overloaded(f"the forwarding queue of {self.target.name} is full; send again in a moment")
        self.counters.dropped += 1

    def close(self) -> None:
        """Close its queue; what waits is kept."""
        with self._lock:
            if self._outbox is not None:
                self._outbox.close()

    def _put(self, payload: RawPayload) -> bool:
        try:
            return self.outbox.put(payload, wait_s=self.target.wait_s)
        except CorrelateError as exc:
            self.counters.problem = str(exc)
            _LOG.warning("not passed on to %s: %s", self.target.name, exc)
            return False


class Forward:
    """The way in for doors whose payloads are passed on; stands before `Ingest` and looks like it."""

    def __init__(self, ingest: Ingests, targets: Sequence[Target], open_outbox: Callable[[Target], Outbox]) -> None:
        self.lanes = tuple(Lane(target, open_outbox) for target in targets)
        self._ingest = ingest

    def accept(self, payload: RawPayload) -> Accepted:
        """Read a payload, queue its rows and queue the payload itself for every target that wants it.

        Raises:
            BadInput: nothing of the payload can be used here; targets with `unreadable` get it nevertheless.
            Overloaded: a queue is full.
        """
        try:
            accepted = self._ingest.accept(payload)
        except BadInput:
            for lane in self.lanes:
                if lane.target.unreadable:
                    lane.keep(payload)
            raise
        for lane in self.lanes:
            lane.keep(payload)
        return accepted

    @staticmethod
    def delivery(lane: Lane, courier: Courier) -> "Delivery":
        """What carries the payloads of a lane, not yet started."""
        return Delivery(lane, courier)

    def close(self) -> None:
        """Close all queues; what waits is kept for the next start."""
        for lane in self.lanes:
            lane.close()


class Delivery:
    """Carries the payloads of one lane to its target, one at a time and in order, until stopped.

    Args:
        lane: where they wait.
        courier: who carries them.
        pauses: how long to wait between attempts.
        luck: a random number in [0, 1).
    """

    def __init__(
        self, lane: Lane, courier: Courier, pauses: Pauses | None = None, luck: Callable[[], float] = random.random
    ) -> None:
        self._lane = lane
        self._courier = courier
        self._pauses = pauses or Pauses()
        self._luck = luck
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"forward {lane.target.name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver what waits.

        Raises:
            ConfigError: another process does it already.
            StoreError: the queue cannot be opened.
        """
        _ = self._lane.outbox
        self._thread.start()

    def stop(self) -> None:
        """Finish the attempt under way and return; the rest stays in the queue."""
        self._stop.set()
        self._thread.join(self._lane.target.timeout_s + _IDLE_S + 1.0)
        self._courier.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                payload = self._lane.outbox.first(wait_s=_IDLE_S)
                if payload is not None:
                    self._settle(payload)
            except Exception as exc:  # noqa: BLE001 the thread must live; what it could not settle comes again
                self._lane.counters.problem = str(exc)
                _LOG.exception("forwarding to %s stumbled", self._lane.target.name)
                self._stop.wait(_IDLE_S)

    def _settle(self, payload: RawPayload) -> None:
        """Try until the payload is delivered, refused, or the end comes."""
        attempt = doubts = 0
        while not self._stop.is_set():
            verdict = self._courier.deliver(payload)
            doubts += verdict.fate is Fate.DOUBTFUL
            if verdict.fate is Fate.DELIVERED:
                return self._delivered()
            if verdict.fate is Fate.REFUSED or doubts > _DOUBTS:
                return self._refused(payload, verdict)
            self._put_off(verdict, attempt)
            attempt += 1
        return None

    def _delivered(self) -> None:
        self._lane.outbox.done()
        self._lane.counters.delivered += 1
        self._lane.counters.problem = ""

    def _refused(self, payload: RawPayload, verdict: Verdict) -> None:
        self._lane.outbox.refuse(payload, verdict.reason)
        self._lane.outbox.done()
        self._lane.counters.refused += 1
        self._lane.counters.problem = verdict.reason
        _LOG.warning("%s refused a payload, which is in refused.jsonl now: %s", self._lane.target.name, verdict.reason)

    def _put_off(self, verdict: Verdict, attempt: int) -> None:
        if attempt == 0:
            _LOG.warning("%s has to wait: %s", self._lane.target.name, verdict.reason)
        self._lane.counters.retries += 1
        self._lane.counters.problem = verdict.reason
        self._stop.wait(self._pauses.pause_s(attempt, self._luck(), verdict.wait_s))
