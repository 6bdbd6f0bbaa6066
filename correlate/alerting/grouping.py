"""When a receiver is told about a group of alerts, and what: the rules of Alertmanager, as a pure function.

- A new group waits ``group_wait`` for company; what is gone by then is never told.
- From then on it is looked at every ``group_interval``: it is told when alerts were added, became graver or went away,
- or when ``repeat_interval`` passed without a change, so in effect a multiple of ``group_interval``.

Different from Alertmanager: acknowledged alerts alone are not repeated; nothing is repeated while the message before
still waits for its receiver; and the end of an alert that the receiver was told of is told even if it was silenced
meanwhile, so that nothing stays open at the other side for ever.
"""

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from correlate.alerting.routing import GroupKey
from correlate.model.alert_changes import Group, Told
from correlate.model.alert_policy import ReceiverRoute
from correlate.model.alerts import Alert, Notification, Reason

MAX_ALERTS: Final = 200
"""So many alerts are in one notification at most; of more only the number is told."""


@dataclass(frozen=True, slots=True)
class Members:
    """The alerts of a group, as they are now.

    Attributes:
        there: watched or firing, for the receiver to hear of, not silenced.
        hidden: fingerprints of such as are there, but silenced.
        gone: resolved ones.
    """

    there: tuple[Alert, ...] = ()
    hidden: AbstractSet[str] = frozenset()
    gone: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a group.

    Attributes:
        group: as it is from now on; None: there is nothing to remember.
        notification: what is to be told now; None: nothing yet.
    """

    group: Group | None
    notification: Notification | None = None


def decide(
    group: Group | None, key: GroupKey, members: Members, route: ReceiverRoute, now_ns: int, *, waiting: bool = False
) -> Decision:
    """Decide whether a receiver is told about a group now.

    Args:
        group: what is remembered of it; None: nothing.
        key: which group.
        members: its alerts now.
        route: the receiver's.
        now_ns: the time, nanoseconds since the Unix epoch.
        waiting: whether a notification of the group was not delivered yet.
    """
    if group is None:
        if not members.there:
            return Decision(None)
        group = Group(route.name, key.text, key.labels, next_ns=now_ns + route.group_wait_ns)
    if now_ns < group.next_ns:
        return Decision(group)
    reason = _reason(group, members, route, now_ns, waiting=waiting)
    later = replace(group, next_ns=now_ns + route.group_interval_ns, told=_told(group, members))
    if reason is None:
        return Decision(later if later.told or members.there else None)
    notification = _notification(later, members, reason, now_ns, _ended(group, members) if route.send_resolved else [])
    return Decision(replace(later, told_ns=now_ns), notification)


def test_notification(route: ReceiverRoute, alert: Alert, now_ns: int) -> Notification:
    """One that tries a receiver out; it stands outside of every group that alerts make."""
    group = Group(route.name, '{}:{test="true"}', {"test": "true"})
    return _notification(group, Members(there=(alert,)), Reason.TEST, now_ns, [])


def _reason(group: Group, members: Members, route: ReceiverRoute, now_ns: int, *, waiting: bool) -> Reason | None:
    news = [alert for alert in members.there if group.told.get(alert.fingerprint) != _told_of(alert)]
    if news:
        return _reason_of_news(group, news)
    ended = _ended(group, members)
    if ended and route.send_resolved:
        return Reason.SOME_RESOLVED if members.there else Reason.ALL_RESOLVED
    ignored = any(not alert.acknowledged_ns for alert in members.there)
    due = ignored and not waiting and now_ns - group.told_ns >= route.repeat_interval_ns
    return Reason.REPEAT if due else None


def _reason_of_news(group: Group, news: Sequence[Alert]) -> Reason:
    if not group.told:
        return Reason.FIRST
    known = (group.told.get(alert.fingerprint) for alert in news)
    same = (
        told and (told.episode, told.status) == (alert.episode, alert.status)
        for told, alert in zip(known, news, strict=True)
    )
    return Reason.RAISED if all(same) else Reason.ADDED


def _ended(group: Group, members: Members) -> list[Alert]:
    """Those that the receiver believes to be there."""
    return [alert for alert in members.gone if alert.fingerprint in group.told]


def _told(group: Group, members: Members) -> Mapping[str, Told]:
    """What the receiver believes once it was told: of silenced alerts still what it was told before."""
    still = {name: told for name, told in group.told.items() if name in members.hidden}
    return still | {alert.fingerprint: _told_of(alert) for alert in members.there}


def _told_of(alert: Alert) -> Told:
    return Told(alert.episode, alert.status, alert.severity)


def _notification(group: Group, members: Members, reason: Reason, now_ns: int, ended: Sequence[Alert]) -> Notification:
    alerts = (*members.there, *ended)
    return Notification(
        id=0,
        key=_key(group, alerts, reason, now_ns),
        receiver=group.receiver,
        group=group.key,
        reason=reason,
        alerts=alerts[:MAX_ALERTS],
        created_ns=now_ns,
        due_ns=now_ns,
        labels=_common(alerts),
        group_labels=group.labels,
        truncated_count=max(0, len(alerts) - MAX_ALERTS),
    )


def _key(group: Group, alerts: Sequence[Alert], reason: Reason, now_ns: int) -> str:
    said = (f"{alert.fingerprint}/{alert.episode}/{alert.status}/{alert.severity}" for alert in alerts)
    parts = (group.receiver, group.key, reason, str(now_ns), *said)
    return hashlib.blake2b("\n".join(parts).encode("utf-8", "replace"), digest_size=16).hexdigest()


def _common(alerts: Sequence[Alert]) -> dict[str, str]:
    """The labels that all alerts have, with equal values."""
    return dict(sorted(set.intersection(*(set(alert.labels.items()) for alert in alerts))))
