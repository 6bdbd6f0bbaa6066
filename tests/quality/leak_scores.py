"""Scores of rules that page about memory: how often without a leak, how often and how late with one, and where."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from correlate.detectors.leak import MemorySeries, judge, judge_total
from correlate.model.verdicts import Tier, Verdict
from tests.quality.report import Row
from tests.truth.memory import HOUR_NS, START_NS, Labelled, labelled, labelled_heap, looks, seen
from tests.truth.memory_shapes import LATE
from tests.truth.memory_systems import group

STEP_HOURS = 2.0
RATES = (3.0, 10.0, 30.0)
FALSE_BUDGET = 0.05
RECALL_BUDGET = 0.85

Alerts = Callable[[MemorySeries], bool]


@dataclass(frozen=True)
class Series:
    """One series to be drawn: shape, seed, leak rate in MB/h (0 for none), and how long it lasts."""

    shape: str
    seed: int
    rate: float
    hours: float = 24.0


def drawn(seeds: Sequence[int], harmless: Sequence[str], leaking: Sequence[str]) -> list[Series]:
    """Harmless series of a day, and leaking ones at every rate; those of the second kind leak for a day."""
    return [
        *(Series(shape, seed, 0.0) for seed in seeds for shape in harmless),
        *(Series(shape, seed, rate, LATE.get(shape, 24.0)) for seed in seeds for shape in leaking for rate in RATES),
    ]


def drawn_of(letter: str, seeds: Sequence[int]) -> list[Series]:
    """The same of a group of systems, of which harmless ones are watched for as long as they say."""
    systems = group(letter)
    leaking = [name for name, system in systems.items() if system.leaking]
    harmless = [
        Series(name, seed, 0.0, system.hours) for seed in seeds for name, system in systems.items() if system.harmless
    ]
    return harmless + drawn(seeds, (), leaking)


@dataclass
class Score:
    """What one rule did on a set of series.

    Attributes:
        days: how long harmless series lasted in all.
        false: per harmless shape, how often it turned to alert.
        found: per leaking series, hours from the leak's begin to the alert, NaN where there was none.
        places: per leaking series, the rank of the true call site in the last alert, 0 for the first; NaN for none.
        turns: changes of state per day and series.
    """

    days: float = 0.0
    false: dict[str, int] = field(default_factory=dict)
    found: list[float] = field(default_factory=list)
    places: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)

    @property
    def false_alerts(self) -> int:
        """How often harmless series turned to alert."""
        return sum(self.false.values())

    @property
    def false_per_day(self) -> float:
        """False alerts per instance-day."""
        return self.false_alerts / max(self.days, 1e-9)

    @property
    def recall(self) -> float:
        """The part of the leaks that alerted."""
        return float(np.isfinite(self.found).mean()) if self.found else 0.0

    @property
    def median_hours(self) -> float:
        """From the leak's begin to the alert; NaN where there was none."""
        return float(np.nanmedian(self.found)) if np.isfinite(self.found).any() else float("nan")

    @property
    def gain(self) -> float:
        """Recall minus false alerts per day: 0 for `always` and `never`."""
        return self.recall - min(1.0, self.false_per_day)

    def within(self, most: int) -> float:
        """The part of the leaks that alerted with the true call site among the first ones."""
        return float((np.array(self.places) < most).mean()) if self.places else 0.0

    def add(self, truth: Labelled, states: Sequence[bool], at_hours: Sequence[float]) -> None:
        """Count one series."""
        turned = np.diff(np.array([False, *states]).astype(int))
        self.turns.append(float(np.abs(turned).sum()) * 24 / truth.hours)
        if truth.leak_bytes_per_hour == 0:
            self.days += truth.hours / 24
            self.false[truth.shape] = self.false.get(truth.shape, 0) + int((turned > 0).sum())
            return
        hours = [at for at, state in zip(at_hours, states, strict=True) if state and at > truth.onset_hours]
        self.found.append(hours[0] - truth.onset_hours if hours else float("nan"))


def pages(series: MemorySeries) -> bool:
    """Whether the detector pages, from the memory of the process alone."""
    return _paged(judge_total(series))


def watches(series: MemorySeries) -> bool:
    """Whether the detector says anything at all."""
    return judge_total(series) is not None


def _paged(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.tier is Tier.PAGE


def run(rule: Alerts, series: Iterable[Series], step_hours: float = STEP_HOURS, *, traces: bool = True) -> Score:
    """Let a rule look at every series, every few hours."""
    found = Score()
    for each in series:
        truth = labelled(each.shape, each.seed, each.rate, each.hours, traces=traces)
        at_hours = list(looks(truth.hours, step_hours))
        found.add(truth, [rule(seen(truth, at)) for at in at_hours], at_hours)
    return found


def run_with_heap(series: Iterable[Series], step_hours: float = STEP_HOURS) -> Score:
    """Let the detector look at memory and heap profiles together."""
    found = Score()
    for each in series:
        told = labelled_heap(each.shape, each.seed, each.rate, each.hours)
        at_hours = list(looks(each.hours, step_hours))
        verdicts = [judge(seen(told.truth, at), told.heap.until(START_NS + int(at * HOUR_NS) - 1)) for at in at_hours]
        found.add(told.truth, [_paged(verdict) for verdict in verdicts], at_hours)
        if told.leaking_site:
            found.places.append(_place(verdicts, told.leaking_site))
    return found


def _place(verdicts: Sequence[Verdict | None], site: str) -> float:
    paged = [verdict for verdict in verdicts if verdict is not None and verdict.tier is Tier.PAGE]
    names = [each.function for each in paged[-1].sites] if paged else []
    return float(names.index(site)) if site in names else float("nan")


def rows(found: Score, what: str, condition: str, *, budget: bool = True) -> Iterator[Row]:
    """False pages and recall of the detector, beside their budgets."""
    false, recall = found.false_per_day, found.recall
    shapes = ", ".join(f"{shape} {count}" for shape, count in found.false.items() if count)
    yield Row(
        f"{what}: false pages per instance-day",
        condition,
        f"{false:.3f} ({found.false_alerts} in {found.days:.0f} days{': ' if shapes else ''}{shapes})",
        f"≤ {FALSE_BUDGET:g}" if budget else "",
        false <= FALSE_BUDGET if budget else None,
    )
    more = (
        f"{len(found.found)} leaks, median {found.median_hours:.0f} h to page, {np.mean(found.turns):.2f} turns a day"
    )
    yield Row(
        f"{what}: recall at 3, 10 and 30 MB/h",
        condition,
        f"{recall:.3f} ({more})",
        f"≥ {RECALL_BUDGET:g}" if budget else "",
        recall >= RECALL_BUDGET if budget else None,
    )
