"""The lake: one object that takes rows and answers questions about them."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import polars as pl

from correlate.model.ids import TraceId
from correlate.model.queries import SampleFilter, SpanFilter, TimeRange
from correlate.ports import Clock, Probe, Receipt
from correlate.storage import queries, span_choice, span_lists
from correlate.storage.batch import BatchWriter
from correlate.storage.committer import CommitCounters, Committer
from correlate.storage.delta_log import DeltaLog
from correlate.storage.file_cache import FileCache
from correlate.storage.fingerprints import Fingerprints
from correlate.storage.layout import LAYOUTS
from correlate.storage.location import Folder, open_folder
from correlate.storage.maintenance import Maintenance, MaintenanceOptions
from correlate.storage.observations import ObservationStore
from correlate.storage.partials import Partials
from correlate.storage.probes import CommitterProbe, DiskProbe, QueueProbe
from correlate.storage.queueing import CommitQueue
from correlate.storage.reader import TableReader
from correlate.storage.symbol_cache import SymbolCache
from correlate.storage.visibility import visible
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables, check


@dataclass(frozen=True, slots=True)
class LakeOptions:
    """How the lake works.

    Attributes:
        linger_s: how long a group commit waits for company, seconds.
        enough_bytes: a group of this size does not wait.
        group_bytes: the most that one commit takes.
        queue_bytes: the most that may wait (estimated memory); beyond it `Overloaded` is raised.
        queue_count: the most submissions that may wait.
        symbol_bytes: memory for symbols of services.
        fingerprint_bytes: memory for telling files with a trace from files without: 4 bytes per trace.
        poll_s: how old the view of other processes' commits may be, seconds.
        fsync: flush every commit to the local disk before it is acknowledged.
        min_free_bytes: with less room on the disk the lake reports a problem.
        storage_options: for object stores, in deltalake's spelling, for instance ``AWS_ENDPOINT_URL``.
        maintenance: merging, retention and vacuum.
    """

    linger_s: float = 0.25
    enough_bytes: int = 32 << 20
    group_bytes: int = 64 << 20
    queue_bytes: int = 256 << 20
    queue_count: int = 10_000
    symbol_bytes: int = 128 << 20
    fingerprint_bytes: int = 64 << 20
    poll_s: float = 0.0
    fsync: bool = False
    min_free_bytes: int = 256 << 20
    storage_options: Mapping[str, str] = field(default_factory=dict)
    maintenance: MaintenanceOptions = field(default_factory=MaintenanceOptions)


class LakeStore:
    """`ports.Sink` and `ports.Lake` over Delta tables. Safe to use from many threads; made by `open_lake`.

    Attributes:
        maintenance: whoever opened the lake starts and stops it, or runs rounds by hand.
        observations: what detectors look at.
        probes: readiness checks.
    """

    def __init__(self, folder: Folder, options: LakeOptions, clock: Clock) -> None:
        logs = {name: DeltaLog(folder.child(name), layout, poll_s=options.poll_s) for name, layout in LAYOUTS.items()}
        self._readers = {name: TableReader(log) for name, log in logs.items()}
        traces = Fingerprints(folder.child("spans"), "trace_lo", max_bytes=options.fingerprint_bytes)
        self._readers["spans"] = TableReader(logs["spans"], fingerprints=traces)
        # Few row groups, but mostly text: a scan reads it only where a row matches.
        self._readers["profiles"] = TableReader(
            logs["profiles"], lambda: visible(logs["profiles"], logs["samples"]), scan_groups=1
        )
        self._profile_files = FileCache()
        self._symbols = SymbolCache(self._readers["stacks"], self._readers["frames"], max_bytes=options.symbol_bytes)
        self._partials = {
            name: Partials(self._readers[name], folder.child(name), name) for name in ("spans", "profiles")
        }
        queue = CommitQueue(max_bytes=options.queue_bytes, max_count=options.queue_count)
        self._committer = Committer(
            BatchWriter(logs, clock, fsync=options.fsync),
            queue,
            linger_s=options.linger_s,
            enough_bytes=options.enough_bytes,
            group_bytes=options.group_bytes,
        )
        self.maintenance = Maintenance(logs, options.maintenance, clock)
        self.observations = ObservationStore(
            logs["observations"], self._readers["observations"], clock, fsync=options.fsync
        )
        self.probes: tuple[Probe, ...] = (
            CommitterProbe(self._committer),
            QueueProbe(queue),
            DiskProbe(folder, options.min_free_bytes),
        )

    def submit(self, tables: Tables) -> "Future[Receipt]":
        """Queue rows for the next group commit; see `ports.Sink.submit`.

        Raises:
            Overloaded: the queue is full.
            TypeError: a frame has not exactly its schema; a programming error.
        """
        return self._committer.submit(check(tables))

    def spans_of_trace(self, trace: TraceId, columns: Sequence[str] = ()) -> pl.DataFrame:
        """All stored spans of a trace; see `ports.Lake.spans_of_trace`."""
        return queries.spans_of_trace(self._readers["spans"], trace, columns)

    def spans_named(self, spans: Sequence[int], window: TimeRange) -> pl.DataFrame:
        """Which of some span ids are stored; see `ports.Lake.spans_named`."""
        return queries.spans_named(self._readers["spans"], spans, window)

    def span_keys(self, spans: pl.Series, window: TimeRange) -> pl.DataFrame:
        """What identifies stored spans with some ids; see `ports.Lake.span_keys`."""
        return queries.span_columns(self._readers["spans"], spans, window, tuple(queries.SPAN_KEY))

    def spans_of_service(
        self, service: str, operation: str | None, window: TimeRange, *, limit: int, slowest: bool
    ) -> pl.DataFrame:
        """The newest or slowest SPANS rows of a service or operation; see `ports.Lake.spans_of_service`."""
        return span_lists.spans_of_service(
            self._readers["spans"], service, operation, window, limit=limit, slowest=slowest
        )

    def spans_where(self, wanted: SpanFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
        """The SPANS rows a filter selects; see `ports.Lake.spans_where`."""
        return span_choice.spans_where(self._readers["spans"], wanted, columns)

    def spans_of_traces(self, traces: pl.DataFrame, window: TimeRange, columns: Sequence[str] = ()) -> pl.DataFrame:
        """All spans of some traces; see `ports.Lake.spans_of_traces`."""
        return span_choice.spans_of_traces(self._readers["spans"], traces, window, columns)

    def samples(self, wanted: SampleFilter, columns: Sequence[str] = ()) -> pl.DataFrame:
        """The SAMPLES rows a filter selects; with `columns`, only those columns are read and returned."""
        return queries.samples(self._readers["samples"], wanted, columns)

    def stack_sums(self, wanted: SampleFilter) -> pl.DataFrame:
        """The samples a filter selects, added up by stack; see `ports.Lake.stack_sums`."""
        return queries.stack_sums(self._readers["samples"], wanted)

    def span_sums(self, wanted: SampleFilter, stacks: pl.Series) -> pl.DataFrame:
        """The samples a filter selects that have one of some stacks, by span; see `ports.Lake.span_sums`."""
        return queries.span_sums(self._readers["samples"], wanted, stacks)

    def symbols(self, service_ids: Sequence[int]) -> Symbols:
        """The stacks and frames of some services; see `ports.Lake.symbols`."""
        return self._symbols.get(service_ids)

    def series(self, series: Sequence[int]) -> pl.DataFrame:
        """SERIES rows by id; see `ports.Lake.series`."""
        return queries.series(self._readers["series"], series)

    def profiles(self, services: Sequence[str], window: TimeRange, columns: Sequence[str] = ()) -> pl.DataFrame:
        """PROFILES rows of some services whose interval overlaps a window; see `ports.Lake.profiles`."""
        return queries.profiles(self._readers["profiles"], self._profile_files, services, window, columns)

    def operations(self) -> pl.DataFrame:
        """One row per operation; see `ports.Lake.operations`."""
        return self._partials["spans"].answer()

    def profile_types(self) -> pl.DataFrame:
        """One row per service and profile type; see `ports.Lake.profile_types`."""
        return self._partials["profiles"].answer()

    @property
    def counters(self) -> CommitCounters:
        """What the committer did since the lake was opened."""
        return self._committer.counters

    def start(self) -> None:
        """Begin to commit."""
        self._committer.start()

    def close(self) -> None:
        """Refuse new rows, commit what waits, and return."""
        self._committer.stop()


@contextmanager
def open_lake(
    url: str, *, tenant: str = "default", options: LakeOptions | None = None, clock: Clock
) -> Iterator[LakeStore]:
    """Open the lake of a tenant, creating its tables where they are missing; leaving the context drains the queue.

    Args:
        url: a local folder, or ``s3://bucket/prefix``.
        tenant: whose rows; a folder below `url`.
        options: defaults suit one process on a local disk.
        clock: the time of day.

    Raises:
        ConfigError: the URL is of an unknown kind.
        StoreError: the tables cannot be opened.
    """
    chosen = options or LakeOptions()
    store = LakeStore(open_folder(url, chosen.storage_options).child(tenant), chosen, clock)
    store.start()
    try:
        yield store
    finally:
        store.close()
