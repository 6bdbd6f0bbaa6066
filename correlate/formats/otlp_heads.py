"""What OTLP profiles say of themselves: type, time, period, labels. One row for each profile."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.formats import otlp_faults as faults
from correlate.formats.arrow import integers, ragged
from correlate.formats.otlp_attributes import Attributes
from correlate.formats.otlp_dictionary import Dictionary, texts
from correlate.formats.otlp_ids import ids
from correlate.formats.otlp_request import Request
from correlate.formats.otlp_types import OtlpType, profile_type
from correlate.tables.schema import ATTRIBUTES

I64 = npt.NDArray[np.int64]

_MAX_TIME_NS = (1 << 63) - 1


class Described(NamedTuple):
    """The profiles of a request.

    Attributes:
        rows: type, labels, time_ns, duration_ns, period, profile_hi and profile_lo as in HEADS.
        factor: what the values of each must be multiplied by.
        hit: how much value one hit of the profiler stands for, 0: unknown.
        faults: what is wrong with each, its samples aside.
    """

    rows: pl.DataFrame
    factor: I64
    hit: I64
    faults: faults.Faults


def describe(request: Request, resources: Attributes) -> Described:
    """Read everything of each profile but its samples. Loops over profiles for their types only."""
    profiles = request.profiles
    types, type_faults = _types(profiles, request.dictionary)
    own_ids = ids(profiles.field("profile_id"), 16)
    time_ns, duration_ns, time_faults = _times(request)
    labels, label_faults = _labels(request, resources)
    rows = pl.DataFrame(
        {
            "type": pl.Series([each.type_id for each in types], dtype=pl.String),
            "labels": labels,
            "time_ns": time_ns,
            "duration_ns": duration_ns,
            "period": np.maximum(integers(profiles.field("period")), 0),
            "profile_hi": own_ids[:, 0],
            "profile_lo": own_ids[:, 1],
        }
    )
    has_samples = np.bincount(request.samples.profile, minlength=len(profiles)) > 0
    untyped = has_samples & (rows["type"] == "").to_numpy() & (type_faults == 0)
    missing = np.where(untyped, faults.SAMPLE_TYPE, 0).astype(np.int8)
    return Described(
        rows,
        np.array([each.factor for each in types], np.int64),
        np.array([each.hit for each in types], np.int64),
        faults.highest([type_faults, time_faults, label_faults, missing]),
    )


def _types(profiles: pa.StructArray, dictionary: Dictionary) -> tuple[list[OtlpType], faults.Faults]:
    strings = dictionary.strings
    index = [
        integers(pa.compute.struct_field(profiles.field(message), part))
        for message in ("sample_type", "period_type")
        for part in ("type_strindex", "unit_strindex")
    ]
    columns = [texts(strings, at).to_list() for at in index]
    period = integers(profiles.field("period")).tolist()
    declared = list(zip(*columns, period, strict=True))
    known = {parts: profile_type(*parts) for parts in set(declared)}
    types = [known[parts] for parts in declared]
    return types, faults.highest([faults.beyond(at, len(strings), faults.STRING) for at in index])


def _times(request: Request) -> tuple[I64, I64, faults.Faults]:
    """Start and length of each profile, and what is wrong with them. Without a start the first timestamp is one."""
    start = integers(request.profiles.field("time_unix_nano"))
    duration = integers(request.profiles.field("duration_nano"))
    times = integers(request.samples.times.values)
    owner = request.samples.profile[request.samples.times.owners()]
    first = np.full(len(start), _MAX_TIME_NS)
    np.minimum.at(first, owner, times)
    has_times = np.bincount(owner, minlength=len(start)) > 0
    start = np.where((start == 0) & has_times, first, start)
    absurd = (start < 0) | (duration < 0) | (duration > _MAX_TIME_NS - np.maximum(start, 0))
    problem = np.where(absurd, faults.TIME, np.where(start == 0, faults.NO_TIME, 0))
    return start, duration, problem.astype(np.int8)


def _labels(request: Request, resources: Attributes) -> tuple[pl.Series, faults.Faults]:
    """The resource's attributes and the profile's own, as one list for each profile."""
    column = resources.column()[request.resource]
    own = ragged(request.profiles.field("attribute_indices"))
    index = integers(own.values)
    table = request.dictionary.attributes
    problems = faults.gather(faults.follow(index, table.faults, faults.ATTRIBUTE), own)
    if not len(index):
        return column, problems
    known = np.where(faults.beyond(index, len(table.rows), 1), 0, index)
    items = table.rows[known].to_struct("label").to_arrow()
    lists = pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(own.offsets), items))).cast(ATTRIBUTES)
    return pl.DataFrame({"a": column, "b": lists}).select(pl.concat_list("a", "b")).to_series(), problems
