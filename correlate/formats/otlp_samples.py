"""The samples of OTLP profiles: laid flat, checked against the dictionary, and one row made for each occurrence.

A sample has one of three shapes: only timestamps, of which each counts 1; one value that is a total, without a time;
or as many values as timestamps. Source: the comments of ``profiles.proto``.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from correlate.formats import otlp_faults as faults
from correlate.formats.arrow import Ragged, integers, ragged
from correlate.formats.otlp_dictionary import Dictionary

I64 = npt.NDArray[np.int64]


class Samples(NamedTuple):
    """The samples of all profiles of a request.

    Attributes:
        profile: row of the profile of each.
        stack: index into the stack table.
        link: index into the link table, 0: none.
        attributes: indices into the attribute table.
        values: in the unit of the profile's sample type.
        times: nanoseconds since the Unix epoch.
    """

    profile: I64
    stack: I64
    link: I64
    attributes: Ragged
    values: Ragged
    times: Ragged


class Occurrences(NamedTuple):
    """Rows of the samples table to be: which sample, its value, and its own time (-1 where it has none)."""

    sample: I64
    value: I64
    time_ns: I64


def flatten(profiles: pa.StructArray) -> Samples:
    """Take the samples out of a column of Profile messages, of whatever layout."""
    lists = ragged(profiles.field("samples"))
    samples: pa.StructArray = lists.values
    return Samples(
        lists.owners(),
        integers(samples.field("stack_index")),
        integers(samples.field("link_index")),
        ragged(samples.field("attribute_indices")),
        ragged(samples.field("values")),
        ragged(samples.field("timestamps_unix_nano")),
    )


def check(samples: Samples, dictionary: Dictionary) -> faults.Faults:
    """Find the fault of each sample."""
    index = integers(samples.attributes.values)
    value_counts, time_counts = samples.values.lengths, samples.times.lengths
    is_shaped = np.where(time_counts > 0, (value_counts == 0) | (value_counts == time_counts), value_counts == 1)
    absurd = np.where(integers(samples.times.values) < 0, faults.TIME, 0).astype(np.int8)
    return faults.highest(
        [
            faults.follow(samples.stack, dictionary.stack_faults, faults.STACK),
            faults.beyond(samples.link, len(dictionary.links), faults.LINK),
            faults.gather(faults.follow(index, dictionary.attributes.faults, faults.ATTRIBUTE), samples.attributes),
            np.where(is_shaped, 0, faults.SHAPE).astype(np.int8),
            faults.gather(absurd, samples.times),
        ]
    )


def oddity(samples: Samples, profile_attributes: I64, dictionary: Dictionary) -> tuple[int, int]:
    """How little sense samples make, to choose between two readings of the same bytes.

    Returns:
        First how many samples are impossible. Then how many references are odd: to attribute 0, to attributes that
        mappings or locations have, to two of one key; and attributes and links that nothing refers to.
    """
    table = dictionary.attributes
    index = integers(samples.attributes.values)
    index = np.where(faults.beyond(index, len(table.rows), 1), 0, index)
    shared = np.count_nonzero(table.owned[index] | (index == 0))
    key = table.rows["key"].rank("dense").to_numpy().astype(np.int64)[index]
    keys = np.stack([samples.attributes.owners(), key])
    repeated = keys.shape[1] - np.unique(keys, axis=1).shape[1]
    unused = _unused(len(table.rows), [index, profile_attributes], table.owned)
    unlinked = _unused(len(dictionary.links), [samples.link], np.zeros(len(dictionary.links), bool))
    return int(np.count_nonzero(check(samples, dictionary))), int(shared) + repeated + unused + unlinked


def occurrences(samples: Samples, wanted: npt.NDArray[np.bool_]) -> Occurrences:
    """Make one row for each timestamp of the wanted samples, or one for a sample without any."""
    value_counts, time_counts = samples.values.lengths, samples.times.lengths
    counts = np.where(wanted, np.maximum(value_counts, time_counts), 0)
    sample = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(sample)) - (np.cumsum(counts) - counts)[sample]
    value = _items(samples.values, sample, nth, value_counts, absent=1)
    time_ns = _items(samples.times, sample, nth, time_counts, absent=-1)
    return Occurrences(sample, value, time_ns)


def _items(lists: Ragged, sample: I64, nth: I64, counts: I64, absent: int) -> I64:
    """The n-th item of each sample's list."""
    has = counts[sample] > 0
    return np.append(integers(lists.values), absent)[np.where(has, lists.offsets[sample] + nth, -1)]


def _unused(rows: int, references: list[I64], used: npt.NDArray[np.bool_]) -> int:
    """How many rows of a table, besides row 0, nothing refers to."""
    used = used.copy()
    used[0] = True
    for index in references:
        used[index[(index >= 0) & (index < rows)]] = True
    return int(np.count_nonzero(~used))
