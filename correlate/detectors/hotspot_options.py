"""The constants of the hotspot detector, with their reasons."""

from dataclasses import dataclass, replace
from typing import Final

from correlate.detectors.sensitivity import Sensitivity


@dataclass(frozen=True, slots=True)
class HotspotOptions:
    """When a part of the CPU is worth a look. What has always been there is information: a watch, never a page.

    Attributes:
        function_share_ratio: one function itself uses more than this: a quarter is worth an hour of somebody's time.
        operation_share_ratio: the same for one operation of several.
        grown_share_ratio: above this a function that is new or grew may page: half of all CPU.
        grown_ratio: a function grew when its share is so many times what it was.
        persistent_s: it must be so for this long.
        persistent_ratio: in this part of the buckets of that time.
        reference_s: as much must be known from before to tell that something is new or grew.
        least_hits: fewer samples of the profiler tell nothing: 200 give 25 % with ± 6 points.
        least_cores: whoever uses less CPU than this has no hotspot that matters.
        z_low: the share must be above the limit by so many standard errors of the sampling.
        fleet_fdr_ratio: part of the instances that may be called strange wrongly.
        apart_ratio: an instance is strange when this part of its profile is elsewhere than that of its siblings.
        odd_deviations: and this many robust deviations more than its siblings are from each other.
        cost_ratio: or when a request costs so many times what it costs with them.
        least_instances: fewer siblings have no median.
        most: so many verdicts for one service at most.
    """

    function_share_ratio: float = 0.25
    operation_share_ratio: float = 0.60
    grown_share_ratio: float = 0.50
    grown_ratio: float = 1.5
    persistent_s: float = 3600.0
    persistent_ratio: float = 0.8
    reference_s: float = 6 * 3600.0
    least_hits: float = 200.0
    least_cores: float = 0.05
    z_low: float = 2.0
    fleet_fdr_ratio: float = 0.003
    apart_ratio: float = 0.10
    odd_deviations: float = 4.0
    cost_ratio: float = 1.3
    least_instances: int = 4
    most: int = 5

    def adjusted(self, sensitivity: Sensitivity) -> "HotspotOptions":
        """The same for a service whose owner wants to hear less or more."""
        effect = sensitivity.effect_factor
        return replace(
            self,
            function_share_ratio=sensitivity.limit(self.function_share_ratio),
            operation_share_ratio=sensitivity.limit(self.operation_share_ratio),
            grown_share_ratio=sensitivity.limit(self.grown_share_ratio),
            grown_ratio=1 + (self.grown_ratio - 1) * effect,
            fleet_fdr_ratio=self.fleet_fdr_ratio * sensitivity.chance_factor,
            apart_ratio=self.apart_ratio * effect,
            cost_ratio=1 + (self.cost_ratio - 1) * effect,
        )

    def scaled(self, factor: float) -> "HotspotOptions":
        """The same rules on another clock."""
        return replace(self, persistent_s=self.persistent_s * factor, reference_s=self.reference_s * factor)


PRODUCTION: Final = HotspotOptions()
DEMO: Final = PRODUCTION.scaled(1 / 60)
"""For a demonstration: a minute instead of an hour."""
