"""The shape of observations: roles of profile types, the largest of many and the rest, and whole rows."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import polars as pl

from correlate.errors import BadQuery
from correlate.model.profile_type import ProfileType
from correlate.tables.schema import OBSERVATIONS

OTHER: Final = "other"
"""Name of what was too small to be told apart; its key is 0."""

UNIT: Final = ("service_id", "type", "time_ns")
"""What is observed as a whole."""

SUMS: Final = ("value", "self", "floor", "weight", "spans", "busy_ns")
"""Columns that add up."""

_FLOWS: Final = frozenset({"cpu", "mutex", "block", "alloc_space"})
_HELD: Final = frozenset({"inuse_space", "goroutine", "goroutineleak", "threads"})


class Role(IntEnum):
    """What observing makes of a profile type."""

    NONE = 0
    """Not observed."""
    FLOW = 1
    """Adds up over time: CPU time, delay of locks, allocation."""
    HELD = 2
    """Snapshots of what is there: in-use memory, goroutines."""


def alias_of(type_id: str) -> str:
    """What people call a profile type id: ``cpu``, ``inuse_space``; the text itself where it is none."""
    try:
        return ProfileType.parse(type_id).alias
    except BadQuery:
        return type_id


def role_of(type_id: str) -> Role:
    """What observing makes of a profile type id."""
    alias = alias_of(type_id)
    return Role.FLOW if alias in _FLOWS else Role.HELD if alias in _HELD else Role.NONE


def largest(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """The rows with the largest ``rank`` of each unit, and the others of the unit added up under key 0.

    Args:
        rows: `UNIT`, key, rank, and some of `SUMS`.
        most: how many of a unit stay as they are.
    """
    place = pl.col("rank").rank("ordinal", descending=True).over(UNIT)
    ordered = rows.with_columns(place=place)
    kept = ordered.filter(pl.col("place") <= most).drop("rank", "place")
    sums = [name for name in SUMS if name in rows.columns]
    rest = ordered.filter(pl.col("place") > most).group_by(UNIT).agg(pl.col(sums).sum())
    others = rest.with_columns(key=pl.lit(0, pl.Int64), name=pl.lit(OTHER))
    return pl.concat([kept, others], how="diagonal")


def finished(parts: Sequence[pl.DataFrame], names: pl.DataFrame, bucket_ns: int, written_ns: int) -> pl.DataFrame:
    """Whole OBSERVATIONS rows from parts that have some of their columns.

    Args:
        parts: rows; what they lack is 0 or empty.
        names: columns service_id and service.
        bucket_ns: length of a bucket.
        written_ns: when it is worked out.
    """
    given = pl.concat([part.lazy() for part in parts], how="diagonal").collect() if parts else pl.DataFrame()
    if given.is_empty():
        return pl.DataFrame(schema=OBSERVATIONS)
    whole = given.drop("service", strict=False).join(names, on="service_id", how="left")
    own = {"duration_ns": pl.lit(bucket_ns), "written_ns": pl.lit(written_ns)}
    return whole.select(
        own.get(name, pl.col(name) if name in whole.columns else pl.lit(None))
        .cast(kind)
        .fill_null("" if kind == pl.String else 0)
        .alias(name)
        for name, kind in OBSERVATIONS.items()
    )
