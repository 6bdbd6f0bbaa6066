"""What alerting needs: alerts and their events, judgements, groups, notifications, silences, feedback."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Create the seven tables."""
    _alerts()
    _alert_events()
    _judgements()
    _alert_groups()
    _notifications()
    _silences()
    _alert_feedback()


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("fingerprint", sa.String(16), primary_key=True),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("detector", sa.String(200), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("severity", sa.String(20), nullable=False),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Index("alerts_by_service", "service", "detector"),
        sa.Index("alerts_by_status", "status", "since_ns"),
    )


def _alert_events() -> None:
    op.create_table(
        "alert_events",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("fingerprint", sa.String(16), nullable=False),
        sa.Column("episode", sa.Integer, nullable=False),
        sa.Column("time_ns", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Index("alert_events_by_alert", "fingerprint", "id"),
        sqlite_autoincrement=True,
    )


def _judgements() -> None:
    op.create_table(
        "judgements",
        sa.Column("service", sa.String(200), primary_key=True),
        sa.Column("detector", sa.String(200), primary_key=True),
        sa.Column("until_ns", sa.BigInteger, nullable=False),
    )


def _alert_groups() -> None:
    op.create_table(
        "alert_groups",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("receiver", sa.String(200), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("next_ns", sa.BigInteger, nullable=False),
        sa.Column("told_ns", sa.BigInteger, nullable=False),
        sa.Column("told", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )


def _notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("receiver", sa.String(200), nullable=False),
        sa.Column("group_id", sa.String(32), nullable=False),
        sa.Column("group_key", sa.Text, nullable=False),
        sa.Column("group_labels", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("reason", sa.String(50), nullable=False),
        sa.Column("alerts", sa.Text, nullable=False),
        sa.Column("truncated_count", sa.Integer, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_ns", sa.BigInteger, nullable=False),
        sa.Column("leased_until_ns", sa.BigInteger, nullable=False),
        sa.Column("settled_ns", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("error_ns", sa.BigInteger, nullable=False),
        sa.Index("notifications_by_group", "state", "receiver", "group_id", "id"),
        sqlite_autoincrement=True,
    )


def _silences() -> None:
    op.create_table(
        "silences",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        sa.Column("matchers", sa.Text, nullable=False),
        sa.Column("start_ns", sa.BigInteger, nullable=False),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )


def _alert_feedback() -> None:
    op.create_table(
        "alert_feedback",
        sa.Column("fingerprint", sa.String(16), primary_key=True),
        sa.Column("episode", sa.Integer, primary_key=True),
        sa.Column("service", sa.String(200), nullable=False),
        sa.Column("detector", sa.String(200), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_ns", sa.BigInteger, nullable=False),
        sa.Index("alert_feedback_by_service", "service", "expires_ns"),
    )
