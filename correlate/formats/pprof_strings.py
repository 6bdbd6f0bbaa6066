"""The string tables of pprof payloads, end to end, and the positions that name their entries."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.errors import Malformed
from correlate.formats.arrow import integers, ragged
from correlate.formats.faults import refuse
from correlate.formats.text import utf8

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Strings:
    """All strings of some payloads.

    Attributes:
        text: the string tables one after the other, then one empty string.
        starts: where the table of each payload starts.
        counts: how many strings each payload has.
    """

    text: pl.Series
    starts: I64
    counts: I64

    @classmethod
    def build(cls, column: pa.Array) -> "Strings":
        """Lay the string tables of all payloads end to end.

        Raises:
            Faults: a table does not begin with the empty string.
        """
        values, offsets = ragged(column)
        text = pl.concat([utf8(values), pl.Series([""])], rechunk=True)
        strings = cls(text, offsets[:-1], np.diff(offsets))
        # A payload without any strings is not worth an error of its own: it cannot name one either.
        firsts = np.where(strings.counts > 0, strings.starts, strings.empty)
        refuse(
            (text[firsts] != "").to_numpy(),
            np.arange(len(firsts)),
            lambda _: Malformed("the string table does not begin with the empty string"),
        )
        return strings

    @property
    def empty(self) -> int:
        """The row of the empty string at the end."""
        return len(self.text) - 1

    def rows(self, column: pa.Array, owner: I64, what: str) -> I64:
        """The rows in `text` that some positions in the payloads' own tables mean. Position 0 is the empty string.

        Raises:
            Faults: a position is outside its payload's table.
        """
        positions = integers(column)
        counts = self.counts[owner]
        refuse(
            (positions.view(np.uint64) >= counts.view(np.uint64)) & (positions != 0),
            owner,
            lambda at: Malformed(
                f"a {what} names string {int(positions[at])} of {int(np.broadcast_to(counts, positions.shape)[at])}"
            ),
        )
        if owner.ndim == 0 and counts > 0:
            return positions + self.starts[owner]
        return np.where(positions == 0, self.empty, positions + self.starts[owner])
