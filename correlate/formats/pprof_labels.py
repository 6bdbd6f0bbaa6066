"""The labels of pprof samples, numbered: which distinct label each sample carries."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.errors import TooLarge
from correlate.formats.arrow import Ragged, integers, ragged
from correlate.formats.faults import refuse
from correlate.formats.limits import MAX_LABEL_PAIRS, MAX_LABEL_SETS
from correlate.formats.pprof_link import owners
from correlate.formats.pprof_strings import Strings
from correlate.formats.sample_labels import Resolved, resolve
from correlate.tables.hashing import combine
from correlate.tables.schema import KIND_INT, KIND_STRING

I64 = npt.NDArray[np.int64]

# Numeric labels under these keys are sizes, as a number with a unit is: they tell how much, not which. As labels of a
# series, every allocation size of a heap profile would become a series of its own.
MEASURES: Final = ("bytes", "request", "alignment")


class _Labels(NamedTuple):
    """Distinct labels, and which sample carries which."""

    distinct: pl.DataFrame
    sample: I64
    label: I64


def link_labels(strings: Strings, sample: Ragged) -> Resolved:
    """Read the labels of all samples: ids become columns, numeric measures are left out, the rest become label sets.

    Raises:
        Faults: a label names a string the payload lacks, or a payload has more labels than the limits allow.
    """
    count = len(sample.values)
    owner = np.broadcast_to(owners(sample), (count,))
    labels = _number(strings, ragged(sample.values.field("label")), owner)
    _within("label pairs", labels.label, owner[labels.sample], MAX_LABEL_PAIRS)
    resolved = resolve(count, labels.distinct, labels.sample, labels.label)
    has = resolved.labelset >= 0
    _within("label sets", resolved.labelset[has], owner[has], MAX_LABEL_SETS)
    return resolved


def _number(strings: Strings, labels: Ragged, sample_owner: I64) -> _Labels:
    sample = labels.owners()
    if not len(sample):
        return _Labels(_NO_LABELS, sample, sample)
    owner = sample_owner[sample]
    key = strings.rows(labels.values.field("key"), owner, "label key")
    text = strings.rows(labels.values.field("str"), owner, "label value")
    unit = strings.rows(labels.values.field("num_unit"), owner, "label unit")
    number = integers(labels.values.field("num"))
    textual = integers(labels.values.field("str")) != 0
    measured = _flags(strings, key, MEASURES) | (integers(labels.values.field("num_unit")) != 0)
    # Neither text nor number: lost, as in the reference implementation.
    kept = np.flatnonzero(textual | (~measured & (number != 0)))
    del unit
    key, text, number, textual = key[kept], np.where(textual, text, -1)[kept], number[kept], textual[kept]
    _, first, index = np.unique(combine([key, text, number * ~textual]), return_index=True, return_inverse=True)
    return _Labels(_distinct(strings, key[first], text[first], number[first]), sample[kept], index)


def _distinct(strings: Strings, key: I64, text: I64, number: I64) -> pl.DataFrame:
    """The key, value and kind of distinct labels; a text row of -1 means that the number counts."""
    numeric = pl.Series(text < 0)
    value = strings.text[np.where(text < 0, strings.empty, text)]
    decimal = pl.Series(number).cast(pl.String)
    return pl.DataFrame(
        {
            "key": strings.text[key],
            "value": decimal.zip_with(numeric, value),
            "kind": np.where(text < 0, KIND_INT, KIND_STRING).astype(np.int8),
        }
    )


def _flags(strings: Strings, rows: I64, wanted: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Which string rows hold one of a few texts; only strings that occur are looked at."""
    flags = np.zeros(len(strings.text), bool)
    flags[rows] = True
    present = np.flatnonzero(flags)
    flags[present] = strings.text[present].is_in(list(wanted)).to_numpy()
    return flags[rows]


def _within(what: str, row: I64, owner: I64, limit: int) -> None:
    """Refuse payloads with more than `limit` distinct rows."""
    if not len(row) or int(row.max()) < limit:
        return
    distinct = pl.DataFrame({"owner": owner, "row": row}).unique()
    counts = distinct.group_by("owner").len().filter(pl.col("len") > limit)
    refuse(
        np.ones(len(counts), bool),
        counts["owner"].to_numpy(),
        lambda at: TooLarge(f"{counts['len'][at]:,} distinct {what} in one profile (limit {limit:,})"),
    )


_NO_LABELS = pl.DataFrame(schema={"key": pl.String, "value": pl.String, "kind": pl.Int8})
