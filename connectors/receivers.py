"""Which kinds of receivers of alerts there are, and making them from the configuration."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from connectors.alertmanager import AlertmanagerReceiver
from connectors.config import expanded
from connectors.grafana import MOST_S, GrafanaReceiver
from connectors.http import HttpSource
from connectors.post import Post
from connectors.receiver_config import AlertmanagerConfig, GrafanaConfig, ReceiverConfig, SlackConfig, WebhookConfig
from connectors.slack import SlackReceiver
from connectors.webhook import WebhookOptions, WebhookReceiver
from correlate.alerting.payloads import Outward
from correlate.errors import ConfigError
from correlate.ports import Clock
from correlate.ports.receivers import AlertReceiver, Recipient

_SLACK_S: Final = 5.0
"""What a lease is longer than the attempt, at least."""


@dataclass(frozen=True, slots=True)
class Means:
    """What receivers are made with.

    Attributes:
        clock: the time of day.
        public_url: how people reach us.
        org_id: Grafana's organisation.
        version: of the program.
    """

    clock: Clock
    public_url: str = ""
    org_id: int = 1
    version: str = ""

    def outward(self, config: ReceiverConfig, max_alerts: int = 0) -> Outward:
        """What payloads to one receiver say of us."""
        return Outward(self.public_url, config.runbook_url, max_alerts, self.org_id, self.version)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of receiver: how its configuration looks, and what makes it."""

    config: type[ReceiverConfig]
    make: Callable[[Any, Means], Recipient]


def _webhook(config: WebhookConfig, means: Means) -> Recipient:
    options = WebhookOptions(
        config.format,
        config.method,
        config.secret_named("secret"),
        config.signature_header,
        config.timestamp_header,
    )
    post = Post(config.name, config.endpoint(config.secret_named("url")))
    outward = means.outward(config, config.max_alerts)
    return _made(config, WebhookReceiver(config.name, post, means.clock, outward, options), post.place, post.close)


def _slack(config: SlackConfig, means: Means) -> Recipient:
    post = Post(config.name, config.endpoint(config.secret_named("url")))
    receiver = SlackReceiver(config.name, post, means.outward(config), channel=config.channel)
    return _made(config, receiver, post.place, post.close)


def _alertmanager(config: AlertmanagerConfig, means: Means) -> Recipient:
    peers = [HttpSource(config.name, config.endpoint(url)) for url in config.urls]
    receiver = AlertmanagerReceiver(config.name, peers, means.clock, means.outward(config), every_s=config.every_s)
    places = ", ".join(peer.endpoint.address for peer in peers)
    made = _made(config, receiver, places, partial(_close_all, peers))
    lease_s = len(peers) * config.timeout_s + made.lease_s  # peers are told one after the other
    return replace(made, lease_s=lease_s, repeat_every_s=config.every_s, repeat=receiver.repeat)


def _close_all(peers: Sequence[HttpSource]) -> None:
    for peer in peers:
        peer.close()


def _grafana(config: GrafanaConfig, means: Means) -> Recipient:
    http = HttpSource(config.name, config.endpoint(config.url))
    receiver = GrafanaReceiver(
        config.name, http, means.outward(config), dashboard_uid=config.dashboard_uid, panel_id=config.panel_id
    )
    made = _made(config, receiver, http.endpoint.address, http.close)
    return replace(made, lease_s=MOST_S + made.lease_s)


def _made(config: ReceiverConfig, receiver: AlertReceiver, place: str, close: Callable[[], None]) -> Recipient:
    return Recipient(
        receiver,
        config.kind,
        place,
        rate_per_s=config.rate_per_s,
        burst=max(1, int(2 * config.rate_per_s)),
        at_once=config.at_once,
        lease_s=2 * config.timeout_s + _SLACK_S,
        give_up_after_s=config.give_up_after_s,
        close=close,
    )


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "webhook": Kind(WebhookConfig, _webhook),
        "slack": Kind(SlackConfig, _slack),
        "alertmanager": Kind(AlertmanagerConfig, _alertmanager),
        "grafana": Kind(GrafanaConfig, _grafana),
    }
)


def build(entries: Sequence[Any], means: Means) -> list[Recipient]:
    """Make all receivers of a configuration. Nothing is contacted.

    Raises:
        ConfigError: the message lists every mistake of every entry.
    """
    mistakes: list[str] = []
    made = [_entry(number, entry, means, mistakes) for number, entry in enumerate(entries, 1)]
    recipients = [each for each in made if each is not None]
    names = Counter(entry.get("name") for entry in entries if isinstance(entry, dict))
    mistakes += [f"the name {name!r} is given to {count} receivers" for name, count in names.items() if count > 1]
    if mistakes:
        for each in recipients:
            each.close()
        raise ConfigError(f"the receivers have {len(mistakes)} mistake(s): {'; '.join(mistakes)}")
    return recipients


def _entry(number: int, entry: Any, means: Means, mistakes: list[str]) -> Recipient | None:
    where = f"receivers[{number}]"
    if not isinstance(entry, dict):
        mistakes.append(f"{where}: must be a mapping with `name` and `kind`")
        return None
    where += f" {entry['name']}" if isinstance(entry.get("name"), str) else ""
    kind = KINDS.get(str(entry.get("kind", "")))
    if kind is None:
        mistakes.append(f"{where}: kind is {entry.get('kind')!r}; known are {', '.join(KINDS)}")
        return None
    try:
        return kind.make(kind.config.model_validate(expanded(entry)), means)
    except ValidationError as exc:
        mistakes += [f"{where} {'.'.join(map(str, e['loc']))}: {e['msg']}".replace(" : ", ": ") for e in exc.errors()]
    except ConfigError as exc:
        mistakes.append(f"{where}: {exc}")
    return None
