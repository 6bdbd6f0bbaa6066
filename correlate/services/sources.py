"""How the sources are that data is pulled from."""

from dataclasses import dataclass

from correlate.ports import Clock, SourceStatus
from correlate.services.pulling import Books


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source as people want to see it.

    Attributes:
        status: how the last pulls went.
        until_ns: up to when it is stored; None: nothing was pulled yet.
        behind_s: how long ago that is.
    """

    status: SourceStatus
    until_ns: int | None
    behind_s: float | None


class Sources:
    """Lists the sources and what could not be read of them."""

    def __init__(self, books: Books, clock: Clock) -> None:
        self._books = books
        self._clock = clock

    def all(self) -> list[SourceView]:
        """All sources that are or were configured, by name.

        Raises:
            StoreError: the state database failed.
        """
        return [self._view(status) for status in self._books.statuses.all()]

    def dead_letters(self) -> int:
        """How many payloads wait as dead letters.

        Raises:
            StoreError: the state database failed.
        """
        return self._books.letters.count()

    def _view(self, status: SourceStatus) -> SourceView:
        until_ns = self._books.watermarks.until_ns(status.source)
        behind_s = None if until_ns is None else max(0.0, (self._clock.now_ns() - until_ns) / 1e9)
        return SourceView(status, until_ns, behind_s)
