"""Records of a file that is being written: whole ones are given, the one at the end that is not whole yet is left.

The OpenTelemetry Collector's file exporter writes requests in one of two ways: each as a line of JSON, or each after
its length, four bytes, big-endian (``format: proto``, and always with ``compression: zstd``).
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import BinaryIO, Final

_PREFIX_BYTES: Final = 4
_GZIP: Final = b"\x1f\x8b"
_REMEMBERED_BYTES: Final = 4096
"""Of what lies before a place: long enough to hold ids, so that no two files agree in it by chance."""


class Framing(StrEnum):
    """How a file tells one record from the next."""

    LINES = "json"
    LENGTHS = "proto"


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file was read.

    Attributes:
        offset_bytes: of the first byte that was not read.
        before: digest of the bytes before it, by which the file is known again.
        skipping: whether it lies in the middle of a line that is too long, the rest of which is to be skipped.
        stopped: whether nothing of the file can be read any more.
    """

    offset_bytes: int = 0
    before: bytes = b""
    skipping: bool = False
    stopped: bool = False

    def is_of(self, file: BinaryIO) -> bool:
        """Whether the file still holds what was read: it was neither cut nor written anew."""
        return self.before == digest_before(file, self.offset_bytes)


def digest_before(file: BinaryIO, offset_bytes: int) -> bytes:
    """Stands for the last bytes before a place; empty at the beginning."""
    if not offset_bytes:
        return b""
    start = max(0, offset_bytes - _REMEMBERED_BYTES)
    file.seek(start)
    return hashlib.blake2b(file.read(offset_bytes - start), digest_size=16).digest()


def framing_of(file: BinaryIO) -> Framing | None:
    """By the first bytes; None as long as there are too few of them. No length under 167 MB begins with white space."""
    file.seek(0)
    head = file.read(_PREFIX_BYTES)
    if head[:1] in (b"{", b" ", b"\t", b"\r", b"\n"):
        return Framing.LINES
    return Framing.LENGTHS if len(head) == _PREFIX_BYTES else None


class Records:
    """The records of a file from a place on; `place` is after the last one that was given."""

    def __init__(self, file: BinaryIO, place: Place, limit_bytes: int, note: Callable[[str], None]) -> None:
        """Begin.

        Args:
            file: seekable.
            place: where to begin.
            limit_bytes: the longest record that is read.
            note: told, in one sentence, what is left out.
        """
        self.place = place
        self._file = file
        self._limit_bytes = limit_bytes
        self._note = note

    def each(self, framing: Framing) -> Iterator[bytes]:
        """Whole records, one after the other, in the memory of one."""
        self._file.seek(self.place.offset_bytes)
        return self._lines() if framing is Framing.LINES else self._messages()

    def stop(self, reason: str) -> None:
        """The next record cannot be found."""
        self._note(f"from byte {self.place.offset_bytes} on it is not read any more: {reason}")
        self.place = replace(self.place, stopped=True)

    def end(self) -> Place:
        """Where reading ended, fit to be found again."""
        return replace(self.place, before=digest_before(self._file, self.place.offset_bytes))

    def _lines(self) -> Iterator[bytes]:
        while line := self._file.readline(self._limit_bytes + 1):
            is_whole, was_skipping = line.endswith(b"\n"), self.place.skipping
            if not is_whole and not was_skipping:
                if len(line) <= self._limit_bytes:
                    return
                self._note(f"the line at byte {self.place.offset_bytes} {self._too_long}")
            self._move(len(line), skipping=not is_whole)
            if is_whole and not was_skipping and not line.isspace():
                yield line

    def _messages(self) -> Iterator[bytes]:
        while len(prefix := self._file.read(_PREFIX_BYTES)) == _PREFIX_BYTES:
            length_bytes = int.from_bytes(prefix, "big")
            if not 0 < length_bytes <= self._limit_bytes:
                self.stop(self._unreadable(prefix, length_bytes))
                return
            body = self._file.read(length_bytes)
            if len(body) < length_bytes:
                return
            self._move(_PREFIX_BYTES + length_bytes)
            yield body
            if self.place.stopped:
                return

    def _move(self, count: int, *, skipping: bool = False) -> None:
        self.place = replace(self.place, offset_bytes=self.place.offset_bytes + count, skipping=skipping)

    def _unreadable(self, prefix: bytes, length_bytes: int) -> str:
        if not self.place.offset_bytes and prefix.startswith(_GZIP):
            return "it is compressed by gzip; unpack it, or exclude it from the paths"
        return f"a record of {length_bytes} bytes {self._too_long}" if length_bytes else "a length of 0 is none"

    @property
    def _too_long(self) -> str:
        return f"is longer than {self._limit_bytes} bytes (setting max_record_bytes)"
