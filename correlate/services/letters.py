"""Trying dead letters again, after an upgrade or a change of limits."""

from dataclasses import dataclass
from typing import Final

from correlate.errors import BadInput, NotFound
from correlate.ports import DeadLetter, DeadLetters, Lake
from correlate.services.deltas import Deltas
from correlate.services.fresh import without_stored_spans
from correlate.services.ingest import Ingest
from correlate.tables.tables import Tables

_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of some letters: stored now, failed again, and without a body to try."""

    stored: int = 0
    failed: int = 0
    without_body: int = 0


class Replay:
    """Sends dead letters through the ingest again."""

    def __init__(self, ingest: Ingest, lake: Lake, letters: DeadLetters) -> None:
        self._ingest = ingest
        self._lake = lake
        self._letters = letters

    def all(self, source: str | None = None) -> Replayed:
        """Try the newest thousand letters of a source, or of all.

        Raises:
            StoreError: the store failed; what was not tried stays.
        """
        letters = self._letters.list(source, limit=_MOST)
        results = [self.one(letter) for letter in letters if letter.kept]
        return Replayed(sum(results), len(results) - sum(results), len(letters) - len(results))

    def one(self, letter: DeadLetter) -> bool:
        """Try one; it is removed when it is stored. False when it failed again, for a reason that is noted.

        Raises:
            StoreError: the store failed; the letter stays.
            Overloaded: the queue is full.
        """
        try:
            # Of counters only what they are not: the profile to compare this one with is long gone.
            payload = Deltas().apply(self._letters.payload(letter.id))
            read = Tables() if payload is None else self._ingest.read(payload)
        except (BadInput, NotFound) as exc:
            self._letters.failed_again(letter.id, f"{type(exc).__name__}: {exc}")
            return False
        self._ingest.submit(without_stored_spans(read, self._lake)[0]).result()
        self._letters.remove(letter.id)
        return True
