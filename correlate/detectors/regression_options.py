"""The constants of the regression detector, with their reasons."""

from dataclasses import dataclass, replace
from typing import Final

from correlate.detectors.sensitivity import Sensitivity


@dataclass(frozen=True, slots=True)
class RegressionOptions:
    """When a function, an operation or a service has become more expensive.

    Attributes:
        lookback_s: no more than this much is judged; three days tell a daily cycle from a change.
        settle_s: what is ignored after a release: caches fill and code is compiled.
        watch_after_s: the least time since the change before a watch; shorter ones are spikes.
        page_after_s: the same for a page: two hours outlast batch jobs, deployments and retries.
        least_before_blocks: so many buckets must tell what was usual.
        least_after_blocks: so many must tell what is now.
        watch_fdr_ratio: part of the watches that may be wrong.
        page_fdr_ratio: the same for pages; it is judged every few minutes, so this is far below what one look needs.
        least_growth_ratio: least growth of a function or operation relative to itself: 10 % is what Sentry uses too.
        least_share_ratio: least growth as a part of the service's CPU: below 1 % nobody will act.
        least_service_ratio: least growth of the whole service's cost per request: above what hosts differ by.
        lasting_ratio: the last third of the time since must show this part of the growth, or it went away.
        beside_blocks: so many blocks on either side of the change are compared (two hours of 10 minutes).
        sudden_ratio: they must differ by this part of the growth before a page: the hour of the day moves slowly.
        moved_ratio: growth of which this part was taken from a neighbour was moved, not added.
        explained_ratio: a callee with this part of its caller's growth is the cause.
        day_s: length of the daily cycle; 0 where none is to be expected.
        most: so many verdicts for one service at most.
    """

    lookback_s: float = 72 * 3600.0
    settle_s: float = 1200.0
    watch_after_s: float = 1800.0
    page_after_s: float = 7200.0
    least_before_blocks: int = 12
    least_after_blocks: int = 3
    watch_fdr_ratio: float = 0.01
    page_fdr_ratio: float = 0.001
    least_growth_ratio: float = 0.10
    least_share_ratio: float = 0.01
    least_service_ratio: float = 0.05
    lasting_ratio: float = 0.6
    beside_blocks: int = 12
    sudden_ratio: float = 0.6
    moved_ratio: float = 0.7
    explained_ratio: float = 0.7
    day_s: float = 24 * 3600.0
    most: int = 5

    def adjusted(self, sensitivity: Sensitivity) -> "RegressionOptions":
        """The same for a service whose owner wants to hear less or more."""
        effect, chance = sensitivity.effect_factor, sensitivity.chance_factor
        return replace(
            self,
            watch_fdr_ratio=self.watch_fdr_ratio * chance,
            page_fdr_ratio=self.page_fdr_ratio * chance,
            least_growth_ratio=self.least_growth_ratio * effect,
            least_share_ratio=self.least_share_ratio * effect,
            least_service_ratio=self.least_service_ratio * effect,
        )

    def scaled(self, factor: float) -> "RegressionOptions":
        """The same rules on another clock: the times since a change and of settling are multiplied."""
        return replace(
            self,
            settle_s=self.settle_s * factor,
            watch_after_s=self.watch_after_s * factor,
            page_after_s=self.page_after_s * factor,
        )


PRODUCTION: Final = RegressionOptions()
DEMO: Final = replace(PRODUCTION.scaled(1 / 500), day_s=0.0)
"""For a demonstration: minutes of data instead of days; on real services it would cry wolf."""
