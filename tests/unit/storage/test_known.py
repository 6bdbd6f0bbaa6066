"""Sets of ids that are loaded when needed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from correlate.storage.known import IdSet, PartitionedIds

IDS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30)


@given(st.lists(IDS, max_size=6), IDS)
def test_a_set_of_ids_is_a_set(added: list[list[int]], asked: list[int]) -> None:
    """Membership is that of Python's own sets, whatever is added in whatever order."""
    ids, twin = IdSet(), set()
    for more in added:
        ids.add(np.array(more, np.int64))
        twin.update(more)
    candidates = [*asked, *(more[0] for more in added if more)]
    assert ids.contains(np.array(candidates, np.int64)).tolist() == [i in twin for i in candidates]
    assert len(ids) == len(twin)


def test_many_ids_are_folded_into_the_sorted_part() -> None:
    """More recent ids than are kept apart do not change what is in the set."""
    ids = IdSet()
    for start in range(0, 300_000, 50_000):
        ids.add(np.arange(start, start + 50_000))
    assert ids.contains(np.array([0, 299_999, 300_000])).tolist() == [True, True, False]
    assert ids.nbytes == 300_000 * 8


class Files:
    """Partitions of files of ids, counting how often each is loaded."""

    def __init__(self, partitions: dict[int, dict[str, list[int]]]) -> None:
        self.partitions = partitions
        self.loads: list[str] = []

    def known(self, max_bytes: int = 1 << 20) -> PartitionedIds:
        """Ids by partition over these files."""
        return PartitionedIds(lambda hour: self.partitions.get(hour, {}), self._load, max_bytes)

    def _load(self, paths: list[str]) -> np.ndarray:
        self.loads += paths
        every = {path: ids for files in self.partitions.values() for path, ids in files.items()}
        return np.array([i for path in paths for i in every[path]], np.int64)


def asks(known: PartitionedIds, *pairs: tuple[int, int]) -> list[bool]:
    """Whether each (hour, id) is stored."""
    return known.contains(np.array([h for h, _ in pairs]), np.array([i for _, i in pairs])).tolist()


def test_only_partitions_that_are_asked_for_are_loaded() -> None:
    """A file is read once, and only when its partition matters."""
    files = Files({1: {"a": [10]}, 2: {"b": [20]}})
    known = files.known()
    assert asks(known, (1, 10), (1, 20)) == [True, False]
    assert asks(known, (1, 10)) == [True]
    assert files.loads == ["a"]
    assert asks(known, (2, 20), (3, 20)) == [True, False]


def test_files_that_appear_later_are_loaded_and_own_files_are_not() -> None:
    """What this process stored is remembered; what others stored is read."""
    files = Files({1: {"a": [10]}})
    known = files.known()
    assert asks(known, (1, 11)) == [False]
    files.partitions[1]["mine"] = [11]
    known.add(np.array([1]), np.array([11]), ["mine"])
    files.partitions[1]["theirs"] = [12]
    assert asks(known, (1, 11), (1, 12)) == [True, True]
    assert files.loads == ["a", "theirs"]


def test_dropped_partitions_are_loaded_again() -> None:
    """A small memory limit changes the cost, never the answer."""
    files = Files({hour: {f"f{hour}": [hour]} for hour in range(5)})
    known = files.known(max_bytes=0)
    for _ in range(2):
        for hour in range(5):
            assert asks(known, (hour, hour), (hour, 99)) == [True, False]
            known.add(np.array([hour]), np.array([hour]), [f"f{hour}"])
    assert len(files.loads) == 10
