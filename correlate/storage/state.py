"""State that is not telemetry, in SQL: SQLite in a file by default, PostgreSQL when several machines share it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from correlate.errors import ConfigError, StoreError
from correlate.ports import Clock

_BUSY_S: Final = 10.0
_MIGRATION_LOCK: Final = 0x636F72726C617465  # any number of our own: PostgreSQL's advisory locks are plain integers

metadata = sa.MetaData()
META: Final = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)
"""Small facts by key: what a process wants to find again after a restart."""


class State:
    """The state database. Safe to use from many threads; made by `open_state`."""

    def __init__(self, engine: sa.Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A connection whose changes become visible together when the context is left without an error.

        Raises:
            StoreError: the database failed or is locked for too long.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise StoreError(f"the state database failed: {error}") from error

    def get(self, key: str) -> str | None:
        """The value kept under a key, None when there is none."""
        with self.transaction() as connection:
            return connection.execute(sa.select(META.c.value).where(META.c.key == key)).scalar_one_or_none()

    def put(self, key: str, value: str) -> None:
        """Keep a value under a key, instead of what was there."""
        row = {"key": key, "value": value, "updated_ns": self._clock.now_ns()}
        statement = self.insert(META).values(row)
        replaced = {"value": statement.excluded.value, "updated_ns": statement.excluded.updated_ns}
        with self.transaction() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["key"], set_=replaced))

    def insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that can say what to do on conflict, in the words of the database at hand."""
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)


@contextmanager
def open_state(url: str, *, clock: Clock) -> Iterator[State]:
    """Connect, bring the tables up to date, and let go at the end.

    Args:
        url: an SQLAlchemy URL, for instance ``sqlite:////var/lib/correlate/state.db``.
        clock: the time of day.

    Raises:
        ConfigError: the URL is of no use.
        StoreError: the database cannot be reached, or is of a newer version of the program.
    """
    engine = _engine(url)
    try:
        _migrate(engine)
        yield State(engine, clock)
    finally:
        engine.dispose()


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return sa.create_engine(parsed, pool_pre_ping=True)
        engine = sa.create_engine(parsed, connect_args={"timeout": _BUSY_S})
    except (SQLAlchemyError, ImportError) as error:
        raise ConfigError(f"state database URL {url.partition('://')[0]}://… is of no use: {error}") from error
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: object, _record: object) -> None:
    """Readers and one writer side by side; a commit survives a crash of the process and of the machine."""
    cursor = connection.cursor()  # type: ignore[attr-defined]  # the DB-API connection has no type of its own
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _migrate(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    try:
        with engine.begin() as connection:
            _lock(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (SQLAlchemyError, CommandError) as error:
        raise StoreError(f"the state database cannot be brought up to date: {error}") from error


def _lock(connection: sa.Connection) -> None:
    """Several processes may start at once; one migrates, the others wait."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
