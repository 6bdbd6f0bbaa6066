"""Grafana: alerts as annotations, changed when something new is known and ended when they are resolved.

An annotation is looked up by its tag before it is made, so an answer that was lost does not make a second one, and
nothing needs to be remembered here.
"""

import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from connectors.http import JSON, Call, HttpSource, Params
from correlate.alerting.payloads import Outward
from correlate.alerting.payloads_grafana import annotation, changed, occurrence_tag
from correlate.errors import SourceMalformed, SourceTooSlow
from correlate.model.alerts import Alert, Notification

PATH: Final = "/api/annotations"

MOST_S: Final = 60.0
"""So long one notification is worked on; what is left then comes with the next attempt."""


class GrafanaReceiver:
    """`ports.receivers.AlertReceiver` that marks alerts on dashboards."""

    def __init__(
        self,
        name: str,
        http: HttpSource,
        outward: Outward,
        *,
        dashboard_uid: str = "",
        panel_id: int = 0,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: what the configuration calls it.
            http: Grafana; its token needs to read, create and write annotations.
            outward: our address.
            dashboard_uid: the dashboard to mark; "": any that asks for the tags.
            panel_id: the panel of that dashboard; 0: all.
            monotonic_s: seconds since any moment.
        """
        self._monotonic_s = monotonic_s
        self.name = name
        self._http = http
        self._outward = outward
        self._where: dict[str, Any] = {"dashboard_uid": dashboard_uid, "panel_id": panel_id}

    def deliver(self, notification: Notification) -> None:
        """See `AlertReceiver.deliver`; trying again changes what is there already.

        Raises:
            SourceTooSlow: not all alerts could be marked in time.
        """
        ends_s = self._monotonic_s() + MOST_S
        for number, alert in enumerate(notification.alerts):
            if self._monotonic_s() > ends_s:
                raise SourceTooSlow(f"{self._http.who} took {MOST_S:.0f} s for {number} annotations")
            self._mark(alert)

    def _mark(self, alert: Alert) -> None:
        known = self._known(alert)
        if known is None:
            self._send("POST", PATH, annotation(alert, self._outward, **self._where))
        else:
            self._send("PATCH", f"{PATH}/{known}", changed(alert, self._outward))

    def _known(self, alert: Alert) -> int | None:
        """The id of the annotation that an alert has.

        Raises:
            SourceMalformed: the answer is not a list of annotations.
        """
        asked: Params = {"tags": occurrence_tag(alert), "type": "annotation", "limit": 1}
        reply = self._http.send(Call("GET", PATH, asked, max_retries=0))
        found = reply.json()
        if not isinstance(found, list):
            raise SourceMalformed(f"{reply.who} answered {PATH} with what is not a list; is it Grafana?")
        ids = [each["id"] for each in found if isinstance(each, dict) and isinstance(each.get("id"), int)]
        return ids[0] if ids else None

    def _send(self, method: str, path: str, body: dict[str, Any]) -> None:
        self._http.send(Call(method, path, content=orjson.dumps(body), content_type=JSON, max_retries=0))
