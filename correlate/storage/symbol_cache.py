"""The symbols of services, kept in memory and brought up to date when new stacks or frames are committed."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from correlate.storage.queries import groups_of_services, of_services
from correlate.storage.reader import TableReader
from correlate.tables.symbols import Symbols


@dataclass(frozen=True, slots=True)
class _Entry:
    versions: tuple[bytes, bytes]
    symbols: Symbols


class SymbolCache:
    """Symbols by set of services, the least used dropped. Safe to use from many threads."""

    def __init__(self, stacks: TableReader, frames: TableReader, *, max_bytes: int) -> None:
        self._stacks = stacks
        self._frames = frames
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[int, ...], _Entry] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory held, roughly, in bytes."""
        return sum(entry.symbols.nbytes() for entry in self._entries.values())

    def get(self, service_ids: Sequence[int]) -> Symbols:
        """The symbols of some services as of now."""
        key = tuple(sorted(set(service_ids)))
        with self._lock:
            cached = self._entries.get(key)
        versions = (_version(self._stacks, key), _version(self._frames, key))
        if cached is not None and cached.versions == versions:
            return cached.symbols
        symbols = Symbols.build(of_services(self._stacks, key), of_services(self._frames, key))
        self._put(key, _Entry(versions, symbols))
        return symbols

    def _put(self, key: tuple[int, ...], entry: _Entry) -> None:
        with self._lock:
            self._entries[key] = entry
            self._entries.move_to_end(key)
            while self.nbytes > self._max_bytes and len(self._entries) > 1:
                self._entries.popitem(last=False)


def _version(table: TableReader, service_ids: tuple[int, ...]) -> bytes:
    """Changes when row groups that can hold rows of the services appear."""
    index = table.index()
    chosen = groups_of_services(index, service_ids)
    return index.numbers[chosen].tobytes() + index.groups[chosen].tobytes()
