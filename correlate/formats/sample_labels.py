"""What the labels of samples say: span, trace and thread ids become columns, everything else a label set.

The same rules serve every format that hangs key-value pairs on samples. Sources of the keys: Pyroscope's span profiles
(``span_id``, its older alias ``profile_id``, ``trace_id``) and Datadog's code hotspots (``span id``, ``local root span
id``, ``trace id``: decimal).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.tables.distinct import number_codes, number_values
from correlate.tables.hashing import mix
from correlate.tables.hexadecimal import parse_hex
from correlate.tables.schema import ATTRIBUTES, EVIDENCE_AMBIGUOUS, EVIDENCE_LABEL, EVIDENCE_NONE

I64 = npt.NDArray[np.int64]
I8 = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]

_ORDINARY, _SPAN, _ROOT_SPAN, _TRACE, _THREAD = range(5)

# In what number base the ids under a key are written; the other one is tried second where that is safe.
_HEX, _DECIMAL = range(2)

_KEYS: Final[dict[str, tuple[int, int]]] = {
    "span_id": (_SPAN, _HEX),
    "profile_id": (_SPAN, _HEX),
    "span id": (_SPAN, _DECIMAL),
    "local root span id": (_ROOT_SPAN, _DECIMAL),
    "trace_id": (_TRACE, _HEX),
    "trace id": (_TRACE, _DECIMAL),
    "thread_id": (_THREAD, _DECIMAL),
    "thread.id": (_THREAD, _DECIMAL),
    "thread id": (_THREAD, _DECIMAL),
    "tid": (_THREAD, _DECIMAL),
}
_KEY_CODES: Final = {key: 2 * role + base for key, (role, base) in _KEYS.items()}

# A decimal trace id under `trace_id` is believed only when it is as long as random 64-bit numbers are.
_LONG_DECIMAL_DIGITS: Final = (17, 20)


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the labels of n samples say.

    Attributes:
        span: span id of each sample, 0: none.
        trace_hi: upper half of the trace id, 0: none.
        trace_lo: lower half of the trace id.
        thread: thread id, 0: unknown.
        evidence: EVIDENCE_* of each sample.
        labelset: row in `labelsets` of each sample, -1: no label besides ids.
        labelsets: the distinct sets of labels besides ids, of type ATTRIBUTES.
    """

    span: I64
    trace_hi: I64
    trace_lo: I64
    thread: I64
    evidence: I8
    labelset: I64
    labelsets: pl.Series


def resolve(
    sample_count: int, labels: pl.DataFrame, sample: I64, label: I64, evidence_code: int = EVIDENCE_LABEL
) -> Resolved:
    """Take ids out of the labels of samples and number the sets of the other labels.

    A sample that names two different spans (asyncio: several root spans share a thread), or two different traces, is
    ambiguous: it gets neither. An id that cannot be read, such as a span id of three digits, is an ordinary label; a
    zero id is none.

    Args:
        sample_count: how many samples there are.
        labels: distinct rows of ``key``, ``value`` (text; numbers in decimal) and ``kind`` (KIND_*).
        sample: which sample carries a label, one entry per pair.
        label: which row of `labels` it carries.
        evidence_code: what a sample that names a span or a trace gets as evidence.
    """
    if not len(sample):
        return _nothing(sample_count)
    meaning = _meaning(labels)
    pairs = _Pairs(sample, label, sample_count)
    span, torn_span = _span(pairs, meaning)
    trace_hi, trace_lo, torn_trace = _trace(pairs, meaning)
    thread, torn_thread = pairs.assign(meaning.role == _THREAD, meaning.lo)
    labelset, labelsets = _labelsets(pairs, meaning.role == _ORDINARY, labels)
    torn = torn_span | torn_trace
    named = (span != 0) | (trace_hi != 0) | (trace_lo != 0)
    evidence = np.where(torn, EVIDENCE_AMBIGUOUS, np.where(named, evidence_code, EVIDENCE_NONE)).astype(np.int8)
    for ids in (span, trace_hi, trace_lo):
        ids[torn] = 0
    thread[torn_thread] = 0
    return Resolved(span, trace_hi, trace_lo, thread, evidence, labelset, labelsets)


class _Meaning(NamedTuple):
    """Of each distinct label: its role, and its value as a 128-bit number in two signed halves."""

    role: I64
    hi: I64
    lo: I64


class _Pairs(NamedTuple):
    """Which sample carries which label."""

    sample: I64
    label: I64
    sample_count: int

    def assign(self, wanted: Bools, value: I64) -> tuple[I64, Bools]:
        """Give each sample the value of its wanted label, and tell which samples have two that differ."""
        if not wanted.any():
            return np.zeros(self.sample_count, np.int64), np.zeros(self.sample_count, bool)
        chosen = wanted[self.label]
        sample, values = self.sample[chosen], value[self.label[chosen]]
        assigned = np.zeros(self.sample_count, np.int64)
        assigned[sample] = values
        torn = np.zeros(self.sample_count, bool)
        torn[sample[assigned[sample] != values]] = True
        return assigned, torn


def _span(pairs: _Pairs, meaning: _Meaning) -> tuple[I64, Bools]:
    """The span's own id, and only without one that of its local root."""
    span, torn = pairs.assign(meaning.role == _SPAN, meaning.lo)
    if not (meaning.role == _ROOT_SPAN).any():
        return span, torn
    root, root_torn = pairs.assign(meaning.role == _ROOT_SPAN, meaning.lo)
    without = (span == 0) & ~torn
    return np.where(without, root, span), np.where(without, root_torn, torn)


