"""How easily a service's detectors speak: one word that moves limits and significances together."""

from enum import StrEnum


class Sensitivity(StrEnum):
    """What an owner says about a service; feedback moves it by one step."""

    LOW = "low"
    """Fewer alerts: effects must be half as large again, and ten times less likely to be chance."""
    NORMAL = "normal"
    """The constants as published with their scores."""
    HIGH = "high"
    """More alerts: two thirds of the effect are enough, and chance may explain it three times as often."""

    @property
    def effect_factor(self) -> float:
        """What least effects are multiplied by."""
        return {"low": 1.5, "normal": 1.0, "high": 1 / 1.5}[self.value]

    @property
    def chance_factor(self) -> float:
        """What admitted probabilities of error are multiplied by."""
        return {"low": 0.1, "normal": 1.0, "high": 3.0}[self.value]

    def limit(self, ratio: float) -> float:
        """A limit on a ratio, moved by a tenth of the way to 1 (low) or to 0 (high): 0.85 stays a limit below 1."""
        return {"low": ratio + 0.1 * (1 - ratio), "normal": ratio, "high": 0.9 * ratio}[self.value]
