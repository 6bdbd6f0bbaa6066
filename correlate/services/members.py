"""The spans that stand behind a cohort: those a query chose, and what ran beneath them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.errors import BadQuery
from correlate.joins.activity import ancestor_rows, parent_rows
from correlate.model.answers import Scope
from correlate.model.queries import TimeRange
from correlate.ports import Lake
from correlate.services.cohorts import Chosen

IDS = ["trace_hi", "trace_lo", "span"]
COLUMNS = (*IDS, "parent", "service", "name", "start_ns", "duration_ns", "profile_ref")


@dataclass(frozen=True, slots=True)
class Members:
    """Spans that samples may belong to, each of them on the account of one chosen span.

    Attributes:
        spans: COLUMNS and cluster: the number of the chosen span, 0 up to `count` - 1, that the span counts for: itself
            or the nearest above it.
        count: how many spans were chosen.
    """

    spans: pl.DataFrame
    count: int

    @property
    def services(self) -> list[str]:
        """Where they ran, sorted."""
        return sorted(self.spans["service"].unique().to_list())

    @property
    def window(self) -> TimeRange:
        """First start and last end."""
        ends = pl.col("start_ns") + pl.col("duration_ns")
        first, last = self.spans.select(first=pl.col("start_ns").min(), last=ends.max()).row(0)
        return TimeRange(first, last + 1)

    def among(self, spans: pl.DataFrame) -> npt.NDArray[np.bool_]:
        """Which of some SPANS rows are members."""
        marked = spans.select(IDS).join(
            self.spans.select(*IDS, mine=pl.lit(True)).unique(IDS), on=IDS, how="left", maintain_order="left"
        )
        return marked["mine"].fill_null(False).to_numpy()

    def clustered(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Sample rows with the cluster of the span they name; those that name none are left out."""
        return rows.join(self.spans.select(*IDS, "cluster").unique(IDS, keep="any"), on=IDS)


def members(lake: Lake, chosen: Chosen, scope: Scope) -> Members:
    """The chosen spans alone, or with everything beneath them, other services included.

    Args:
        lake: where the rest of their traces is.
        chosen: what the query chose.
        scope: `Scope.SPAN` or `Scope.SUBTREE`.

    Raises:
        BadQuery: another scope.
    """
    if scope not in {Scope.SPAN, Scope.SUBTREE}:
        advice = "for whole traces choose their roots, { status = error } << { parent = nil }"
        raise BadQuery(
            f"scope {scope.value!r} is for single spans: many spans are asked for with span or subtree; {advice}"
        )
    numbered = chosen.spans.select(COLUMNS).with_row_index("cluster").with_columns(pl.col("cluster").cast(pl.Int64))
    if scope is not Scope.SUBTREE or numbered.is_empty():
        return Members(numbered, len(numbered))
    traces = numbered.select("trace_hi", "trace_lo").unique()
    alone = Members(numbered, len(numbered))
    everything = lake.spans_of_traces(traces, alone.window, COLUMNS)
    marked = everything.join(
        numbered.select(*IDS, "start_ns", "cluster"), on=[*IDS, "start_ns"], how="left", maintain_order="left"
    )
    cluster = marked["cluster"].fill_null(-1).to_numpy()
    above = ancestor_rows(parent_rows(marked), lambda _, ancestors: cluster[ancestors] >= 0)
    theirs = np.where(cluster >= 0, cluster, np.where(above >= 0, cluster[above], -1))
    counted = marked.with_columns(cluster=pl.Series(theirs, dtype=pl.Int64)).filter(pl.col("cluster") >= 0)
    return Members(counted.select(*COLUMNS, "cluster"), len(numbered))
