"""A queue of byte strings on disk: segment files that only grow, and a small file that says how far they are done.

A record is its length, its checksum and its bytes, written in one piece. What a crash tears is at the end of the last
segment; opening cuts it off, and nobody was told that it was kept. The position is replaced atomically after each
record, so a crash in between repeats one record and loses none. With `fsync` all of this holds for a power cut too.
"""

import fcntl
import os
import struct
import zlib
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

from correlate.errors import ConfigError

_HEAD: Final = struct.Struct(">4sII")
_MAGIC: Final = b"cfw1"


class SegmentLog:
    """The files of one queue. Not safe for several threads; `storage.outbox` guards it.

    Attributes:
        pending_bytes: size of the records not yet done.
        pending_count: how many they are.
        lost_count: records that were found damaged and skipped, since it was opened.
    """

    def __init__(self, folder: Path, *, segment_bytes: int, fsync: bool) -> None:
        """Open or create a queue.

        Raises:
            ConfigError: another process has it open.
            OSError: the folder cannot be used.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._fsync = fsync
        self._lock = _locked(folder)
        self.pending_bytes = self.pending_count = self.lost_count = 0
        self._segment, self._offset = _read_position(folder)
        self._first_bytes = 0
        self._reader: FileIO | None = None
        self._writer = self._writing(self._recover())

    def append(self, record: bytes) -> None:
        """Add a record at the end.

        Raises:
            OSError: it could not be written whole; nothing of it stays.
        """
        if self._end >= self._segment_bytes:
            self._writer.close()
            self._writer = self._writing(self._last + 1)
        framed = _HEAD.pack(_MAGIC, len(record), zlib.crc32(record)) + record
        try:
            _write_whole(self._writer, framed)
            if self._fsync:
                os.fsync(self._writer.fileno())
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._writer.fileno(), self._end)
            raise
        self._end += len(framed)
        self.pending_bytes += len(framed)
        self.pending_count += 1

    def first(self) -> bytes | None:
        """The oldest record not yet done, None when there is none."""
        while self.pending_count:
            record = self._read()
            if record is not None:
                self._first_bytes = _HEAD.size + len(record)
                return record
            self._skip_segment()
        return None

    def done(self) -> None:
        """Drop the record that `first` gave."""
        self._advance(self._first_bytes, 1)
        self._first_bytes = 0
        if self._segment < self._last and self._offset >= self._path(self._segment).stat().st_size:
            self._next_segment()
        self._write_position()

    def close(self) -> None:
        """Let go of the files."""
        for file in (self._writer, self._reader, self._lock):
            if file is not None:
                file.close()

    def _recover(self) -> int:
        """Find out what is there and cut off what a crash tore; returns the segment to write to."""
        segments = sorted(int(path.stem) for path in self._folder.glob("*.seg"))
        for old in segments:
            if old < self._segment:
                self._path(old).unlink()
        segments = [number for number in segments if number >= self._segment] or [self._segment]
        self._path(segments[-1]).touch()
        if segments[0] != self._segment:
            self._segment, self._offset = segments[0], 0
        self._offset = min(self._offset, self._path(self._segment).stat().st_size)
        for number in segments:
            start = self._offset if number == self._segment else 0
            end, count = _scan(self._path(number), start, whole=number != segments[-1])
            self.pending_bytes += end - start
            self.pending_count += count
        os.truncate(self._path(segments[-1]), end)
        return segments[-1]

    def _writing(self, number: int) -> FileIO:
        path = self._path(number)
        file = FileIO(path, "ab")
        self._last, self._end = number, path.stat().st_size
        if self._fsync:
            _sync_folder(self._folder)
        return file

    def _read(self) -> bytes | None:
        """The record at the position; None when it is damaged, or the segment ends there."""
        if self._reader is None:
            self._reader = FileIO(self._path(self._segment))  # without a buffer that could be out of date
        self._reader.seek(self._offset)
        head = self._reader.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        magic, length, checksum = _HEAD.unpack(head)
        if magic != _MAGIC:
            return None
        record = self._reader.read(length)
        return record if len(record) == length and zlib.crc32(record) == checksum else None

    def _skip_segment(self) -> None:
        """Give up the rest of a segment in which something is damaged."""
        size = self._path(self._segment).stat().st_size
        _, count = _scan(self._path(self._segment), self._offset, whole=True)
        if size > self._offset:
            self.lost_count += max(count, 1)
        self._advance(size - self._offset, count)
        if self._segment < self._last:
            self._next_segment()
        else:
            self.pending_bytes = self.pending_count = 0
        self._write_position()

    def _advance(self, size_bytes: int, count: int) -> None:
        self._offset += size_bytes
        self.pending_bytes = max(0, self.pending_bytes - size_bytes)
        self.pending_count = max(0, self.pending_count - count)

    def _next_segment(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._path(self._segment).unlink(missing_ok=True)
        self._segment, self._offset = self._segment + 1, 0

    def _write_position(self) -> None:
        fresh = self._folder / "position.new"
        fresh.write_text(f"{self._segment} {self._offset}")
        fresh.replace(self._folder / "position")

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}.seg"


def _locked(folder: Path) -> BinaryIO:
    lock = (folder / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        lock.close()
        raise ConfigError(
            f"another process forwards from {folder}; give every process that receives data a data_dir of its own"
        ) from exc
    return lock


def _read_position(folder: Path) -> tuple[int, int]:
    try:
        segment, offset = (folder / "position").read_text().split()
        return int(segment), int(offset)
    except (FileNotFoundError, ValueError):
        return 0, 0


def _scan(path: Path, offset: int, *, whole: bool) -> tuple[int, int]:
    """Where the records of a segment end, and how many there are from an offset on.

    In a segment that is known to be whole, heads are followed and the records not read.
    """
    count = 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while offset + _HEAD.size <= size:
            file.seek(offset)
            magic, length, checksum = _HEAD.unpack(file.read(_HEAD.size))
            if magic != _MAGIC or offset + _HEAD.size + length > size:
                break
            if not whole and zlib.crc32(file.read(length)) != checksum:
                break
            offset += _HEAD.size + length
            count += 1
    return offset, count


def _sync_folder(folder: Path) -> None:
    """A new file survives a power cut only when its name does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_whole(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
