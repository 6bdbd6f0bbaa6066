"""The constants of the growth detectors: times in seconds, sizes in bytes, all of them in one place."""

from dataclasses import dataclass, fields, replace
from typing import Final

MIB: Final = 1 << 20
HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class LeakOptions:
    """When growth is a leak. The defaults are for production: pages take hours, because caches fill for hours.

    Attributes:
        floor_s: values are reduced to their minimum per window of this length.
        warm_up_s: what is ignored after a start or a deploy.
        lookback_s: no more than this much is judged.
        watch_observed_s: the least time after warm-up before a watch.
        page_observed_s: the least time after warm-up before a page.
        outside_observed_s: the same where heap profiles are there and no call site grows.
        confirm_s: a page must have been due this long ago already.
        urgent_observed_s: the least time before a page when the limit is near.
        urgent_eta_s: how near that is.
        runaway_observed_s: the least time before a watch on a call site that outgrows everything else.
        forecast_s: how far ahead to look.
        day_s: length of the daily cycle; 0 where none is to be expected.
        watch_p_ratio: one-sided significance for a watch.
        page_p_ratio: one-sided significance for a page.
        least_growth: least growth within what is judged (bytes, or goroutines).
        least_growth_ratio: the same as a part of the level.
        page_growth: growth within `forecast_s` that is worth a page; what grows more slowly stays a watch.
        lasting_ratio: the same as a part of what the slope so far would bring.
        runaway_growth: least growth of a call site for an early watch.
        still_growing_ratio: where points are too few to look ahead: part of the slope before that the last third
            must have, or it is a plateau.
        retained_ratio: this part of the growth must never have been given back.
        coverage_ratio: this part of the windows must hold data.
        concentration_ratio: part of all growth that one blocked stack must have (goroutines).
    """

    floor_s: float = 0.5 * HOUR_S
    warm_up_s: float = 2 * HOUR_S
    lookback_s: float = 24 * HOUR_S
    watch_observed_s: float = 4 * HOUR_S
    page_observed_s: float = 12 * HOUR_S
    outside_observed_s: float = 20 * HOUR_S
    confirm_s: float = 1 * HOUR_S
    urgent_observed_s: float = 4 * HOUR_S
    urgent_eta_s: float = 3 * HOUR_S
    runaway_observed_s: float = 90.0
    day_s: float = 24 * HOUR_S
    watch_p_ratio: float = 0.01
    page_p_ratio: float = 0.001
    least_growth: float = 12 * MIB
    least_growth_ratio: float = 0.04
    page_growth: float = 40 * MIB
    lasting_ratio: float = 0.3
    forecast_s: float = 24 * HOUR_S
    runaway_growth: float = 32 * MIB
    still_growing_ratio: float = 0.5
    retained_ratio: float = 0.5
    coverage_ratio: float = 0.6
    concentration_ratio: float = 0.6

    def scaled(self, factor: float) -> "LeakOptions":
        """The same rules on another clock: every time is multiplied by `factor`, sizes and ratios stay."""
        times = {each.name: getattr(self, each.name) * factor for each in fields(self) if each.name.endswith("_s")}
        return replace(self, **times)


PRODUCTION: Final = LeakOptions()
DEMO: Final = replace(PRODUCTION.scaled(1 / 500), day_s=0.0)
"""For a demonstration: a page after two minutes of data instead of half a day; on real services it would cry wolf."""

GOROUTINES: Final = replace(PRODUCTION, least_growth=200, least_growth_ratio=0.2, page_growth=480, runaway_growth=200)
"""The same for counts of goroutines or threads."""

DEMO_GOROUTINES: Final = replace(GOROUTINES.scaled(1 / 500), day_s=0.0)
"""For a demonstration."""
