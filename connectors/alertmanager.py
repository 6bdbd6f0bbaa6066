"""Alertmanager, or Mimir's: alerts are pushed to every peer, and again and again, since it forgets.

An Alertmanager that was restarted, or that answered 200 and lost what it was sent, has everything again after the next
round. Peers exchange what they sent and who silenced what, not the alerts: each must get them all.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from connectors.http import JSON, Call, HttpSource
from correlate.alerting.payloads import Outward
from correlate.alerting.payloads_alertmanager import batches, pushed
from correlate.errors import SourceError
from correlate.model.alerts import Alert, Notification
from correlate.ports import Clock

PATH: Final = "/api/v2/alerts"


class AlertmanagerReceiver:
    """`ports.receivers.AlertReceiver` over all peers of an Alertmanager."""

    def __init__(
        self, name: str, peers: Sequence[HttpSource], clock: Clock, outward: Outward, *, every_s: float = 60.0
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: what the configuration calls it.
            peers: all of them; no load balancer.
            clock: the time of day.
            outward: our address.
            every_s: how often alerts are sent again; a firing one is said to last four times as long.
        """
        self.name = name
        self._peers = peers
        self._clock = clock
        self._outward = outward
        self._every_s = every_s

    def deliver(self, notification: Notification) -> None:
        """See `AlertReceiver.deliver`: one peer is enough, the others get it with the next round."""
        self.repeat(notification.alerts)

    def repeat(self, alerts: Sequence[Alert]) -> None:
        """Send what fires, and what was resolved lately.

        Raises:
            SourceError: no peer took all of it.
        """
        shaped = pushed(alerts, self._outward, now_ns=self._clock.now_ns(), every_s=self._every_s)
        bodies = [orjson.dumps(batch) for batch in batches(shaped)]
        failures = [failure for peer in self._peers if (failure := _pushed(peer, bodies))]
        if len(failures) == len(self._peers):
            raise failures[-1] if all(not each.retry for each in failures) else next(e for e in failures if e.retry)


def _pushed(peer: HttpSource, bodies: Sequence[bytes]) -> SourceError | None:
    """Send all batches to one peer; the last failure, None when there was none.

    A batch with something that Alertmanager refuses does not keep the other batches away.
    """
    failure = None
    for body in bodies:
        try:
            peer.send(Call("POST", PATH, content=body, content_type=JSON, max_retries=0))
        except SourceError as exc:
            failure = exc
            if exc.retry:
                break  # it is down: the other batches would only wait for it again
    return failure
