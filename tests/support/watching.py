"""A watch over a lake in memory, with books in a file."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from correlate.alerting.settle import Ruling
from correlate.detectors.port import Detector
from correlate.detectors.registry import DETECTORS
from correlate.model.alert_policy import Policies
from correlate.services.backtest import Backtest
from correlate.services.judging import Judging, Manner
from correlate.services.leak_operations import SiteOperations
from correlate.services.observe import Measure, Observe
from correlate.services.watch import Means, Watch
from correlate.services.wishes import Wishes
from correlate.storage.state import open_state
from correlate.storage.state_pulls import SqlLeases, SqlWatermarks
from correlate.tables.tables import Tables
from tests.fakes.lake import FakeLake
from tests.fakes.observations import FakeObservations
from tests.support.store import FixedClock


@dataclass
class Watched:
    """A watch and all it works with; what it hands on is kept in `rulings`."""

    lake: FakeLake
    observations: FakeObservations
    clock: FixedClock
    watch: Watch
    backtest: Backtest
    marks: SqlWatermarks
    leases: SqlLeases
    rulings: list[tuple[str, list[Ruling]]] = field(default_factory=list)

    def said(self) -> list[tuple[str, str, str, str]]:
        """Service, detector, tier and subject of all verdicts, in order."""
        return [
            (service, verdict.detector, verdict.tier.value, verdict.subject)
            for service, rulings in self.rulings
            for ruling in rulings
            for verdict in ruling.verdicts
        ]


@contextmanager
def watching(
    folder: Path,
    tables: Tables,
    now_ns: int,
    manner: Manner,
    policies: Policies | None = None,
    detectors: Sequence[Detector] = DETECTORS,
    measure: Measure | None = None,
) -> Iterator[Watched]:
    """Watch what some tables hold."""
    clock, lake, observations = FixedClock(now_ns), FakeLake(tables), FakeObservations()
    chosen = policies or Policies()
    with open_state(f"sqlite:///{folder / 'state.db'}", clock=clock) as state:
        marks, leases = SqlWatermarks(state, clock), SqlLeases(state, clock)
        observe = Observe(lake, observations, clock, measure)
        judging = Judging(observe, manner, Wishes(chosen), SiteOperations(lake).add, detectors)
        rulings: list[tuple[str, list[Ruling]]] = []

        def judged(service: str, said: Sequence[Ruling]) -> None:
            rulings.append((service, list(said)))

        means = Means(lake, observations, marks, leases, clock)
        watch = Watch(means, observe, judging, judged, manner, holder="me")
        backtest = Backtest(lake, observations, observe, judging, manner, chosen)
        yield Watched(lake, observations, clock, watch, backtest, marks, leases, rulings)
