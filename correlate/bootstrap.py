"""The composition root: from settings to running services. The only file that names concrete stores."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from correlate.ports import Clock
from correlate.services.answers import Profile
from correlate.services.catalogue import Catalogue
from correlate.services.explain import Explain
from correlate.services.health import Health
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.services.links import LinkMaker
from correlate.services.render import Format, Rendered, render
from correlate.settings import Settings
from correlate.storage.lake import LakeOptions, LakeStore, open_lake
from correlate.storage.maintenance import MaintenanceOptions
from correlate.storage.metrics import LakeMetrics


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        return time.time_ns()  # noqa: TID251 the one place that reads it


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a door needs, wired together.

    Attributes:
        settings: what it was built from.
        ingest: the way in.
        explain: profiles of spans.
        catalogue: what is there.
        health: readiness.
        links: builds links to our pages and to Grafana.
        clock: the time of day.
        metrics: where doors and stores register what they count.
    """

    settings: Settings
    ingest: Ingest
    explain: Explain
    catalogue: Catalogue
    health: Health
    links: LinkMaker
    clock: Clock
    metrics: CollectorRegistry

    @property
    def public_url(self) -> str:
        """How people reach the HTTP port."""
        return self.links.public_url

    def render(self, profile: Profile, wanted: Format, *, max_nodes: int, plotlyjs_url: str | None = None) -> Rendered:
        """Give a profile its outward form, with links."""
        return render(profile, wanted, links=self.links, max_nodes=max_nodes, plotlyjs_url=plotlyjs_url)


@contextmanager
def running(settings: Settings, *, clock: Clock | None = None, maintain: bool = True) -> Iterator[Services]:
    """Open what a process needs; close it in reverse order, whatever happens.

    Args:
        settings: where things are and how they behave.
        clock: the time of day; the machine's unless a test brings its own.
        maintain: merge files and drop old ones in the background.

    Raises:
        ConfigError: a URL is of an unknown kind.
        StoreError: the lake cannot be opened.
    """
    clock = clock or SystemClock()
    with ExitStack() as stack:
        lake = stack.enter_context(open_lake(settings.resolved_lake_url, options=_lake_options(settings), clock=clock))
        if maintain:
            lake.maintenance.start()
            stack.callback(lake.maintenance.stop)
        yield _wire(settings, lake, clock)


def _wire(settings: Settings, lake: LakeStore, clock: Clock) -> Services:
    skew_ns = int(settings.join_skew_s * 1e9)
    metrics = CollectorRegistry()
    metrics.register(LakeMetrics(lake))
    grafana = settings.grafana
    return Services(
        settings=settings,
        ingest=Ingest(lake, clock, AcceptedTimes(settings.retention_days, settings.ahead_s)),
        explain=Explain(lake, skew_ns=skew_ns),
        catalogue=Catalogue(lake, skew_ns=skew_ns),
        health=Health(lake.probes),
        links=LinkMaker(
            settings.resolved_public_url, grafana.url, grafana.tempo_uid, grafana.pyroscope_uid, grafana.org_id
        ),
        clock=clock,
        metrics=metrics,
    )


def _lake_options(settings: Settings) -> LakeOptions:
    return LakeOptions(
        linger_s=settings.commit_linger_s,
        queue_bytes=settings.queue_limit_bytes,
        symbol_bytes=settings.symbol_cache_bytes,
        maintenance=MaintenanceOptions(
            retention_s=settings.retention_days * 86_400, max_bytes=settings.max_lake_bytes or None
        ),
    )
