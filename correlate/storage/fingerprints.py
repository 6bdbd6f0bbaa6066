"""Which row groups hold an id, remembered in a few bytes per distinct id.

Trace ids are random, so the range of a row group says little once there is a file for every hour: each has one row
group whose range fits. The low 32 bits of the ids of a row group, sorted, tell almost all of those apart without
reading; a false match (one in a million for a row group) costs one read, never a wrong answer.
"""

import threading
from collections import OrderedDict

import numpy as np
import numpy.typing as npt

from correlate.storage.index import Footer
from correlate.storage.location import Folder
from correlate.storage.rowgroups import read_row_groups

U32 = npt.NDArray[np.uint32]


class Fingerprints:
    """Fingerprints of one id column, by row group; loaded when first needed, the least used dropped."""

    def __init__(self, folder: Folder, column: str, *, max_bytes: int) -> None:
        self._column = column
        self._folder = folder
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[str, int], U32] = OrderedDict()

    def holding(self, footer: Footer, groups: list[int], value: int) -> list[int]:
        """Those row groups of a file that may hold an id.

        Raises:
            FileNotFoundError: the file is gone.
        """
        wanted = np.uint32(value & 0xFFFFFFFF)
        return [group for group in groups if _contains(self._of(footer, group), wanted)]

    def _of(self, footer: Footer, group: int) -> U32:
        key = (footer.path, group)
        with self._lock:
            known = self._groups.get(key)
            if known is not None:
                self._groups.move_to_end(key)
                return known
        loaded = self._load(footer, group)
        with self._lock:
            if key not in self._groups:
                self._held_bytes += loaded.nbytes
            self._groups[key] = loaded
            while self._held_bytes > self._max_bytes and len(self._groups) > 1:
                self._held_bytes -= self._groups.popitem(last=False)[1].nbytes
        return loaded

    def _load(self, footer: Footer, group: int) -> U32:
        ids = read_row_groups(self._folder, footer, [group], [self._column])[self._column].to_numpy()
        return np.unique(ids.astype(np.uint32))  # wraps: the low half


def _contains(fingerprints: U32, wanted: np.uint32) -> bool:
    at = int(np.searchsorted(fingerprints, wanted))
    return at < len(fingerprints) and bool(fingerprints[at] == wanted)
