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
from correlate.tables.distinct import number_codes, number_values
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
    owner = owners(sample)
    labels = _number(strings, ragged(sample.values.field("label")), owner)
    _within("label pairs", labels.label, labels.sample, owner, MAX_LABEL_PAIRS)
    resolved = resolve(count, labels.distinct, labels.sample, labels.label)
    if len(resolved.labelsets):
        labelled = np.flatnonzero(resolved.labelset >= 0)
        _within("label sets", resolved.labelset[labelled], labelled, owner, MAX_LABEL_SETS)
    return resolved


def _number(strings: Strings, labels: Ragged, sample_owner: I64) -> _Labels:
    sample = labels.owners()
    if not len(sample):
        return _Labels(_NO_LABELS, sample, sample)
    owner = sample_owner if sample_owner.ndim == 0 else sample_owner[sample]
    key = strings.rows(labels.values.field("key"), owner, "label key")
    text = strings.rows(labels.values.field("str"), owner, "label value")
    strings.rows(labels.values.field("num_unit"), owner, "label unit")
    number = integers(labels.values.field("num"))
    textual = integers(labels.values.field("str")) != 0
    keys, key_code = number_codes(key, len(strings.text))
    if not textual.all():
        measure = strings.text[keys].is_in(list(MEASURES)).to_numpy()
        measured = measure[key_code] | (integers(labels.values.field("num_unit")) != 0)
        # Neither text nor number: lost, as in the reference implementation.
        kept = np.flatnonzero(textual | (~measured & (number != 0)))
        sample, key_code, text, number, textual = (column[kept] for column in (sample, key_code, text, number, textual))
    return _numbered(strings, _Values(keys, key_code, text, number, textual), sample)


class _Values(NamedTuple):
    """Labels of samples: which of the distinct `keys` each has, and the row of its text, or else its number."""

    keys: I64
    key_code: I64
    text: I64
    number: I64
    textual: npt.NDArray[np.bool_]


def _numbered(strings: Strings, labels: _Values, sample: I64) -> _Labels:
    """Number distinct labels: pairs of a key and a value, which is a text or, counted on after the texts, a number."""
    text_count = len(strings.text)
    numeric = np.flatnonzero(~labels.textual)
    first, number = number_values(labels.number[numeric])
    numbers = labels.number[numeric[first]]
    value = labels.text.copy()
    value[numeric] = text_count + number
    width = text_count + len(numbers)
    codes, index = number_codes(labels.key_code * width + value, len(labels.keys) * width)
    key, value = np.divmod(codes, width)
    return _Labels(_distinct(strings, labels.keys[key], value, numbers), sample, index)


def _distinct(strings: Strings, key: I64, value: I64, numbers: I64) -> pl.DataFrame:
    """The key, value and kind of distinct labels."""
    texts = pl.concat([strings.text, pl.Series(numbers).cast(pl.String)]) if len(numbers) else strings.text
    kind = np.where(value < len(strings.text), KIND_STRING, KIND_INT).astype(np.int8)
    return pl.DataFrame({"key": strings.text[key], "value": texts[value], "kind": kind})


def _within(what: str, row: I64, sample: I64, sample_owner: I64, limit: int) -> None:
    """Refuse payloads with more than `limit` distinct rows."""
    if not len(row) or int(row.max()) < limit:
        return
    owner = sample_owner[sample] if sample_owner.ndim else np.zeros(len(row), np.int64)
    distinct = pl.DataFrame({"owner": owner, "row": row}).unique()
    counts = distinct.group_by("owner").len().filter(pl.col("len") > limit)
    refuse(
        np.ones(len(counts), bool),
        counts["owner"].to_numpy(),
        lambda at: TooLarge(f"{counts['len'][at]:,} distinct {what} in one profile (limit {limit:,})"),
    )


_NO_LABELS = pl.DataFrame(schema={"key": pl.String, "value": pl.String, "kind": pl.Int8})
