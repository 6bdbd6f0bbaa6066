"""From the ids of a pprof payload to row numbers.

Ids are non-zero and unique within a payload, but they are not positions. Nearly every writer counts 1, 2, 3 …, many
others use small numbers in some order, and a few use hashes: three ways, the cheapest that fits.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from correlate.errors import Malformed
from correlate.formats.faults import refuse
from correlate.tables.hashing import combine

I64 = npt.NDArray[np.int64]

_DENSE_SLACK = 1 << 16


@dataclass(frozen=True, slots=True)
class IdTable:
    """The ids of one table (mappings, locations or functions) of several payloads.

    Attributes:
        what: name of the table, for messages.
        starts: first row of each payload.
        counts: rows of each payload.
        stride: for the dense way: the room given to each payload in `lookup`; 0: another way.
        lookup: dense: row by payload x stride + id. By hash: rows in order of `keys`. Sequential: empty.
        keys: by hash: sorted hashes of payload and id.
    """

    what: str
    starts: I64
    counts: I64
    stride: int
    lookup: I64
    keys: I64

    @classmethod
    def build(cls, what: str, ids: I64, offsets: I64, owner: I64) -> "IdTable":
        """Index ids.

        Args:
            what: name of the table, for messages.
            ids: all ids, payload after payload.
            offsets: where each payload starts in `ids`, plus the end.
            owner: payload of each id (0-dimensional when there is only one).

        Raises:
            Faults: an id is zero or not unique in its payload.
        """
        refuse(ids == 0, owner, lambda _: Malformed(f"a {what} has id 0; ids must not be zero"))
        starts, counts = offsets[:-1], np.diff(offsets)
        none = np.zeros(0, np.int64)
        if bool((ids == np.arange(1, len(ids) + 1) - starts[owner]).all()):
            return cls(what, starts, counts, 0, none, none)
        stride = int(ids.max()) + 1
        if ids.min() > 0 and stride * len(starts) <= 4 * len(ids) + _DENSE_SLACK:
            return cls(what, starts, counts, stride, _dense(what, ids, owner, stride, len(starts)), none)
        return cls(what, starts, counts, 0, *_hashed(what, ids, owner))

    def rows(self, ids: I64, owner: I64) -> I64:
        """The row of each id, -1 where the payload has no such id."""
        if self.stride:
            inside = (ids > 0) & (ids < self.stride)
            return np.where(inside, self.lookup[owner * self.stride + np.where(inside, ids, 0)], -1)
        if len(self.keys):
            keys = combine([np.broadcast_to(owner, ids.shape), ids])
            at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            return np.where(self.keys[at] == keys, self.lookup[at], -1)
        if owner.ndim == 0 and len(ids) and ids.min() > 0 and ids.max() <= self.counts[owner]:
            return np.add(ids, self.starts[owner] - 1, out=np.empty(len(ids), np.int64))  # `ids` may run backwards
        return np.where((ids > 0) & (ids <= self.counts[owner]), ids + (self.starts[owner] - 1), -1)

    def optional_rows(self, ids: I64, owner: I64, user: str) -> I64:
        """The row of each id; -1 for id 0, which means "none".

        Raises:
            Faults: a payload has no row of that id.
        """
        rows = self.rows(ids, owner)
        self._refuse_dangling((rows < 0) & (ids != 0), ids, owner, user)
        return rows

    def required_rows(self, ids: I64, owner: I64, user: str) -> I64:
        """The row of each id.

        Raises:
            Faults: a payload has no row of that id.
        """
        rows = self.rows(ids, owner)
        if rows.min(initial=0) < 0:
            self._refuse_dangling(rows < 0, ids, owner, user)
        return rows

    def _refuse_dangling(self, bad: npt.NDArray[np.bool_], ids: I64, owner: I64, user: str) -> None:
        refuse(
            bad,
            owner,
            lambda at: Malformed(f"a {user} names {self.what} {int(ids[at]) & (1 << 64) - 1}, which the profile lacks"),
        )


def _dense(what: str, ids: I64, owner: I64, stride: int, payloads: int) -> I64:
    lookup = np.full(payloads * stride, -1, np.int64)
    keys = owner * stride + ids
    rows = np.arange(len(ids), dtype=np.int64)
    lookup[keys] = rows
    refuse(lookup[keys] != rows, owner, lambda row: _duplicate(what, ids, row))
    return lookup


def _hashed(what: str, ids: I64, owner: I64) -> tuple[I64, I64]:
    keys = combine([np.broadcast_to(owner, ids.shape), ids])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    repeated = np.zeros(len(ids), bool)
    repeated[order[1:]] = keys[1:] == keys[:-1]
    refuse(repeated, owner, lambda row: _duplicate(what, ids, row))
    return order, keys


def _duplicate(what: str, ids: I64, row: int) -> Malformed:
    return Malformed(
        f"two {what}s have the id {int(ids[row]) & (1 << 64) - 1}; "
        "perhaps several profiles were written one after the other"
    )
