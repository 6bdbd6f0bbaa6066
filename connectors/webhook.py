"""Webhooks: notifications as JSON to any address, signed, with a key that tells repeats apart.

Success is any 2xx; what the answer says is not read. The body and the `Idempotency-Key` are the same at every attempt,
the time and the signature are not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import orjson

from connectors.post import Post
from correlate.alerting.payloads import Outward, cloud_event, grafana_webhook, webhook
from correlate.alerting.payloads_signature import signature
from correlate.model.alerts import Notification
from correlate.ports import Clock

IDEMPOTENCY_KEY: Final = "Idempotency-Key"

SHAPES: Final[Mapping[str, Callable[[Notification, Outward], dict[str, Any]]]] = MappingProxyType(
    {"alertmanager": webhook, "grafana": grafana_webhook, "cloudevents": cloud_event}
)
"""What bodies may look like."""

_TYPES: Final = {"cloudevents": "application/cloudevents+json"}


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """How a webhook is called.

    Attributes:
        format: one of `SHAPES`.
        method: ``POST`` or ``PUT``.
        secret: of the signature; "": not signed.
        signature_header: where the signature is.
        timestamp_header: where the time is that it covers, in Unix seconds.
    """

    format: str = "alertmanager"
    method: str = "POST"
    secret: str = field(default="", repr=False)
    signature_header: str = "X-Correlate-Signature"
    timestamp_header: str = "X-Correlate-Timestamp"


class WebhookReceiver:
    """`ports.receivers.AlertReceiver` by HTTP."""

    def __init__(self, name: str, post: Post, clock: Clock, outward: Outward, options: WebhookOptions) -> None:
        self.name = name
        self._post = post
        self._clock = clock
        self._outward = outward
        self._options = options

    def deliver(self, notification: Notification) -> None:
        """See `AlertReceiver.deliver`."""
        options = self._options
        body = orjson.dumps(SHAPES[options.format](notification, self._outward))
        self._post.send(
            body,
            {IDEMPOTENCY_KEY: notification.key} | self._signed(body),
            method=options.method,
            content_type=_TYPES.get(options.format, "application/json"),
            status_only=True,
        )

    def _signed(self, body: bytes) -> dict[str, str]:
        options = self._options
        time_s = self._clock.now_ns() // 1_000_000_000
        stamped = {options.timestamp_header: str(time_s)}
        if not options.secret:
            return stamped
        return stamped | {options.signature_header: signature(options.secret, time_s, body)}
