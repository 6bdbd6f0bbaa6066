"""Small sums over the rows of a file, kept in its footer and put together when somebody asks.

An aggregate of a file is a frame of few rows; aggregates of several files are put together by `combine`, which is
associative, so merging files never needs to look at rows again.
"""

from typing import Final

import polars as pl

from correlate.tables.schema import TABLES

MAX_ROWS: Final = 20_000
"""A footer with more distinct operations than this would slow every reader down; such a file is read instead."""

_KEYS: Final = {"spans": ["service", "name", "kind"], "profiles": ["service", "type", "period"]}
COLUMNS: Final = {
    "spans": ("service", "name", "kind", "status", "start_ns", "duration_ns"),
    "profiles": (
        "service",
        "type",
        "period",
        "sample_count",
        "total",
        "labelled",
        "ambiguous",
        "time_ns",
        "duration_ns",
    ),
}
"""The columns that `partial` needs."""

_STATUS_ERROR: Final = 2  # OTLP StatusCode


def partial(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """The aggregate of some rows of a table; a frame without columns for tables that have none."""
    if table == "spans":
        return frame.group_by(_KEYS["spans"]).agg(
            span_count=pl.len().cast(pl.Int64),
            error_count=(pl.col("status") == _STATUS_ERROR).sum().cast(pl.Int64),
            first_ns=pl.col("start_ns").min(),
            last_ns=(pl.col("start_ns") + pl.col("duration_ns")).max(),
            total_duration_ns=pl.col("duration_ns").sum(),
        )
    if table == "profiles":
        return frame.group_by(_KEYS["profiles"]).agg(
            profile_count=pl.len().cast(pl.Int64),
            sample_count=pl.col("sample_count").sum(),
            total=pl.col("total").sum(),
            labelled=pl.col("labelled").sum(),
            ambiguous=pl.col("ambiguous").sum(),
            first_ns=pl.col("time_ns").min(),
            last_ns=(pl.col("time_ns") + pl.col("duration_ns")).max(),
            max_duration_ns=pl.col("duration_ns").max(),
        )
    return pl.DataFrame()


def combine(parts: pl.DataFrame, table: str) -> pl.DataFrame:
    """Put aggregates together: one row per operation (spans), or per service, type and period (profiles)."""
    if table not in _KEYS:
        return parts
    keys = _KEYS[table]
    lowest = [name for name in parts.columns if name == "first_ns"]
    highest = [name for name in parts.columns if name in ("last_ns", "max_duration_ns")]
    sums = [name for name in parts.columns if name not in (*keys, *lowest, *highest)]
    combined = parts.group_by(keys).agg(pl.col(sums).sum(), pl.col(lowest).min(), pl.col(highest).max())
    return combined.select(parts.columns)


def empty(table: str) -> pl.DataFrame:
    """An aggregate of no rows, with its columns."""
    return combine(partial(table, pl.DataFrame(schema=TABLES[table])), table)


def operations(combined: pl.DataFrame) -> pl.DataFrame:
    """What `Lake.operations` answers, from the combined aggregates of spans."""
    columns = ["service", "name", "kind", "span_count", "error_count", "first_ns", "last_ns", "total_duration_ns"]
    return combined.select(columns).sort("service", "name", "kind")


def answer(table: str, combined: pl.DataFrame) -> pl.DataFrame:
    """What the lake says about a table that has aggregates."""
    return operations(combined) if table == "spans" else profile_types(combined)


def profile_types(combined: pl.DataFrame) -> pl.DataFrame:
    """What `Lake.profile_types` answers, from the combined aggregates of profiles."""
    return (
        combined.sort("period")
        .group_by("service", "type")
        .agg(
            pl.col("profile_count", "sample_count", "total", "labelled", "ambiguous").sum(),
            pl.col("first_ns").min(),
            pl.col("last_ns").max(),
            period=_median_period(),
            max_duration_ns=pl.col("max_duration_ns").max(),
        )
        .sort("service", "type")
    )


def _median_period() -> pl.Expr:
    """The median of the periods that are not 0, each as often as it has profiles; of rows sorted by period."""
    known = pl.col("period") != 0
    period, count = pl.col("period").filter(known), pl.col("profile_count").filter(known)
    lower = period.filter(count.cum_sum() > (count.sum() - 1) // 2).first()
    upper = period.filter(count.cum_sum() > count.sum() // 2).first()
    return (lower + (upper - lower) // 2).fill_null(0)
