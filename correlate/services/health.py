"""Whether this process can do its work, and if not why."""

from collections.abc import Sequence

from correlate.ports import Probe


class Health:
    """Asks every part of the process; readiness is that none has a problem."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = probes

    def problems(self) -> dict[str, str]:
        """What is wrong, by the name of the part; empty when ready."""
        found = {probe.name: probe.problem() for probe in self._probes}
        return {name: problem for name, problem in found.items() if problem}
