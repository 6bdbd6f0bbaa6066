"""Whether something works."""

from typing import Protocol


class Probe(Protocol):
    """Something that can say whether it works."""

    @property
    def name(self) -> str:
        """What is probed, one word."""
        ...

    def problem(self) -> str | None:
        """One sentence on what is wrong, None when nothing is. Quick: it is called for every readiness check."""
        ...
