"""Taking data in: bytes to rows, rows to the store."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from correlate.formats import registry
from correlate.model.payload import RawPayload
from correlate.model.pipeline import Step
from correlate.model.queries import TimeRange
from correlate.ports import Clock, Receipt, Sink
from correlate.tables import pipeline
from correlate.tables.pipeline import Dropped
from correlate.tables.retention import within
from correlate.tables.tables import Reject, Tables

_DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Accepted:
    """A payload that was read and queued.

    Attributes:
        committed: resolves when a committed table version holds the rows; fails with `StoreError`.
        rejects: parts of the payload that were refused.
    """

    committed: "Future[Receipt]"
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, slots=True)
class AcceptedTimes:
    """How old and how far ahead data may be.

    Attributes:
        retention_days: older data is refused, because it would be deleted at once.
        ahead_s: how far a sender's clock may run ahead of ours.
    """

    retention_days: float = 30.0
    ahead_s: float = 3600.0

    def around(self, now_ns: int) -> TimeRange:
        """The acceptable range at a moment."""
        return TimeRange(now_ns - int(self.retention_days * _DAY_NS), now_ns + int(self.ahead_s * 1e9))

    @property
    def advice(self) -> str:
        """What a refused sender may do about it."""
        return (
            f"data may be {self.retention_days:g} days old (setting retention_days) "
            f"and its clock {self.ahead_s:g} s ahead of ours (setting ahead_s)"
        )


class Ingest:
    """The one way in, for every door: read, pass the pipeline, check the times, queue for the next commit."""

    def __init__(
        self,
        sink: Sink,
        clock: Clock,
        times: AcceptedTimes,
        read: Callable[[RawPayload], Tables] = registry.read,
        *,
        steps: Sequence[Step] = (),
        on_dropped: Callable[[Dropped], None] = lambda _: None,
    ) -> None:
        """Wire it up.

        Args:
            sink: where rows go.
            clock: the time of day.
            times: how old data may be.
            read: gives bytes their meaning.
            steps: the pipeline on the way in.
            on_dropped: told what a step of it leaves out.
        """
        self._sink = sink
        self._clock = clock
        self._times = times
        self._read = read
        self._steps = steps
        self._on_dropped = on_dropped

    def accept(self, payload: RawPayload) -> Accepted:
        """Read a payload and queue its rows. Blocks for the reading only.

        Raises:
            BadInput: nothing of the payload can be used.
            Overloaded: the queue is full.
        """
        tables = self.read(payload)
        return Accepted(self.submit(tables), tables.rejects)

    def read(self, payload: RawPayload) -> Tables:
        """Read a payload, take it through the pipeline and check its times; nothing is stored.

        Raises:
            BadInput: nothing of the payload can be used.
        """
        tables, dropped = pipeline.apply(self._read(payload), self._steps)
        for each in dropped:
            self._on_dropped(each)
        return within(tables, self._times.around(self._clock.now_ns()), self._times.advice)

    def submit(self, tables: Tables) -> "Future[Receipt]":
        """Queue rows that were read; see `ports.Sink.submit`.

        Raises:
            Overloaded: the queue is full.
        """
        return self._sink.submit(tables)
