"""Judging: every detector on every service of a batch, over one read of what was observed."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from correlate.alerting.settle import Ruling
from correlate.detectors import cases
from correlate.detectors.cases_growth import LEAST_RECENT_GROWTH as _LEAST
from correlate.detectors.observe_rows import Role, alias_of, role_of
from correlate.detectors.observe_stacks import stack_names
from correlate.detectors.port import LOOKBACK_S, RECENT_S, STEP_S, Case, Detector
from correlate.detectors.registry import DETECTORS
from correlate.detectors.sensitivity import Sensitivity
from correlate.model.alert_changes import Judgement
from correlate.model.queries import TimeRange
from correlate.model.verdicts import Verdict
from correlate.services.observe import Observe
from correlate.tables.schema import OBSERVATIONS, OBSERVED_TOTAL

_LOG: Final = logging.getLogger(__name__)

SNAPSHOTS_NS: Final = 900_000_000_000
"""How far back single profiles are looked at: enough for what grows within minutes."""

_GROWN_BUCKETS: Final = 3


@dataclass(frozen=True, slots=True)
class Manner:
    """How services are watched.

    Attributes:
        bucket_ns: length of a bucket.
        settle_ns: so long after its end a bucket is observed: profiles and spans come late.
        pace_ratio: what the detectors' times are multiplied by: 1, less for demonstrations.
    """

    bucket_ns: int = 300_000_000_000
    settle_ns: int = 120_000_000_000
    pace_ratio: float = 1.0

    @property
    def step_ns(self) -> int:
        """Length of a long bucket."""
        return max(round(STEP_S * 1e9 * self.pace_ratio / self.bucket_ns), 1) * self.bucket_ns

    def recent(self, until_ns: int) -> TimeRange:
        """What is looked at in short buckets."""
        return TimeRange(until_ns - int(RECENT_S * 1e9), until_ns)

    def history(self, until_ns: int) -> TimeRange:
        """What is looked at in long ones."""
        return TimeRange(until_ns - int(LOOKBACK_S * 1e9), until_ns // self.step_ns * self.step_ns)

    def end_ns(self, now_ns: int) -> int:
        """End of the last bucket that can be observed."""
        return (now_ns - self.settle_ns) // self.bucket_ns * self.bucket_ns


@dataclass(frozen=True, slots=True)
class Wish:
    """What an owner wants of a detector for a service: whether it looks at all, and how easily it speaks."""

    enabled: bool = True
    sensitivity: Sensitivity = Sensitivity.NORMAL


Wishes = Callable[[str], Callable[[str], Wish]]
"""By service, then by detector."""

Finish = Callable[[str, Sequence[Verdict], TimeRange], Sequence[Verdict]]
"""Adds to the verdicts on a service what only traces tell, from a window."""


class Judging:
    """Runs the detectors."""

    def __init__(
        self,
        observe: Observe,
        manner: Manner,
        wishes: Wishes,
        finish: Finish,
        detectors: Sequence[Detector] = DETECTORS,
    ) -> None:
        """Wire it.

        Args:
            observe: gives single profiles and symbols.
            manner: bucket and pace.
            wishes: what owners want.
            finish: adds operations to what was found.
            detectors: all of them.
        """
        self._observe = observe
        self._manner = manner
        self._wishes = wishes
        self._finish = finish
        self._detectors = detectors
        self._failed: set[str] = set()  # whose defects were logged in full

    def rulings(self, rows: pl.DataFrame, history: pl.DataFrame, until_ns: int) -> Iterator[tuple[str, list[Ruling]]]:
        """What the detectors say about each of some services at a time.

        Args:
            rows: OBSERVATIONS rows of the services in short buckets; what is not of `Manner.recent` is left out.
            history: the same in long buckets, of `Manner.history`.
            until_ns: end of the last bucket.

        Raises:
            StoreError: the lake failed.
        """
        recent = _of(rows, self._manner.recent(until_ns))
        known = _of(history, self._manner.history(until_ns))
        services = pl.concat([recent["service"], known["service"]]).unique().to_list()
        if not services:
            return
        snapshots = self._snapshots(recent, until_ns)
        empty = snapshots.clear()
        parts = [each.partition_by("service", as_dict=True) for each in (recent, known, snapshots) if len(each)]
        found = [parts.pop(0) if len(each) else {} for each in (recent, known, snapshots)]
        stacks = self._stacks(services, [recent, known, snapshots])
        for service in services:
            mine, old, late = (each.get((service,), empty) for each in found)
            case = Case(
                service=service,
                until_ns=until_ns,
                bucket_ns=self._manner.bucket_ns,
                rows=mine,
                step_ns=self._manner.step_ns,
                history=old,
                snapshots=late,
                stacks=stacks,
                pace_ratio=self._manner.pace_ratio,
            )
            yield service, self._ruled(case)

    def _ruled(self, case: Case) -> list[Ruling]:
        deploys = np.concatenate([cases.deploys(case), cases.deploys(case.long)])
        deployed_ns = int(deploys.max(initial=0))
        wishes = self._wishes(case.service)
        found: list[Ruling] = []
        for detector in self._detectors:
            if detector.by_steps and case.until_ns % case.step_ns:
                continue
            wish = wishes(detector.name)
            at = Judgement(case.service, detector.name, case.until_ns, deployed_ns)
            verdicts = self._verdicts(detector, replace(case, sensitivity=wish.sensitivity)) if wish.enabled else ()
            if verdicts is not None:
                found.append(Ruling(at, tuple(verdicts)))
        return found

    def _verdicts(self, detector: Detector, case: Case) -> Sequence[Verdict] | None:
        """None when a detector failed: then nothing is known, and no alert goes away."""
        try:
            verdicts = detector.judge(case)
        except Exception as exc:  # noqa: BLE001  a defect in one, or absurd data of one service, must not silence others
            told = detector.name in self._failed
            self._failed.add(detector.name)
            _LOG.error("detector %s failed on service %s: %r", detector.name, case.service, exc, exc_info=not told)
            return None
        window = TimeRange(case.until_ns - SNAPSHOTS_NS, case.until_ns)
        return self._finish(case.service, verdicts, window) if verdicts else verdicts

    def _snapshots(self, rows: pl.DataFrame, until_ns: int) -> pl.DataFrame:
        """Single profiles of those processes that hold more than a few buckets ago: of most services, none."""
        grown = _grown(rows, until_ns, self._manner.bucket_ns)
        if grown.is_empty():
            return pl.DataFrame(schema=OBSERVATIONS)
        services = grown["service"].unique().to_list()
        window = TimeRange(until_ns - SNAPSHOTS_NS, until_ns)
        return self._observe.snapshots(services, grown.select("type", "instance"), window)

    def _stacks(self, services: Sequence[str], parts: Sequence[pl.DataFrame]) -> dict[int, tuple[str, ...]]:
        """Examples that detectors may show, or find callers in: of each key the last one."""
        keys = ["service_id", "type", "kind", "key"]
        rows = pl.concat([each.select(*keys, "time_ns", "stack") for each in parts]).filter(pl.col("stack") != 0)
        last = rows.group_by(keys).agg(pl.col("stack").get(pl.col("time_ns").arg_max()))
        wanted = np.unique(np.concatenate([last["stack"].to_numpy(), parts[-1]["stack"].to_numpy()]))
        return stack_names(self._observe.symbols(services), wanted)


def _of(rows: pl.DataFrame, window: TimeRange) -> pl.DataFrame:
    return rows.filter((pl.col("time_ns") >= window.start_ns) & (pl.col("time_ns") < window.end_ns))


def _grown(rows: pl.DataFrame, until_ns: int, bucket_ns: int) -> pl.DataFrame:
    """Of each service and type of snapshots the process that grew most of late, if it is worth a look."""
    types = [text for text in rows["type"].unique() if role_of(text) is Role.HELD and alias_of(text) in _LEAST]
    least = {text: _LEAST[alias_of(text)] for text in types}
    recent = rows.filter(
        pl.col("type").is_in(types)
        & (pl.col("kind") == OBSERVED_TOTAL)
        & (pl.col("instance") != 0)
        & (pl.col("time_ns") >= until_ns - max(_GROWN_BUCKETS * bucket_ns, SNAPSHOTS_NS // 3))
    )
    if recent.is_empty():
        return recent
    # The last mean lies below the last value, as the first floor does not: twice the rise within a bucket.
    growth = pl.col("value").sort_by("time_ns").last() - pl.col("floor").min()
    grown = recent.group_by("service", "type", "instance").agg(growth=growth)
    worth = grown.filter(pl.col("growth") >= pl.col("type").replace_strict(least, return_dtype=pl.Int64) // 2)
    return worth.sort("growth", "instance", descending=True).unique(["service", "type"], keep="first")
