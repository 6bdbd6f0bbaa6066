"""What the use cases need from the outside, as protocols. Implementations live in ``storage`` and ``connectors``."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from correlate.model.answers import SpanInfo
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

    def samples(self, wanted: SampleFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
        """The SAMPLES rows a filter selects, in no particular order; with `columns`, only those are read."""
        ...

    def stack_sums(self, wanted: SampleFilter) -> pl.DataFrame:
        """The samples a filter selects, added up by stack: columns stack, value, weight (64-bit), in no order.

        Takes memory for the distinct stacks, not for the samples.
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


class OnDemand(Protocol):
    """A system that can be asked for single traces, or for the samples of single spans, when they are wanted."""

    @property
    def name(self) -> str:
        """What the configuration calls it."""
        ...

    def trace(self, trace: TraceId) -> Iterator[RawPayload]:
        """The spans of a trace; nothing when it does not have it, or holds no spans.

        Raises:
            SourceError: it could not be asked.
        """
        ...

    def span_profiles(self, spans: Sequence[SpanInfo], wanted_type: str) -> Iterator[RawPayload]:
        """The samples of some spans, for each span that has some a payload with its ``span_id`` among the parameters.

        What it yields is complete only when it ends without an error.

        Args:
            spans: of one trace.
            wanted_type: an alias such as ``cpu``, or a five-part profile type id.

        Raises:
            SourceError: it could not be asked, or the profiles of that time may still be on their way to it.
        """
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


class Watermarks(Protocol):
    """Up to when each source is stored completely. The only truth about what is due."""

    def until_ns(self, source: str, scope: str = "") -> int | None:
        """Up to when, nanoseconds since the Unix epoch; None when nothing was pulled yet."""
        ...

    def advance(self, source: str, scope: str, from_ns: int | None, until_ns: int) -> bool:
        """Move on, if it still stands where the caller saw it; False when somebody else moved it meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to be the only one who does something, for a while.

    Attributes:
        name: of what.
        holder: who has it.
        term: tells it from every other time the lease was taken.
    """

    name: str
    holder: str
    term: int


class Leases(Protocol):
    """Who may do what alone. A holder that dies is replaced when its lease expires."""

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """Take a lease that is free or expired; None when it is not to be had."""
        ...

    def renew(self, lease: Lease, ttl_s: float) -> bool:
        """Keep it for some seconds from now; False when it was lost to somebody else."""
        ...

    def release(self, lease: Lease) -> None:
        """Give it back; one that was lost is left alone."""
        ...

    def holder(self, name: str) -> str | None:
        """Who has it now."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """How one part of a source is, for instance one target of a scrape.

    Attributes:
        name: which.
        ok: whether it is as it should be.
        text: one sentence.
    """

    name: str
    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What is known of a source: how the last pull went, and sums since it was first pulled.

    Attributes:
        source: its name.
        kind: what it is, for instance ``tempo``.
        place: its address, without credentials.
        configured: whether the configuration names it now.
        last_ok_ns: when a pull last succeeded; 0: never.
        last_error: of the last pull that failed.
        last_error_ns: when that was; 0: never.
        retry_at_ns: not before then it is asked again; 0: whenever it is due.
        failures_in_a_row: pulls that failed since the last that succeeded.
        last_pull_seconds: how long the last pull took.
        pulls: pulls that succeeded.
        failures: pulls that failed.
        payloads: payloads that were fetched.
        spans: span rows stored.
        profiles: profiles stored.
        samples: sample rows stored.
        duplicates: spans, payloads and profiles that were there already.
        rejects: parts of payloads that were refused.
        dead: payloads that became dead letters.
        parts: how its parts are.
    """

    source: str
    kind: str = ""
    place: str = ""
    configured: bool = True
    last_ok_ns: int = 0
    last_error: str = ""
    last_error_ns: int = 0
    retry_at_ns: int = 0
    failures_in_a_row: int = 0
    last_pull_seconds: float = 0.0
    pulls: int = 0
    failures: int = 0
    payloads: int = 0
    spans: int = 0
    profiles: int = 0
    samples: int = 0
    duplicates: int = 0
    rejects: int = 0
    dead: int = 0
    parts: tuple[Part, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the last pull succeeded, or there was none yet."""
        return self.failures_in_a_row == 0


class SourceStatuses(Protocol):
    """How the sources are."""

    def get(self, source: str) -> SourceStatus:
        """One of them; all zeros when it was never pulled."""
        ...

    def put(self, status: SourceStatus) -> None:
        """Replace one, except what `configure` decides."""
        ...

    def configure(self, sources: Sequence[SourceStatus]) -> None:
        """These are the sources now, by name, kind and place; others are kept as no longer configured."""
        ...

    def all(self) -> list[SourceStatus]:
        """All of them, by name."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A payload that could not be read, kept until somebody looks.

    Attributes:
        id: names it.
        source: where it came from.
        reason: why it could not be read, one sentence.
        kind: of the payload.
        params: of the payload.
        body_bytes: its size.
        kept: whether its body is there, so that it can be replayed; too large ones are only noted.
        attempts: how often it was tried.
        created_ns: when it was first tried.
    """

    id: int
    source: str
    reason: str
    kind: str
    body_bytes: int
    kept: bool
    attempts: int
    created_ns: int
    params: Mapping[str, str] = field(default_factory=dict)


class DeadLetters(Protocol):
    """What could not be read, bounded in number and size: the oldest make room."""

    def add(self, source: str, payload: RawPayload, reason: str) -> None:
        """Keep a payload; one that is there already is kept once."""
        ...

    def list(self, source: str | None = None, *, limit: int = 100) -> Sequence[DeadLetter]:
        """The newest first."""
        ...

    def payload(self, letter: int) -> RawPayload:
        """The payload as it came.

        Raises:
            NotFound: there is no such letter, or its body was too large to keep.
        """
        ...

    def failed_again(self, letter: int, reason: str) -> None:
        """It was tried once more in vain."""
        ...

    def remove(self, letter: int) -> None:
        """It is settled."""
        ...

    def count(self) -> int:
        """How many there are."""
        ...
