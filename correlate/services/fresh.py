"""Leaving out spans that are stored, for sources that give the same trace again with spans that came late."""

from dataclasses import replace
from typing import Final

import polars as pl

from correlate.model.queries import TimeRange
from correlate.ports import Lake
from correlate.tables.tables import Tables

SPAN_KEY: Final = ("trace_hi", "trace_lo", "span", "service", "kind", "start_ns")
"""What identifies a span. Ids alone do not: the two sides of a call may share one (Zipkin's B3 propagation)."""


def without_stored_spans(tables: Tables, lake: Lake) -> tuple[Tables, int]:
    """The rows of some payloads without spans that are stored or come twice, and how many those were."""
    spans = tables.spans
    if spans.is_empty():
        return tables, 0
    starts = spans["start_ns"].to_numpy()
    stored = lake.span_keys(spans["span"].unique(), TimeRange(int(starts.min()), int(starts.max()) + 1))
    kept = spans.unique(SPAN_KEY, keep="first", maintain_order=True).join(
        stored.select(pl.col(name) for name in SPAN_KEY), on=SPAN_KEY, how="anti", maintain_order="left"
    )
    return replace(tables, spans=kept), len(spans) - len(kept)