def _trace(pairs: _Pairs, meaning: _Meaning) -> tuple[I64, I64, Bools]:
    hi, torn_hi = pairs.assign(meaning.role == _TRACE, meaning.hi)
    lo, torn_lo = pairs.assign(meaning.role == _TRACE, meaning.lo)
    return hi, lo, torn_hi | torn_lo


def _meaning(labels: pl.DataFrame) -> _Meaning:
    codes = labels["key"].replace_strict(_KEY_CODES, default=2 * _ORDINARY + _HEX, return_dtype=pl.Int64).to_numpy()
    role, base = np.divmod(codes, 2)
    hi, lo, known = np.zeros(len(labels), np.int64), np.zeros(len(labels), np.int64), np.zeros(len(labels), bool)
    rows = np.flatnonzero(role != _ORDINARY)
    if len(rows):
        hi[rows], lo[rows], known[rows] = _read_ids(labels["value"][rows], role[rows], base[rows])
    role[~known] = _ORDINARY
    role[known & (hi == 0) & (lo == 0)] = -1  # "no id", said explicitly: neither an id nor a label
    return _Meaning(role, hi, lo)


def _read_ids(text: pl.Series, role: I64, base: I64) -> tuple[I64, I64, Bools]:
    """Read the text of ids: two halves of each, and whether it could be read."""
    length = text.str.len_bytes().to_numpy()
    shortest, longest = _LONG_DECIMAL_DIGITS
    long = (role == _TRACE) & (length >= shortest) & (length <= longest)
    # The later overrules the earlier: long numbers, hexadecimal digits, numbers where these are the rule, whole traces.
    ways = (
        (long, _digits),
        ((role != _THREAD) & (length == 16), _narrow),
        (base == _DECIMAL, _integer),
        ((role == _TRACE) & (length == 32), _wide),
    )
    hi, lo, known = np.zeros(len(text), np.int64), np.zeros(len(text), np.int64), np.zeros(len(text), bool)
    for candidates, read in ways:
        rows = np.flatnonzero(candidates)
        if len(rows):
            their_hi, their_lo, read_well = read(text[rows])
            rows = rows[read_well]
            hi[rows], lo[rows], known[rows] = their_hi[read_well], their_lo[read_well], True
    return hi, lo, known


def _wide(text: pl.Series) -> tuple[I64, I64, Bools]:
    halves, known = parse_hex(text, 32)
    return halves[:, 0], halves[:, 1], known


def _narrow(text: pl.Series) -> tuple[I64, I64, Bools]:
    ids, known = parse_hex(text, 16)
    return np.zeros(len(text), np.int64), ids[:, 0], known


def _digits(text: pl.Series) -> tuple[I64, I64, Bools]:
    hi, lo, known = _integer(text)
    return hi, lo, known & text.str.contains(r"^\d+$").to_numpy()


def _integer(text: pl.Series) -> tuple[I64, I64, Bools]:
    """Decimal integers of up to 64 bits, signed or unsigned: some senders bit-cast their ids to signed ones."""
    unsigned = text.cast(pl.UInt64, strict=False)
    signed = text.cast(pl.Int64, strict=False)
    known = (unsigned.is_not_null() | signed.is_not_null()).to_numpy()
    value = np.where(
        unsigned.is_not_null().to_numpy(),
        unsigned.fill_null(0).to_numpy().view(np.int64),
        signed.fill_null(0).to_numpy(),
    )
    return np.zeros(len(text), np.int64), value, known


def _labelsets(pairs: _Pairs, ordinary: Bools, labels: pl.DataFrame) -> tuple[I64, pl.Series]:
    """Number the distinct sets of ordinary labels: each sample's row, and the sets."""
    chosen = ordinary[pairs.label]
    sample, label = pairs.sample[chosen], pairs.label[chosen]
    labelset = np.full(pairs.sample_count, -1, np.int64)
    if not len(sample):
        return labelset, _NO_SETS
    if (sample[1:] > sample[:-1]).all():  # one label each: the label is the set
        _, index = number_codes(label, len(labels))
        rows = sample
    else:
        bag = np.zeros(pairs.sample_count, np.uint64)
        np.add.at(bag, sample, mix(label))  # a sum, so the order of a sample's labels does not matter
        rows = np.unique(sample)
        _, index = number_values(bag[rows].view(np.int64))
    labelset[rows] = index
    example = np.zeros(int(index.max()) + 1, np.int64)
    example[index] = rows
    return labelset, _sets(example, pairs.sample_count, sample, label, labels)


def _sets(examples: I64, sample_count: int, sample: I64, label: I64, labels: pl.DataFrame) -> pl.Series:
    """The label sets of some example samples, in the order of the examples."""
    number = np.full(sample_count, -1, np.int64)
    number[examples] = np.arange(len(examples))
    chosen = number[sample] >= 0
    owner, row = number[sample[chosen]], label[chosen]
    order = np.lexsort((row, owner))
    owner, row = owner[order], row[order]
    offsets = np.searchsorted(owner, np.arange(len(examples) + 1)).astype(np.int64)
    items = labels.select("key", "value", pl.col("kind").cast(pl.Int8))[row].to_struct("label").to_arrow()
    return pl.Series(pl.from_arrow(pa.LargeListArray.from_arrays(pa.array(offsets), items))).cast(ATTRIBUTES)


def _nothing(sample_count: int) -> Resolved:
    span, trace_hi, trace_lo, thread = np.zeros((4, sample_count), np.int64)
    evidence = np.full(sample_count, EVIDENCE_NONE, np.int8)
    return Resolved(span, trace_hi, trace_lo, thread, evidence, np.full(sample_count, -1, np.int64), _NO_SETS)


_NO_SETS: Final = pl.Series("labels", [], dtype=ATTRIBUTES)
