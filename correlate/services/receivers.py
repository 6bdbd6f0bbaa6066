"""The receivers of alerts: how they are, whether they were tested, and trying again what they did not take."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from correlate.alerting import grouping
from correlate.alerting.payloads_trial import trial_alert
from correlate.errors import CorrelateError, NotFound
from correlate.model.alert_changes import Changes
from correlate.model.alert_policy import ReceiverRoute
from correlate.model.alerts import Notification
from correlate.ports import AlertBooks, Clock, DeadNotification, QueueState
from correlate.ports.receivers import Facts, Recipient

_TESTED: Final = "receiver_tested/"
_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class ReceiverView:
    """A receiver as people want to see it.

    Attributes:
        name: what the configuration calls it, or called it.
        route: what it is told, and when; None: it is not configured any more.
        queue: how it goes with its messages.
        tested_ns: when it last took a test alert; 0: never.
    """

    name: str
    route: ReceiverRoute | None
    queue: QueueState
    tested_ns: int


@dataclass(frozen=True, slots=True)
class Tried:
    """How a test alert fared.

    Attributes:
        name: the receiver.
        ok: whether it was taken.
        text: one sentence.
    """

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of dead notifications: on their way again, or left since their alerts are over by now."""

    revived: int = 0
    over: int = 0


class Receivers:
    """What is known of the receivers; for every process, whether it delivers or not."""

    def __init__(self, routes: Sequence[ReceiverRoute], books: AlertBooks, facts: Facts, clock: Clock) -> None:
        self.routes = tuple(routes)
        self._books = books
        self._facts = facts
        self._clock = clock

    def all(self) -> list[ReceiverView]:
        """Those that are configured, in order; then those that are not any more and whose messages are still kept.

        Raises:
            StoreError: the state database failed.
        """
        queues = {queue.receiver: queue for queue in self._books.outbox.queues()}
        routes = {route.name: route for route in self.routes}
        return [
            ReceiverView(name, routes.get(name), queues.get(name, QueueState(name)), self.tested_ns(name))
            for name in dict.fromkeys([*routes, *queues])
        ]

    def dead(self, receiver: str | None = None, *, limit: int = 100) -> list[DeadNotification]:
        """What was given up, the newest first.

        Raises:
            StoreError: the state database failed.
        """
        return self._books.outbox.dead(receiver, limit=limit)

    def tested_ns(self, receiver: str) -> int:
        """When a receiver last took a test alert; 0: never.

        Raises:
            StoreError: the state database failed.
        """
        return int(self._facts.get(_TESTED + receiver) or 0)

    def note_test(self, receiver: str) -> None:
        """It took a test alert, now.

        Raises:
            StoreError: the state database failed.
        """
        self._facts.put(_TESTED + receiver, str(self._clock.now_ns()))

    def test_later(self, receiver: str, by: str = "") -> Notification:
        """Put a test alert on its way, for the process that delivers.

        Raises:
            NotFound: no receiver has that name.
            StoreError: the state database failed.
        """
        now_ns = self._clock.now_ns()
        told = grouping.test_notification(self._route(receiver), trial_alert(receiver, now_ns, by=by), now_ns)
        self._books.alerts.apply(Changes(notifications=(told,)))
        return told

    def test(self, recipient: Recipient, *, end: bool = False) -> Tried:
        """Tell a receiver a test alert, now, and its end if wanted; beside the queue.

        Raises:
            StoreError: the state database failed.
        """
        began_ns = self._clock.now_ns()
        try:
            for over in (False, True) if end else (False,):
                self._tell(recipient, began_ns, over=over)
        except CorrelateError as exc:
            return Tried(recipient.name, ok=False, text=str(exc))
        self.note_test(recipient.name)
        return Tried(recipient.name, ok=True, text=f"took the test alert{' and its end' if end else ''}")

    def resend(self, receiver: str | None = None) -> Resent:
        """Try again what was given up, the oldest first, unless it speaks of alerts that are over by now.

        A receiver that was told of the end meanwhile would believe in such an alert for ever.

        Raises:
            StoreError: the state database failed.
        """
        dead = sorted(self._books.outbox.dead(receiver, limit=_MOST), key=lambda each: each.notification.id)
        still = [each.notification for each in dead if self._still_so(each.notification)]
        return Resent(sum(self._books.outbox.revive(each.id) for each in still), len(dead) - len(still))

    def _tell(self, recipient: Recipient, began_ns: int, *, over: bool) -> None:
        now_ns = self._clock.now_ns()
        alert = trial_alert(recipient.name, now_ns, over=over, began_ns=began_ns)
        route = ReceiverRoute(recipient.name)
        recipient.receiver.deliver(grouping.test_notification(route, alert, now_ns))

    def _still_so(self, told: Notification) -> bool:
        firing = {alert.fingerprint: alert.episode for alert in told.alerts if alert.open}
        now = {alert.fingerprint: alert for alert in self._books.alerts.many(list(firing))}
        return all(name in now and now[name].open and now[name].episode == seen for name, seen in firing.items())

    def _route(self, receiver: str) -> ReceiverRoute:
        for route in self.routes:
            if route.name == receiver:
                return route
        known = ", ".join(route.name for route in self.routes) or "none"
        raise NotFound(f"no receiver is named {receiver[:100]!r}; there are {known}")
