"""Telling which of several payloads is broken, while all of them are checked in one pass."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from correlate.errors import BadInput, Malformed

I64 = npt.NDArray[np.int64]


class Faults(Malformed):
    """Some of the payloads that were read together are broken.

    Attributes:
        by_row: the first fault of each broken payload.
    """

    def __init__(self, by_row: dict[int, BadInput]) -> None:
        super().__init__("; ".join(f"{row}: {error}" for row, error in by_row.items()))
        self.by_row = by_row


def refuse(bad: npt.NDArray[np.bool_], owner: I64, say: Callable[[int], BadInput]) -> None:
    """Raise `Faults` if any item is bad.

    Args:
        bad: which items break a rule.
        owner: the payload of each item, or a 0-dimensional array when there is only one payload.
        say: what to say about an item, by its position in `bad`.

    Raises:
        Faults: with one message for each payload that owns a bad item.
    """
    if not bad.any():
        return
    items = np.flatnonzero(bad)
    rows, first = np.unique(np.broadcast_to(owner, bad.shape)[items], return_index=True)
    raise Faults({int(row): say(int(items[at])) for row, at in zip(rows, first, strict=True)})
