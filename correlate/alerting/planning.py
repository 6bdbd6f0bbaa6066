"""Who is to be told what now: all receivers, all groups, from the state of alerts alone.

Nothing here depends on having seen an alert change: what receivers believe is compared with how things are. So a
process that dies between a judgement and a message loses nothing; the next one finds the same difference.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from correlate.alerting.grouping import Decision, Members, decide
from correlate.alerting.routing import GroupKey, group_key, wanted
from correlate.alerting.silencing import silenced_by
from correlate.model.alert_changes import Changes, Group
from correlate.model.alert_policy import ReceiverRoute
from correlate.model.alerts import Alert, AlertStatus, Silence


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that decides who is told.

    Attributes:
        alerts: all that are there, and all that any group was told of.
        groups: what is remembered of groups.
        silences: those that hold now, others do no harm.
        waiting: receiver and key of groups with a notification that was not delivered yet.
    """

    alerts: Sequence[Alert] = ()
    groups: Sequence[Group] = ()
    silences: Sequence[Silence] = ()
    waiting: AbstractSet[tuple[str, str]] = frozenset()


def plan(scene: Scene, routes: Sequence[ReceiverRoute], now_ns: int) -> Changes:
    """What receivers are to be told now, and what is remembered of it.

    Groups of receivers that are no longer configured stay as they are: they may be configured elsewhere, or again.
    """
    silenced = silenced_by([alert for alert in scene.alerts if alert.open], scene.silences, now_ns).keys()
    changes = Changes()
    for route in routes:
        changes += _plan_receiver(scene, route, silenced, now_ns)
    return changes


def _plan_receiver(scene: Scene, route: ReceiverRoute, silenced: AbstractSet[str], now_ns: int) -> Changes:
    groups = {group.key: group for group in scene.groups if group.receiver == route.name}
    buckets = _buckets(route, [alert for alert in scene.alerts if alert.open])
    keys = {text: GroupKey(text, group.labels) for text, group in groups.items()} | {
        key.text: key for key, _ in buckets
    }
    alerts = {alert.fingerprint: alert for alert in scene.alerts}
    open_ = {key.text: members for key, members in buckets}
    changes = Changes()
    for text, key in sorted(keys.items()):
        group = groups.get(text)
        members = _members(open_.get(text, []), _gone(group, route, alerts), silenced)
        decision = decide(group, key, members, route, now_ns, waiting=(route.name, text) in scene.waiting)
        changes += _changes(group, decision)
    return changes


def _buckets(route: ReceiverRoute, alerts: Sequence[Alert]) -> list[tuple[GroupKey, list[Alert]]]:
    found: dict[str, tuple[GroupKey, list[Alert]]] = {}
    for alert in wanted(route, alerts):
        key = group_key(route, alert)
        found.setdefault(key.text, (key, []))[1].append(alert)
    return list(found.values())


def _members(open_: Iterable[Alert], gone: tuple[Alert, ...], silenced: AbstractSet[str]) -> Members:
    there = tuple(sorted(open_, key=lambda alert: (-alert.severity.rank, alert.started_ns, alert.fingerprint)))
    return Members(
        there=tuple(alert for alert in there if alert.fingerprint not in silenced),
        hidden={alert.fingerprint for alert in there if alert.fingerprint in silenced},
        gone=gone,
    )


def _gone(group: Group | None, route: ReceiverRoute, alerts: Mapping[str, Alert]) -> tuple[Alert, ...]:
    """Alerts that the receiver was told of and that are over.

    So is, for one that hears of no watches, what fired and came back as a watch before its end could be told.
    """
    known = [alerts[name] for name in group.told if name in alerts] if group else []
    over = (alert for alert in known if not alert.open)
    only_watched = (alert for alert in known if alert.status is AlertStatus.WATCH and not route.send_watch)
    ended = (replace(alert, status=AlertStatus.RESOLVED, resolved_ns=alert.since_ns) for alert in only_watched)
    return (*over, *ended)


def _changes(before: Group | None, decision: Decision) -> Changes:
    if decision.group is None:
        return Changes(closed=(before,)) if before else Changes()
    said = (decision.notification,) if decision.notification else ()
    return Changes(groups=(decision.group,) if decision.group != before else (), notifications=said)
