"""Units of profile values: which family they belong to, and how people read them."""

from typing import Final

_TIME: Final = (
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("µs", 1_000),
    ("ns", 1),
)
_BYTES: Final = (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1))
_COUNT: Final = (("G", 1_000_000_000), ("M", 1_000_000), ("k", 1_000), ("", 1))

BASE_FACTORS: Final[dict[str, tuple[str, int]]] = {
    "nanoseconds": ("nanoseconds", 1),
    "ns": ("nanoseconds", 1),
    "microseconds": ("nanoseconds", 1_000),
    "us": ("nanoseconds", 1_000),
    "milliseconds": ("nanoseconds", 1_000_000),
    "ms": ("nanoseconds", 1_000_000),
    "seconds": ("nanoseconds", 1_000_000_000),
    "s": ("nanoseconds", 1_000_000_000),
    "bytes": ("bytes", 1),
    "byte": ("bytes", 1),
    "kilobytes": ("bytes", 1 << 10),
    "megabytes": ("bytes", 1 << 20),
}
"""Unit as profilers write it: its base unit, and how many of the base unit it is."""


def to_base(unit: str) -> tuple[str, int]:
    """The base unit (``nanoseconds``, ``bytes``, or the unit itself) and the factor to multiply values by."""
    return BASE_FACTORS.get(unit, (unit, 1))


def human(value: float, unit: str) -> str:
    """Write a value with three significant digits and a fitting unit: ``1.25 s``, ``340 KiB``, ``12 samples``."""
    if unit == "nanoseconds":
        return _scaled(value, _TIME)
    if unit == "bytes":
        return _scaled(value, _BYTES)
    suffix = {"count": "", "": ""}.get(unit, unit)
    return f"{_scaled(value, _COUNT)} {suffix}".strip()


def _scaled(value: float, steps: tuple[tuple[str, int], ...]) -> str:
    name, factor = next((step for step in steps if abs(value) >= step[1]), steps[-1])
    scaled = value / factor
    digits = 0 if scaled == int(scaled) else max(0, 3 - len(str(int(abs(scaled)))))
    return f"{scaled:.{digits}f} {name}".strip()
