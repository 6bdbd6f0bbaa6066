"""What the use cases need from the outside, as protocols. Implementations live in ``storage`` and ``connectors``."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from correlate.model.ids import TraceId
from correlate.model.payload import RawPayload
from correlate.model.queries import SampleFilter, TimeRange
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables


class Clock(Protocol):
    """The time of day."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        ...


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

    def spans_of_trace(self, trace: TraceId) -> pl.DataFrame:
        """All stored spans of a trace: SPANS rows by start time, each span once."""
        ...

    def spans_named(self, spans: Sequence[int], window: TimeRange) -> pl.DataFrame:
        """Which of some span ids are stored, for spans that overlap a window: columns span, trace_hi, trace_lo."""
        ...

    def spans_of_service(
        self, service: str, operation: str | None, window: TimeRange, *, limit: int, slowest: bool
    ) -> pl.DataFrame:
        """SPANS rows of a service, or of one operation of it, that overlap a window: the newest or the slowest."""
        ...

    def samples(self, wanted: SampleFilter) -> pl.DataFrame:
        """The SAMPLES rows a filter selects, in no particular order."""
        ...

    def symbols(self, service_ids: Sequence[int]) -> Symbols:
        """The stacks and frames of some services, from a cache that follows the table version."""
        ...

    def series(self, series: Sequence[int]) -> pl.DataFrame:
        """SERIES rows by id, each once; ids that are not stored are left out."""
        ...

    def profiles(self, services: Sequence[str], window: TimeRange) -> pl.DataFrame:
        """PROFILES rows of some services (empty: all) whose interval overlaps a window, each profile once."""
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


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that checking a source found out.

    Attributes:
        ok: whether it is as it should be.
        text: one sentence; when not ok it names the fix.
    """

    ok: bool
    text: str


class Source(Protocol):
    """A system that holds spans or profiles; delivers bytes, never tables."""

    @property
    def name(self) -> str:
        """What the configuration calls it, unique."""
        ...

    def check(self) -> list[Finding]:
        """Contact it and explain what was found; never raises a `SourceError`."""
        ...

    def fetch(self, window: TimeRange) -> Iterator[RawPayload]:
        """Everything the source holds for a window, payload by payload, in bounded memory.

        What overlaps the window may come whole: the same span or profile may come again with the next window, and
        whoever stores it leaves out what is there.

        Raises:
            SourceError: it could not be asked; what was yielded before is complete in itself and may be kept.
        """
        ...

    def settled_until_ns(self, now_ns: int) -> int:
        """Up to when everything can be expected to have arrived there; pulling further would miss late data."""
        ...


class Probe(Protocol):
    """Something that can say whether it works."""

    @property
    def name(self) -> str:
        """What is probed, one word."""
        ...

    def problem(self) -> str | None:
        """One sentence on what is wrong, None when nothing is. Quick: it is called for every readiness check."""
        ...
