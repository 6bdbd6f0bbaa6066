"""What is read before alerts are judged or told, and what is written after, all of it at once or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from correlate.model.alerts import Alert, AlertEvent, AlertStatus, Feedback, Notification, Severity


@dataclass(frozen=True, slots=True)
class Judgement:
    """A detector looked at a service.

    Attributes:
        service: which.
        detector: which.
        judged_until_ns: until when data was looked at, nanoseconds since the Unix epoch.
        deployed_ns: when the service's code was last changed before that; 0: not known.
    """

    service: str
    detector: str
    judged_until_ns: int
    deployed_ns: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """How far a detector has come with a service, moved on only from where it was seen.

    Attributes:
        service: which.
        detector: which.
        from_ns: where it was seen; None: nowhere yet.
        until_ns: where it is now.
    """

    service: str
    detector: str
    from_ns: int | None
    until_ns: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a service before it is judged anew.

    Attributes:
        judged_until_ns: by detector, until when it was judged.
        alerts: those that are there, and those asked for by fingerprint that once were.
        episodes: by fingerprint, the last episode of alerts that are themselves no longer kept.
    """

    judged_until_ns: Mapping[str, int] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()
    episodes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What a receiver believes about an alert.

    Attributes:
        episode: which occurrence.
        status: watch or firing.
        severity: how much it mattered.
    """

    episode: int
    status: AlertStatus
    severity: Severity


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts that one receiver is told about together.

    Attributes:
        receiver: the receiver's name in the configuration.
        key: Alertmanager's ``groupKey``: unique within a receiver.
        labels: what makes them one group.
        next_ns: not before then it is looked at again.
        told_ns: when the receiver was last told; 0: never.
        told: by fingerprint, what it was told of alerts that were there and whose end it was not told.
        version: how often it was stored; 0: never. For whoever stores it.
    """

    receiver: str
    key: str
    labels: Mapping[str, str] = field(default_factory=dict)
    next_ns: int = 0
    told_ns: int = 0
    told: Mapping[str, Told] = field(default_factory=dict)
    version: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What is written in one transaction, or not at all when anything of it was changed meanwhile.

    Attributes:
        judged: how far detectors have come.
        alerts: new and changed ones.
        events: what happened to them.
        groups: new and changed ones.
        closed: groups that nothing is to be told about any more.
        notifications: what receivers are to be told, in order.
        feedback: what people said.
    """

    judged: tuple[Judged, ...] = ()
    alerts: tuple[Alert, ...] = ()
    events: tuple[AlertEvent, ...] = ()
    groups: tuple[Group, ...] = ()
    closed: tuple[Group, ...] = ()
    notifications: tuple[Notification, ...] = ()
    feedback: tuple[Feedback, ...] = ()

    def __bool__(self) -> bool:
        return any((self.judged, self.alerts, self.events, self.groups, self.closed, self.notifications, self.feedback))

    def __add__(self, other: "Changes") -> "Changes":
        """Both; nothing may be changed by both."""
        return Changes(
            judged=self.judged + other.judged,
            alerts=self.alerts + other.alerts,
            events=self.events + other.events,
            groups=self.groups + other.groups,
            closed=self.closed + other.closed,
            notifications=self.notifications + other.notifications,
            feedback=self.feedback + other.feedback,
        )


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts; what is empty matches all.

    Attributes:
        statuses: any of them.
        service: exactly.
        detector: exactly.
        severities: any of them.
        limit: at most so many.
    """

    statuses: tuple[AlertStatus, ...] = ()
    service: str | None = None
    detector: str | None = None
    severities: tuple[Severity, ...] = ()
    limit: int = 100
