"""What would have fired: stored history taken through the same detectors and the same life of alerts, in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from correlate.alerting.settle import Ruling, after, settle
from correlate.detectors.observe_roll import roll
from correlate.model.alert_changes import Standing
from correlate.model.alert_policy import Policies
from correlate.model.alerts import Alert, AlertEvent, AlertStatus
from correlate.model.queries import TimeRange
from correlate.ports import Lake, Observations
from correlate.services.judging import Judging, Manner
from correlate.services.observe import Observe
from correlate.services.watch import services_known

_MOST_BUCKETS = 24


@dataclass(frozen=True, slots=True)
class Happened:
    """One step in the life of an alert that would have been.

    Attributes:
        event: when, and what.
        alert: as it was then.
    """

    event: AlertEvent
    alert: Alert


@dataclass(frozen=True, slots=True)
class Backtested:
    """What a replay found.

    Attributes:
        window: what was replayed: whole buckets.
        services: which services had anything in it.
        judgements: how often a service was judged.
        happened: every event, in order.
        alerts: all alerts, as they were at the end.
    """

    window: TimeRange
    services: tuple[str, ...]
    judgements: int
    happened: tuple[Happened, ...]
    alerts: tuple[Alert, ...]

    @property
    def fired(self) -> tuple[Alert, ...]:
        """Those that were confirmed."""
        return tuple(alert for alert in self.alerts if alert.confirmed_ns)


@dataclass
class _Replay:
    policies: Policies
    standing: dict[str, Standing] = field(default_factory=dict)
    happened: list[Happened] = field(default_factory=list)
    judgements: int = 0

    def take(self, service: str, rulings: Sequence[Ruling]) -> None:
        before = self.standing.get(service, Standing())
        changes = settle(before, rulings, self.policies)
        now = self.standing[service] = after(before, changes)
        alerts = {alert.fingerprint: alert for alert in now.alerts}
        self.happened += [Happened(event, alerts[event.fingerprint]) for event in changes.events]
        self.judgements += 1


class Backtest:
    """Replays history. Nothing is stored and nobody is told."""

    def __init__(
        self,
        lake: Lake,
        observations: Observations,
        observe: Observe,
        judging: Judging,
        manner: Manner,
        policies: Policies,
    ) -> None:
        """Wire it.

        Args:
            lake: what was received.
            observations: what was observed of it.
            observe: observes what was not.
            judging: runs the detectors.
            manner: bucket and pace.
            policies: what the configuration says about alerts.
        """
        self._lake = lake
        self._observations = observations
        self._observe = observe
        self._judging = judging
        self._manner = manner
        self._policies = policies

    def run(
        self, window: TimeRange, services: Sequence[str] = (), on_progress: Callable[[int, int], object] | None = None
    ) -> Backtested:
        """Judge bucket by bucket, one service after the other.

        Args:
            window: the judged time; what detectors need of the time before is read, too.
            services: which; none: all.
            on_progress: told how many judgements of how many are done.

        Raises:
            StoreError: the lake failed.
        """
        known = services_known(self._lake)
        bucket_ns = self._manner.bucket_ns
        whole = TimeRange(window.start_ns // bucket_ns * bucket_ns, -(-window.end_ns // bucket_ns) * bucket_ns)
        there = known.filter((pl.col("last_ns") >= whole.start_ns) & (pl.col("first_ns") < whole.end_ns))
        chosen = [row for row in there.iter_rows(named=True) if not services or row["service"] in services]
        replay = _Replay(self._policies)
        ends = [self._ends(whole, row["first_ns"], row["last_ns"]) for row in chosen]
        total, done = sum(len(each) for each in ends), 0
        for row, own in zip(chosen, ends, strict=True):
            if not own:
                continue
            rows = self._rows(row["service"], row["first_ns"], own)
            history = rows if self._manner.step_ns == bucket_ns else roll(rows, self._manner.step_ns, 0)
            for end_ns in own:
                for service, rulings in self._judging.rulings(rows, history, end_ns):
                    replay.take(service, rulings)
                done += 1
                if on_progress:
                    on_progress(done, total)
        return _told(whole, tuple(row["service"] for row in chosen), replay)

    def _ends(self, window: TimeRange, first_ns: int, last_ns: int) -> list[int]:
        """Ends of the buckets that are judged: from the first with data until one after the last."""
        bucket_ns = self._manner.bucket_ns
        begin = max(window.start_ns, first_ns // bucket_ns * bucket_ns)
        end = min(window.end_ns, (last_ns // bucket_ns + 1) * bucket_ns)
        return list(range(begin + bucket_ns, end + 1, bucket_ns))

    def _rows(self, service: str, first_ns: int, ends: Sequence[int]) -> pl.DataFrame:
        """OBSERVATIONS rows of a service for some judgements, those that were never stored worked out now."""
        bucket_ns = self._manner.bucket_ns
        oldest = max(first_ns, self._manner.history(ends[0]).start_ns) // bucket_ns * bucket_ns
        reach = TimeRange(oldest, ends[-1])
        stored = self._observations.read([service], reach, bucket_ns)
        missing = _missing(reach, bucket_ns, set(stored["time_ns"].unique().to_list()))
        made = [self._observe.rows([service], part, bucket_ns) for part in missing]
        return pl.concat([stored, *made])


def _missing(reach: TimeRange, bucket_ns: int, stored: set[int]) -> Iterator[TimeRange]:
    """Stretches of buckets that are not stored, none of them long."""
    begin: int | None = None
    for start_ns in range(reach.start_ns, reach.end_ns + bucket_ns, bucket_ns):
        wanted = start_ns < reach.end_ns and start_ns not in stored
        if begin is not None and (not wanted or start_ns - begin >= _MOST_BUCKETS * bucket_ns):
            yield TimeRange(begin, start_ns)
            begin = None
        if wanted and begin is None:
            begin = start_ns


def _told(window: TimeRange, services: tuple[str, ...], replay: _Replay) -> Backtested:
    alerts = [alert for standing in replay.standing.values() for alert in standing.alerts]
    order = sorted(alerts, key=lambda alert: (alert.status is AlertStatus.RESOLVED, alert.started_ns))
    happened = sorted(replay.happened, key=lambda each: each.event.time_ns)
    return Backtested(window, services, replay.judgements, tuple(happened), tuple(order))
