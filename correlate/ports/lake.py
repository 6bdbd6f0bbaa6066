"""Where rows go and where they are read."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from correlate.model.ids import TraceId
from correlate.model.queries import SampleFilter, SpanFilter, TimeRange
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a submitted `Tables`, once its commit is visible.

    Attributes:
        spans: span rows stored now.
        samples: sample rows stored now.
        profiles: profiles stored now.
        duplicates: payloads and profiles that were already stored, so not stored again.
    """

    spans: int
    samples: int
    profiles: int
    duplicates: int


class Sink(Protocol):
    """Where rows go."""

    def submit(self, tables: Tables) -> "Future[Receipt]":
        """Queue rows for the next group commit. The future resolves when a committed table version holds them.

        Raises:
            Overloaded: the queue is full (through the future: `StoreError` when the commit failed).
        """
        ...


class Lake(Protocol):
    """Reading what is stored. Every answer reflects all commits acknowledged before the call."""

    def spans_of_trace(self, trace: TraceId, columns: Sequence[str] = ()) -> pl.DataFrame:
        """All stored spans of a trace: SPANS rows by start time, each span once; with `columns`, only those."""
        ...

    def spans_named(self, spans: Sequence[int], window: TimeRange) -> pl.DataFrame:
        """Which of some span ids are stored, for spans that overlap a window: columns span, trace_hi, trace_lo."""
        ...

    def span_keys(self, spans: pl.Series, window: TimeRange) -> pl.DataFrame:
        """What identifies the stored spans with some span ids (64-bit integers) that overlap a window.

        Columns trace_hi, trace_lo, span, service, kind, start_ns; each row once.
        """
        ...

    def spans_of_service(
        self, service: str, operation: str | None, window: TimeRange, *, limit: int, slowest: bool
    ) -> pl.DataFrame:
        """SPANS rows of a service, or of one operation of it, that overlap a window: the newest or the slowest."""
        ...

    def spans_where(self, wanted: SpanFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
        """The SPANS rows a filter selects, each span once, in no order; with `columns`, only those are read."""
        ...

    def spans_of_traces(self, traces: pl.DataFrame, window: TimeRange, columns: Sequence[str] = ()) -> pl.DataFrame:
        """All spans of some traces (columns trace_hi, trace_lo) that overlap a window, each once, in no order."""
        ...

    def samples(self, wanted: SampleFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
        """The SAMPLES rows a filter selects, in no particular order; with `columns`, only those are read."""
        ...

    def stack_sums(self, wanted: SampleFilter) -> pl.DataFrame:
        """The samples a filter selects, added up by stack: columns stack, value, weight (64-bit), in no order.

        Takes memory for the distinct stacks, not for the samples.
        """
        ...

    def span_sums(self, wanted: SampleFilter, stacks: pl.Series) -> pl.DataFrame:
        """The samples a filter selects that have one of some stacks, added up by what they name.

        Columns trace_hi, trace_lo, span (each 0 where a sample names none), value, weight (64-bit), in no order. Takes
        memory for the distinct spans, not for the samples.
        """
        ...

    def symbols(self, service_ids: Sequence[int]) -> Symbols:
        """The stacks and frames of some services, from a cache that follows the table version."""
        ...

    def series(self, series: Sequence[int]) -> pl.DataFrame:
        """SERIES rows by id, each once; ids that are not stored are left out."""
        ...

    def profiles(self, services: Sequence[str], window: TimeRange, columns: Sequence[str] = ()) -> pl.DataFrame:
        """PROFILES rows of some services (empty: all) whose interval overlaps a window, each profile once.

        With `columns` only those are read and returned.
        """
        ...

    def operations(self) -> pl.DataFrame:
        """One row per operation: service, name, kind, span_count, error_count, first_ns, last_ns, total_duration_ns.

        Served from aggregates kept per immutable file, so its cost does not grow with the number of spans.
        """
        ...

    def profile_types(self) -> pl.DataFrame:
        """One row per service and profile type.

        Columns: service, type, profile_count, sample_count, total, labelled, ambiguous, first_ns, last_ns (the end of
        the last profile), period (median of those not 0), max_duration_ns.
        """
        ...
