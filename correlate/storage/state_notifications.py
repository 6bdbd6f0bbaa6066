"""Messages to receivers in SQL: a durable queue, in order within each group."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from correlate.model.alerts import Notification
from correlate.ports import Clock, DeadNotification, QueueState
from correlate.storage.alert_rows import clean, name_of, notification_of
from correlate.storage.alert_tables import NOTIFICATIONS
from correlate.storage.alert_text import load_text
from correlate.storage.state import State

_NS_PER_S: Final = 1_000_000_000
_N: Final = NOTIFICATIONS.c


class SqlNotificationOutbox:
    """`ports.NotificationOutbox` in the state database.

    Whether a lease is over is told by the clocks of those who ask: they must agree better than a lease is long, or a
    message may be sent twice at the same time; its idempotency key says that it is one.
    """

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def claim(self, receiver: str, limit: int, lease_s: float) -> list[Notification]:
        """See `ports.NotificationOutbox.claim`.

        One statement. What makes a message free is asked of the row itself too, so of two processes that saw it free
        the second finds that it no longer is.
        """
        now_ns = self._clock.now_ns()
        queued = (_N.state == "queued", _N.receiver == name_of(receiver))
        first = sa.select(sa.func.min(_N.id)).where(*queued).group_by(_N.group_id)
        free = (*queued, _N.due_ns <= now_ns, _N.leased_until_ns <= now_ns)
        chosen = sa.select(_N.id).where(*free, _N.id.in_(first)).order_by(_N.id).limit(limit)
        taken = {"leased_until_ns": now_ns + int(lease_s * _NS_PER_S), "attempts": _N.attempts + 1}
        statement = sa.update(NOTIFICATIONS).where(*free, _N.id.in_(chosen)).values(taken).returning(NOTIFICATIONS)
        with self._state.transaction() as connection:
            rows = connection.execute(statement).all()
        return sorted(map(notification_of, rows), key=lambda notification: notification.id)

    def done(self, notification: Notification) -> bool:
        """See `ports.NotificationOutbox.done`."""
        return self._settle(notification, {"state": "sent", "settled_ns": self._clock.now_ns()})

    def retry(self, notification: Notification, due_ns: int, error: str) -> bool:
        """See `ports.NotificationOutbox.retry`."""
        return self._settle(notification, {"due_ns": due_ns, "leased_until_ns": 0, **self._failed(error)})

    def give_up(self, notification: Notification, error: str) -> bool:
        """See `ports.NotificationOutbox.give_up`."""
        dead = {"state": "dead", "settled_ns": self._clock.now_ns(), **self._failed(error)}
        return self._settle(notification, dead)

    def revive(self, ident: int) -> bool:
        """See `ports.NotificationOutbox.revive`."""
        again = {"state": "queued", "due_ns": self._clock.now_ns(), "leased_until_ns": 0, "settled_ns": 0}
        statement = sa.update(NOTIFICATIONS).where(_N.id == ident, _N.state == "dead").values(again)
        with self._state.transaction() as connection:
            return connection.execute(statement).rowcount == 1

    def waiting(self) -> AbstractSet[tuple[str, str]]:
        """See `ports.NotificationOutbox.waiting`."""
        query = sa.select(_N.receiver, _N.group_key).where(_N.state == "queued").distinct()
        with self._state.transaction() as connection:
            return {(row.receiver, load_text(row.group_key)) for row in connection.execute(query)}

    def queues(self) -> list[QueueState]:
        """See `ports.NotificationOutbox.queues`."""
        sums = sa.select(
            _N.receiver,
            _N.state,
            sa.func.count().label("messages"),
            sa.func.min(_N.created_ns).label("oldest_ns"),
            sa.func.max(_N.settled_ns).label("settled_ns"),
        ).group_by(_N.receiver, _N.state)
        with self._state.transaction() as connection:
            counted = connection.execute(sums.order_by(_N.receiver)).all()
            failed = {row.receiver: row for row in connection.execute(_last_failures())}
        states = (
            QueueState(name, **_figures(counted, name)) for name in dict.fromkeys(row.receiver for row in counted)
        )
        return [_with_error(state, failed.get(state.receiver)) for state in states]

    def dead(self, receiver: str | None = None, *, limit: int = 100) -> list[DeadNotification]:
        """See `ports.NotificationOutbox.dead`."""
        query = sa.select(NOTIFICATIONS).where(_N.state == "dead").order_by(_N.id.desc()).limit(limit)
        if receiver is not None:
            query = query.where(_N.receiver == name_of(receiver))
        with self._state.transaction() as connection:
            rows = connection.execute(query).all()
        return [DeadNotification(notification_of(row), row.error, row.settled_ns) for row in rows]

    def prune(self, before_ns: int) -> int:
        """See `ports.NotificationOutbox.prune`."""
        over = (_N.state != "queued", _N.settled_ns < before_ns)
        with self._state.transaction() as connection:
            return connection.execute(sa.delete(NOTIFICATIONS).where(*over)).rowcount

    def _settle(self, notification: Notification, values: dict[str, Any]) -> bool:
        """Change a message that is still leased to the caller, or whose lease ended and that nobody took since."""
        mine = (_N.id == notification.id, _N.attempts == notification.attempts, _N.state == "queued")
        with self._state.transaction() as connection:
            return connection.execute(sa.update(NOTIFICATIONS).where(*mine).values(values)).rowcount == 1

    def _failed(self, error: str) -> dict[str, Any]:
        return {"error": clean(error), "error_ns": self._clock.now_ns()}


def _figures(rows: Iterable[sa.Row[Any]], receiver: str) -> dict[str, Any]:
    by_state = {row.state: row for row in rows if row.receiver == receiver}
    found: dict[str, Any] = {}
    if "queued" in by_state:
        found |= {"waiting_count": by_state["queued"].messages, "oldest_ns": by_state["queued"].oldest_ns}
    if "sent" in by_state:
        found |= {"sent_count": by_state["sent"].messages, "last_sent_ns": by_state["sent"].settled_ns}
    if "dead" in by_state:
        found |= {"dead_count": by_state["dead"].messages}
    return found


def _last_failures() -> sa.Select[Any]:
    number = sa.func.row_number().over(partition_by=_N.receiver, order_by=(_N.error_ns.desc(), _N.id.desc()))
    ranked = sa.select(_N.receiver, _N.error, _N.error_ns, number.label("number")).where(_N.error_ns > 0).subquery()
    return sa.select(ranked).where(ranked.c.number == 1)


def _with_error(state: QueueState, row: sa.Row[Any] | None) -> QueueState:
    return state if row is None else replace(state, last_error=row.error, last_error_ns=row.error_ns)
