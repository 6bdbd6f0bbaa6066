"""Slack's incoming webhooks, and those of Mattermost and Rocket.Chat, which take the same messages."""

from typing import Final

import orjson

from connectors.bodies import excerpt
from connectors.post import Post
from connectors.webhook import IDEMPOTENCY_KEY
from correlate.alerting.payloads import Outward
from correlate.alerting.payloads_slack import slack
from correlate.errors import SourceMalformed
from correlate.model.alerts import Notification

_TAKEN: Final = frozenset({b"ok", b'{"success":true}'})
"""What Slack and Mattermost answer, and what Rocket.Chat does."""


class SlackReceiver:
    """`ports.receivers.AlertReceiver` for chat."""

    def __init__(self, name: str, post: Post, outward: Outward, *, channel: str = "") -> None:
        """Prepare; nothing is sent yet.

        Args:
            name: what the configuration calls it.
            post: the webhook's address.
            outward: our address.
            channel: instead of the webhook's own; Slack's newer webhooks ignore it.
        """
        self.name = name
        self._post = post
        self._outward = outward
        self._channel = {"channel": channel} if channel else {}

    def deliver(self, notification: Notification) -> None:
        """See `AlertReceiver.deliver`; only the answer ``ok`` says that the message was taken.

        Raises:
            SourceMalformed: it answered 2xx and something else.
        """
        body = orjson.dumps(slack(notification, self._outward) | self._channel)
        reply = self._post.send(body, {IDEMPOTENCY_KEY: notification.key})
        if b"".join(reply.body.split()) not in _TAKEN:
            raise SourceMalformed(f"{reply.who} did not answer ok but {excerpt(reply.body)!r}; is it a Slack webhook?")
