"""Systems that hold spans or profiles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from correlate.model.answers import SpanInfo
from correlate.model.ids import TraceId
from correlate.model.payload import RawPayload
from correlate.model.queries import TimeRange


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
