"""Buckets put together to longer ones: what is looked at days later need not be known to five minutes.

Sums add up; of what is held the mean and the minimum over all snapshots stay what they were. Only what was among the
largest in a bucket is known by name, so small ones are a little smaller in the sum.
"""

from typing import Final

import polars as pl

from correlate.detectors.observe import MOST_FUNCTIONS, MOST_FUNCTIONS_BESIDE, MOST_SITES
from correlate.detectors.observe_rows import Role, alias_of, role_of
from correlate.tables.schema import (
    OBSERVATIONS,
    OBSERVED_FUNCTION,
    OBSERVED_OPERATION,
    OBSERVED_SITE,
    OBSERVED_TOTAL,
)

_WHAT: Final = ("service_id", "service", "type", "kind", "instance", "key")
_FLOWING: Final = ("value", "self", "weight", "spans", "busy_ns")


def roll(rows: pl.DataFrame, step_ns: int, written_ns: int) -> pl.DataFrame:
    """Put OBSERVATIONS rows together to buckets of a length.

    Args:
        rows: whole steps of shorter buckets.
        step_ns: a multiple of their length.
        written_ns: when this is worked out.
    """
    if rows.is_empty():
        return rows
    types = rows["type"].unique().to_list()
    held = [text for text in types if role_of(text) is Role.HELD or text.startswith("metric:")]
    stepped = rows.with_columns(began_ns=pl.col("time_ns"), time_ns=pl.col("time_ns") // step_ns * step_ns)
    flows = _grouped(stepped.filter(~pl.col("type").is_in(held))).agg(pl.col(_FLOWING).sum(), *_SAME)
    parts = [flows, _snapshots(stepped.filter(pl.col("type").is_in(held)))]
    every = pl.concat(parts, how="diagonal").filter(_kept(types))
    own = {"duration_ns": pl.lit(step_ns), "written_ns": pl.lit(written_ns)}
    return every.select(
        own.get(name, pl.col(name)).cast(kind).fill_null("" if kind == pl.String else 0).alias(name)
        for name, kind in OBSERVATIONS.items()
    )


_SAME: Final = (
    pl.when(pl.col("version").n_unique() == 1).then(pl.col("version").first()).otherwise(pl.lit("")).alias("version"),
    pl.col("name", "file", "line", "stack").last(),
    pl.col("instances").max(),
    pl.col("floor").min(),
)


def _grouped(rows: pl.DataFrame) -> "pl.dataframe.group_by.GroupBy":
    return rows.group_by(*_WHAT, "time_ns")


def _snapshots(rows: pl.DataFrame) -> pl.DataFrame:
    """Means weighted by the number of snapshots; what was not there in some bucket was 0 there."""
    if rows.is_empty():
        return rows.select(*_WHAT, "time_ns")
    unit = ["service_id", "type", "began_ns"]
    whole = rows.filter((pl.col("kind") == OBSERVED_TOTAL) & (pl.col("instance") == 0))
    taken = rows.join(whole.select(*unit, taken="weight").unique(unit), on=unit, how="left")
    weight = pl.when(pl.col("kind") == OBSERVED_SITE).then("taken").otherwise("weight").fill_null(1).clip(1)
    weighed = taken.with_columns(share=weight, weighed=weight * pl.col("value"))
    step = ["service_id", "type", "time_ns"]
    in_all = whole.group_by(step).agg(buckets=pl.col("began_ns").n_unique(), all=pl.col("weight").sum())
    sums = _grouped(weighed).agg(pl.col("weighed", "share", "weight").sum(), *_SAME, seen=pl.col("began_ns").n_unique())
    known = sums.join(in_all, on=step, how="left")
    site = pl.col("kind") == OBSERVED_SITE
    base = pl.when(site).then("all").otherwise("share").fill_null(1).clip(1)
    lasting = ~site | (pl.col("seen") == pl.col("buckets"))
    return known.with_columns(
        value=(pl.col("weighed") / base).round().cast(pl.Int64),
        floor=pl.when(lasting).then("floor").otherwise(0),
    ).drop("weighed", "share", "seen", "buckets", "all")


def _kept(types: list[str]) -> pl.Expr:
    """The largest of each step; the sums of all are in the totals."""
    main = pl.col("type").is_in([text for text in types if alias_of(text) == "cpu"])
    most = (
        pl.when(pl.col("kind") == OBSERVED_SITE)
        .then(MOST_SITES)
        .when((pl.col("kind") == OBSERVED_FUNCTION) & main)
        .then(MOST_FUNCTIONS)
        .when(pl.col("kind") == OBSERVED_FUNCTION)
        .then(MOST_FUNCTIONS_BESIDE)
        .otherwise(1 << 30)
    )
    rank = pl.max_horizontal(pl.col("self") + pl.col("value") * 0.05, pl.lit(0))
    place = rank.rank("ordinal", descending=True).over("service_id", "type", "kind", "instance", "time_ns")
    return (pl.col("key") == 0) | (pl.col("kind") == OBSERVED_OPERATION) | (place <= most)
