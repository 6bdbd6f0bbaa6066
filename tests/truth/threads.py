"""Which thread does what: nobody shares a thread at the same time."""

import heapq
from collections import deque

import numpy as np

from tests.truth.world import I64


def queued(process: I64, arrival_ns: I64, duration_ns: I64, pool: int) -> I64:
    """When requests begin that wait for one of `pool` threads of their process, first come, first served.

    Args:
        process: of each request; sorted, and by arrival within.
        arrival_ns: when it arrives.
        duration_ns: how long it occupies a thread.
        pool: threads of each process.
    """
    starts = np.empty_like(arrival_ns)
    current, free = -1, [0] * pool
    rows = zip(process.tolist(), arrival_ns.tolist(), duration_ns.tolist(), strict=True)
    for row, (where, arrival, duration) in enumerate(rows):
        if where != current:
            current, free = where, [0] * pool
        starts[row] = max(arrival, free[0])
        heapq.heapreplace(free, int(starts[row]) + duration + 1)
    return starts


def assign(process: I64, start_ns: I64, end_ns: I64) -> I64:
    """Give intervals threads: the one that has been free for longest, or a new one. Numbers count in each process."""
    order = np.lexsort((start_ns, process))
    given = np.empty_like(process)
    current, busy, free, count = -1, [], deque[int](), 0
    rows = zip(order.tolist(), process[order].tolist(), start_ns[order].tolist(), end_ns[order].tolist(), strict=True)
    for row, where, start, end in rows:
        if where != current:
            current, busy, free, count = where, list[tuple[int, int]](), deque[int](), 0
        while busy and busy[0][0] < start:
            free.append(heapq.heappop(busy)[1])
        if free:
            thread = free.popleft()
        else:
            thread, count = count, count + 1
        heapq.heappush(busy, (end, thread))
        given[row] = thread
    return given
