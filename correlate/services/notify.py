"""Telling receivers about alerts: at least once, in the order of each group, whatever happens to either side.

What is to be told is in the outbox before anybody is told, so a process that dies loses nothing. A receiver that is
down, slow or busy delays what is for it alone, and within it a notification that it cannot take delays its group alone.
Every attempt carries the same idempotency key.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from correlate.errors import CorrelateError, SourceRefused, SourceTooSlow
from correlate.model.alerts import Alert, Notification, Reason
from correlate.ports import AlertBook, Clock, Leases, NotificationOutbox
from correlate.ports.receivers import Recipient
from correlate.services.notify_pace import Pace, Pauses

_LOG: Final = logging.getLogger(__name__)
_NS_PER_S: Final = 1_000_000_000
_MOST_RESOLVED: Final = 10_000


@dataclass(frozen=True, slots=True)
class NotifyBooks:
    """Where telling finds and writes what it does.

    Attributes:
        outbox: what is to be told.
        alerts: what receivers were told, and how alerts are now.
        leases: who tells everything again, where that is to be done.
        tested: is told the name of a receiver that took a test alert.
    """

    outbox: NotificationOutbox
    alerts: AlertBook
    leases: Leases
    tested: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class NotifyCounters:
    """What happened to the notifications of one receiver since the process started; read by metrics.

    Attributes:
        sent: taken by it.
        failed: attempts that failed.
        given_up: that it will not take, or did not for too long.
        repeated: rounds in which it was told everything again.
        problem: why the last attempt failed, "" when it did not.
    """

    sent: int = 0
    failed: int = 0
    given_up: int = 0
    repeated: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NotifyReport:
    """What one turn did.

    Attributes:
        sent: notifications that were taken.
        failed: attempts that failed and will be repeated.
        given_up: notifications that are dead now.
        repeated: receivers that were told everything again.
    """

    sent: int = 0
    failed: int = 0
    given_up: int = 0
    repeated: int = 0

    def __add__(self, other: "NotifyReport") -> "NotifyReport":
        return NotifyReport(
            self.sent + other.sent,
            self.failed + other.failed,
            self.given_up + other.given_up,
            self.repeated + other.repeated,
        )


_SENT: Final = NotifyReport(sent=1)
_FAILED: Final = NotifyReport(failed=1)
_GIVEN_UP: Final = NotifyReport(given_up=1)


@dataclass(slots=True)
class _Lane:
    """What is remembered of one receiver while the process lives; it may be forgotten without harm."""

    pace: Pace
    pool: ThreadPoolExecutor
    turn: threading.Lock = field(default_factory=threading.Lock)
    counters: NotifyCounters = field(default_factory=NotifyCounters)
    quiet_until_ns: int = 0
    repeat_ns: int = 0
    resolved: dict[str, tuple[Alert, int]] = field(default_factory=dict)


class Notify:
    """Delivers what is due; one for each process, safe to use from many threads."""

    def __init__(
        self,
        books: NotifyBooks,
        clock: Clock,
        *,
        holder: str = "",
        pauses: Pauses | None = None,
        luck: Callable[[], float] = random.random,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            books: where things are written down.
            clock: the time of day.
            holder: names this process.
            pauses: how long to wait between attempts.
            luck: a random number in [0, 1).
        """
        self._books = books
        self._clock = clock
        self._holder = holder
        self._pauses = pauses or Pauses()
        self._luck = luck
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}

    def due(self, recipients: Sequence[Recipient]) -> NotifyReport:
        """Tell every receiver what is due for it, each in its own time; not those that another turn is busy with.

        Raises:
            StoreError: the state database failed.
        """
        if not recipients or self._stop.is_set():
            return NotifyReport()
        with ThreadPoolExecutor(len(recipients), thread_name_prefix="notify") as turns:
            return sum(turns.map(self._turn, recipients), NotifyReport())

    def counters(self) -> dict[str, NotifyCounters]:
        """By receiver, what happened since the process started."""
        with self._lock:
            return {name: lane.counters for name, lane in self._lanes.items()}

    def stop(self) -> None:
        """Begin nothing more; what is under way ends in its time."""
        self._stop.set()

    def close(self) -> None:
        """Stop, and wait for what is under way."""
        self.stop()
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.pool.shutdown(wait=True, cancel_futures=True)

    def _lane(self, recipient: Recipient) -> _Lane:
        with self._lock:
            if recipient.name not in self._lanes:
                pool = ThreadPoolExecutor(recipient.at_once, thread_name_prefix=f"notify {recipient.name}")
                pace = Pace(recipient.rate_per_s, recipient.burst, self._clock.now_ns())
                self._lanes[recipient.name] = _Lane(pace, pool)
            return self._lanes[recipient.name]

    def _turn(self, recipient: Recipient) -> NotifyReport:
        lane = self._lane(recipient)
        if not lane.turn.acquire(blocking=False):
            return NotifyReport()
        try:
            return self._drain(recipient, lane) + self._repeat(recipient, lane)
        finally:
            lane.turn.release()

    def _drain(self, recipient: Recipient, lane: _Lane) -> NotifyReport:
        """Batch after batch, until nothing is due, the pace is used up, or a whole batch failed."""
        total = NotifyReport()
        while not self._stop.is_set() and self._clock.now_ns() >= lane.quiet_until_ns:
            room = min(lane.pace.room(self._clock.now_ns()), recipient.at_once)
            batch = self._books.outbox.claim(recipient.name, room, recipient.lease_s) if room else []
            if not batch:
                break
            lane.pace.take(len(batch))
            done = sum(lane.pool.map(lambda each: self._one(recipient, lane, each), batch), NotifyReport())
            total += done
            if done.failed == len(batch):
                break
        return total

    def _one(self, recipient: Recipient, lane: _Lane, notification: Notification) -> NotifyReport:
        try:
            recipient.receiver.deliver(notification)
        except Exception as exc:  # noqa: BLE001 whatever it is, the notification stays and the others go on
            return self._failed(recipient, lane, notification, exc)
        self._books.outbox.done(notification)
        if notification.reason is Reason.TEST:
            self._books.tested(recipient.name)
        self._remember(recipient, lane, notification)
        lane.counters.sent += 1
        lane.counters.problem = ""
        return _SENT

    def _failed(self, recipient: Recipient, lane: _Lane, told: Notification, error: Exception) -> NotifyReport:
        reason = str(error) if isinstance(error, CorrelateError) else f"{type(error).__name__}: {error}"
        lane.counters.problem = reason
        now_ns = self._clock.now_ns()
        too_long = now_ns - told.created_ns >= int(recipient.give_up_after_s * _NS_PER_S)
        if isinstance(error, SourceRefused) or too_long:
            return self._give_up(lane, told, reason)
        asked_s = error.retry_after_s if isinstance(error, SourceTooSlow) else None
        if asked_s is not None:
            lane.quiet_until_ns = now_ns + int(asked_s * _NS_PER_S)
        waited_s = (now_ns - told.created_ns) / _NS_PER_S
        pause_s = self._pauses.pause_s(told.attempts, self._luck(), waited_s, asked_s)
        lane.counters.failed += 1
        if told.attempts <= 1 or not isinstance(error, CorrelateError):
            _LOG.warning("%s has to wait: %s", told.receiver, reason, exc_info=not isinstance(error, CorrelateError))
        self._books.outbox.retry(told, now_ns + int(pause_s * _NS_PER_S), reason)
        return _FAILED

    def _give_up(self, lane: _Lane, told: Notification, reason: str) -> NotifyReport:
        lane.counters.given_up += 1
        _LOG.error(
            "%s did not take notification %d about %s, which is dead now (`correlate alerts resend %s` revives it): %s",
            told.receiver,
            told.id,
            ", ".join(alert.fingerprint for alert in told.alerts[:5]),
            told.receiver,
            reason,
        )
        self._books.outbox.give_up(told, reason)
        return _GIVEN_UP

    def _remember(self, recipient: Recipient, lane: _Lane, told: Notification) -> None:
        """What was resolved is told again for some minutes, where everything is told again."""
        if recipient.repeat is None:
            return
        until_ns = self._clock.now_ns() + int(recipient.repeat_resolved_s * _NS_PER_S)
        for alert in told.alerts:
            if not alert.open and len(lane.resolved) < _MOST_RESOLVED:
                lane.resolved[alert.fingerprint] = (alert, until_ns)

    def _repeat(self, recipient: Recipient, lane: _Lane) -> NotifyReport:
        """Tell a receiver that forgets everything again; of many processes one does, once in each interval."""
        now_ns = self._clock.now_ns()
        if recipient.repeat is None or self._stop.is_set() or now_ns < max(lane.quiet_until_ns, lane.repeat_ns):
            return NotifyReport()
        lane.repeat_ns = now_ns + int(0.1 * recipient.repeat_every_s * _NS_PER_S)  # asking all the time is no use
        alerts = self._told(recipient.name, lane)
        # The lease is not given back: that it expires is the rhythm.
        lease = alerts and self._books.leases.acquire(
            f"repeat {recipient.name}", self._holder, 0.9 * recipient.repeat_every_s
        )
        if not lease:
            return NotifyReport()
        try:
            recipient.repeat(alerts)
        except CorrelateError as exc:
            lane.counters.failed += 1
            lane.counters.problem = str(exc)
            return _FAILED
        lane.counters.repeated += 1
        return NotifyReport(repeated=1)

    def _told(self, receiver: str, lane: _Lane) -> list[Alert]:
        """What a receiver was told is there, as it is now, and what it was lately told is over."""
        now_ns = self._clock.now_ns()
        lane.resolved = {name: kept for name, kept in lane.resolved.items() if kept[1] > now_ns}
        names = [name for group in self._books.alerts.groups() if group.receiver == receiver for name in group.told]
        known = {alert.fingerprint: alert for alert in self._books.alerts.many(names)} if names else {}
        over = [alert for alert, _ in lane.resolved.values() if alert.fingerprint not in known]
        return [*known.values(), *over]
