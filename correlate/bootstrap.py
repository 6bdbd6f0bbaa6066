"""The composition root: from settings to running services. The only file that names concrete stores."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from uuid import uuid4

from prometheus_client import CollectorRegistry

from correlate.doctor.checklist import Forwarding, Practices
from correlate.doctor.endpoints import Endpoint
from correlate.model.alert_policy import AlertConfig
from correlate.model.forward import Target
from correlate.ports import AlertBooks, Clock, Part
from correlate.services.alert_evidence import AlertEvidence
from correlate.services.alert_flow import AlertFlow
from correlate.services.alerts import Alerts
from correlate.services.answers import Profile
from correlate.services.backtest import Backtest
from correlate.services.breakdown import Breakdowns
from correlate.services.catalogue import Catalogue
from correlate.services.cohort_profiles import CohortProfiles
from correlate.services.cohorts import Cohorts
from correlate.services.compare import Compare
from correlate.services.doctor import Doctor
from correlate.services.existence import Existence
from correlate.services.explain import Explain
from correlate.services.forward import Forward
from correlate.services.forward_metrics import ForwardMetrics
from correlate.services.frames import Frames
from correlate.services.health import Health
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.services.judging import Judging, Manner
from correlate.services.leak_operations import SiteOperations
from correlate.services.letters import Replay
from correlate.services.levels import Levels
from correlate.services.levels_metrics import LevelsMetrics
from correlate.services.links import LinkMaker
from correlate.services.notify import Notify, NotifyBooks
from correlate.services.notify_metrics import NotifyMetrics
from correlate.services.observe import Observe
from correlate.services.on_demand import Fetcher, Fetching
from correlate.services.pipeline_metrics import PipelineMetrics
from correlate.services.pull import Pull
from correlate.services.pull_run import Means
from correlate.services.pulling import Books
from correlate.services.receivers import Receivers
from correlate.services.render import Format, Rendered, render
from correlate.services.source_metrics import SourceMetrics
from correlate.services.sources import Sources
from correlate.services.upkeep import Upkeep
from correlate.services.watch import Means as WatchMeans
from correlate.services.watch import Watch
from correlate.services.wishes import Steps, Wishes, no_feedback
from correlate.settings import Settings
from correlate.storage.lake import LakeOptions, LakeStore, open_lake
from correlate.storage.maintenance import MaintenanceOptions
from correlate.storage.metrics import LakeMetrics
from correlate.storage.outbox import DiskOutbox
from correlate.storage.state import State, open_state
from correlate.storage.state_alerts import SqlAlertBook
from correlate.storage.state_letters import SqlDeadLetters
from correlate.storage.state_notifications import SqlNotificationOutbox
from correlate.storage.state_pulls import SqlLeases, SqlWatermarks
from correlate.storage.state_silences import SqlFeedback, SqlSilences
from correlate.storage.state_sources import SqlSourceStatuses

_CREDENTIALS: Final = frozenset({"token", "token_file", "user", "headers"})
"""What a source is configured with where an endpoint asks who is there."""


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
        forward: the way in for doors whose requests are passed on to other systems too.
        explain: profiles of spans, fetched from sources where they are missing.
        breakdowns: where the time of spans went.
        frames: functions, and the spans that paid most for them.
        cohorts: profiles of many spans at once.
        compare: two sets of spans compared.
        catalogue: what is there.
        doctor: what is wrong with the correlation.
        health: readiness.
        links: builds links to our pages and to Grafana.
        books: what pulling writes down.
        pull: fetches from sources what is due.
        replay: tries again what could not be read.
        upkeep: maintenance, for one of many processes.
        sources: how the sources are.
        alerts: what people do with alerts.
        alert_flow: from verdicts to alerts, and to what receivers are to be told.
        levels: asks for what profiles do not tell, while somebody can be asked.
        watch: observes services and runs the detectors.
        backtest: tells what would have fired.
        notify: tells receivers.
        receivers: tries receivers out.
        clock: the time of day.
        metrics: where doors and stores register what they count.
    """

    settings: Settings
    ingest: Ingest
    forward: Forward
    explain: Fetching
    breakdowns: Breakdowns
    frames: Frames
    cohorts: CohortProfiles
    compare: Compare
    catalogue: Catalogue
    doctor: Doctor
    health: Health
    links: LinkMaker
    books: Books
    pull: Pull
    replay: Replay
    upkeep: Upkeep
    sources: Sources
    alerts: Alerts
    alert_flow: AlertFlow
    levels: Levels
    watch: Watch
    backtest: Backtest
    notify: Notify
    receivers: Receivers
    clock: Clock
    metrics: CollectorRegistry

    @property
    def public_url(self) -> str:
        """How people reach the HTTP port."""
        return self.links.public_url

    def render(self, profile: Profile, wanted: Format, *, max_nodes: int) -> Rendered:
        """Give a profile its outward form, with links."""
        return render(profile, wanted, links=self.links, max_nodes=max_nodes)


