"""How the sources are, in SQL."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, Final

import orjson
import sqlalchemy as sa

from correlate.ports import Part, SourceStatus
from correlate.storage.state import State, metadata

_CONFIGURED: Final = ("kind", "place", "configured")
_NUMBERS: Final = (
    "last_ok_ns",
    "last_error_ns",
    "retry_at_ns",
    "failures_in_a_row",
    "pulls",
    "failures",
    "payloads",
    "spans",
    "profiles",
    "samples",
    "duplicates",
    "rejects",
    "dead",
)

SOURCE_STATUS: Final = sa.Table(
    "source_status",
    metadata,
    sa.Column("source", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(50), nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("configured", sa.Boolean, nullable=False),
    sa.Column("last_error", sa.Text, nullable=False),
    sa.Column("last_pull_seconds", sa.Float, nullable=False),
    sa.Column("parts", sa.Text, nullable=False),
    *(sa.Column(name, sa.BigInteger, nullable=False) for name in _NUMBERS),
)
"""One row per source that was ever configured or pulled; the columns are the fields of `ports.SourceStatus`."""


class SqlSourceStatuses:
    """`ports.SourceStatuses` in the state database."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, source: str) -> SourceStatus:
        """See `ports.SourceStatuses.get`."""
        with self._state.transaction() as connection:
            row = connection.execute(sa.select(SOURCE_STATUS).where(SOURCE_STATUS.c.source == source)).one_or_none()
        return SourceStatus(source) if row is None else _status(row)

    def put(self, status: SourceStatus) -> None:
        """See `ports.SourceStatuses.put`."""
        kept = {column.name for column in SOURCE_STATUS.c} - {*_CONFIGURED, "source"}
        with self._state.transaction() as connection:
            self._upsert(connection, status, kept)

    def configure(self, sources: Sequence[SourceStatus]) -> None:
        """See `ports.SourceStatuses.configure`."""
        names = [status.source for status in sources]
        gone = sa.update(SOURCE_STATUS).where(SOURCE_STATUS.c.source.not_in(names)).values(configured=False)
        with self._state.transaction() as connection:
            connection.execute(gone)
            for status in sorted(sources, key=lambda status: status.source):
                self._upsert(connection, replace(status, configured=True), set(_CONFIGURED))

    def all(self) -> list[SourceStatus]:
        """See `ports.SourceStatuses.all`."""
        with self._state.transaction() as connection:
            return [_status(row) for row in connection.execute(sa.select(SOURCE_STATUS).order_by("source"))]

    def _upsert(self, connection: sa.Connection, status: SourceStatus, replaced: set[str]) -> None:
        statement = self._state.insert(SOURCE_STATUS).values(_row(status))
        changes = {name: statement.excluded[name] for name in replaced}
        connection.execute(statement.on_conflict_do_update(index_elements=["source"], set_=changes))


def _row(status: SourceStatus) -> dict[str, Any]:
    row = {field.name: getattr(status, field.name) for field in fields(status)}
    return row | {"parts": orjson.dumps([[part.name, part.ok, part.text] for part in status.parts]).decode()}


def _status(row: sa.Row[Any]) -> SourceStatus:
    values = dict(row._mapping)  # noqa: SLF001  the public name of it, see SQLAlchemy's documentation of Row
    return SourceStatus(**values | {"parts": tuple(Part(*part) for part in orjson.loads(values["parts"]))})
