"""Silences, and what people said about alerts, in SQL."""

from collections.abc import Mapping

import sqlalchemy as sa

from correlate.model.alerts import Feedback, Silence
from correlate.storage.alert_rows import feedback_of, name_of, silence_of, silence_row
from correlate.storage.alert_tables import ALERT_FEEDBACK, SILENCES
from correlate.storage.state import State


class SqlSilences:
    """`ports.Silences` in the state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, silence: Silence) -> Silence:
        """See `ports.Silences.add`."""
        statement = sa.insert(SILENCES).values(silence_row(silence)).returning(SILENCES)
        with self._state.transaction() as connection:
            return silence_of(connection.execute(statement).one())

    def get(self, ident: int) -> Silence | None:
        """See `ports.Silences.get`."""
        with self._state.transaction() as connection:
            row = connection.execute(sa.select(SILENCES).where(SILENCES.c.id == ident)).one_or_none()
        return None if row is None else silence_of(row)

    def end(self, ident: int, now_ns: int) -> Silence | None:
        """See `ports.Silences.end`: one that was to begin later never begins."""
        ends = sa.update(SILENCES).where(SILENCES.c.id == ident, SILENCES.c.end_ns > now_ns).values(end_ns=now_ns)
        with self._state.transaction() as connection:
            connection.execute(ends)
            row = connection.execute(sa.select(SILENCES).where(SILENCES.c.id == ident)).one_or_none()
        return None if row is None else silence_of(row)

    def list(self, *, ending_after_ns: int = 0, limit: int = 1000) -> list[Silence]:
        """See `ports.Silences.list`."""
        query = sa.select(SILENCES).where(SILENCES.c.end_ns > ending_after_ns).order_by(SILENCES.c.id.desc())
        with self._state.transaction() as connection:
            return [silence_of(row) for row in connection.execute(query.limit(limit))]

    def prune(self, before_ns: int) -> int:
        """See `ports.Silences.prune`."""
        with self._state.transaction() as connection:
            return connection.execute(sa.delete(SILENCES).where(SILENCES.c.end_ns < before_ns)).rowcount


class SqlFeedback:
    """`ports.FeedbackBook` in the state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def steps(self, service: str, now_ns: int) -> Mapping[str, int]:
        """See `ports.FeedbackBook.steps`."""
        counted = sa.select(ALERT_FEEDBACK.c.detector, sa.func.count().label("steps"))
        held = (ALERT_FEEDBACK.c.service == name_of(service), ALERT_FEEDBACK.c.expires_ns > now_ns)
        with self._state.transaction() as connection:
            rows = connection.execute(counted.where(*held).group_by(ALERT_FEEDBACK.c.detector))
            return {row.detector: row.steps for row in rows}

    def list(self, *, limit: int = 1000) -> list[Feedback]:
        """See `ports.FeedbackBook.list`."""
        query = sa.select(ALERT_FEEDBACK).order_by(ALERT_FEEDBACK.c.created_ns.desc(), ALERT_FEEDBACK.c.fingerprint)
        with self._state.transaction() as connection:
            return [feedback_of(row) for row in connection.execute(query.limit(limit))]