@contextmanager
def running(settings: Settings, *, clock: Clock | None = None, maintain: bool = True) -> Iterator[Services]:
    """Open what a process needs; close it in reverse order, whatever happens.

    Args:
        settings: where things are and how they behave.
        clock: the time of day; the machine's unless a test brings its own.
        maintain: merge files and drop old ones in the background.

    Raises:
        ConfigError: a URL is of an unknown kind.
        StoreError: the lake or the state database cannot be opened.
    """
    clock = clock or SystemClock()
    with ExitStack() as stack:
        state = stack.enter_context(open_state(settings.resolved_state_url, clock=clock))
        lake = stack.enter_context(open_lake(settings.resolved_lake_url, options=_lake_options(settings), clock=clock))
        if maintain:
            lake.maintenance.start()
            stack.callback(lake.maintenance.stop)
        services = _wire(settings, lake, state, clock)
        stack.callback(services.forward.close)
        stack.callback(services.notify.close)
        yield services


def _wire(settings: Settings, lake: LakeStore, state: State, clock: Clock) -> Services:
    skew_ns = int(settings.join_skew_s * 1e9)
    metrics = CollectorRegistry()
    metrics.register(LakeMetrics(lake))
    times = AcceptedTimes(settings.retention_days, settings.ahead_s)
    ingest = Ingest(lake, clock, times, steps=settings.steps, on_dropped=PipelineMetrics(metrics).count)
    forward = Forward(ingest, [each.target() for each in settings.forward], partial(_outbox, settings))
    metrics.register(ForwardMetrics(forward.lanes))
    books = _books(state, clock)
    sources = Sources(books, clock)
    metrics.register(SourceMetrics(sources))
    explain = Fetching(Explain(lake, skew_ns=skew_ns), Fetcher(ingest, lake, skew_ns=skew_ns))
    holder = _process_name()
    cohorts = CohortProfiles(lake, Cohorts(lake), skew_ns=skew_ns)
    links = _links(settings)
    levels = Levels(clock)
    metrics.register(LevelsMetrics(levels))
    told = _alerting(settings, state, books, clock, holder, AlertEvidence(lake, links))
    metrics.register(NotifyMetrics(told.notify, told.books.outbox, clock))
    return Services(
        settings=settings,
        ingest=ingest,
        forward=forward,
        explain=explain,
        breakdowns=Breakdowns(lake, explain),
        frames=Frames(lake, Existence(lake, explain), skew_ns=skew_ns),
        cohorts=cohorts,
        compare=Compare(cohorts),
        catalogue=Catalogue(lake, skew_ns=skew_ns),
        doctor=Doctor(lake, clock, partial(_practices, settings, forward, books, told.receivers), skew_ns=skew_ns),
        health=Health(lake.probes),
        links=links,
        books=books,
        pull=Pull(Means(ingest, lake, books, clock), holder=holder, lease_s=settings.lease_s),
        replay=Replay(ingest, lake, books.letters),
        upkeep=Upkeep(lake.maintenance, books.leases, holder),
        sources=sources,
        alerts=told.alerts,
        alert_flow=told.flow,
        levels=levels,
        watch=_watch(settings, lake, books, told.flow, told.books, clock, holder, levels),
        backtest=_backtest(settings, lake, clock),
        notify=told.notify,
        receivers=told.receivers,
        clock=clock,
        metrics=metrics,
    )


@dataclass(frozen=True, slots=True)
class _Alerting:
    """What keeps alerts and tells of them."""

    books: AlertBooks
    alerts: Alerts
    flow: AlertFlow
    notify: Notify
    receivers: Receivers


