"""What is remembered of alerts, silences, feedback, and messages that wait for their receivers."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol

from correlate.model.alert_changes import AlertFilter, Changes, Group, Standing
from correlate.model.alerts import Alert, AlertEvent, Feedback, Notification, Silence


class AlertBook(Protocol):
    """Alerts and what happened to them, what receivers believe, and how far detectors have come."""

    def standing(self, service: str, fingerprints: Sequence[str] = ()) -> Standing:
        """What is known of a service: its open alerts, and those of the fingerprints, open or not."""
        ...

    def apply(self, changes: Changes) -> bool:
        """Write everything in one transaction.

        False, and nothing is written, when an alert, a group or the mark of a detector was changed since it was read:
        read anew and decide anew.
        """
        ...

    def get(self, fingerprint: str) -> Alert | None:
        """One alert, in its last episode."""
        ...

    def many(self, fingerprints: Sequence[str]) -> list[Alert]:
        """Those of them that are known."""
        ...

    def find(self, wanted: AlertFilter) -> list[Alert]:
        """Firing ones first, then watched, then resolved; within these the last changed first."""
        ...

    def open(self) -> list[Alert]:
        """All that are watched or firing."""
        ...

    def history(self, fingerprint: str, *, limit: int = 1000) -> list[AlertEvent]:
        """What happened to an alert in all its episodes, the newest first."""
        ...

    def groups(self) -> list[Group]:
        """What is remembered of groups, of all receivers."""
        ...

    def prune(self, before_ns: int) -> int:
        """Forget alerts that were resolved before, and groups that were last looked at before; events are kept.

        Returns:
            How many alerts were forgotten.
        """
        ...


class Silences(Protocol):
    """Silences, also those that are over."""

    def add(self, silence: Silence) -> Silence:
        """Keep one; it comes back with its id."""
        ...

    def get(self, ident: int) -> Silence | None:
        """One of them."""
        ...

    def end(self, ident: int, now_ns: int) -> Silence | None:
        """End one now, if it is not over yet; None when there is none."""
        ...

    def list(self, *, ending_after_ns: int = 0, limit: int = 1000) -> list[Silence]:
        """The newest first."""
        ...

    def prune(self, before_ns: int) -> int:
        """Forget those that ended before; how many that were."""
        ...


class FeedbackBook(Protocol):
    """What people said about alerts; written by `AlertBook.apply`."""

    def steps(self, service: str, now_ns: int) -> Mapping[str, int]:
        """By detector, how many steps less sensitive it is to be for a service now; see `alert_policy.lowered`."""
        ...

    def list(self, *, limit: int = 1000) -> list[Feedback]:
        """The newest first."""
        ...


@dataclass(frozen=True, slots=True)
class QueueState:
    """How it goes with the messages of one receiver. Times are nanoseconds since the Unix epoch, 0: never.

    Attributes:
        receiver: its name.
        waiting_count: messages that are not delivered yet.
        oldest_ns: when the oldest of them was decided.
        sent_count: delivered ones that are still kept.
        last_sent_ns: when one was last delivered.
        dead_count: those that were given up.
        last_error: of the last try that failed.
        last_error_ns: when that was.
    """

    receiver: str
    waiting_count: int = 0
    oldest_ns: int = 0
    sent_count: int = 0
    last_sent_ns: int = 0
    dead_count: int = 0
    last_error: str = ""
    last_error_ns: int = 0


@dataclass(frozen=True, slots=True)
class DeadNotification:
    """A message that was given up, kept so that people see it.

    Attributes:
        notification: what would have been told.
        error: why it was given up.
        given_up_ns: when.
    """

    notification: Notification
    error: str
    given_up_ns: int


class NotificationOutbox(Protocol):
    """Messages that wait for their receivers; added by `AlertBook.apply`, in the same transaction as what caused them.

    Of each group only the oldest message is handed out, so a receiver hears of a group in order. What is handed out is
    leased: whoever dies with it leaves it to the next once the lease is over, so it may be sent twice, never not at
    all. `Notification.attempts` tells one lease from another.
    """

    def claim(self, receiver: str, limit: int, lease_s: float) -> list[Notification]:
        """Take messages that are due, the oldest of each group, for some seconds."""
        ...

    def done(self, notification: Notification) -> bool:
        """It was delivered; False when the lease was over and somebody else has it."""
        ...

    def retry(self, notification: Notification, due_ns: int, error: str) -> bool:
        """It was not delivered; try again, not before `due_ns`. The rest of its group waits for it."""
        ...

    def give_up(self, notification: Notification, error: str) -> bool:
        """It cannot be delivered: it stays visible as dead, and its group goes on."""
        ...

    def revive(self, ident: int) -> bool:
        """Try a dead one again, now; False when there is no such one."""
        ...

    def waiting(self) -> AbstractSet[tuple[str, str]]:
        """Receiver and group key of groups with messages that are not delivered yet."""
        ...

    def queues(self) -> list[QueueState]:
        """By receiver, of all that ever had messages that are still kept."""
        ...

    def dead(self, receiver: str | None = None, *, limit: int = 100) -> list[DeadNotification]:
        """Those that were given up, the newest first."""
        ...

    def prune(self, before_ns: int) -> int:
        """Forget delivered and dead ones of before; how many that were."""
        ...


@dataclass(frozen=True, slots=True)
class AlertBooks:
    """Everything that is remembered about alerts.

    Attributes:
        alerts: alerts, events, groups.
        silences: who is not to be told what.
        feedback: what people said.
        outbox: messages on their way.
    """

    alerts: AlertBook
    silences: Silences
    feedback: FeedbackBook
    outbox: NotificationOutbox
