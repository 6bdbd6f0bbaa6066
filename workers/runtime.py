"""The composition root of a worker process: services, and the sources they pull."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from connectors import receivers
from connectors.config import Reach
from connectors.prometheus import PrometheusSource
from connectors.prometheus_levels import PrometheusLevels
from connectors.registry import ConfiguredSource, build, read_file
from correlate import __version__, bootstrap
from correlate.errors import NotFound, StoreError
from correlate.ports import Clock, MetricsSource, SourceStatus
from correlate.ports.receivers import Recipient
from correlate.services.pulling import Plan
from correlate.settings import Settings

_LOG: Final = logging.getLogger(__name__)

_LEVELS_BYTES: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Runtime:
    """What tasks work with.

    Attributes:
        services: composed by correlate.
        plans: the sources by name.
        recipients: who is told about alerts.
    """

    services: bootstrap.Services
    plans: MappingProxyType[str, Plan]
    recipients: tuple[Recipient, ...] = ()

    def pull(self, source: str) -> None:
        """Pull what is due of a source.

        Raises:
            NotFound: this process does not know it: its configuration is another.
            StoreError: the state database failed.
        """
        if source not in self.plans:
            raise NotFound(f"source {source!r} is not configured here; do all processes have the same configuration?")
        report = self.services.pull.once(self.plans[source])
        _LOG.debug("pull of %s: %s", source, report)

    def watch(self, shard: str) -> None:
        """Watch a part of the services.

        Args:
            shard: which part of how many: ``0/4``.

        Raises:
            StoreError: the lake or the state database failed.
        """
        number, _, count = shard.partition("/")
        report = self.services.watch.once(int(number), int(count))
        _LOG.debug("watch %s: %s", shard, report)

    def notify(self) -> None:
        """Decide who is to be told about alerts, and tell them what is due; the next turn comes soon if it fails."""
        try:
            self.services.alert_flow.plan()
            report = self.services.notify.due(self.recipients)
        except StoreError as exc:
            _LOG.warning("nobody could be told about alerts: %s", exc)
        else:
            _LOG.debug("told about alerts: %s", report)


@contextmanager
def sources_of(settings: Settings, clock: Clock) -> Iterator[Sequence[ConfiguredSource]]:
    """The configured sources, closed at the end.

    Raises:
        ConfigError: the message lists every mistake.
    """
    entries = [*settings.sources, *(read_file(settings.sources_file) if settings.sources_file else [])]
    sources = build(entries, clock)
    try:
        yield sources
    finally:
        for source in sources:
            source.close()


@contextmanager
def recipients_of(settings: Settings, clock: Clock) -> Iterator[tuple[Recipient, ...]]:
    """The configured receivers of alerts, closed at the end.

    Raises:
        ConfigError: the message lists every mistake.
    """
    means = receivers.Means(clock, settings.resolved_public_url, settings.grafana.org_id, __version__)
    recipients = receivers.build([each.delivery for each in settings.receivers], means)
    try:
        yield tuple(recipients)
    finally:
        for recipient in recipients:
            recipient.close()


@contextmanager
def levels_of(settings: Settings) -> Iterator[MetricsSource | None]:
    """Who is asked for levels, closed at the end; None when nobody is.

    Raises:
        ConfigError: the token cannot be read, or the address cannot be used.
    """
    chosen = settings.detectors.prometheus
    if chosen is None:
        yield None
        return
    reach = Reach.model_validate(
        {
            **chosen.model_dump(include={"tenant", "token_file", "ca_file", "timeout_s"}),
            "deadline_s": chosen.timeout_s,
            "max_retries": 0,  # the watch must not wait; the next bucket asks again
            "max_response_bytes": _LEVELS_BYTES,
        }
    )
    source = PrometheusSource("detectors.prometheus", reach.endpoint(chosen.url))
    try:
        yield PrometheusLevels(source, chosen.queries.given, chosen.service_label)
    finally:
        source.close()


@contextmanager
def runtime_of(services: bootstrap.Services) -> Iterator[Runtime]:
    """What the tasks of a process work with; the sources are noted as configured.

    Raises:
        ConfigError: the sources, the receivers or where levels come from are wrong; the message lists every mistake.
        StoreError: the state database failed.
    """
    settings, clock = services.settings, services.clock
    with (
        sources_of(settings, clock) as sources,
        recipients_of(settings, clock) as recipients,
        levels_of(settings) as levels,
        services.levels.asking(levels),
    ):
        services.books.statuses.configure([SourceStatus(each.name, each.kind, each.place) for each in sources])
        yield Runtime(services, MappingProxyType({each.name: plan_of(each) for each in sources}), recipients)


def plan_of(configured: ConfiguredSource) -> Plan:
    """How a configured source is pulled."""
    return Plan(
        source=configured.source,
        kind=configured.kind,
        place=configured.place,
        every_s=configured.every_s,
        step_s=configured.step_s,
        backfill_s=configured.backfill_s,
        follow=configured.follow,
        parts=configured.parts,
    )
