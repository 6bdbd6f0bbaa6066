"""Columns of whole files, kept in memory: files never change, so what was read once stays true."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import polars as pl

_BYTES: Final = 64 << 20


class FileCache:
    """The frames of the files used last, within a limit of memory. Safe to use from many threads."""

    def __init__(self, max_bytes: int = _BYTES) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._frames: OrderedDict[str, pl.DataFrame] = OrderedDict()
        self._bytes = 0

    def get(self, path: str, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """The frame of a file, read now unless it is kept. A frame beyond the limit is not kept at all."""
        with self._lock:
            kept = self._frames.get(path)
            if kept is not None:
                self._frames.move_to_end(path)
                return kept
        frame = read()
        with self._lock:
            self._keep(path, frame)
        return frame

    def _keep(self, path: str, frame: pl.DataFrame) -> None:
        if path in self._frames or frame.estimated_size() > self._max_bytes:
            return
        self._frames[path] = frame
        self._bytes += int(frame.estimated_size())
        while self._bytes > self._max_bytes:
            _, dropped = self._frames.popitem(last=False)
            self._bytes -= int(dropped.estimated_size())
