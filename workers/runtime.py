"""The composition root of a worker process: services, and the sources they pull."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from connectors.registry import ConfiguredSource, build, read_file
from correlate import bootstrap
from correlate.errors import NotFound
from correlate.ports import Clock, SourceStatus
from correlate.services.pulling import Plan
from correlate.settings import Settings

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """What tasks work with.

    Attributes:
        services: composed by correlate.
        plans: the sources by name.
    """

    services: bootstrap.Services
    plans: MappingProxyType[str, Plan]

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
def runtime_of(services: bootstrap.Services) -> Iterator[Runtime]:
    """What the tasks of a process work with; the sources are noted as configured.

    Raises:
        ConfigError: the sources are wrong; the message lists every mistake.
        StoreError: the state database failed.
    """
    with sources_of(services.settings, services.clock) as sources:
        services.books.statuses.configure([SourceStatus(each.name, each.kind, each.place) for each in sources])
        yield Runtime(services, MappingProxyType({each.name: plan_of(each) for each in sources}))


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
