"""The tables of alerts."""

from typing import Final

import sqlalchemy as sa

from correlate.storage.state import metadata

ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite numbers rows by itself only in columns that are INTEGER to the letter."""

ALERTS: Final = sa.Table(
    "alerts",
    metadata,
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
"""The last episode of every alert; ``body`` is all of it as JSON."""

ALERT_EVENTS: Final = sa.Table(
    "alert_events",
    metadata,
    sa.Column("id", ID, primary_key=True, autoincrement=True),
    sa.Column("fingerprint", sa.String(16), nullable=False),
    sa.Column("episode", sa.Integer, nullable=False),
    sa.Column("time_ns", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Index("alert_events_by_alert", "fingerprint", "id"),
    sqlite_autoincrement=True,
)
"""What happened to alerts."""

JUDGEMENTS: Final = sa.Table(
    "judgements",
    metadata,
    sa.Column("service", sa.String(200), primary_key=True),
    sa.Column("detector", sa.String(200), primary_key=True),
    sa.Column("until_ns", sa.BigInteger, nullable=False),
)
"""How far each detector has come with each service."""

ALERT_GROUPS: Final = sa.Table(
    "alert_groups",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("receiver", sa.String(200), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("next_ns", sa.BigInteger, nullable=False),
    sa.Column("told_ns", sa.BigInteger, nullable=False),
    sa.Column("told", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
)
"""What receivers believe; ``id`` is a hash of receiver and key, since keys may be long."""

NOTIFICATIONS: Final = sa.Table(
    "notifications",
    metadata,
    sa.Column("id", ID, primary_key=True, autoincrement=True),
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
"""Messages to receivers; ``state`` is queued, sent or dead."""

SILENCES: Final = sa.Table(
    "silences",
    metadata,
    sa.Column("id", ID, primary_key=True, autoincrement=True),
    sa.Column("matchers", sa.Text, nullable=False),
    sa.Column("start_ns", sa.BigInteger, nullable=False),
    sa.Column("end_ns", sa.BigInteger, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Who is not to be told what, and until when."""

ALERT_FEEDBACK: Final = sa.Table(
    "alert_feedback",
    metadata,
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
"""Which alerts people called wrong."""
