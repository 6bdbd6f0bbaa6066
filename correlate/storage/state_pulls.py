"""Watermarks and leases: who may pull, and from when on."""

from typing import Final

import sqlalchemy as sa

from correlate.ports import Clock, Lease
from correlate.storage.state import State, metadata

_NS_PER_S: Final = 1_000_000_000

WATERMARKS: Final = sa.Table(
    "watermarks",
    metadata,
    sa.Column("source", sa.String(200), primary_key=True),
    sa.Column("scope", sa.String(200), primary_key=True),
    sa.Column("until_ns", sa.BigInteger, nullable=False),
    sa.Column("updated_ns", sa.BigInteger, nullable=False),
)
"""Up to when a source, or a part of it, is stored."""

LEASES: Final = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("holder", sa.String(200), nullable=False),
    sa.Column("expires_ns", sa.BigInteger, nullable=False),
    sa.Column("term", sa.BigInteger, nullable=False),
)
"""Who does what alone; ``expires_ns`` is 0 when nobody does."""


class SqlWatermarks:
    """`ports.Watermarks` in the state database."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def until_ns(self, source: str, scope: str = "") -> int | None:
        """See `ports.Watermarks.until_ns`."""
        wanted = sa.select(WATERMARKS.c.until_ns).where(WATERMARKS.c.source == source, WATERMARKS.c.scope == scope)
        with self._state.transaction() as connection:
            found: int | None = connection.execute(wanted).scalar_one_or_none()
        return found

    def advance(self, source: str, scope: str, from_ns: int | None, until_ns: int) -> bool:
        """See `ports.Watermarks.advance`: one statement, so that of two who try at once one succeeds."""
        values = {"until_ns": until_ns, "updated_ns": self._clock.now_ns()}
        here = (WATERMARKS.c.source == source, WATERMARKS.c.scope == scope)
        statement: sa.Insert | sa.Update
        if from_ns is None:
            row = {"source": source, "scope": scope, **values}
            statement = self._state.insert(WATERMARKS).values(row).on_conflict_do_nothing()
        else:
            statement = sa.update(WATERMARKS).where(*here, WATERMARKS.c.until_ns == from_ns).values(values)
        # RETURNING, since how many rows an INSERT added is not told by every driver.
        with self._state.transaction() as connection:
            return connection.execute(statement.returning(WATERMARKS.c.until_ns)).first() is not None


class SqlLeases:
    """`ports.Leases` in the state database.

    Expiry is told by the clocks of those who ask: they must agree better than a lease is long, or two may work at
    once; what they store is protected by the watermark and by the store itself.
    """

    def __init__(self, state: State, clock: Clock) -> None:
        self._state = state
        self._clock = clock

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """See `ports.Leases.acquire`."""
        now_ns = self._clock.now_ns()
        expires_ns = now_ns + int(ttl_s * _NS_PER_S)
        taken = {"holder": holder, "expires_ns": expires_ns, "term": LEASES.c.term + 1}
        free = (LEASES.c.name == name, LEASES.c.expires_ns <= now_ns)
        first = self._state.insert(LEASES).values(name=name, holder="", expires_ns=0, term=0)
        with self._state.transaction() as connection:
            connection.execute(first.on_conflict_do_nothing())
            if connection.execute(sa.update(LEASES).where(*free).values(taken)).rowcount != 1:
                return None
            term = connection.execute(sa.select(LEASES.c.term).where(LEASES.c.name == name)).scalar_one()
        return Lease(name, holder, term)

    def renew(self, lease: Lease, ttl_s: float) -> bool:
        """See `ports.Leases.renew`."""
        return self._change(lease, {"expires_ns": self._clock.now_ns() + int(ttl_s * _NS_PER_S)})

    def release(self, lease: Lease) -> None:
        """See `ports.Leases.release`."""
        self._change(lease, {"expires_ns": 0})

    def holder(self, name: str) -> str | None:
        """See `ports.Leases.holder`."""
        wanted = sa.select(LEASES.c.holder).where(LEASES.c.name == name, LEASES.c.expires_ns > self._clock.now_ns())
        with self._state.transaction() as connection:
            found: str | None = connection.execute(wanted).scalar_one_or_none()
        return found

    def _change(self, lease: Lease, values: dict[str, object]) -> bool:
        """Change a lease that is still held; one that expired and that nobody took is still held."""
        held = (
            LEASES.c.name == lease.name,
            LEASES.c.holder == lease.holder,
            LEASES.c.term == lease.term,
            LEASES.c.expires_ns > 0,
        )
        with self._state.transaction() as connection:
            return connection.execute(sa.update(LEASES).where(*held).values(values)).rowcount == 1
