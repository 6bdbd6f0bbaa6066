"""What the configuration says about alerts: how services are watched, and who is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from correlate.model.alerts import Severity

_S: Final = 1_000_000_000
_MINUTE: Final = 60 * _S
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

SENSITIVITIES: Final = ("low", "normal", "high")
"""From the least to the most alerts; feedback lowers by steps, never to nothing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How the findings of one detector in one service are treated. Durations are of judged data, in nanoseconds.

    Attributes:
        enabled: whether the detector looks at the service at all.
        sensitivity: ``low``, ``normal`` or ``high``, before feedback.
        owner: whom the service belongs to.
        severity: of an alert that begins to fire.
        suppress_after_deploy_ns: for so long after a deploy nothing begins to fire; it stays a watch.
        confirm_count: so many judgements in a row must call it a page before it fires.
        confirm_watch_after_ns: a watch that lasts so long fires too; 0: never.
        resolve_after_count: so many judgements in a row without it, and
        resolve_after_ns: so much time without it, and it is resolved; doubled each time it came back, up to eightfold.
        reopen_within_ns: what comes back so soon after it was resolved goes on as the same episode.
        escalate_after_ns: severity goes up one step when nobody acknowledged it for so long; 0: never.
        expire_after_ns: when nothing was judged for so long it is resolved, for want of data.
        feedback_ns: for so long a finding that was called wrong stays quiet, and its detector less sensitive.
    """

    enabled: bool = True
    sensitivity: str = "normal"
    owner: str = ""
    severity: Severity = Severity.WARNING
    suppress_after_deploy_ns: int = 15 * _MINUTE
    confirm_count: int = 1
    confirm_watch_after_ns: int = 0
    resolve_after_count: int = 3
    resolve_after_ns: int = 30 * _MINUTE
    reopen_within_ns: int = 6 * _HOUR
    escalate_after_ns: int = 4 * _HOUR
    expire_after_ns: int = _DAY
    feedback_ns: int = 30 * _DAY


@dataclass(frozen=True, slots=True)
class PolicyRule:
    """What is different for some services and detectors.

    Attributes:
        service: a name, or a pattern with ``*`` and ``?``.
        detector: the same for detectors.
        changes: fields of `Policy` by name.
    """

    service: str = "*"
    detector: str = "*"
    changes: Mapping[str, Any] = field(default_factory=dict)

    def covers(self, service: str, detector: str) -> bool:
        """Whether it is about them."""
        return fnmatchcase(service, self.service) and fnmatchcase(detector, self.detector)


@dataclass(frozen=True, slots=True)
class Policies:
    """The policy of every service and detector: the default, changed by every rule that covers them, in order."""

    default: Policy = Policy()
    rules: tuple[PolicyRule, ...] = ()

    def of(self, service: str, detector: str) -> Policy:
        """The one that holds for them."""
        policy = self.default
        for rule in self.rules:
            if rule.covers(service, detector):
                policy = replace(policy, **rule.changes)
        return policy


@dataclass(frozen=True, slots=True)
class ReceiverRoute:
    """Which alerts a receiver is told about, and in which rhythm; durations are of the clock, in nanoseconds.

    Attributes:
        name: the receiver's, unique.
        kind: ``webhook``, ``grafana-webhook``, ``slack``, ``alertmanager``, ``annotations`` …
        place: its address, without credentials, for people.
        severity: not told about less than that.
        matchers: label and regular expression, fully anchored; all must match. Labels are those of
            `correlate.alerting.matching.LABELS`.
        send_resolved: whether it is told when alerts go away.
        send_watch: whether it is told about watches, whatever their severity.
        group_by: labels that are equal within a group; none: everything is one group.
        group_wait_ns: how long the first notification of a group waits for company.
        group_interval_ns: how long a group that was told waits before it is told of changes.
        repeat_interval_ns: after so long it is told again that nothing changed.
    """

    name: str
    kind: str = "webhook"
    place: str = ""
    severity: Severity = Severity.WARNING
    matchers: Mapping[str, str] = field(default_factory=dict)
    send_resolved: bool = True
    send_watch: bool = False
    group_by: tuple[str, ...] = ("alertname", "service")
    group_wait_ns: int = 30 * _S
    group_interval_ns: int = 5 * _MINUTE
    repeat_interval_ns: int = 4 * _HOUR


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """Everything the configuration says about alerts.

    Attributes:
        policies: how services are watched.
        receivers: who is told.
        keep_ns: for so long resolved alerts and settled notifications are kept; events are kept for ever.
    """

    policies: Policies = Policies()
    receivers: tuple[ReceiverRoute, ...] = ()
    keep_ns: int = 90 * _DAY


def lowered(sensitivity: str, steps: int) -> str:
    """A sensitivity some steps down; ``low`` is the lowest: what a detector finds there is shown, whoever objects.

    Turning a detector off altogether is a decision for the configuration (`Policy.enabled`), not for a click.
    """
    return SENSITIVITIES[max(0, SENSITIVITIES.index(sensitivity) - steps)]