def _alerting(
    settings: Settings, state: State, books: Books, clock: Clock, holder: str, evidence: AlertEvidence
) -> _Alerting:
    kept = _alert_books(state, clock)
    config = AlertConfig(settings.detectors.policies, tuple(each.route() for each in settings.receivers))
    receivers = Receivers(config.receivers, kept, state, clock)
    notify = Notify(NotifyBooks(kept.outbox, kept.alerts, books.leases, receivers.note_test), clock, holder=holder)
    flow = AlertFlow(kept, config, clock, evidence)
    return _Alerting(kept, Alerts(kept, config, clock), flow, notify, receivers)


def _books(state: State, clock: Clock) -> Books:
    return Books(
        SqlWatermarks(state, clock), SqlLeases(state, clock), SqlSourceStatuses(state), SqlDeadLetters(state, clock)
    )


def _alert_books(state: State, clock: Clock) -> AlertBooks:
    return AlertBooks(SqlAlertBook(state), SqlSilences(state), SqlFeedback(state), SqlNotificationOutbox(state, clock))


def _links(settings: Settings) -> LinkMaker:
    grafana = settings.grafana
    return LinkMaker(
        settings.resolved_public_url, grafana.url, grafana.tempo_uid, grafana.pyroscope_uid, grafana.org_id
    )


def _manner(settings: Settings) -> Manner:
    chosen = settings.detectors
    return Manner(int(chosen.bucket_s * 1e9), int(chosen.settle_s * 1e9), chosen.pace)


def _judging(settings: Settings, lake: LakeStore, observe: Observe, steps: Steps) -> Judging:
    wishes = Wishes(settings.detectors.policies, steps)
    return Judging(observe, _manner(settings), wishes, SiteOperations(lake).add)


def _watch(
    settings: Settings,
    lake: LakeStore,
    books: Books,
    flow: AlertFlow,
    alert_books: AlertBooks,
    clock: Clock,
    holder: str,
    levels: Levels,
) -> Watch:
    observe = Observe(lake, lake.observations, clock, levels.rows)
    judging = _judging(settings, lake, observe, lambda service: alert_books.feedback.steps(service, clock.now_ns()))
    means = WatchMeans(lake, lake.observations, books.watermarks, books.leases, clock)
    return Watch(means, observe, judging, flow.judged, _manner(settings), holder=holder)


def _backtest(settings: Settings, lake: LakeStore, clock: Clock) -> Backtest:
    observe = Observe(lake, lake.observations, clock)
    judging = _judging(settings, lake, observe, no_feedback)
    policies = settings.detectors.policies
    return Backtest(lake, lake.observations, observe, judging, _manner(settings), policies)


def _practices(settings: Settings, forward: Forward, books: Books, receivers: Receivers) -> Practices:
    """How this installation is run, for the doctor's checklist."""
    guarded = {str(each.get("name")) for each in settings.sources if _CREDENTIALS & each.keys()}
    scraped = [each for each in books.statuses.all() if each.configured and each.kind == "pprof"]
    places = {(each.source, place) for each in scraped for place in _urls(each.parts) or each.place.split(", ")}
    named = tuple(each.name for each in settings.receivers)
    return Practices(
        retention_days=settings.retention_days,
        retention_is_set="retention_days" in settings.model_fields_set,
        alert_receivers=named or None,
        receivers_tested=tuple(name for name in named if receivers.tested_ns(name)),
        forwards=tuple(
            Forwarding(lane.target.name, lane.counters.delivered, lane.counters.problem) for lane in forward.lanes
        ),
        grafana_url=settings.grafana.url,
        endpoints=tuple(Endpoint(source, place, source in guarded) for source, place in sorted(places)),
    )


def _urls(parts: Sequence[Part]) -> list[str]:
    """The targets among the parts of a source: those that are called by their URL."""
    return [part.name for part in parts if "://" in part.name]


def _process_name() -> str:
    """Tells this process from all that ever share the state database with it."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"


def _outbox(settings: Settings, target: Target) -> DiskOutbox:
    folder = settings.data_dir / "forward" / target.name
    return DiskOutbox(folder, max_bytes=target.max_bytes, fsync=settings.fsync)


def _lake_options(settings: Settings) -> LakeOptions:
    return LakeOptions(
        linger_s=settings.commit_linger_s,
        queue_bytes=settings.queue_limit_bytes,
        symbol_bytes=settings.symbol_cache_bytes,
        fsync=settings.fsync,
        storage_options=settings.resolved_lake_options,
        maintenance=MaintenanceOptions(
            retention_s=settings.retention_days * 86_400, max_bytes=settings.max_lake_bytes or None
        ),
    )
