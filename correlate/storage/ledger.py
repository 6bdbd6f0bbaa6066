"""Telling new rows from rows that are already stored or that came twice in one group."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.storage.known import PartitionedIds
from correlate.storage.layout import HOUR_NS

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Fresh:
    """The new rows of a group, submission by submission.

    Attributes:
        frames: for each submission, its frames without what is known.
        duplicates: for each submission, how many of its units were known.
        hours: the partition of each new unit.
        ids: the content hash of each new unit.
    """

    frames: list[tuple[pl.DataFrame, ...]]
    duplicates: list[int]
    hours: I64
    ids: I64


def fresh_spans(submissions: list[pl.DataFrame], known: PartitionedIds) -> Fresh:
    """Drop payloads of spans that are known. A payload belongs to the hour of its earliest span."""
    heads = [
        spans.lazy().group_by(id="payload").agg(hour=pl.col("start_ns").min() // HOUR_NS).collect()
        for spans in submissions
    ]
    return _fresh([(spans,) for spans in submissions], heads, ("payload",), known)


def fresh_profiles(submissions: list[tuple[pl.DataFrame, pl.DataFrame]], known: PartitionedIds) -> Fresh:
    """Drop profiles that are known, with their samples. Each submission is PROFILES rows and SAMPLES rows."""
    heads = [
        profiles.select(id=pl.col("profile"), hour=pl.col("time_ns") // HOUR_NS).unique("id", keep="first")
        for profiles, _ in submissions
    ]
    return _fresh(list(submissions), heads, ("profile", "profile"), known)


def _fresh(
    submissions: list[tuple[pl.DataFrame, ...]],
    heads: list[pl.DataFrame],
    columns: tuple[str, ...],
    known: PartitionedIds,
) -> Fresh:
    units = pl.concat([head.with_columns(part=pl.lit(i, pl.Int32)) for i, head in enumerate(heads)])
    ids, hours, part = units["id"].to_numpy(), units["hour"].to_numpy(), units["part"].to_numpy()
    repeated = known.contains(hours, ids) | ~units["id"].is_first_distinct().to_numpy()
    repeated &= ids != 0  # 0 means that the content was not hashed
    kept = [_without(frames, columns, ids[(part == i) & repeated]) for i, frames in enumerate(submissions)]
    duplicates = np.bincount(part[repeated], minlength=len(submissions)).tolist()
    new = ~repeated & (ids != 0)
    return Fresh(kept, duplicates, hours[new], ids[new])


def _without(frames: tuple[pl.DataFrame, ...], columns: tuple[str, ...], ids: I64) -> tuple[pl.DataFrame, ...]:
    if not len(ids):
        return frames
    drop = pl.Series(ids).implode()
    return tuple(f.filter(~pl.col(name).is_in(drop)) for f, name in zip(frames, columns, strict=True))
