"""Regressions in words and figures."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from correlate.detectors.regression_look import Look
from correlate.model.verdicts import Guard, Site, Tier, Verdict
from correlate.units import human

_HALF_95: Final = 1.96


@dataclass(frozen=True, slots=True)
class Told:
    """What is said about one column.

    Attributes:
        subject: what it is about.
        column: of the levels.
        tier: how loudly.
        guards: what was consulted.
        sites: places in the code.
    """

    subject: str
    column: int
    tier: Tier
    guards: tuple[Guard, ...]
    sites: tuple[Site, ...] = ()


def verdict_of(detector: str, seen: Look, told: Told) -> Verdict:
    """Say what became more expensive, since when, by how much, and what else would have been seen."""
    figures = _figures(seen, told.column)
    before, after = figures["before"], figures["after"]
    grown = f"{before / after:.0%} of what it is now" if before < 0.2 * after else f"{before:.0f}"
    if seen.levels.per_request:
        change = f"from {human(before, seen.series.unit)} to {human(after, seen.series.unit)} per request"
    else:
        change = f"from {before:.1%} to {after:.1%} of the total"
    grown = f"{figures['growth_ratio']:+.0%}" if np.isfinite(figures["growth_ratio"]) else "new"
    release = _release(seen, told.column)
    return Verdict(
        detector=detector,
        service=seen.series.service,
        subject=told.subject,
        tier=told.tier,
        headline=f"{told.subject} went {change} ({grown}){release}",
        figures=_named(seen, figures),
        sites=told.sites,
        guards=(*told.guards, _power(seen, told.column)),
        minimum_detectable=float(seen.detectable[told.column]),
    )


def _figures(seen: Look, column: int) -> dict[str, float]:
    before, rise = float(seen.before[column]), float(seen.steps.rise[column])
    half = _HALF_95 * float(seen.steps.error[column])
    return {
        "growth_ratio": float(seen.growth[column]),
        "growth_low_ratio": (rise - half) / before if before > 0 else float("inf"),
        "growth_high_ratio": (rise + half) / before if before > 0 else float("inf"),
        "before": before,
        "after": before + rise,
        "of_service_ratio": rise / max(seen.levels.whole, 1e-300),
        "q_ratio": float(seen.q[column]),
        "since_ns": float(seen.since_ns(column)),
        "hits_count": float(seen.series.hits.sum()),
    }


def _named(seen: Look, figures: dict[str, float]) -> dict[str, float]:
    """Levels get their unit into their name."""
    unit = f"{seen.series.unit}_per_request" if seen.levels.per_request else "ratio"
    return {f"{name}_{unit}" if name in {"before", "after"} else name: value for name, value in figures.items()}


def _power(seen: Look, column: int) -> Guard:
    least, more = float(seen.detectable[column]), float(seen.missing_hits[column])
    enough = least <= seen.options.least_growth_ratio
    need = "" if enough else f"; {more:.3g} more samples would show {seen.options.least_growth_ratio:.0%}"
    return Guard("power", True, f"growth of {least:.1%} would have been found here{need}")


def _release(seen: Look, column: int) -> str:
    """The release the change came with, when it did: the first other one within three blocks of the change."""
    versions, cut = seen.series.versions, int(seen.steps.cut[column])
    if not versions:
        return ""
    old = next((name for name in reversed(versions[: max(cut - 2, 0)]) if name), "")
    new = next((name for name in versions[cut : cut + 4] if name and name != old), "")
    return f" with release {new} after {old}" if old and new else ""
