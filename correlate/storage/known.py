"""What is already stored, by 64-bit id: compact sets that are loaded when they are first needed."""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_RECENT_COUNT: Final = 1 << 16


class IdSet:
    """A growing set of ids: one large sorted array, and a small one of those that came lately."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.int64)
        self._recent = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self._sorted) + len(self._recent)

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return self._sorted.nbytes + self._recent.nbytes

    def contains(self, ids: I64) -> Mask:
        """Which of some ids are in the set."""
        return _found(self._sorted, ids) | _found(self._recent, ids)

    def add(self, ids: I64) -> None:
        """Add ids; those already there do not matter."""
        self._recent = np.union1d(self._recent, ids)
        if len(self._recent) > max(_RECENT_COUNT, len(self._sorted) // 8):
            self._sorted = np.union1d(self._sorted, self._recent)
            self._recent = np.empty(0, np.int64)


class PartitionedIds:
    """Ids by partition, loaded from the files of a partition when first asked for, the least used dropped.

    Exact: what was dropped from memory is loaded again, and files that appear later are loaded too.

    Args:
        files_of: the paths of a partition's files now.
        load: the ids in some files.
        max_bytes: how much memory to hold, beyond the partition in use.
    """

    def __init__(
        self, files_of: Callable[[int], Iterable[str]], load: Callable[[list[str]], I64], max_bytes: int
    ) -> None:
        self._files_of = files_of
        self._load = load
        self._max_bytes = max_bytes
        self._partitions: OrderedDict[int, tuple[IdSet, set[str]]] = OrderedDict()

    def contains(self, hours: I64, ids: I64) -> Mask:
        """Which ids are stored in their partition. Both arrays have one entry per id.

        Raises:
            StoreError: files cannot be read.
        """
        found = np.zeros(len(ids), bool)
        for hour in np.unique(hours).tolist():  # a payload touches one or two hours
            chosen = hours == hour
            found[chosen] = self._partition(hour).contains(ids[chosen])
        return found

    def add(self, hours: I64, ids: I64, paths: Iterable[str]) -> None:
        """Remember ids that were stored just now, in files that need not be loaded any more."""
        for hour in np.unique(hours).tolist():
            entry = self._partitions.get(hour)
            if entry is not None:
                entry[0].add(ids[hours == hour])
                entry[1].update(paths)
        self._shrink()

    def _partition(self, hour: int) -> IdSet:
        ids, seen = self._partitions.setdefault(hour, (IdSet(), set()))
        self._partitions.move_to_end(hour)
        present = set(self._files_of(hour))
        if unseen := sorted(present - seen):
            ids.add(self._load(unseen))
        seen.intersection_update(present)
        seen.update(unseen)
        return ids

    def _shrink(self) -> None:
        held = sum(ids.nbytes for ids, _ in self._partitions.values())
        while held > self._max_bytes and len(self._partitions) > 1:
            _, (ids, _) = self._partitions.popitem(last=False)
            held -= ids.nbytes


def _found(array: I64, ids: I64) -> Mask:
    if not len(array):
        return np.zeros(len(ids), bool)
    at = np.minimum(np.searchsorted(array, ids), len(array) - 1)
    return np.asarray(array[at] == ids)
