"""Alerts as values: what is firing, what was told to whom, what is silenced, and what people said about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from correlate.model.verdicts import Verdict


class AlertStatus(StrEnum):
    """Where an alert is in its life."""

    WATCH = "watch"
    """Seen, not confirmed: shown, told to nobody unless a receiver asks for watches."""
    FIRING = "firing"
    """Confirmed."""
    RESOLVED = "resolved"
    """Gone."""


class Severity(StrEnum):
    """How much an alert matters."""

    INFO = "info"
    """What is only watched."""
    WARNING = "warning"
    """Somebody should look at it today."""
    CRITICAL = "critical"
    """Somebody should look at it now."""

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for critical: comparable where the texts are not."""
        return list(Severity).index(self)

    @property
    def raised(self) -> "Severity":
        """One step up; critical stays."""
        return list(Severity)[min(self.rank + 1, len(Severity) - 1)]


class EventKind(StrEnum):
    """What can happen to an alert."""

    WATCH = "watch"
    FIRING = "firing"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"
    FALSE_POSITIVE = "false_positive"
    SILENCED = "silenced"


class Reason(StrEnum):
    """Why a receiver is told something; all but two are Alertmanager's own words."""

    FIRST = "first notification"
    ADDED = "new alerts added"
    RAISED = "severity raised"
    SOME_RESOLVED = "some alerts resolved"
    ALL_RESOLVED = "all alerts resolved"
    REPEAT = "repeat interval elapsed"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Alert:
    """One finding over time. All times are nanoseconds since the Unix epoch, 0 where not yet.

    What detectors bring about is timed by the data they judged, what people do by the clock.

    Attributes:
        fingerprint: 16 hexadecimal digits, of detector, service and subject; the same in every episode.
        episode: how often it has begun; with the fingerprint it names this occurrence.
        status: where it is in its life.
        verdict: the last one that was not silence: headline, figures, call sites.
        severity: how much it matters; ``info`` as long as it never fired.
        owner: whom the service belongs to, from the configuration.
        started_ns: when this episode was first seen.
        since_ns: since when it has its status.
        confirmed_ns: when this episode first fired.
        resolved_ns: when it went away; 0 while it is there.
        last_seen_ns: until when the detector has seen it.
        judged_until_ns: until when the data was last judged.
        quiet_count: judgements in a row without it.
        loud_count: judgements in a row that called it a page.
        reopened_count: how often this episode came back after it was resolved.
        escalated_ns: when its severity was last raised because nobody acted.
        acknowledged_ns: when somebody took it on.
        acknowledged_by: who.
        false_positive: whether somebody said that this episode was wrong.
        muted_until_ns: until when it stays resolved, whatever is seen, because somebody said that it was wrong.
        evidence: addresses by name: ``flame_graph``, ``difference``, ``call_site``, ``grafana``, ``trace_1`` …
        version: how often it was stored; 0: never. For whoever stores it.
    """

    fingerprint: str
    episode: int
    status: AlertStatus
    verdict: Verdict
    severity: Severity = Severity.INFO
    owner: str = ""
    started_ns: int = 0
    since_ns: int = 0
    confirmed_ns: int = 0
    resolved_ns: int = 0
    last_seen_ns: int = 0
    judged_until_ns: int = 0
    quiet_count: int = 0
    loud_count: int = 0
    reopened_count: int = 0
    escalated_ns: int = 0
    acknowledged_ns: int = 0
    acknowledged_by: str = ""
    false_positive: bool = False
    muted_until_ns: int = 0
    evidence: Mapping[str, str] = field(default_factory=dict)
    version: int = 0

    @property
    def open(self) -> bool:
        """Whether it is there: watched or firing."""
        return self.status is not AlertStatus.RESOLVED

    @property
    def labels(self) -> dict[str, str]:
        """What identifies it to other systems: no values, no times."""
        verdict = self.verdict
        named = {
            "alertname": verdict.detector,
            "service": verdict.service,
            "subject": verdict.subject,
            "severity": self.severity.value,
            "owner": self.owner,
            "fingerprint": self.fingerprint,
        }
        return {name: text for name, text in named.items() if text}


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One step in the life of an alert, kept for ever.

    Attributes:
        fingerprint: whose.
        episode: in which of its occurrences.
        time_ns: when; of data for what detectors say, of the clock for what people do.
        kind: what happened.
        text: one sentence.
        by: who, "" for a detector.
    """

    fingerprint: str
    episode: int
    time_ns: int
    kind: EventKind
    text: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts that nobody is to be told about for a while.

    Attributes:
        id: names it; 0 before it is stored.
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

    def active(self, now_ns: int) -> bool:
        """Whether it holds at a time."""
        return self.start_ns <= now_ns < self.end_ns


@dataclass(frozen=True, slots=True)
class Feedback:
    """Somebody said that an alert was wrong: its detector is to be one step less sensitive for that service.

    Attributes:
        fingerprint: which alert.
        episode: which of its occurrences; said twice of one it counts once.
        service: where the detector becomes less sensitive.
        detector: which.
        by: who said it.
        comment: why.
        created_ns: when.
        expires_ns: until when it counts.
    """

    fingerprint: str
    episode: int
    service: str
    detector: str
    by: str
    comment: str
    created_ns: int
    expires_ns: int


@dataclass(frozen=True, slots=True)
class Notification:
    """What one receiver is to be told, at least once, in the order of its group.

    Attributes:
        id: names it; grows with every one; 0 before it is stored.
        key: idempotency key: the same however often it is sent.
        receiver: the receiver's name in the configuration.
        group: alerts of one group are told together and in order; the text is Alertmanager's ``groupKey``.
        reason: why.
        alerts: those of the group that fire, and those that were resolved since it was last told.
        created_ns: when it was decided.
        attempts: how often it was tried, this time included.
        due_ns: when it is tried next.
        labels: what the alerts of the group have in common.
        group_labels: what makes them one group.
        truncated_count: how many alerts more there were than one notification holds.
    """

    id: int
    key: str
    receiver: str
    group: str
    reason: Reason
    alerts: tuple[Alert, ...]
    created_ns: int
    attempts: int = 0
    due_ns: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    group_labels: Mapping[str, str] = field(default_factory=dict)
    truncated_count: int = 0

    @property
    def firing(self) -> bool:
        """Whether any of its alerts is there; what receivers read as the status of the whole."""
        return any(alert.open for alert in self.alerts)
