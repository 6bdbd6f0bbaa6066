"""What pulling and workers need: ``watermarks``, ``leases``, ``source_status``, ``dead_letters``."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "watermarks",
        sa.Column("source", sa.String(200), primary_key=True),
        sa.Column("scope", sa.String(200), primary_key=True),
        sa.Column("until_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("holder", sa.String(200), nullable=False),
        sa.Column("expires_ns", sa.BigInteger, nullable=False),
        sa.Column("term", sa.BigInteger, nullable=False),
    )
    _source_status()
    _dead_letters()


def _source_status() -> None:
    numbers = (
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
    op.create_table(
        "source_status",
        sa.Column("source", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("configured", sa.Boolean, nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.Column("last_pull_seconds", sa.Float, nullable=False),
        sa.Column("parts", sa.Text, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in numbers),
    )


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
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
