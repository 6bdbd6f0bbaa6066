"""What a pprof profile says of itself: types, name, time, period."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.errors import UnknownFormat
from correlate.formats.arrow import integers, ragged
from correlate.formats.faults import refuse
from correlate.formats.pprof_strings import Strings
from correlate.model.profile_type import ProfileType
from correlate.tables.build import HEADS
from correlate.tables.schema import KIND_STRING

I64 = npt.NDArray[np.int64]

# Some writers count from the start of the machine or of the program; such a time falls into 1970.
_NOT_A_DATE_BEFORE_NS: Final = 366 * 86_400_000_000_000

_COUNT_TYPES: Final = ("samples", "sample", "contentions")


@dataclass(frozen=True, slots=True)
class PprofContext:
    """What the door knows of a profile beyond its bytes.

    Attributes:
        service: name of the service.
        received_ns: when it arrived, nanoseconds since the Unix epoch.
        name: first part of the profile type id (Pyroscope's ``__name__``); empty: guessed from the sample types.
        labels: key and value of the labels that the profile came with.
        from_ns: start of the profile, used where the profile does not know; 0: not given.
        until_ns: end of the profile, used likewise; 0: not given.
        display_names: what some sample types are called where they are more telling, for guessing the name
            (Pyroscope's ``sample_type_config``: ``contentions`` may be ``mutex_count`` or ``block_count``).
        sender: user agent or file name.
    """

    service: str
    received_ns: int
    name: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    from_ns: int = 0
    until_ns: int = 0
    display_names: tuple[tuple[str, str], ...] = ()
    sender: str = ""


class Types(NamedTuple):
    """The sample types of all payloads: one head each.

    Attributes:
        offsets: first head of each payload, plus the end.
        heads: HEADS rows.
        count_type: of each payload, which of its sample types counts hits of the profiler; -1: none.
        divisor: of each head, value per hit where the period says so; 0: unknown.
    """

    offsets: I64
    heads: pl.DataFrame
    count_type: I64
    divisor: I64


def link_types(batch: pa.RecordBatch, strings: Strings, contexts: list[PprofContext]) -> Types:
    """Read the sample types of each payload and what goes with them. Loops over payloads and types, which are few.

    Raises:
        Faults: a payload has no sample types, or names strings it lacks.
    """
    types = ragged(batch.column("sample_type"))
    payloads = np.arange(batch.num_rows)
    refuse(types.lengths == 0, payloads, lambda _: UnknownFormat("not a pprof profile: it declares no sample types"))
    owner = types.owners()
    names = strings.text[strings.rows(types.values.field("type"), owner, "sample type")].to_list()
    units = strings.text[strings.rows(types.values.field("unit"), owner, "sample type")].to_list()
    period = batch.column("period_type")
    period_names = strings.text[strings.rows(_of(period, "type"), payloads, "period type")].to_list()
    period_units = strings.text[strings.rows(_of(period, "unit"), payloads, "period type")].to_list()
    spans = list(zip(types.offsets[:-1].tolist(), types.offsets[1:].tolist(), strict=True))
    of_types = [list(zip(names[a:b], units[a:b], strict=True)) for a, b in spans]
    of_periods = list(zip(period_names, period_units, strict=True))
    clocks = _clocks(batch, contexts)
    heads = [
        _head_rows(declared, period_type, context, clock)
        for declared, period_type, context, clock in zip(of_types, of_periods, contexts, clocks, strict=True)
    ]
    rows = [row for group in heads for row in group]
    divisor = [
        clock.period if declared == period_type else 0
        for group, period_type, clock in zip(of_types, of_periods, clocks, strict=True)
        for declared in group
    ]
    return Types(
        types.offsets,
        pl.DataFrame(rows, schema=HEADS, orient="row"),
        np.array([_count_type(group) for group in of_types], np.int64),
        np.array(divisor, np.int64),
    )


def guess_name(sample_types: list[str], period_type: str = "") -> str:
    """Name the profile by its sample types, by the rules Pyroscope uses for uploads without a name.

    One rule more: a profiler that ticks by the wall clock (``fgprof``) took a wall profile, whatever it counts.
    """
    if period_type.startswith("wall"):
        return "wall"
    for name, known in _NAMES:
        if any(sample_type.startswith(known) for sample_type in sample_types):
            return name
    return sample_types[0] or "unknown"


_NAMES: Final = (
    ("wall", ("wall",)),
    ("process_cpu", ("cpu", "sample")),
    ("memory", ("alloc_", "inuse_", "space", "objects")),
    ("mutex", ("mutex_",)),
    ("block", ("block_",)),
    ("goroutines", ("goroutines",)),
)
"""Names, and how the sample types begin that lead to them; the first rule that fits wins."""


class _Clock(NamedTuple):
    time_ns: int
    duration_ns: int
    period: int


def _clocks(batch: pa.RecordBatch, contexts: list[PprofContext]) -> list[_Clock]:
    times, durations, periods = (
        integers(batch.column(name)).tolist() for name in ("time_nanos", "duration_nanos", "period")
    )
    return [_clock(*values) for values in zip(times, durations, periods, contexts, strict=True)]


def _clock(time_ns: int, duration_ns: int, period: int, context: PprofContext) -> _Clock:
    if duration_ns <= 0:
        duration_ns = max(0, context.until_ns - context.from_ns) if context.from_ns else 0
    if time_ns < _NOT_A_DATE_BEFORE_NS:
        time_ns = context.from_ns or context.received_ns - duration_ns
    return _Clock(time_ns, duration_ns, max(period, 0))


def _head_rows(
    declared: list[tuple[str, str]], period_type: tuple[str, str], context: PprofContext, clock: _Clock
) -> list[tuple[object, ...]]:
    shown = dict(context.display_names)
    name = context.name or guess_name(
        [shown.get(sample_type, sample_type) for sample_type, _ in declared], period_type[0]
    )
    labels = [{"key": key, "value": value, "kind": KIND_STRING} for key, value in context.labels]
    return [
        (
            context.service,
            str(ProfileType(*(_part(text) for text in (name, *sample_type, *period_type)))),
            labels,
            *clock,
            0,
            0,
            "pprof",
            context.sender,
            context.received_ns,
        )
        for sample_type in declared
    ]


def _part(text: str) -> str:
    """A part of a profile type id: colons separate the parts."""
    return text.replace(":", "_")


def _count_type(declared: list[tuple[str, str]]) -> int:
    """Which sample type counts hits of the profiler, -1: none."""
    counts = [at for at, (name, unit) in enumerate(declared) if name in _COUNT_TYPES and unit == "count"]
    return counts[0] if counts else -1


def _of(struct: pa.Array, name: str) -> pa.Array:
    """A field of a message that may be absent."""
    return pa.compute.struct_field(struct, name).fill_null(0)
