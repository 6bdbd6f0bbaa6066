"""Watching: what is due is observed, judged, and handed on. What is due follows from watermarks alone."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import polars as pl

from correlate.alerting.settle import Ruling
from correlate.errors import CorrelateError
from correlate.model.queries import TimeRange
from correlate.ports import Clock, Lake, Leases, Observations, Watermarks
from correlate.services.judging import Judging, Manner
from correlate.services.observe import Observe
from correlate.services.pulling import HeldLease, LostLease
from correlate.tables.hashing import hash_one

_LOG: Final = logging.getLogger(__name__)

SOURCE: Final = "watch"
"""What watermarks of watching are called; their scope is the service."""

_LEASE_S: Final = 60.0
_BUDGET_S: Final = 60.0
_MOST_SERVICES: Final = 32
_MOST_HITS: Final = 4_000_000
Judged = Callable[[str, Sequence[Ruling]], object]
"""Takes in what detectors said about a service; see `AlertFlow.judged`."""


@dataclass(frozen=True, slots=True)
class WatchReport:
    """What one round did.

    Attributes:
        services: how often a service was judged.
        rows: observations stored.
        verdicts: what detectors had to say.
        behind: whether more is due right now.
        held: whether somebody else watches this shard; then nothing was done.
    """

    services: int = 0
    rows: int = 0
    verdicts: int = 0
    behind: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """A service and the buckets that are to be observed; it is judged at the end of the last.

    Attributes:
        service: its name.
        mark_ns: its watermark; None: never watched.
        window: whole buckets.
        hits: about how many samples there are.
    """

    service: str
    mark_ns: int | None
    window: TimeRange
    hits: float


@dataclass(frozen=True, slots=True)
class Means:
    """What watching works with.

    Attributes:
        lake: tells which services there are.
        observations: what was observed.
        watermarks: how far each service is watched.
        leases: who watches which shard.
        clock: the time of day.
    """

    lake: Lake
    observations: Observations
    watermarks: Watermarks
    leases: Leases
    clock: Clock


class Watch:
    """Watches services, shard by shard. Safe to use from many threads and processes over the same books.

    A crash anywhere leaves the watermark where it was: what is observed again replaces what was there, and a judgement
    that comes again changes nothing.
    """

    def __init__(
        self, means: Means, observe: Observe, judging: Judging, judged: Judged, manner: Manner, *, holder: str
    ) -> None:
        """Wire it.

        Args:
            means: what it works with.
            observe: reduces what was received.
            judging: runs the detectors.
            judged: takes in what they say.
            manner: bucket and settling.
            holder: names this process among all that share the books.
        """
        self._means = means
        self._observe = observe
        self._judging = judging
        self._judged = judged
        self._manner = manner
        self._holder = holder
        self._marks: dict[str, int] = {}  # a hint: marks only move on, so what is here is never too late

    def once(self, shard: int = 0, shards: int = 1) -> WatchReport:
        """Watch the services of a shard until nothing is due, for about a minute.

        Args:
            shard: which, from 0.
            shards: how many there are.

        Raises:
            StoreError: the lake or the state database failed; what was done stays.
        """
        lease = self._means.leases.acquire(f"watch {shard}/{shards}", self._holder, _LEASE_S)
        if lease is None:
            return WatchReport(held=True)
        held = HeldLease(self._means.leases, lease, _LEASE_S)
        report = WatchReport()
        ends_s = time.monotonic() + _BUDGET_S
        try:
            with held.renewed():
                while due := self.due(shard, shards):
                    for batch in _batches(due):
                        held.check()
                        report = self._batch(batch, report)
                        if time.monotonic() > ends_s:
                            return replace(report, behind=True)
        except LostLease:
            return replace(report, held=True)
        finally:
            self._means.leases.release(lease)
        return report

    def due(self, shard: int = 0, shards: int = 1) -> list[Due]:
        """What is to be observed now, by window."""
        end_ns = self._manner.end_ns(self._means.clock.now_ns())
        known = services_known(self._means.lake)
        mine = (row for row in known.iter_rows(named=True) if hash_one(row["service"]) % shards == shard)
        found = (self._due(row, end_ns) for row in mine)
        return sorted((each for each in found if each), key=lambda each: (each.window.start_ns, each.window.end_ns))

    def _due(self, row: Mapping[str, int | str], end_ns: int) -> Due | None:
        service, first_ns, last_ns = str(row["service"]), int(row["first_ns"]), int(row["last_ns"])
        hint_ns = self._marks.get(service, -1)
        if hint_ns >= end_ns or last_ns < hint_ns:
            return None
        mark_ns = self._means.watermarks.until_ns(SOURCE, service)
        if mark_ns is not None:
            self._marks[service] = mark_ns
        bucket_ns, step_ns = self._manner.bucket_ns, self._manner.step_ns
        oldest_ns = max(first_ns, self._manner.history(end_ns).start_ns) // bucket_ns * bucket_ns
        start_ns = oldest_ns if mark_ns is None else max(mark_ns, oldest_ns) // bucket_ns * bucket_ns
        # A long bucket's end is a judgement of its own: some detectors look at nothing else.
        window = TimeRange(start_ns, min(end_ns, (start_ns // step_ns + 1) * step_ns))
        if window.end_ns <= window.start_ns or last_ns < window.start_ns:
            return None
        hits = int(row["sample_count"]) * (window.end_ns - window.start_ns) / max(last_ns - first_ns, bucket_ns)
        return Due(service, mark_ns, window, hits)

    def _batch(self, batch: Sequence[Due], report: WatchReport) -> WatchReport:
        """Watch some services; where one of them breaks the reduction, the others go on without it."""
        try:
            return self._watched(batch, report)
        except CorrelateError:
            raise
        except Exception as exc:  # noqa: BLE001  absurd data of one service must not keep the others from being watched
            if len(batch) > 1:
                for each in batch:
                    report = self._batch([each], report)
                return report
            name, window = batch[0].service, batch[0].window
            _LOG.error("service %s cannot be observed, %s is left out", name, window, exc_info=exc)
            self._advance(batch)
            return report

    def _watched(self, batch: Sequence[Due], report: WatchReport) -> WatchReport:
        window = batch[0].window
        services = [each.service for each in batch]
        manner, read = self._manner, self._means.observations.read
        stored = self._observe.observe(services, window, manner.bucket_ns, manner.step_ns)
        recent = read(services, manner.recent(window.end_ns), manner.bucket_ns)
        history = read(services, manner.history(window.end_ns), manner.step_ns)
        verdicts = 0
        for service, rulings in self._judging.rulings(recent, history, window.end_ns):
            self._judged(service, rulings)
            verdicts += sum(len(ruling.verdicts) for ruling in rulings)
        self._advance(batch)
        return replace(
            report,
            services=report.services + len(batch),
            rows=report.rows + stored,
            verdicts=report.verdicts + verdicts,
        )

    def _advance(self, batch: Sequence[Due]) -> None:
        for each in batch:
            if self._means.watermarks.advance(SOURCE, each.service, each.mark_ns, each.window.end_ns):
                self._marks[each.service] = each.window.end_ns


def services_known(lake: Lake) -> pl.DataFrame:
    """Services with spans or profiles: service, first_ns, last_ns, sample_count (hits of the profiler)."""
    spans = lake.operations().select("service", "first_ns", "last_ns", sample_count=pl.lit(0, pl.Int64))
    profiles = lake.profile_types().select("service", "first_ns", "last_ns", "sample_count")
    return (
        pl.concat([spans, profiles])
        .group_by("service")
        .agg(pl.col("first_ns").min(), pl.col("last_ns").max(), pl.col("sample_count").sum())
        .sort("service")
    )


def _batches(due: Sequence[Due]) -> Iterator[list[Due]]:
    """Services with the same buckets, as many as fit into memory."""
    for _, same in groupby(due, key=lambda each: each.window):
        batch: list[Due] = []
        for each in same:
            if batch and (len(batch) >= _MOST_SERVICES or sum(one.hits for one in batch) + each.hits > _MOST_HITS):
                yield batch
                batch = []
            batch.append(each)
        if batch:
            yield batch
