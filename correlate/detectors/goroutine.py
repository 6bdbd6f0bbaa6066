"""Goroutine and thread leaks: certain ones from Go's `goroutineleak` profile, probable ones from counts by stack.

The `goroutineleak` profile lists goroutines that the garbage collector proved to be blocked for ever; it misses those
that something still refers to, so the trend of counts is watched beside it. The absolute limits of 10,000 and 50,000
are the usual ones for a Go service.
"""

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from correlate.detectors.leak_options import GOROUTINES, HOUR_S, LeakOptions
from correlate.detectors.leak_series import MemorySeries
from correlate.detectors.leak_sites import TOP, SiteSeries, Suspect, sites_of, suspects
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Guard, Site, Tier, Verdict

DETECTOR: Final = "goroutine-leak"


def _no_times() -> I64:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class CountSeries:
    """Goroutines (or threads) by stack over time.

    Attributes:
        service: the service's name.
        instance: the process.
        time_ns: n times, ascending, nanoseconds since the Unix epoch.
        counts: k x n counts; 0 where a stack was not in a profile.
        sites: k stacks.
        requests: n request counts of the time before each profile; None without traces.
        restarts_ns: when the process started anew.
        deploys_ns: when other code was deployed.
    """

    service: str
    instance: str
    time_ns: I64
    counts: F64
    sites: tuple[Site, ...]
    requests: F64 | None = None
    restarts_ns: I64 = field(default_factory=_no_times)
    deploys_ns: I64 = field(default_factory=_no_times)

    def as_sites(self) -> SiteSeries:
        """The same in the shape that growth is judged in: counts take the place of bytes."""
        total = MemorySeries(
            service=self.service,
            instance=self.instance,
            time_ns=self.time_ns,
            bytes=self.counts.sum(axis=0),
            requests=self.requests,
            restarts_ns=self.restarts_ns,
            deploys_ns=self.deploys_ns,
        )
        return SiteSeries(total, self.counts, self.sites)


@dataclass(frozen=True, slots=True)
class CountLimits:
    """Absolute counts of goroutines of one process that earn a watch and a page, whatever the trend."""

    watch_count: int = 10_000
    page_count: int = 50_000


def judge_leaked(service: str, leaked: F64, sites: tuple[Site, ...]) -> Verdict | None:
    """Read the `goroutineleak` profile: any sample is a leak for certain.

    Args:
        service: the service's name.
        leaked: k counts of leaked goroutines.
        sites: k stacks.
    """
    total = float(leaked.sum())
    if total <= 0:
        return None
    order = np.argsort(-leaked, kind="stable")[:TOP]
    top = tuple(replace(sites[at], share_ratio=float(leaked[at]) / total) for at in order if leaked[at] > 0)
    return Verdict(
        detector=DETECTOR,
        service=service,
        subject=top[0].function,
        tier=Tier.PAGE,
        headline=f"{total:.0f} goroutines are blocked for ever, {top[0].share_ratio:.0%} of them in {top[0].function}",
        figures={"leaked_count": total},
        sites=top,
        guards=(Guard("proof", True, "the garbage collector found nothing that could ever wake them"),),
    )


def judge_counts(
    series: CountSeries, options: LeakOptions = GOROUTINES, limits: CountLimits | None = None
) -> Verdict | None:
    """Judge the trend of counts by stack, and their absolute number; None when neither says anything."""
    found = suspects(series.as_sites(), options)
    grown = _growing(series, found, options) if found else None
    many = _too_many(series, limits or CountLimits())
    return max((each for each in (grown, many) if each), key=lambda each: each.tier.rank, default=None)


def judge(
    series: CountSeries | None,
    leaked: Verdict | None,
    options: LeakOptions = GOROUTINES,
    limits: CountLimits | None = None,
) -> Verdict | None:
    """What is certain wins over what is probable; the growth is told beside it where both are there."""
    counted = None if series is None else judge_counts(series, options, limits)
    if leaked is None or counted is None:
        return leaked or counted
    return replace(leaked, figures={**counted.figures, **leaked.figures}, guards=(*leaked.guards, *counted.guards))


def _growing(series: CountSeries, found: list[Suspect], options: LeakOptions) -> Verdict | None:
    """A leak hangs in one place: growth that is spread over many stacks is work, not a leak."""
    sites = sites_of(series.as_sites(), found)
    concentration = _concentration(series, found[0])
    guard = Guard(
        "concentration",
        concentration >= options.concentration_ratio,
        f"{concentration:.0%} of the growth is in {sites[0].function}",
    )
    assessment = found[0].assessment.loudest(Tier.CLEAR, guard)
    if assessment.tier is Tier.CLEAR:
        return None
    now = series.counts.sum(axis=0)[-1]
    return Verdict(
        detector=DETECTOR,
        service=series.service,
        subject=sites[0].function,
        tier=assessment.tier,
        headline=f"{found[0].per_s * HOUR_S:.3g} more goroutines every hour wait in {sites[0].function}",
        figures={
            "growth_count_per_hour": found[0].per_s * HOUR_S,
            "now_count": float(now),
            "concentration_ratio": concentration,
            "p_ratio": found[0].evidence.trend.p_ratio,
        },
        sites=sites,
        guards=assessment.guards,
    )


def _concentration(series: CountSeries, first: Suspect) -> float:
    """The first's part of the growth of all stacks between the middle and the last third: what grew before is over."""
    third = max(1, series.time_ns.size // 3)
    grown = series.counts[:, -third:].mean(axis=1) - series.counts[:, -2 * third : -third].mean(axis=1)
    every = float(grown[grown > 0].sum())
    return float(grown[first.row]) / every if every > 0 else 0.0


def _too_many(series: CountSeries, limits: CountLimits) -> Verdict | None:
    now = series.counts[:, -1] if series.time_ns.size else np.zeros(0)
    total = float(now.sum())
    if total < limits.watch_count:
        return None
    order = np.argsort(-now, kind="stable")[:TOP]
    return Verdict(
        detector=DETECTOR,
        service=series.service,
        subject=series.instance,
        tier=Tier.PAGE if total >= limits.page_count else Tier.WATCH,
        headline=f"{series.instance} has {total:.0f} goroutines",
        figures={"now_count": total, "watch_count": limits.watch_count, "page_count": limits.page_count},
        sites=tuple(replace(series.sites[at], share_ratio=float(now[at]) / total) for at in order),
    )
