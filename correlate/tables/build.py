"""From linked profiles, as a format reads them, to the tables of the store.

Every profile format ends in a `Linked`: plain columns in which ids of the wire have become row numbers. Everything
that gives rows their lasting identity (frame, stack, series and content hashes) happens here, once for all formats.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.tables import hashing
from correlate.tables.distinct import distinct_codes, first_of_each, number_codes
from correlate.tables.ragged import offsets_of, positions_of
from correlate.tables.schema import (
    ATTRIBUTES,
    EVIDENCE_AMBIGUOUS,
    FRAMES,
    PROFILES,
    SAMPLES,
    Schema,
)
from correlate.tables.series import identify_merged
from correlate.tables.tables import Reject, Tables

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HEADS: Schema = {
    "service": pl.String,
    "type": pl.String,
    "labels": ATTRIBUTES,
    "time_ns": pl.Int64,
    "duration_ns": pl.Int64,
    "period": pl.Int64,
    "profile_hi": pl.Int64,
    "profile_lo": pl.Int64,
    "format": pl.String,
    "sender": pl.String,
    "received_ns": pl.Int64,
}
"""What is known of a profile besides its samples: one row per profile and sample type."""

FRAME_COLUMNS = [name for name in FRAMES if name not in ("service", "frame")]


@dataclass(frozen=True, slots=True)
class Linked:
    """Profiles of one or more payloads with every reference resolved to a row number.

    Attributes:
        heads: HEADS rows.
        samples: one row per sample, with columns ``head`` (row in `heads`), ``stack`` (row in the stacks; -1 is the
            empty stack), ``labelset`` (row in `labelsets`, -1: none), and ``time_ns duration_ns thread trace_hi
            trace_lo span evidence value weight`` as in SAMPLES. All integers.
        labelsets: attribute lists that samples carry besides ids, for instance ``thread_name``.
        stack_offsets: where each stack's frames start in `stack_frames`, plus the end.
        stack_frames: rows in `frames`, root first.
        frames: FRAMES columns without ``service`` and ``frame``.
        rejects: what was refused while reading.
        frame_ids: `hash_frames` of `frames`, where the format has a cheaper way to it; None: to be computed.
    """

    heads: pl.DataFrame
    samples: pl.DataFrame
    labelsets: pl.Series
    stack_offsets: I64
    stack_frames: I64
    frames: pl.DataFrame
    rejects: tuple[Reject, ...] = ()
    frame_ids: I64 | None = None


def hash_frames(texts: Mapping[str, I64], numbers: Mapping[str, I64]) -> I64:
    """The lasting ids of frames, given their text columns hashed by `hashing.hash_text` and their other columns."""
    columns = {**texts, **numbers}
    return hashing.combine([columns[name] for name in FRAME_COLUMNS])


def build(linked: Linked) -> Tables:
    """Give every row its lasting id and lay the rows out as tables. Samples of value 0 are dropped."""
    samples = linked.samples
    if (samples["value"] == 0).any():
        samples = samples.filter(pl.col("value") != 0)
    heads = linked.heads
    head = samples["head"].cast(pl.Int64).to_numpy()
    stack_row = samples["stack"].cast(pl.Int64).to_numpy()
    frame_ids = linked.frame_ids
    if frame_ids is None:
        frame_ids = hashing.hash_rows(linked.frames.select(FRAME_COLUMNS))
    items = frame_ids[linked.stack_frames]
    stack_ids = hashing.sequence_hashes(items, linked.stack_offsets)
    service_of_head, type_of_head = hashing.hash_texts(heads.select("service", "type"))
    series, series_of = _series(linked, head, samples["labelset"].cast(pl.Int64).to_numpy())
    columns = {name: _column(samples[name], SAMPLES[name]) for name in SAMPLES if name in samples.columns} | {
        "service": _ids("service", service_of_head[head]),
        "type": _ids("type", type_of_head[head]),
        "series": _ids("series", series_of),
        "stack": _ids("stack", np.append(stack_ids, 0)[stack_row]),  # row -1, the empty stack, takes the 0 at the end
    }
    profile_ids = _content_hashes(heads, [service_of_head, type_of_head], columns, head)
    kept = _first_of_each_profile(profile_ids)
    rows = pl.DataFrame([(columns | {"profile": _ids("profile", profile_ids[head])})[name] for name in SAMPLES])
    stacks, used_by = _stacks(linked, service_of_head[head], stack_row, stack_ids, items)
    return Tables(
        samples=rows if kept.all() else rows.filter(kept[head]),
        stacks=stacks,
        frames=_frames(linked.frames, frame_ids, used_by),
        series=series,
        profiles=_profiles(heads, rows, head, profile_ids, kept),
        rejects=linked.rejects,
    )


def _series(linked: Linked, head: I64, labelset: I64) -> tuple[pl.DataFrame, I64]:
    """Series of the samples: the profile's labels and the sample's own put together, the profile's winning."""
    width = len(linked.labelsets) + 1
    pairs, pair_of = number_codes(head * width + labelset + 1, len(linked.heads) * width)
    head_row, set_row = np.divmod(pairs, width)
    own = pl.concat([pl.Series([[]], dtype=ATTRIBUTES), linked.labelsets.cast(ATTRIBUTES)])
    ids, rows = identify_merged(linked.heads.select("service", "type", "labels"), own, head_row, set_row)
    return rows, ids[pair_of]


