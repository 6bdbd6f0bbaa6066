"""A lake in memory: every question answered by an obvious filter over all rows."""

from collections.abc import Sequence
from concurrent.futures import Future

import polars as pl

from correlate.model.ids import TraceId
from correlate.model.queries import SampleFilter, SpanFilter, TimeRange
from correlate.ports import Receipt
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables, concat


class FakeLake:
    """Implements `ports.Sink` and `ports.Lake`; commits at once."""

    def __init__(self, *parts: Tables) -> None:
        self.tables = concat([Tables(), *parts])

    def submit(self, tables: Tables) -> "Future[Receipt]":
        """Add rows, leaving out payloads and profiles that are already there."""
        new_spans = tables.spans.filter(~pl.col("payload").is_in(self.tables.spans["payload"].unique().implode()))
        known = self.tables.profiles["profile"].unique().implode()
        profiles = tables.profiles.filter(~pl.col("profile").is_in(known))
        samples = tables.samples.filter(~pl.col("profile").is_in(known))
        part = Tables(new_spans, samples, tables.stacks, tables.frames, tables.series, profiles)
        self.tables = concat([self.tables, part])
        done: Future[Receipt] = Future()
        duplicates = int(len(new_spans) < len(tables.spans)) + len(tables.profiles) - len(profiles)
        done.set_result(Receipt(len(new_spans), len(samples), len(profiles), duplicates))
        return done

    def spans_of_trace(self, trace: TraceId, columns: Sequence[str] = ()) -> pl.DataFrame:
        """By trace id."""
        mine = (pl.col("trace_hi") == trace.hi) & (pl.col("trace_lo") == trace.lo)
        rows = self._spans().filter(mine).sort("start_ns")
        return rows.select(columns or rows.columns)

    def spans_named(self, spans: Sequence[int], window: TimeRange) -> pl.DataFrame:
        """By span id and overlap."""
        rows = self._spans().filter(pl.col("span").is_in(list(spans)), _overlaps("start_ns", window))
        return rows.select("span", "trace_hi", "trace_lo")

    def span_keys(self, spans: pl.Series, window: TimeRange) -> pl.DataFrame:
        """By span id and overlap."""
        rows = self._spans().filter(pl.col("span").is_in(spans.implode()), _overlaps("start_ns", window))
        return rows.select("trace_hi", "trace_lo", "span", "service", "kind", "start_ns")

    def spans_of_service(
        self, service: str, operation: str | None, window: TimeRange, *, limit: int, slowest: bool
    ) -> pl.DataFrame:
        """By service, operation and overlap."""
        rows = self._spans().filter(pl.col("service") == service, _overlaps("start_ns", window))
        if operation is not None:
            rows = rows.filter(pl.col("name") == operation)
        return rows.sort("duration_ns" if slowest else "start_ns", descending=True).head(limit)

    def spans_where(self, wanted: SpanFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
        """By everything the filter says."""
        rows = self._spans().filter(
            pl.col("start_ns") < wanted.end_ns,
            pl.col("start_ns") + pl.col("duration_ns") >= wanted.start_ns,
            pl.col("duration_ns") >= wanted.min_duration_ns,
        )
        if wanted.max_duration_ns is not None:
            rows = rows.filter(pl.col("duration_ns") <= wanted.max_duration_ns)
        chosen = {"service": wanted.services, "name": wanted.names, "kind": wanted.kinds, "status": wanted.statuses}
        for column, values in chosen.items():
            if values:
                rows = rows.filter(pl.col(column).is_in(list(values)))
        return rows.select(columns or rows.columns)

    def spans_of_traces(self, traces: pl.DataFrame, window: TimeRange, columns: Sequence[str] = ()) -> pl.DataFrame:
        """By trace and overlap."""
        rows = self._spans().join(traces, on=["trace_hi", "trace_lo"], how="semi")
        rows = rows.filter(_overlaps("start_ns", window))
        return rows.select(columns or rows.columns)

    def samples(self, wanted: SampleFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
        """By everything the filter says."""
        rows = self._samples(wanted)
        return rows.select(columns or rows.columns)

    def _samples(self, wanted: SampleFilter) -> pl.DataFrame:
        rows = self.tables.samples.filter(_overlaps("time_ns", TimeRange(wanted.start_ns, wanted.end_ns)))
        if wanted.service_ids:
            rows = rows.filter(pl.col("service").is_in(wanted.service_ids))
        if wanted.type_ids:
            rows = rows.filter(pl.col("type").is_in(wanted.type_ids))
        if not (wanted.spans or wanted.trace or wanted.profiles):
            return rows
        named = pl.col("span").is_in(wanted.spans) | pl.col("profile").is_in(wanted.profiles)
        if wanted.trace is not None:
            named |= (pl.col("trace_hi") == wanted.trace.hi) & (pl.col("trace_lo") == wanted.trace.lo)
        return rows.filter(named)

    def stack_sums(self, wanted: SampleFilter) -> pl.DataFrame:
        """Added up on the spot."""
        return self.samples(wanted).group_by("stack").agg(pl.col("value", "weight").cast(pl.Int64).sum())

    def span_sums(self, wanted: SampleFilter, stacks: pl.Series) -> pl.DataFrame:
        """Added up on the spot."""
        rows = self.samples(wanted).filter(pl.col("stack").is_in(stacks.implode()))
        return rows.group_by("trace_hi", "trace_lo", "span").agg(pl.col("value", "weight").cast(pl.Int64).sum())

    def symbols(self, service_ids: Sequence[int]) -> Symbols:
        """By service."""
        mine = pl.col("service").is_in(list(service_ids))
        return Symbols.build(self.tables.stacks.filter(mine), self.tables.frames.filter(mine))

    def series(self, series: Sequence[int]) -> pl.DataFrame:
        """By id."""
        return self.tables.series.filter(pl.col("series").is_in(list(series))).unique("series")

    def profiles(self, services: Sequence[str], window: TimeRange, columns: Sequence[str] = ()) -> pl.DataFrame:
        """By service and overlap."""
        rows = self.tables.profiles.filter(_overlaps("time_ns", window))
        rows = rows.filter(pl.col("service").is_in(list(services))) if services else rows
        return rows.select(columns or rows.columns)

    def operations(self) -> pl.DataFrame:
        """Grouped on the spot."""
        return (
            self._spans()
            .group_by("service", "name", "kind")
            .agg(
                span_count=pl.len().cast(pl.Int64),
                error_count=(pl.col("status") == 2).sum().cast(pl.Int64),
                first_ns=pl.col("start_ns").min(),
                last_ns=(pl.col("start_ns") + pl.col("duration_ns")).max(),
                total_duration_ns=pl.col("duration_ns").sum(),
            )
        )

    def profile_types(self) -> pl.DataFrame:
        """Grouped on the spot."""
        return self.tables.profiles.group_by("service", "type").agg(
            profile_count=pl.len().cast(pl.Int64),
            sample_count=pl.col("sample_count").sum(),
            total=pl.col("total").sum(),
            labelled=pl.col("labelled").sum(),
            ambiguous=pl.col("ambiguous").sum(),
            first_ns=pl.col("time_ns").min(),
            last_ns=(pl.col("time_ns") + pl.col("duration_ns")).max(),
            period=pl.col("period").filter(pl.col("period") != 0).median().fill_null(0).cast(pl.Int64),
            max_duration_ns=pl.col("duration_ns").max(),
        )

    def _spans(self) -> pl.DataFrame:
        identity = ["trace_hi", "trace_lo", "span", "service", "kind", "start_ns"]
        return self.tables.spans.unique(identity, keep="any", maintain_order=True)


def _overlaps(start: str, window: TimeRange) -> pl.Expr:
    return (pl.col(start) <= window.end_ns) & (pl.col(start) + pl.col("duration_ns") >= window.start_ns)
