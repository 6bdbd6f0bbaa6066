"""Working ahead and remembering, both within bounds."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.flow import Seen, ahead


@given(st.lists(st.integers()), st.integers(1, 8), st.integers(1, 4))
def test_results_come_in_the_order_of_the_items(items: list[int], depth: int, workers: int) -> None:
    """However many work on them."""
    with ThreadPoolExecutor(workers) as pool:
        assert list(ahead(pool, lambda item: -item, items, depth)) == [-item for item in items]


def test_no_more_than_the_depth_is_drawn_ahead() -> None:
    """Endless items are fine."""
    drawn = []

    def endless() -> Iterator[int]:
        while True:
            drawn.append(1)
            yield len(drawn)

    with ThreadPoolExecutor(2) as pool:
        results = ahead(pool, lambda item: item, endless(), 5)
        assert [next(results) for _ in range(3)] == [1, 2, 3]
        results.close()  # type: ignore[attr-defined]
    assert len(drawn) <= 3 + 5


def test_a_failure_comes_in_its_place_and_ends_it() -> None:
    """What was done before is given first, what was not begun is dropped."""
    begun, gate = [], threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item == 2:
            raise ValueError(item)
        gate.wait(0.05)
        return item

    got = []
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="2"):
        got.extend(ahead(pool, work, range(1000), 10))
    assert len(begun) < 20


@given(st.lists(st.integers(0, 9)), st.integers(1, 12))
def test_the_last_keys_are_remembered(keys: list[int], count: int) -> None:
    """A key is new unless it is among the last so many different ones."""
    seen, recent = Seen(count), []
    for key in keys:
        assert seen.is_new(bytes([key])) is (key not in recent)
        recent = [*(other for other in recent if other != key), key][-count:]
