"""Profile types: Pyroscope's five-part id for machines, short aliases for people."""

from dataclasses import dataclass
from typing import Final

from correlate.errors import BadQuery

ALIASES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "cpu": (("process_cpu", "cpu"), ("*", "cpu")),
    "wall": (("wall", "wall"), ("*", "wall")),
    "off_cpu": (("off_cpu", "off_cpu"), ("*", "off_cpu")),
    "alloc_space": (("*", "alloc_space"), ("*", "alloc_in_new_tlab_bytes")),
    "alloc_objects": (("*", "alloc_objects"), ("*", "alloc_in_new_tlab_objects")),
    "inuse_space": (("*", "inuse_space"),),
    "inuse_objects": (("*", "inuse_objects"),),
    "goroutine": (("goroutine", "goroutine"), ("goroutines", "goroutine")),
    "mutex": (("mutex", "delay"),),
    "block": (("block", "delay"),),
    "samples": (("*", "samples"),),
}
"""What an alias matches: (name, sample type) pairs, strongest first; ``*`` is any name. Ids differ per agent."""

_HELD: Final = frozenset({"inuse_space", "inuse_objects", "goroutine", "goroutines", "goroutineleak", "threads"})


@dataclass(frozen=True, slots=True)
class ProfileType:
    """``name:sample_type:sample_unit:period_type:period_unit``, as Pyroscope writes it."""

    name: str
    sample_type: str
    sample_unit: str
    period_type: str = ""
    period_unit: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.sample_type}:{self.sample_unit}:{self.period_type}:{self.period_unit}"

    @classmethod
    def parse(cls, text: str) -> "ProfileType":
        """Read a five-part id; a sixth part ``delta`` is dropped.

        Raises:
            BadQuery: not five parts, or without name or sample type.
        """
        parts = text.split(":")
        if len(parts) == 6 and parts[5] == "delta":
            parts.pop()
        if len(parts) != 5 or not parts[0] or not parts[1]:
            raise BadQuery(
                f"profile type {text[:200]!r} is neither an alias ({', '.join(ALIASES)}) nor of the form "
                "name:sample_type:sample_unit:period_type:period_unit"
            )
        return cls(*parts)

    @property
    def alias(self) -> str:
        """The alias people use for it, or its sample type."""
        return next((alias for alias in ALIASES if self.matches(alias) is not None), self.sample_type)

    @property
    def is_snapshot(self) -> bool:
        """Whether values say what is held at a moment, so that those of several moments must not be added up."""
        return self.sample_type in _HELD or self.name in _HELD

    def matches(self, alias: str) -> int | None:
        """Tell how well an alias fits: 0 best, None not at all."""
        for rank, (name, sample_type) in enumerate(ALIASES.get(alias, ())):
            if name in ("*", self.name) and sample_type == self.sample_type:
                return rank
        return None


def choose(wanted: str, present: list[str]) -> list[str]:
    """Pick the profile type ids that an alias or a full id means, out of those present.

    An alias picks every id of its best rank: two agents may spell the same type differently.

    Raises:
        BadQuery: neither a known alias nor a five-part id.
    """
    if wanted not in ALIASES:
        full = str(ProfileType.parse(wanted))
        return [full] if full in present else []
    ranked = [(ProfileType.parse(text).matches(wanted), text) for text in present]
    ranks = [rank for rank, _ in ranked if rank is not None]
    return [text for rank, text in ranked if ranks and rank == min(ranks)]
