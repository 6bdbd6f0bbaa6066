"""Memory leaks by call site: which place in the code keeps what it allocates?"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from correlate.detectors.leak_growth import LEAST_WINDOWS, Assessment, assess, gather, minimum_detectable, pace
from correlate.detectors.leak_options import HOUR_S, PRODUCTION, LeakOptions
from correlate.detectors.leak_series import MemorySeries, Windows, load_of, windows
from correlate.detectors.leak_total import DETECTOR, excused, growth_figures, limit_figures, time_to_limit
from correlate.detectors.series_guards import Evidence, given_back, plateau, significance
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Guard, Site, Tier, Verdict
from correlate.units import human

TOP: Final = 3
"""How many sites a verdict names."""

_CANDIDATES: Final = 8
_RUNAWAY_SHARE_RATIO: Final = 0.5
_RUNAWAY_WINDOWS: Final = 5


@dataclass(frozen=True, slots=True)
class SiteSeries:
    """Values per site over time, from profiles that show what is held (in-use heap, goroutines).

    Attributes:
        total: the process as a whole at the same times; its `bytes` are the sums over the sites.
        by_site: k x n values; 0 where a site was not in a profile.
        sites: k sites.
    """

    total: MemorySeries
    by_site: F64
    sites: tuple[Site, ...]

    def until(self, time_ns: int) -> "SiteSeries":
        """What was known at a time."""
        total = self.total.until(time_ns)
        return SiteSeries(total, self.by_site[:, : total.time_ns.size], self.sites)


@dataclass(frozen=True, slots=True)
class Suspect:
    """A site that grows: its row, and how loudly it speaks."""

    row: int
    assessment: Assessment
    evidence: Evidence

    @property
    def per_s(self) -> float:
        """Its growth per second."""
        return self.evidence.trend.slope.per_s


def judge_sites(heap: SiteSeries, options: LeakOptions = PRODUCTION) -> Verdict | None:
    """Tell which call sites keep growing; None when none does.

    Only the eight sites that grew most are judged; the others are not worth a test.
    """
    found = suspects(heap, options)
    if not found:
        return None
    return _verdict(heap, found)


def suspects(heap: SiteSeries, options: LeakOptions) -> list[Suspect]:
    """Sites that speak, loudest first, then by growth."""
    loud = _assessed(heap, options, None)
    due = [each.row for each in loud if each.assessment.tier is Tier.PAGE]
    if due:
        earlier = heap.until(int(heap.total.time_ns[-1]) - int(options.confirm_s * 1e9))
        before = {each.row for each in _assessed(earlier, excused(options), due) if each.assessment.tier is Tier.PAGE}
        loud = [_confirmed(each, each.row in before, options) for each in loud]
    if not any(each.assessment.tier is Tier.PAGE for each in loud):
        loud = _with_runaways(loud, heap, options)
    return sorted(loud, key=lambda each: (-each.assessment.tier.rank, -each.per_s))


def _confirmed(suspect: Suspect, before: bool, options: LeakOptions) -> Suspect:
    if suspect.assessment.tier is not Tier.PAGE:
        return suspect
    guard = Guard("confirmed", before, f"due {human(options.confirm_s * 1e9, 'nanoseconds')} ago already")
    return replace(suspect, assessment=suspect.assessment.loudest(Tier.WATCH, guard))


def _assessed(heap: SiteSeries, options: LeakOptions, rows: Iterable[int] | None) -> list[Suspect]:
    """Sites that are not clear, of those given or of those that grew most."""
    cut = windows(heap.total, options, options.warm_up_s)
    if cut.heads.size < LEAST_WINDOWS:
        return []
    load = load_of(heap.total, cut)
    floors = cut.floors(heap.by_site) if rows is None else cut.floors(heap.by_site[list(rows)])
    numbers = np.arange(floors.shape[0]) if rows is None else np.array(list(rows))
    found = []
    for at in _grown(floors, options):
        evidence = gather(floors[at], load, cut, options)
        assessment = assess(evidence, options, _urgent_s(heap.total, evidence))
        if evidence is not None and assessment.tier is not Tier.CLEAR:
            found.append(Suspect(int(numbers[at]), assessment, evidence))
    return found


def _urgent_s(total: MemorySeries, evidence: Evidence | None) -> float:
    if evidence is None or total.limit_bytes is None:
        return 0.0
    return time_to_limit(evidence.trend.slope, total.bytes, total.limit_bytes).hours * HOUR_S


def _grown(floors: F64, options: LeakOptions) -> I64:
    """The rows that grew most between the first and the last third, if it is worth anything."""
    third = max(1, floors.shape[1] // 3)
    grown = floors[:, -third:].mean(axis=1) - floors[:, :third].mean(axis=1)
    most = np.argsort(-grown, kind="stable")[:_CANDIDATES]
    result: I64 = most[grown[most] >= options.least_growth / 3]
    return result


def _with_runaways(loud: list[Suspect], heap: SiteSeries, options: LeakOptions) -> list[Suspect]:
    """Add sites that outgrow everything else within minutes: too early to be sure, too much to say nothing."""
    cut = windows(heap.total, replace(options, floor_s=0.0), 0.0)
    if cut.heads.size < _RUNAWAY_WINDOWS or cut.observed_s < options.runaway_observed_s:
        return loud
    floors = cut.floors(heap.by_site)
    told = {each.row for each in loud}
    rows = [int(row) for row in _grown(floors, options)[:TOP] if row not in told]
    added = [_runaway(row, floors, cut, heap, options) for row in rows]
    return loud + [each for each in added if each is not None]


def _runaway(row: int, floors: F64, cut: Windows, heap: SiteSeries, options: LeakOptions) -> Suspect | None:
    recent = slice(-_RUNAWAY_POINTS, None)
    kept = replace(cut, times_s=cut.times_s[recent], strata=cut.strata[recent])
    evidence = gather(floors[row, recent], None, kept, options)
    if evidence is None:
        return None
    held = float(floors[row, -1])
    share = held / max(float(heap.total.bytes[cut.rows[-1]]), 1.0)
    guards = (
        significance(evidence, options.watch_p_ratio),
        Guard("size", evidence.growth >= options.runaway_growth, f"grew {human(evidence.growth, 'count')} at once"),
        Guard("share", share >= _RUNAWAY_SHARE_RATIO, f"holds {share:.0%} of everything"),
        plateau(evidence, options),
        given_back(evidence, options),
    )
    if not all(guard.passed for guard in guards):
        return None
    return Suspect(row, Assessment(Tier.WATCH, evidence, guards), evidence)


_RUNAWAY_POINTS: Final = 120


def sites_of(heap: SiteSeries, found: list[Suspect]) -> tuple[Site, ...]:
    """The top sites with their growth and their part of all growth that was found."""
    growth = sum(max(each.per_s, 0.0) for each in found)
    return tuple(
        replace(
            heap.sites[each.row],
            growth_per_hour=pace(each.evidence).per_s * HOUR_S,
            share_ratio=max(each.per_s, 0.0) / growth if growth > 0 else 0.0,
        )
        for each in found[:TOP]
    )


def _verdict(heap: SiteSeries, found: list[Suspect]) -> Verdict:
    first = found[0]
    sites = sites_of(heap, found)
    slope = pace(first.evidence)
    figures = growth_figures(first.evidence, slope)
    headline = f"{sites[0].function} keeps {human(slope.per_s * HOUR_S, 'bytes')} more every hour"
    if heap.total.limit_bytes is not None:
        left = time_to_limit(slope, heap.total.bytes, heap.total.limit_bytes)
        figures |= limit_figures(left, heap.total.limit_bytes)
        headline += f"; the limit of {human(heap.total.limit_bytes, 'bytes')} is reached in {left.hours:.3g} h"
    return Verdict(
        detector=DETECTOR,
        service=heap.total.service,
        subject=sites[0].function,
        tier=first.assessment.tier,
        headline=headline,
        figures=figures,
        sites=sites,
        guards=first.assessment.guards,
        minimum_detectable=minimum_detectable(first.evidence) * HOUR_S,
    )
