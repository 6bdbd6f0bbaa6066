"""From verdicts to alerts, and from alerts to messages that wait for their receivers.

Two steps, each one transaction, each safe to repeat and to be done by several processes at once::

    judged(…)  verdicts of a service's detectors → alerts, events, how far the detectors have come
    plan()     how alerts are, against what receivers believe → messages in the outbox, what receivers believe

Between them and after them a process may die: `plan` compares states and needs no word from `judged`, and a message
is in the outbox in the same transaction in which its group counts as told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from correlate.alerting.lifecycle import expire
from correlate.alerting.planning import Scene, plan
from correlate.alerting.settle import Ruling, fingerprints, settle
from correlate.errors import StoreError
from correlate.model.alert_changes import Changes
from correlate.model.alert_policy import AlertConfig
from correlate.model.alerts import Alert, AlertStatus, Notification
from correlate.model.verdicts import Tier
from correlate.ports import AlertBooks, Clock

Evidence = Callable[[Alert], Mapping[str, str]]

_TRIES = 5


def no_evidence(_alert: Alert) -> Mapping[str, str]:
    """No addresses."""
    return {}


class AlertFlow:
    """Moves alerts on by what detectors say, and decides who is told."""

    def __init__(self, books: AlertBooks, config: AlertConfig, clock: Clock, evidence: Evidence = no_evidence) -> None:
        """Wire it.

        Args:
            books: what is remembered.
            config: policies and receivers.
            clock: the time of day; alerts live by the time of data, messages by the clock.
            evidence: makes the addresses that an alert is shown with, whenever its status or tier changes.
        """
        self._books = books
        self._config = config
        self._clock = clock
        self._evidence = evidence

    def judged(self, service: str, rulings: Sequence[Ruling]) -> Changes:
        """Take in what detectors said about a service; each at most once, in any order, as often as it comes.

        Returns:
            What was changed: nothing when all of it was known.

        Raises:
            StoreError: the state database failed, or others changed the same alerts over and over.
        """
        for _ in range(_TRIES):
            changes = self._settled(service, rulings)
            if not changes or self._books.alerts.apply(changes):
                return changes
        raise StoreError(f"alerts of {service} are changed by others all the time; try again")

    def judged_many(self, rulings: Mapping[str, Sequence[Ruling]]) -> Changes:
        """Take in what detectors said about several services, in one transaction: that is where most of the time goes.

        Returns:
            What was changed.

        Raises:
            StoreError: the state database failed, or others changed the same alerts over and over.
        """
        changes = sum((self._settled(service, said) for service, said in rulings.items()), Changes())
        if not changes or self._books.alerts.apply(changes):
            return changes
        return sum((self.judged(service, said) for service, said in rulings.items()), Changes())

    def plan(self) -> tuple[Notification, ...]:
        """Decide who is to be told what now, and put it into the outbox.

        Nothing is decided when another process was faster; the next call sees what it did.

        Raises:
            StoreError: the state database failed.
        """
        now_ns = self._clock.now_ns()
        changes = plan(self._scene(now_ns), self._config.receivers, now_ns)
        return changes.notifications if changes and self._books.alerts.apply(changes) else ()

    def tidy(self) -> None:
        """Resolve alerts of services that are no longer judged, and forget what is kept for long enough.

        Raises:
            StoreError: the state database failed.
        """
        now_ns = self._clock.now_ns()
        for alert in self._books.alerts.open():
            policy = self._config.policies.of(alert.verdict.service, alert.verdict.detector)
            expired, events = expire(alert, now_ns, policy)
            if events:
                self._books.alerts.apply(Changes(alerts=(expired,), events=tuple(events)))
        before_ns = now_ns - self._config.keep_ns
        self._books.alerts.prune(before_ns)
        self._books.outbox.prune(before_ns)
        self._books.silences.prune(before_ns)

    def _settled(self, service: str, rulings: Sequence[Ruling]) -> Changes:
        standing = self._books.alerts.standing(service, fingerprints(rulings))
        changes = settle(standing, rulings, self._config.policies)
        known = {alert.fingerprint: alert for alert in standing.alerts}
        shown = tuple(self._shown(alert, known.get(alert.fingerprint)) for alert in changes.alerts)
        return replace(changes, alerts=shown)

    def _scene(self, now_ns: int) -> Scene:
        alerts, groups = self._books.alerts.open(), self._books.alerts.groups()
        told = {name for group in groups for name in group.told} - {alert.fingerprint for alert in alerts}
        return Scene(
            alerts=(*alerts, *self._books.alerts.many(sorted(told))),
            groups=groups,
            silences=self._books.silences.list(ending_after_ns=now_ns),
            waiting=self._books.outbox.waiting(),
        )

    def _shown(self, alert: Alert, before: Alert | None) -> Alert:
        """With addresses, made anew only when it is worth it: they cost a look into the lake."""
        if not alert.open or (before is not None and _look(before) == _look(alert)):
            return alert
        return replace(alert, evidence=self._evidence(alert))


def _look(alert: Alert) -> tuple[int, AlertStatus, Tier]:
    return (alert.episode, alert.status, alert.verdict.tier)
