"""Alerts as values: what is firing, what was told to whom, what is silenced, and what people said about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from correlate.model.verdicts import Verdict

NO_TEXTS: Mapping[str, str] = MappingProxyType({})


class AlertStatus(StrEnum):
    """Where an alert is in its life."""

    WATCH = "watch"
    """Seen, not confirmed: shown, told to nobody unless a receiver asks for watches."""
    FIRING = "firing"
    """Confirmed."""
    RESOLVED = "resolved"
    """Gone."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One finding over time. All times are nanoseconds since the Unix epoch, 0 where not yet.

    Attributes:
        fingerprint: 16 hexadecimal digits, of detector, service and subject; the same in every episode.
        episode: how often it has begun; with the fingerprint it names this occurrence.
        status: where it is in its life.
        verdict: the last one that was not silence: headline, figures, call sites.
        severity: ``info``, ``warning`` or ``critical``.
        owner: whom the service belongs to, from the configuration.
        started_ns: when this episode was first seen.
        confirmed_ns: when it began to fire.
        resolved_ns: when it went away.
        last_seen_ns: until when the detector has seen it.
        judged_until_ns: until when the data was last judged.
        quiet_count: judgements in a row without it.
        escalated_ns: when its severity was raised because nobody acted.
        acknowledged_ns: when somebody took it on.
        acknowledged_by: who.
        false_positive: whether somebody said that it was wrong.
        evidence: addresses by name: ``flame_graph``, ``difference``, ``call_site``, ``grafana``, ``trace_1`` …
    """

    fingerprint: str
    episode: int
    status: AlertStatus
    verdict: Verdict
    severity: str
    owner: str = ""
    started_ns: int = 0
    confirmed_ns: int = 0
    resolved_ns: int = 0
    last_seen_ns: int = 0
    judged_until_ns: int = 0
    quiet_count: int = 0
    escalated_ns: int = 0
    acknowledged_ns: int = 0
    acknowledged_by: str = ""
    false_positive: bool = False
    evidence: Mapping[str, str] = NO_TEXTS

    @property
    def labels(self) -> dict[str, str]:
        """What identifies it to other systems: no values, no times."""
        verdict = self.verdict
        named = {
            "alertname": verdict.detector,
            "service": verdict.service,
            "subject": verdict.subject,
            "severity": self.severity,
            "owner": self.owner,
            "fingerprint": self.fingerprint,
        }
        return {name: text for name, text in named.items() if text}


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One step in the life of an alert, kept for ever.

    Attributes:
        kind: ``watch``, ``firing``, ``escalated``, ``resolved``, ``acknowledged``, ``false_positive`` or ``silenced``.
        text: one sentence.
        by: who, "" for a detector.
    """

    fingerprint: str
    episode: int
    time_ns: int
    kind: str
    text: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that nobody is to be told about for a while.

    Attributes:
        id: names it.
        matchers: label and regular expression, fully anchored; all must match.
        start_ns: from when.
        end_ns: until when.
        comment: why.
        by: who.
    """

    id: int
    matchers: Mapping[str, str]
    start_ns: int
    end_ns: int
    comment: str
    by: str


@dataclass(frozen=True, slots=True)
class Notification:
    """What one receiver is to be told, at least once, in the order of its group.

    Attributes:
        id: names it; grows within a receiver.
        key: idempotency key: the same however often it is sent.
        receiver: the receiver's name in the configuration.
        group: alerts of one group are told together and in order.
        reason: ``first notification``, ``new alerts added``, ``some alerts resolved``, ``all alerts resolved``,
            ``repeat interval elapsed`` or ``test``.
        alerts: those of the group that fire, and those that were resolved since it was last told.
        created_ns: when it was decided.
        attempts: how often it was tried.
        due_ns: when it is tried next.
        labels: what the alerts of the group have in common.
    """

    id: int
    key: str
    receiver: str
    group: str
    reason: str
    alerts: tuple[Alert, ...]
    created_ns: int
    attempts: int = 0
    due_ns: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
