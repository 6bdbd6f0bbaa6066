"""The queue of one forwarding target: payloads wait on disk until the target has them."""

import threading
from pathlib import Path
from typing import Final

from correlate.errors import StoreError
from correlate.model.payload import RawPayload
from correlate.storage.outbox_log import SegmentLog
from correlate.storage.parcels import describe, pack, unpack

_SEGMENT_BYTES: Final = 16 << 20
_MAX_LETTERS_BYTES: Final = 64 << 20


class DiskOutbox:
    """`ports.Outbox` in a folder. Any thread may put, one thread takes.

    Args:
        folder: of this target alone.
        max_bytes: how much may wait; a payload is taken as long as what waits already is below.
        fsync: flush each payload to the disk before it counts.
        segment_bytes: size of a file of the queue.
    """

    def __init__(self, folder: Path, *, max_bytes: int, fsync: bool, segment_bytes: int = _SEGMENT_BYTES) -> None:
        """Open or create it.

        Raises:
            ConfigError: another process has it open.
            StoreError: the folder cannot be used.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._closed = False
        try:
            self._log = SegmentLog(folder, segment_bytes=segment_bytes, fsync=fsync)
        except OSError as exc:
            raise StoreError(f"the forwarding queue in {folder} cannot be opened: {exc}") from exc

    @property
    def waiting_count(self) -> int:
        """How many payloads wait."""
        return self._log.pending_count

    @property
    def waiting_bytes(self) -> int:
        """How much they are on disk."""
        return self._log.pending_bytes

    @property
    def lost_count(self) -> int:
        """How many were found damaged on disk."""
        return self._log.lost_count

    def put(self, payload: RawPayload, *, wait_s: float) -> bool:
        """Keep a payload; False when there is no room within `wait_s` seconds.

        Raises:
            StoreError: it could not be written.
        """
        record = pack(payload)
        with self._changed:
            if not self._changed.wait_for(self._has_room, wait_s) or self._closed:
                return False
            try:
                self._log.append(record)
            except OSError as exc:
                raise StoreError(f"the forwarding queue in {self._folder} cannot be written: {exc}") from exc
            self._changed.notify_all()
            return True

    def first(self, *, wait_s: float) -> RawPayload | None:
        """The oldest payload; None when there is none within `wait_s` seconds, or the queue was closed.

        Raises:
            StoreError: it could not be read.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._log.pending_count or self._closed, wait_s)
            if self._closed:
                return None
            try:
                record = self._log.first()
            except OSError as exc:
                raise StoreError(f"the forwarding queue in {self._folder} cannot be read: {exc}") from exc
        return unpack(record) if record is not None else None

    def done(self) -> None:
        """Drop the oldest payload: the target has it.

        Raises:
            StoreError: that could not be noted; it will come again.
        """
        with self._changed:
            try:
                self._log.done()
            except OSError as exc:
                raise StoreError(f"the forwarding queue in {self._folder} cannot be written: {exc}") from exc
            self._changed.notify_all()

    def refuse(self, payload: RawPayload, reason: str) -> None:
        """Put a payload that the target will never take aside, in ``refused.jsonl``; two files are kept.

        Raises:
            StoreError: it could not be written.
        """
        letters = self._folder / "refused.jsonl"
        try:
            with letters.open("ab") as file:
                file.write(describe(payload, reason))
            if letters.stat().st_size > _MAX_LETTERS_BYTES:
                letters.replace(self._folder / "refused.1.jsonl")
        except OSError as exc:
            raise StoreError(f"{letters} cannot be written: {exc}") from exc

    def close(self) -> None:
        """Take and give no more; what waits stays on disk."""
        with self._changed:
            self._closed = True
            self._log.close()
            self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._closed or self._log.pending_bytes < self._max_bytes
