"""The queue in front of the committer."""

import threading
from time import monotonic

import pytest

from correlate.errors import Overloaded
from correlate.storage.queueing import CommitQueue
from correlate.tables.tables import Tables
from tests.support.store import payload


def take(queue: CommitQueue, *, linger_s: float = 0.0, enough: int = 1 << 30, most: int = 1 << 30) -> list[Tables]:
    """What one commit would take."""
    return [item.tables for item in queue.take(linger_s=linger_s, enough_bytes=enough, max_bytes=most)]


def test_everything_that_waits_is_taken_together() -> None:
    """In the order in which it came."""
    queue = CommitQueue(max_bytes=1 << 20, max_count=9)
    parts = [payload(i) for i in range(3)]
    for part in parts:
        queue.put(part)
    assert take(queue) == parts


def test_a_full_queue_refuses() -> None:
    """By bytes (counting what is being committed) and by count; one large submission fits an empty queue."""
    part = payload(1)
    queue = CommitQueue(max_bytes=part.estimated_bytes() + 1, max_count=5)
    queue.put(part)
    with pytest.raises(Overloaded) as refused:
        queue.put(part)
    assert refused.value.retry_after_s > 0
    group = queue.take(linger_s=0, enough_bytes=1, max_bytes=1)
    with pytest.raises(Overloaded):
        queue.put(part)
    queue.done(group)
    assert queue.size_bytes == 0
    queue.put(part)
    counted = CommitQueue(max_bytes=1 << 30, max_count=1)
    counted.put(part)
    assert counted.fullness == 1.0
    with pytest.raises(Overloaded):
        counted.put(part)


def test_a_group_is_bounded_but_never_empty() -> None:
    """A commit takes no more than its limit, and at least one submission."""
    queue = CommitQueue(max_bytes=1 << 30, max_count=9)
    for _ in range(3):
        queue.put(payload(1))
    assert len(take(queue, most=payload(1).estimated_bytes() * 2 + 64)) == 2
    assert len(take(queue, most=1)) == 1


def test_waiting_for_company_ends_when_enough_is_there() -> None:
    """A little linger gathers more; enough bytes cut it short."""
    queue = CommitQueue(max_bytes=1 << 30, max_count=9)
    queue.put(payload(0))
    threading.Timer(0.05, lambda: queue.put(payload(1))).start()
    assert len(take(queue, linger_s=0.3)) == 2
    queue.put(payload(2))
    started = monotonic()
    assert len(take(queue, linger_s=30, enough=1)) == 1
    assert monotonic() - started < 5


def test_a_closed_queue_drains_and_then_ends() -> None:
    """What waits is still committed; nothing new is taken."""
    queue = CommitQueue(max_bytes=1 << 30, max_count=9)
    queue.put(payload(0))
    queue.close()
    with pytest.raises(Overloaded):
        queue.put(payload(1))
    assert len(take(queue, linger_s=30)) == 1
    assert take(queue, linger_s=30) == []
