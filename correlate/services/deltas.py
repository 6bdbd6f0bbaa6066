"""Counters that run since a process started, turned into what was added between two scrapes."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final

from correlate.formats.pprof_delta import delta, gauges
from correlate.model.payload import RawPayload

CUMULATIVE: Final = "cumulative"
"""Parameter of payloads with such counters; their parameter ``target`` says what they are to be compared with."""


class Deltas:
    """The last stored profile of each target. For one thread at a time.

    A profile counts as stored when `keep` is called after its commit; until then, and after `forget`, the difference
    is taken to the one before, so that nothing is counted twice and nothing is lost when a commit fails.

    Args:
        limit_bytes: bodies remembered; those not heard of for longest are forgotten first, and begin anew.
    """

    def __init__(self, limit_bytes: int = 256 << 20) -> None:
        self._limit_bytes = limit_bytes
        self._stored: OrderedDict[str, bytes] = OrderedDict()
        self._held_bytes = 0
        self._pending: dict[str, bytes] = {}

    def apply(self, payload: RawPayload) -> RawPayload | None:
        """What a payload adds to the one before it; None when there is nothing to store yet.

        Raises:
            BadInput: it cannot be read; the one before stays in force.
        """
        if CUMULATIVE not in payload.params:
            return payload
        target = payload.params.get("target", "")
        previous = self._pending.get(target) or self._stored.get(target)
        added = delta(previous, payload.body) if previous else None
        body = gauges(payload.body) if added is None else added
        self._pending[target] = payload.body
        return None if body is None else replace(payload, body=body)

    def keep(self) -> None:
        """What was applied is stored."""
        for target, body in self._pending.items():
            self._held_bytes += len(body) - len(self._stored.pop(target, b""))
            self._stored[target] = body
        self._pending.clear()
        while self._held_bytes > self._limit_bytes:
            self._held_bytes -= len(self._stored.popitem(last=False)[1])

    def forget(self) -> None:
        """What was applied since the last `keep` was not stored."""
        self._pending.clear()