def _content_hashes(heads: pl.DataFrame, names: list[I64], columns: Mapping[str, pl.Series], head: I64) -> I64:
    """One hash per profile over everything that makes it what it is, not over how or when it was sent."""
    hashed = ["time_ns", "duration_ns", "thread", "trace_hi", "trace_lo", "span", "series", "stack", "value"]
    row_hashes = hashing.combine([columns[name].to_numpy() for name in hashed])
    bags = hashing.bag_hashes(row_hashes, head, len(heads))
    own = [heads[name].to_numpy() for name in ("time_ns", "duration_ns", "period", "profile_hi", "profile_lo")]
    return hashing.combine([*names, *own, bags])


def _first_of_each_profile(profile_ids: I64) -> Bools:
    """Which heads are not repeats of an earlier one in the same payload."""
    first = np.zeros(len(profile_ids), bool)
    first[np.unique(profile_ids, return_index=True)[1]] = True
    return first


class _UsedBy(NamedTuple):
    """Which frames the stacks of which service use: codes of place in `services` x number of frames + row."""

    services: I64
    codes: I64


def _stacks(linked: Linked, service: I64, stack_row: I64, stack_ids: I64, items: I64) -> tuple[pl.DataFrame, _UsedBy]:
    """The STACKS rows that the samples of each service use, each once. `items` are the stacks' frame ids."""
    services, which = _distinct_services(service)
    used = distinct_codes((which * len(stack_ids) + stack_row)[stack_row >= 0], len(services) * len(stack_ids))
    of_service, row = np.divmod(used, max(1, len(stack_ids)))
    once = _first_of_each(services, of_service, stack_ids[row])
    of_service, row = of_service[once], row[once]
    taken, lengths = positions_of(linked.stack_offsets, row)
    flat = linked.stack_frames[taken]
    stacks = pl.DataFrame(
        [
            _ids("service", services[of_service]),
            _ids("stack", stack_ids[row]),
            _list_column("frames", offsets_of(lengths), items[taken]),
        ]
    )
    several = len(services) > 1
    return stacks, _UsedBy(services, np.repeat(of_service * len(linked.frames), lengths) + flat if several else flat)


def _frames(frames: pl.DataFrame, frame_ids: I64, used_by: _UsedBy) -> pl.DataFrame:
    """The FRAMES rows that each service uses, each once."""
    services = used_by.services
    used = distinct_codes(used_by.codes, len(services) * len(frames))
    of_service, row = np.divmod(used, max(1, len(frames)))
    once = _first_of_each(services, of_service, frame_ids[row])
    of_service, row = of_service[once], row[once]
    chosen = frames if _is_range(row, len(frames)) else frames[row]
    return chosen.select(
        _ids("service", services[of_service]),
        _ids("frame", frame_ids[row]),
        *(pl.col(name).cast(FRAMES[name]) for name in FRAME_COLUMNS),
    )


def _distinct_services(service: I64) -> tuple[I64, I64]:
    """The services that occur, and for each sample which of them is its."""
    if len(service) and bool((service == service[0]).all()):
        return service[:1], np.zeros(len(service), np.int64)
    return np.unique(service, return_inverse=True)


def _first_of_each(services: I64, of_service: I64, ids: I64) -> I64:
    """Positions of the first occurrence of each pair of service and id, ascending."""
    keys = ids if len(services) == 1 else hashing.combine([services[of_service], ids])
    return first_of_each(keys)


def _profiles(heads: pl.DataFrame, rows: pl.DataFrame, head: I64, profile_ids: I64, kept: Bools) -> pl.DataFrame:
    value, evidence = rows["value"].to_numpy(), rows["evidence"].to_numpy()
    sums = {
        "sample_rows": np.bincount(head, minlength=len(heads)),
        "sample_count": _sums(rows["weight"].cast(pl.Int64).to_numpy(), head, len(heads)),
        "total": _sums(value, head, len(heads)),
        "labelled": _sums_where(_named(rows), value, head, len(heads)),
        "ambiguous": _sums_where(evidence == EVIDENCE_AMBIGUOUS, value, head, len(heads)),
    }
    profiles = heads.with_columns(_ids("profile", profile_ids), *(_ids(name, sums[name]) for name in sums))
    return (profiles if kept.all() else profiles.filter(kept)).select(
        pl.col(name).cast(kind) for name, kind in PROFILES.items()
    )


def _sums(values: I64, group: I64, groups: int) -> I64:
    """Exact sums by group; NumPy's weighted bincount would go through floating point."""
    sums = np.zeros(groups, np.int64)
    np.add.at(sums, group, values)
    return sums


def _sums_where(wanted: Bools, values: I64, group: I64, groups: int) -> I64:
    """Sums by group over some of the values."""
    return _sums(values[wanted], group[wanted], groups) if wanted.any() else np.zeros(groups, np.int64)


def _named(rows: pl.DataFrame) -> Bools:
    """Which samples name a span or a trace."""
    named: Bools = (rows["span"].to_numpy() | rows["trace_hi"].to_numpy() | rows["trace_lo"].to_numpy()) != 0
    return named


def _column(column: pl.Series, kind: pl.DataType | type[pl.DataType]) -> pl.Series:
    return column if column.dtype == kind else column.cast(kind)


def _ids(name: str, values: I64) -> pl.Series:
    return pl.Series(name, values, dtype=pl.Int64)


def _is_range(rows: I64, count: int) -> bool:
    """Whether rows are 0 … count - 1 in this order."""
    return len(rows) == count and bool((rows == np.arange(count)).all())


def _list_column(name: str, offsets: I64, values: I64) -> pl.Series:
    array = pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
    return pl.Series(name, pl.from_arrow(array), dtype=pl.List(pl.Int64))
