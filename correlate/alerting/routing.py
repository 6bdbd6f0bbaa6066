"""Which alerts a receiver hears of, and which of them together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from correlate.alerting.matching import labels_of, matching
from correlate.model.alert_policy import ReceiverRoute
from correlate.model.alerts import Alert, AlertStatus


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What makes alerts one group.

    Attributes:
        text: Alertmanager's ``groupKey``, for instance ``{}:{alertname="memory-leak", service="checkout"}``.
        labels: the labels in it.
    """

    text: str
    labels: Mapping[str, str]


def wanted(route: ReceiverRoute, alerts: Sequence[Alert]) -> list[Alert]:
    """The alerts that a receiver hears of while they are there, and whose end it hears of if it heard of them."""
    loud = [alert for alert in alerts if _loud_enough(route, alert)]
    held = matching(route.matchers, [labels_of(alert) for alert in loud])
    return [alert for alert, hit in zip(loud, held, strict=True) if hit]


def group_key(route: ReceiverRoute, alert: Alert) -> GroupKey:
    """The group that an alert belongs to for a receiver; labels that the alert does not have are left out."""
    seen = labels_of(alert)
    labels = {name: seen[name] for name in sorted(route.group_by) if seen[name]}
    inside = ", ".join(f'{name}="{_quoted(text)}"' for name, text in labels.items())
    return GroupKey(f"{{}}:{{{inside}}}", labels)


def _loud_enough(route: ReceiverRoute, alert: Alert) -> bool:
    if alert.status is AlertStatus.WATCH:
        return route.send_watch
    return route.send_watch or alert.severity.rank >= route.severity.rank


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
