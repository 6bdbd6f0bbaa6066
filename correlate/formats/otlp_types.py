"""Profile type ids for OTLP profiles, by the rules Pyroscope's OTLP door set, so that both name things alike."""

from typing import Final, NamedTuple

from correlate.formats.pprof_heads import guess_name
from correlate.model.profile_type import ProfileType

_HITS: Final = ("samples", "sample", "contentions", "events")

_BY_PERIOD: Final = {"cpu": "process_cpu", "space": "memory"}
"""Names of profiles by their period type, where they differ from it."""


class OtlpType(NamedTuple):
    """What the values of a profile mean.

    Attributes:
        type_id: the profile type id, "" when the profile has no sample type.
        factor: what values on the wire must be multiplied by.
        hit: how much value (as on the wire) one hit of the profiler stands for; 0: unknown.
    """

    type_id: str
    factor: int
    hit: int


def profile_type(sample_type: str, unit: str, period_type: str, period_unit: str, period: int) -> OtlpType:
    """Tell the type of a profile. Counts of CPU samples with a known period become CPU time, as in pprof."""
    if not sample_type:
        return OtlpType("", 1, 0)
    is_count = sample_type in _HITS and unit == "count"
    if (sample_type, unit, period_type, period_unit) == ("samples", "count", "cpu", "nanoseconds") and period > 0:
        cpu = ProfileType("process_cpu", "cpu", "nanoseconds", "cpu", "nanoseconds")
        return OtlpType(str(cpu), period, 1)
    parts = (_name(sample_type, period_type), sample_type, unit, period_type, period_unit)
    by_period = max(period, 0) if (sample_type, unit) == (period_type, period_unit) else 0
    return OtlpType(str(ProfileType(*(part.replace(":", "_") for part in parts))), 1, 1 if is_count else by_period)


def _name(sample_type: str, period_type: str) -> str:
    if sample_type in ("off_cpu", "wall"):
        return sample_type
    if sample_type.startswith(("alloc_", "inuse_")):
        return "memory"
    return _BY_PERIOD.get(period_type, period_type) if period_type else guess_name([sample_type])
