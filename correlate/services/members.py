"""The spans that stand behind a cohort: those a query chose, and what ran beneath them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.errors import BadQuery
from correlate.joins.activity import parent_rows
from correlate.model.answers import Scope
from correlate.model.queries import TimeRange
from correlate.ports import Lake
from correlate.services.cohorts import Chosen

IDS = ["trace_hi", "trace_lo", "span"]
COLUMNS = (*IDS, "parent", "service", "start_ns", "duration_ns", "profile_ref")

_LATER_NS: Final = 60_000_000_000
"""How long before the first of the chosen spans and after the last what they set going is looked for."""


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
        return rows.join(self.spans.select(*IDS, "cluster").unique(IDS, keep="first"), on=IDS)


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
    everything = lake.spans_of_traces(traces, _padded(alone.window), COLUMNS)
    marked = everything.join(
        numbered.select(*IDS, "start_ns", "cluster"), on=[*IDS, "start_ns"], how="left", maintain_order="left"
    )
    theirs = _nearest(marked["cluster"].fill_null(-1).to_numpy(), parent_rows(marked))
    counted = marked.with_columns(cluster=pl.Series(theirs, dtype=pl.Int64)).filter(pl.col("cluster") >= 0)
    return Members(counted.select(*COLUMNS, "cluster"), len(numbered))


def _padded(window: TimeRange) -> TimeRange:
    return TimeRange(window.start_ns - _LATER_NS, window.end_ns + _LATER_NS)


def _nearest(cluster: npt.NDArray[np.int64], parent_row: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The cluster of each row or of the nearest above it that has one, -1 without; log2(n) steps, cycles included."""
    count = len(cluster)
    up = np.append(np.where(cluster >= 0, np.arange(count), np.where(parent_row >= 0, parent_row, count)), count)
    for _ in range(count.bit_length()):
        up = up[up]
    nearest: npt.NDArray[np.int64] = np.append(cluster, -1)[up[:-1]]
    return nearest
