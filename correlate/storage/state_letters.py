"""Dead letters in SQL: what could not be read, compressed, bounded in number and size."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import sqlalchemy as sa
import zstandard

from correlate.errors import NotFound
from correlate.model.payload import Encoding, PayloadKind, RawPayload
from correlate.ports import Clock, DeadLetter
from correlate.storage.state import State, metadata

_REASON_CHARS: Final = 2000

DEAD_LETTERS: Final = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("source", sa.String(200), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(50), nullable=False),
    sa.Column("encoding", sa.String(20), nullable=False),
    sa.Column("content_type", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("received_ns", sa.BigInteger, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
    sa.Column("body_bytes", sa.BigInteger, nullable=False),
    sa.Column("stored_bytes", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=True),
    sa.UniqueConstraint("source", "digest"),
)
"""``body`` is compressed by zstd, null where it was too large to keep."""

_HEAD: Final = ("id", "source", "reason", "kind", "body_bytes", "stored_bytes", "attempts", "created_ns", "params")


@dataclass(frozen=True, slots=True)
class LetterLimits:
    """How much is kept.

    Attributes:
        max_count: letters.
        max_bytes: compressed bodies together.
        max_body_bytes: one compressed body; of a larger one only the reason is kept.
    """

    max_count: int = 10_000
    max_bytes: int = 512 << 20
    max_body_bytes: int = 16 << 20


class SqlDeadLetters:
    """`ports.DeadLetters` in the state database."""

    def __init__(self, state: State, clock: Clock, limits: LetterLimits | None = None) -> None:
        self._state = state
        self._clock = clock
        self._limits = limits or LetterLimits()

    def add(self, source: str, payload: RawPayload, reason: str) -> None:
        """See `ports.DeadLetters.add`."""
        statement = self._state.insert(DEAD_LETTERS).values(self._row(source, payload, reason))
        with self._state.transaction() as connection:
            connection.execute(statement.on_conflict_do_nothing())
            self._make_room(connection)

    def list(self, source: str | None = None, *, limit: int = 100) -> Sequence[DeadLetter]:
        """See `ports.DeadLetters.list`."""
        wanted = sa.select(*(DEAD_LETTERS.c[name] for name in _HEAD)).order_by(DEAD_LETTERS.c.id.desc()).limit(limit)
        if source is not None:
            wanted = wanted.where(DEAD_LETTERS.c.source == source)
        with self._state.transaction() as connection:
            return [_letter(row) for row in connection.execute(wanted)]

    def payload(self, letter: int) -> RawPayload:
        """See `ports.DeadLetters.payload`."""
        with self._state.transaction() as connection:
            row = connection.execute(sa.select(DEAD_LETTERS).where(DEAD_LETTERS.c.id == letter)).one_or_none()
        if row is None:
            raise NotFound(f"there is no dead letter {letter}; `correlate dead-letters list` shows those there are")
        if row.body is None:
            raise NotFound(f"the body of dead letter {letter} ({row.body_bytes} bytes) was too large to be kept")
        return RawPayload(
            kind=PayloadKind(row.kind),
            body=zstandard.ZstdDecompressor().decompress(row.body, max_output_size=row.body_bytes),
            received_ns=row.received_ns,
            encoding=Encoding(row.encoding),
            content_type=row.content_type,
            sender=row.sender,
            params=orjson.loads(row.params),
        )

    def failed_again(self, letter: int, reason: str) -> None:
        """See `ports.DeadLetters.failed_again`."""
        changed = {"attempts": DEAD_LETTERS.c.attempts + 1, "reason": reason[:_REASON_CHARS]}
        with self._state.transaction() as connection:
            connection.execute(sa.update(DEAD_LETTERS).where(DEAD_LETTERS.c.id == letter).values(changed))

    def remove(self, letter: int) -> None:
        """See `ports.DeadLetters.remove`."""
        with self._state.transaction() as connection:
            connection.execute(sa.delete(DEAD_LETTERS).where(DEAD_LETTERS.c.id == letter))

    def count(self) -> int:
        """See `ports.DeadLetters.count`."""
        with self._state.transaction() as connection:
            found: int = connection.execute(sa.select(sa.func.count()).select_from(DEAD_LETTERS)).scalar_one()
        return found

    def _row(self, source: str, payload: RawPayload, reason: str) -> dict[str, Any]:
        body: bytes | None = zstandard.ZstdCompressor().compress(payload.body)
        if body is not None and len(body) > self._limits.max_body_bytes:
            body = None
        return {
            "source": source,
            "digest": hashlib.blake2b(payload.body, digest_size=32).hexdigest(),
            "kind": payload.kind.value,
            "encoding": payload.encoding.value,
            "content_type": payload.content_type,
            "sender": payload.sender,
            "params": orjson.dumps(dict(payload.params)).decode(),
            "reason": reason[:_REASON_CHARS].replace("\0", "�"),
            "received_ns": payload.received_ns,
            "created_ns": self._clock.now_ns(),
            "body_bytes": len(payload.body),
            "stored_bytes": len(body or b""),
            "attempts": 1,
            "body": body,
        }

    def _make_room(self, connection: sa.Connection) -> None:
        """Delete the oldest until what is left keeps to the limits."""
        running = sa.func.sum(DEAD_LETTERS.c.stored_bytes).over(order_by=DEAD_LETTERS.c.id.desc())
        number = sa.func.row_number().over(order_by=DEAD_LETTERS.c.id.desc())
        ranked = sa.select(DEAD_LETTERS.c.id, running.label("held"), number.label("number")).subquery()
        too_old = sa.select(ranked.c.id).where(
            (ranked.c.held > self._limits.max_bytes) | (ranked.c.number > self._limits.max_count)
        )
        connection.execute(sa.delete(DEAD_LETTERS).where(DEAD_LETTERS.c.id.in_(too_old)))


def _letter(row: sa.Row[Any]) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        source=row.source,
        reason=row.reason,
        kind=row.kind,
        body_bytes=row.body_bytes,
        kept=row.stored_bytes > 0,
        attempts=row.attempts,
        created_ns=row.created_ns,
        params=orjson.loads(row.params),
    )
