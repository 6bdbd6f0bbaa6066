"""Alerts in SQL: everything that a decision changes is written in one transaction, or nothing is.

Alerts and groups carry a version, detectors how far they have come: each is changed only if it is as it was read. Of
two processes that judge the same service, or tell the same receiver, one writes and the other reads anew. Rows are
always written in the same order (judgements, alerts, groups, notifications, each sorted), so two of them wait for each
other but never in a circle; and a group is changed before its notifications are added, so these are numbered in the
order in which they were decided.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from correlate.model.alert_changes import AlertFilter, Changes, Group, Judged, Standing
from correlate.model.alerts import Alert, AlertEvent, AlertStatus
from correlate.storage.alert_rows import (
    alert_of,
    alert_row,
    event_of,
    event_row,
    feedback_row,
    group_id,
    group_of,
    group_row,
    name_of,
    notification_row,
)
from correlate.storage.alert_tables import (
    ALERT_EVENTS,
    ALERT_FEEDBACK,
    ALERT_GROUPS,
    ALERTS,
    JUDGEMENTS,
    NOTIFICATIONS,
)
from correlate.storage.state import State

_AT_ONCE: Final = 500
_OPEN: Final = (AlertStatus.WATCH.value, AlertStatus.FIRING.value)
_LOUDEST_FIRST: Final = sa.case({"firing": 0, "watch": 1}, value=ALERTS.c.status, else_=2)


class _Conflict(Exception):
    """Somebody else was faster; leaves the transaction without a trace."""


class SqlAlertBook:
    """`ports.AlertBook` in the state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def standing(self, service: str, fingerprints: Sequence[str] = ()) -> Standing:
        """See `ports.AlertBook.standing`."""
        name = name_of(service)
        marks = sa.select(JUDGEMENTS.c.detector, JUDGEMENTS.c.until_ns).where(JUDGEMENTS.c.service == name)
        open_ = _alerts().where(ALERTS.c.service == name, ALERTS.c.status.in_(_OPEN))
        with self._state.transaction() as connection:
            judged = {row.detector: row.until_ns for row in connection.execute(marks)}
            alerts = {alert.fingerprint: alert for alert in map(alert_of, connection.execute(open_))}
            others = [each for each in fingerprints if each not in alerts]
            alerts |= {alert.fingerprint: alert for alert in _many(connection, others)}
            episodes = _episodes(connection, [each for each in others if each not in alerts])
        return Standing(judged, tuple(alerts.values()), episodes)

    def apply(self, changes: Changes) -> bool:
        """See `ports.AlertBook.apply`."""
        try:
            with self._state.transaction() as connection:
                self._write(connection, changes)
        except _Conflict:
            return False
        return True

    def get(self, fingerprint: str) -> Alert | None:
        """See `ports.AlertBook.get`."""
        return next(iter(self.many([fingerprint])), None)

    def many(self, fingerprints: Sequence[str]) -> list[Alert]:
        """See `ports.AlertBook.many`."""
        with self._state.transaction() as connection:
            return _many(connection, fingerprints)

    def find(self, wanted: AlertFilter) -> list[Alert]:
        """See `ports.AlertBook.find`."""
        query = _alerts().where(*_conditions(wanted)).limit(wanted.limit)
        ordered = query.order_by(_LOUDEST_FIRST, ALERTS.c.since_ns.desc(), ALERTS.c.fingerprint)
        with self._state.transaction() as connection:
            return [alert_of(row) for row in connection.execute(ordered)]

    def open(self) -> list[Alert]:
        """See `ports.AlertBook.open`."""
        query = _alerts().where(ALERTS.c.status.in_(_OPEN))
        with self._state.transaction() as connection:
            return [alert_of(row) for row in connection.execute(query.order_by(ALERTS.c.fingerprint))]

    def history(self, fingerprint: str, *, limit: int = 1000) -> list[AlertEvent]:
        """See `ports.AlertBook.history`."""
        query = sa.select(ALERT_EVENTS).where(ALERT_EVENTS.c.fingerprint == fingerprint)
        with self._state.transaction() as connection:
            return [event_of(row) for row in connection.execute(query.order_by(ALERT_EVENTS.c.id.desc()).limit(limit))]

    def groups(self) -> list[Group]:
        """See `ports.AlertBook.groups`."""
        query = sa.select(ALERT_GROUPS).order_by(ALERT_GROUPS.c.receiver, ALERT_GROUPS.c.id)
        with self._state.transaction() as connection:
            return [group_of(row) for row in connection.execute(query)]

    def prune(self, before_ns: int) -> int:
        """See `ports.AlertBook.prune`."""
        over = (ALERTS.c.status == AlertStatus.RESOLVED.value, ALERTS.c.since_ns < before_ns)
        with self._state.transaction() as connection:
            connection.execute(sa.delete(ALERT_GROUPS).where(ALERT_GROUPS.c.next_ns < before_ns))
            connection.execute(sa.delete(ALERT_FEEDBACK).where(ALERT_FEEDBACK.c.expires_ns < before_ns))
            return connection.execute(sa.delete(ALERTS).where(*over)).rowcount

    def _write(self, connection: sa.Connection, changes: Changes) -> None:
        self._move_on(connection, changes.judged)
        self._put_alerts(connection, changes.alerts)
        self._put_groups(connection, changes.groups)
        _close_groups(connection, changes.closed)
        _insert(connection, sa.insert(ALERT_EVENTS), [event_row(event) for event in changes.events])
        queued = [notification_row(each) for each in changes.notifications]
        _insert(connection, self._state.insert(NOTIFICATIONS).on_conflict_do_nothing(), queued)
        said = [feedback_row(each) for each in changes.feedback]
        _insert(connection, self._state.insert(ALERT_FEEDBACK).on_conflict_do_nothing(), said)

    def _move_on(self, connection: sa.Connection, judged: Sequence[Judged]) -> None:
        for each in sorted(judged, key=lambda each: (each.service, each.detector)):
            here = {"service": name_of(each.service), "detector": name_of(each.detector)}
            statement: sa.Insert | sa.Update
            if each.from_ns is None:
                statement = self._state.insert(JUDGEMENTS).values(here | {"until_ns": each.until_ns})
                statement = statement.on_conflict_do_nothing()
            else:
                seen = [JUDGEMENTS.c[name] == value for name, value in here.items()]
                statement = sa.update(JUDGEMENTS).where(*seen, JUDGEMENTS.c.until_ns == each.from_ns)
                statement = statement.values(until_ns=each.until_ns)
            _must_hit(connection, statement.returning(JUDGEMENTS.c.until_ns))

    def _put_alerts(self, connection: sa.Connection, alerts: Iterable[Alert]) -> None:
        for alert in sorted(alerts, key=lambda alert: alert.fingerprint):
            row = alert_row(alert)
            statement: sa.Insert | sa.Update
            if alert.version == 0:
                statement = self._state.insert(ALERTS).values(row).on_conflict_do_nothing()
            else:
                same = (ALERTS.c.fingerprint == alert.fingerprint, ALERTS.c.version == alert.version)
                statement = sa.update(ALERTS).where(*same).values(row)
            _must_hit(connection, statement.returning(ALERTS.c.version))

    def _put_groups(self, connection: sa.Connection, groups: Iterable[Group]) -> None:
        for row, version in sorted(
            ((group_row(each), each.version) for each in groups), key=lambda both: both[0]["id"]
        ):
            statement: sa.Insert | sa.Update
            if version == 0:
                statement = self._state.insert(ALERT_GROUPS).values(row).on_conflict_do_nothing()
            else:
                same = (ALERT_GROUPS.c.id == row["id"], ALERT_GROUPS.c.version == version)
                statement = sa.update(ALERT_GROUPS).where(*same).values(row)
            _must_hit(connection, statement.returning(ALERT_GROUPS.c.version))


