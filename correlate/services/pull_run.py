"""One pull under a lease: windows, batches, dead letters, and the watermark last."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from correlate.errors import BadInput, Overloaded, SourceError
from correlate.model.payload import RawPayload
from correlate.model.queries import TimeRange
from correlate.ports import Clock, Lake, Receipt
from correlate.services.deltas import Deltas
from correlate.services.fresh import without_stored_spans
from correlate.services.ingest import Ingest
from correlate.services.pulling import Books, HeldLease, LostLease, Plan, PullReport, Stopping
from correlate.tables.tables import Tables, concat

_LOG: Final = logging.getLogger(__name__)
_BUDGET_S: Final = 60.0
_BATCH_COUNT: Final = 64
_BATCH_BYTES: Final = 16 << 20
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Means:
    """What a pull works with.

    Attributes:
        ingest: the way into the lake.
        lake: tells which spans are stored.
        books: watermarks, leases, status, dead letters.
        clock: the time of day.
        sleep: waits for room in a full queue, seconds.
    """

    ingest: Ingest
    lake: Lake
    books: Books
    clock: Clock
    sleep: Callable[[float], None] = time.sleep


class PullRun:
    """One pull. The report grows while it works, so that it tells what was stored when an error ends it."""

    def __init__(self, means: Means, plan: Plan, held: HeldLease, deltas: Deltas, stopping: threading.Event) -> None:
        self.report = PullReport()
        self._stopping = stopping
        self._means = means
        self._plan = plan
        self._held = held
        self._deltas = deltas
        self._batch: list[Tables] = []
        self._batch_bytes = 0

    def run(self) -> None:
        """Store window after window until nothing is due or a minute is over.

        Raises:
            SourceError: the source could not be asked; what it gave before is stored.
            StoreError: the lake or the state database failed.
            Overloaded: the queue of the lake stayed full.
            PullEnded: another process pulls this source now, or this one comes to its end.
        """
        marks, name = self._means.books.watermarks, self._plan.name
        mark_ns = marks.until_ns(name)
        settled_ns = self._plan.source.settled_until_ns(self._means.clock.now_ns())
        ends_s = time.monotonic() + _BUDGET_S
        while window := self._plan.next_window(mark_ns, settled_ns):
            if time.monotonic() > ends_s:
                self.report = replace(self.report, behind=True)
                return
            self._window(window)
            self._held.check()
            if not marks.advance(name, "", mark_ns, window.end_ns):
                raise LostLease(f"another process moved the watermark of {name}")
            mark_ns = window.end_ns
            self.report = replace(self.report, windows=self.report.windows + 1)

    def _window(self, window: TimeRange) -> None:
        self._batch, self._batch_bytes = [], 0
        try:
            for payload in self._plan.source.fetch(window):
                self._take(payload)
        except SourceError:
            self.flush()  # what came is complete in itself, and need not come again
            raise
        self.flush()

    def _take(self, payload: RawPayload) -> None:
        if self._stopping.is_set():
            raise Stopping("the process is stopping")
        self.read(payload)
        if self.full:
            self.flush()
            self._held.check()

    @property
    def full(self) -> bool:
        """Whether what was read should be stored before more is read."""
        return len(self._batch) >= _BATCH_COUNT or self._batch_bytes >= _BATCH_BYTES

    def read(self, payload: RawPayload) -> None:
        """Read a payload into the batch at hand."""
        self.report = replace(self.report, payloads=self.report.payloads + 1)
        tables = self._tables(payload)
        if tables is None:
            return
        self.report = replace(self.report, rejects=self.report.rejects + len(tables.rejects))
        self._batch.append(tables)
        self._batch_bytes += tables.estimated_bytes()

    def _tables(self, payload: RawPayload) -> Tables | None:
        """The rows of a payload; one that cannot be read becomes a dead letter and holds up nobody."""
        try:
            added = self._deltas.apply(payload)
            return None if added is None else self._means.ingest.read(added)
        except (KeyboardInterrupt, SystemExit, MemoryError):
            raise
        except BadInput as exc:
            reason = f"{type(exc).__name__}: {exc}"
        except BaseException as exc:  # noqa: BLE001  decoders in Rust panic with a BaseException; one input must not win
            _LOG.exception("a payload of %s broke its reader", self._plan.name)
            reason = f"a defect of the reader, {type(exc).__name__}: {exc}"
        self._means.books.letters.add(self._plan.name, payload, reason)
        self.report = replace(self.report, dead=self.report.dead + 1)
        return None

    def flush(self) -> None:
        """Store the batch at hand; when that fails it stays.

        Raises:
            StoreError: the lake failed.
            Overloaded: its queue stayed full.
        """
        if not self._batch:
            self._deltas.keep()  # first profiles of counters are remembered though there is nothing to store
            return
        tables, known_spans = without_stored_spans(concat(self._batch), self._means.lake)
        receipt = self._submit(tables)
        self._deltas.keep()
        self._batch, self._batch_bytes = [], 0
        self.report = self.report.stored(receipt, known_spans)

    def _submit(self, tables: Tables) -> Receipt:
        if tables.spans.is_empty() and tables.profiles.is_empty():
            return Receipt(0, 0, 0, 0)
        ends_s = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._means.ingest.submit(tables).result()
            except Overloaded as exc:
                if time.monotonic() > ends_s:
                    raise
                self._means.sleep(exc.retry_after_s)
