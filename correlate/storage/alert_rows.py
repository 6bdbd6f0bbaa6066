"""Alerts, groups and messages as rows, and back."""

import hashlib
from dataclasses import fields, replace
from typing import Any, Final

import sqlalchemy as sa

from correlate.model.alert_changes import Group
from correlate.model.alerts import Alert, AlertEvent, EventKind, Feedback, Notification, Reason, Silence
from correlate.storage.alert_text import dump, load_alert, load_alerts, load_text, load_texts, load_told

_NAME_CHARS: Final = 200
_DIGEST_CHARS: Final = 16
_TEXT_CHARS: Final = 4000

Row = dict[str, Any]


def clean(text: str) -> str:
    """What PostgreSQL can keep of a text (no zero byte, no half of a surrogate pair), of a bounded length."""
    return text[:_TEXT_CHARS].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def name_of(text: str) -> str:
    """A name as it is looked for: one that is too long for an index ends in a hash of all of it."""
    name = clean(text)
    if len(text) <= _NAME_CHARS:
        return name
    return f"{name[: _NAME_CHARS - _DIGEST_CHARS]}{_digest(text, _DIGEST_CHARS // 2)}"


def group_id(receiver: str, key: str) -> str:
    """A group's name of 32 hexadecimal digits."""
    return _digest(f"{receiver}\n{key}", 16)


def alert_row(alert: Alert) -> Row:
    """An alert as it is stored next."""
    return {
        "fingerprint": alert.fingerprint,
        "service": name_of(alert.verdict.service),
        "detector": name_of(alert.verdict.detector),
        "status": alert.status.value,
        "severity": alert.severity.value,
        "since_ns": alert.since_ns,
        "version": alert.version + 1,
        "body": dump(alert),
    }


def alert_of(row: sa.Row[Any]) -> Alert:
    """An alert as it was stored; the row has ``body`` and ``version``."""
    return replace(load_alert(row.body), version=row.version)


def event_row(event: AlertEvent) -> Row:
    """An event to be added."""
    return _row(event) | {"kind": event.kind.value, "text": clean(event.text), "by": clean(event.by)}


def event_of(row: sa.Row[Any]) -> AlertEvent:
    """An event as it was added."""
    return AlertEvent(row.fingerprint, row.episode, row.time_ns, EventKind(row.kind), row.text, row.by)


def group_row(group: Group) -> Row:
    """A group as it is stored next."""
    return {
        "id": group_id(group.receiver, group.key),
        "receiver": name_of(group.receiver),
        "key": dump(group.key),
        "labels": dump(group.labels),
        "next_ns": group.next_ns,
        "told_ns": group.told_ns,
        "told": dump(group.told),
        "version": group.version + 1,
    }


def group_of(row: sa.Row[Any]) -> Group:
    """A group as it was stored."""
    key = load_text(row.key)
    return Group(row.receiver, key, load_texts(row.labels), row.next_ns, row.told_ns, load_told(row.told), row.version)


def notification_row(notification: Notification) -> Row:
    """A message to be queued."""
    return {
        "key": notification.key,
        "receiver": name_of(notification.receiver),
        "group_id": group_id(notification.receiver, notification.group),
        "group_key": dump(notification.group),
        "group_labels": dump(notification.group_labels),
        "labels": dump(notification.labels),
        "reason": notification.reason.value,
        "alerts": dump(notification.alerts),
        "truncated_count": notification.truncated_count,
        "created_ns": notification.created_ns,
        "state": "queued",
        "attempts": 0,
        "due_ns": notification.due_ns,
        "leased_until_ns": 0,
        "settled_ns": 0,
        "error": "",
        "error_ns": 0,
    }


def notification_of(row: sa.Row[Any]) -> Notification:
    """A message as it is in the queue."""
    return Notification(
        id=row.id,
        key=row.key,
        receiver=row.receiver,
        group=load_text(row.group_key),
        reason=Reason(row.reason),
        alerts=load_alerts(row.alerts),
        created_ns=row.created_ns,
        attempts=row.attempts,
        due_ns=row.due_ns,
        labels=load_texts(row.labels),
        group_labels=load_texts(row.group_labels),
        truncated_count=row.truncated_count,
    )


def silence_row(silence: Silence) -> Row:
    """A silence to be added; it is numbered by the database."""
    row = _row(silence) | {"matchers": dump(silence.matchers)}
    return {name: value for name, value in row.items() if name != "id"} | {
        "comment": clean(silence.comment),
        "by": clean(silence.by),
    }


def silence_of(row: sa.Row[Any]) -> Silence:
    """A silence as it was added."""
    return Silence(row.id, load_texts(row.matchers), row.start_ns, row.end_ns, row.comment, row.by)


def feedback_row(feedback: Feedback) -> Row:
    """What somebody said, to be added."""
    names = {"service": name_of(feedback.service), "detector": name_of(feedback.detector)}
    return _row(feedback) | names | {"by": clean(feedback.by), "comment": clean(feedback.comment)}


def feedback_of(row: sa.Row[Any]) -> Feedback:
    """What somebody said."""
    return Feedback(**{each.name: getattr(row, each.name) for each in fields(Feedback)})


def _row(value: AlertEvent | Silence | Feedback) -> Row:
    return {each.name: getattr(value, each.name) for each in fields(value)}


def _digest(text: str, size_bytes: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=size_bytes).hexdigest()
