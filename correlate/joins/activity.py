"""When each span was at work itself: its interval without the time in which it waited for its children."""

import polars as pl


def self_intervals(spans: pl.DataFrame) -> pl.DataFrame:
    """The pieces of each span's interval in which none of its children ran.

    A child counts where it lies within its parent; children may overlap each other, outlast the parent, or run in
    another service: what the parent does meanwhile is wait.

    Args:
        spans: SPANS rows, at least trace_hi, trace_lo, span, parent, start_ns and duration_ns. Spans whose parent is
            not among them lose nothing to it.

    Returns:
        Columns row (of the span in `spans`, UInt32), start_ns and end_ns (half open, never empty), sorted by both.
    """
    numbered = (
        spans.lazy()
        .select("trace_hi", "trace_lo", "span", "parent", "start_ns", end_ns=pl.col("start_ns") + pl.col("duration_ns"))
        .with_row_index("row")
    )
    merged = _merged(_children(numbered))
    before = pl.col("end_ns").shift(1).over("row", order_by="start_ns")
    whole = numbered.select("row", own_start="start_ns", own_end="end_ns")
    childless = whole.join(merged, on="row", how="anti").select("row", start_ns="own_start", end_ns="own_end")
    heads = merged.join(whole, on="row", maintain_order="left").select(
        "row", start_ns=before.fill_null(pl.col("own_start")), end_ns="start_ns"
    )
    tails = (
        merged.group_by("row")
        .agg(pl.col("end_ns").max())
        .join(whole, on="row")
        .select("row", start_ns="end_ns", end_ns="own_end")
    )
    pieces = pl.concat([childless, heads, tails]).filter(pl.col("end_ns") > pl.col("start_ns"))
    return pieces.sort("row", "start_ns").collect()


def _children(spans: pl.LazyFrame) -> pl.LazyFrame:
    """The intervals of all children, clipped to their parents: columns row (of the parent), start_ns, end_ns."""
    ids = ["trace_hi", "trace_lo"]
    parents = spans.select(*ids, parent="span", row="row", own_start="start_ns", own_end="end_ns")
    own = spans.filter((pl.col("parent") != 0) & (pl.col("parent") != pl.col("span")))
    return (
        own.select(*ids, "parent", "start_ns", "end_ns")
        .join(parents, on=[*ids, "parent"])
        .select(
            "row",
            start_ns=pl.max_horizontal("start_ns", "own_start"),
            end_ns=pl.min_horizontal("end_ns", "own_end"),
        )
        .filter(pl.col("end_ns") > pl.col("start_ns"))
    )


def _merged(intervals: pl.LazyFrame) -> pl.LazyFrame:
    """Unite intervals of a row that overlap or touch."""
    reached = pl.col("end_ns").cum_max().shift(1).over("row")
    return (
        intervals.sort("row", "start_ns")
        .with_columns(opens=(pl.col("start_ns") > reached).fill_null(True))
        .with_columns(block=pl.col("opens").cast(pl.UInt32).cum_sum())
        .group_by("row", "block")
        .agg(pl.col("start_ns").min(), pl.col("end_ns").max())
        .drop("block")
        .sort("row", "start_ns")
    )
