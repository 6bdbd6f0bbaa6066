"""What owners want of detectors: as configured, lowered by what people said about alerts."""

from collections.abc import Callable, Mapping

from correlate.detectors.sensitivity import Sensitivity
from correlate.model.alert_policy import Policies, lowered
from correlate.services.judging import Wish

Steps = Callable[[str], Mapping[str, int]]
"""By detector, how many steps less sensitive it is to be for a service now; see `FeedbackBook.steps`."""


def no_feedback(_service: str) -> Mapping[str, int]:
    """Nobody said anything."""
    return {}


class Wishes:
    """See `judging.Wishes`."""

    def __init__(self, policies: Policies, steps: Steps = no_feedback) -> None:
        self._policies = policies
        self._steps = steps

    def __call__(self, service: str) -> Callable[[str], Wish]:
        """What is wanted of each detector for a service.

        Raises:
            StoreError: the state database failed.
        """
        steps = self._steps(service)

        def of(detector: str) -> Wish:
            policy = self._policies.of(service, detector)
            return Wish(policy.enabled, Sensitivity(lowered(policy.sensitivity, steps.get(detector, 0))))

        return of
