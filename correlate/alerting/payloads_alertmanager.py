"""Alerts for an Alertmanager: bodies of ``POST /api/v2/alerts``.

Labels are the identity there: the same set must come again as long as the alert fires, so they hold no values and no
times. An alert fires while its ``endsAt`` is in the future. Prometheus sends firing alerts again every minute with an
end four intervals ahead, so that one lost request, or an Alertmanager that was restarted and forgot, does no harm; what
was resolved is sent again for some minutes for the same reason (Alertmanager: ``api/v2/api.go``,
``docs/alerts_api.md``).
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from correlate.alerting.payloads import Outward, annotations_of
from correlate.alerting.payloads_words import firing, labels_of, time_text
from correlate.model.alerts import Alert

INTERVALS_AHEAD: Final = 4
"""How many intervals of sending again an alert is said to last."""

RESOLVED_AGAIN_S: Final = 300.0
"""For how long it is said again that an alert is resolved."""

BATCH: Final = 200
"""Alerts in one request."""


def pushed(alerts: Iterable[Alert], outward: Outward, *, now_ns: int, every_s: float) -> list[dict[str, Any]]:
    """The alerts as Alertmanager takes them.

    Args:
        alerts: what fires, and what was resolved lately.
        outward: our address.
        now_ns: when they are sent.
        every_s: how often they are sent again.
    """
    ahead_ns = now_ns + int(INTERVALS_AHEAD * every_s * 1e9)
    return [_pushed(each, outward, now_ns, ahead_ns) for each in alerts]


def batches(alerts: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many as fit into one request each."""
    for start in range(0, len(alerts), BATCH):
        yield alerts[start : start + BATCH]


def _pushed(alert: Alert, outward: Outward, now_ns: int, ahead_ns: int) -> dict[str, Any]:
    # An end before the start is refused, an end in the future is not an end.
    ended_ns = max(min(alert.resolved_ns or now_ns, now_ns), alert.started_ns)
    shaped = {
        "labels": labels_of(alert),
        "annotations": annotations_of(alert, outward),
        "startsAt": time_text(alert.started_ns or now_ns),
        "endsAt": time_text(ahead_ns if firing(alert) else ended_ns),
    }
    page = outward.page_of(alert)
    return shaped | ({"generatorURL": page} if page else {})