def _close_groups(connection: sa.Connection, groups: Iterable[Group]) -> None:
    for ident, version in sorted((group_id(each.receiver, each.key), each.version) for each in groups):
        same = (ALERT_GROUPS.c.id == ident, ALERT_GROUPS.c.version == version)
        _must_hit(connection, sa.delete(ALERT_GROUPS).where(*same).returning(ALERT_GROUPS.c.version))


def _must_hit(connection: sa.Connection, statement: sa.Executable) -> None:
    """RETURNING tells what was written; how many rows an INSERT added is not told by every driver."""
    if connection.execute(statement).first() is None:
        raise _Conflict


def _insert(connection: sa.Connection, statement: sa.Insert, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(statement, rows)


def _alerts() -> sa.Select[Any]:
    return sa.select(ALERTS.c.body, ALERTS.c.version)


def _many(connection: sa.Connection, fingerprints: Sequence[str]) -> list[Alert]:
    query = _alerts()
    chunks = (fingerprints[at : at + _AT_ONCE] for at in range(0, len(fingerprints), _AT_ONCE))
    return [alert_of(row) for some in chunks for row in connection.execute(query.where(ALERTS.c.fingerprint.in_(some)))]


def _episodes(connection: sa.Connection, fingerprints: Sequence[str]) -> Mapping[str, int]:
    """The last episodes of alerts that were forgotten: their events are still there."""
    if not fingerprints:
        return {}
    last = sa.select(ALERT_EVENTS.c.fingerprint, sa.func.max(ALERT_EVENTS.c.episode).label("episode"))
    wanted = last.where(ALERT_EVENTS.c.fingerprint.in_(fingerprints)).group_by(ALERT_EVENTS.c.fingerprint)
    return {row.fingerprint: row.episode for row in connection.execute(wanted)}


def _conditions(wanted: AlertFilter) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.statuses:
        found.append(ALERTS.c.status.in_([status.value for status in wanted.statuses]))
    if wanted.severities:
        found.append(ALERTS.c.severity.in_([severity.value for severity in wanted.severities]))
    if wanted.service is not None:
        found.append(ALERTS.c.service == name_of(wanted.service))
    if wanted.detector is not None:
        found.append(ALERTS.c.detector == name_of(wanted.detector))
    return found
