"""What can be wrong with a profile of an OTLP request, as small numbers that spread along references."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from correlate.formats.arrow import Ragged

I64 = npt.NDArray[np.int64]
Faults = npt.NDArray[np.int8]
"""One number for each row: 0 for none, else a position in `REASONS`; of several the highest is told."""

REASONS: Final = (
    "",
    "it refers to a string beyond the string table",
    "it refers to a function beyond the function table",
    "it refers to a mapping beyond the mapping table",
    "it refers to an attribute beyond the attribute table",
    "it refers to a location beyond the location table, or to one with too many lines",
    "it refers to a stack beyond the stack table",
    "it refers to a link beyond the link table",
    "a sample has neither one value, nor timestamps, nor as many values as timestamps",
    "a time is later than the year 2262",
    "a value times the period does not fit into 64 bits",
    "it has samples, but no sample type",
    "it has neither a start time nor timestamps",
    "its samples have more distinct sets of labels than one profile may have",
)
"""Why a profile is refused."""

(STRING, FUNCTION, MAPPING, ATTRIBUTE, LOCATION, STACK, LINK, SHAPE, TIME, VALUE, SAMPLE_TYPE, NO_TIME, LABELS) = range(
    1, len(REASONS)
)


def beyond(index: I64, rows: int, fault: int) -> Faults:
    """Give references their fault: those that are negative or not below the number of rows."""
    return np.where((index < 0) | (index >= rows), fault, 0).astype(np.int8)


def follow(index: I64, target: Faults, fault: int) -> Faults:
    """Give references the fault of what they refer to, or `fault` where that is beyond the table."""
    own = beyond(index, len(target), fault)
    return np.maximum(own, target[np.where(own, 0, index)])


def gather(items: Faults, lists: Ragged) -> Faults:
    """Give lists the highest fault of their items."""
    if not items.any():
        return np.zeros(len(lists.offsets) - 1, np.int8)
    return spread(items, lists.owners(), len(lists.offsets) - 1)


def spread(items: Faults, owners: I64, rows: int) -> Faults:
    """Give owners the highest fault of what they own."""
    result = np.zeros(rows, np.int8)
    at = np.flatnonzero(items)
    np.maximum.at(result, owners[at], items[at])
    return result


def highest(parts: Sequence[Faults]) -> Faults:
    """Put together what several checks of the same rows found."""
    return np.asarray(np.maximum.reduce(parts), np.int8)
