"""From the model's values and columns to the outward form."""

from typing import Any

import polars as pl

from correlate.model.answers import Accounting
from correlate.tables.hexadecimal import to_hex, trace_to_hex


def spans(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """SPANS rows with a column samples as `schemas.SpanWithSamples`."""
    return _spans(rows, ["samples"])


def bare_spans(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """SPANS rows as `schemas.Span`."""
    return _spans(rows, [])


def _spans(rows: pl.DataFrame, more: list[str]) -> list[dict[str, Any]]:
    parents = to_hex(rows["parent"].to_numpy())
    return rows.select(
        trace_to_hex(rows["trace_hi"].to_numpy(), rows["trace_lo"].to_numpy()).alias("trace_id"),
        to_hex(rows["span"].to_numpy()).alias("span_id"),
        pl.when(pl.col("parent") != 0).then(parents).alias("parent_span_id"),
        "service",
        "name",
        "kind",
        "status",
        "start_ns",
        "duration_ns",
        *more,
    ).to_dicts()


def accounting(found: Accounting) -> dict[str, Any]:
    """An accounting as `schemas.CoverageReport`."""
    parts = ("total", "attributed", "orphaned", "trace_only", "ambiguous", "unlabelled", "orphan_spans")
    return {
        "service": found.service,
        "profile_type": str(found.profile_type),
        "unit": found.profile_type.sample_unit,
        "start_ns": found.window.start_ns,
        "end_ns": found.window.end_ns,
        **{part: getattr(found, part) for part in parts},
    }
