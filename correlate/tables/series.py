"""The identity of series: a service, a profile type and a set of labels.

Series are few beside the samples and spans that point at them, so what is here is about the fixed cost of a request:
every text is hashed in one go, and label lists are flat arrays throughout.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from correlate.tables import hashing
from correlate.tables.distinct import first_of_each
from correlate.tables.ragged import offsets_of, positions_of
from correlate.tables.schema import ATTRIBUTES, SERIES

I64 = npt.NDArray[np.int64]


class _Lists(NamedTuple):
    """Label lists: the labels of all lists one after the other, and where each list starts, plus the end."""

    key: pl.Series
    value: pl.Series
    kind: pl.Series
    offsets: I64


class _Sorted(NamedTuple):
    """The labels of each series, sorted by key: rows of labels, and where those of each series start, plus the end."""

    rows: I64
    offsets: I64


def series_of_resources(service: pl.Series, labels: pl.Series) -> tuple[I64, pl.DataFrame]:
    """Give resources of spans their series: one id per row, and the SERIES rows (unique)."""
    frame = pl.DataFrame(
        {"service": service, "type": pl.Series([""]).new_from_index(0, len(service)), "labels": labels}
    )
    return identify_series(frame)


def identify_series(frame: pl.DataFrame) -> tuple[I64, pl.DataFrame]:
    """Give rows of service, type and labels their ids: one per row, and the SERIES rows (unique).

    Labels are sorted by key first, so their order does not matter.
    """
    every = np.arange(len(frame))
    return identify_merged(frame, pl.Series([[]], dtype=ATTRIBUTES), every, np.zeros(len(frame), np.int64))


def identify_merged(frame: pl.DataFrame, more: pl.Series, row: I64, more_row: I64) -> tuple[I64, pl.DataFrame]:
    """Give pairs of a row and a list of more labels their ids: one per pair, and the SERIES rows (unique).

    Args:
        frame: rows of service, type and labels.
        more: lists of more labels; of a key that occurs twice the frame's label stays.
        row: the row in `frame` of each pair.
        more_row: the row in `more` of each pair.
    """
    lists = _lists(frame["labels"], more)
    texts = pl.concat([frame["service"], frame["type"], lists.key, lists.value], rechunk=True)
    hashed = hashing.hash_text(texts)
    service, type_, key, value = np.split(hashed, np.cumsum([len(frame), len(frame), len(lists.key)]))
    label = hashing.combine([key, value, lists.kind.to_numpy()])
    rank = _ranks(lists.key, key)
    chosen = _sorted(lists.offsets, rank, label, row, len(frame) + more_row)
    labels_id = hashing.sequence_hashes(label[chosen.rows], chosen.offsets)
    ids = hashing.combine([service[row], type_[row], labels_id])
    first = first_of_each(ids)
    chosen_row = row[first]
    columns: dict[str, Any] = {
        "series": ids[first],
        "service_id": service[chosen_row],
        "service": frame["service"][chosen_row],
        "type_id": type_[chosen_row],
        "type": frame["type"][chosen_row],
        "labels": _column(lists, chosen, first),
    }
    rows = pl.DataFrame([pl.Series(name, columns[name], dtype=kind) for name, kind in SERIES.items()])
    return ids, rows


def _lists(labels: pl.Series, more: pl.Series) -> _Lists:
    """Take the lists of two columns apart, those of the second after those of the first."""
    every = pl.concat([labels.cast(ATTRIBUTES), more.cast(ATTRIBUTES)], rechunk=True).to_arrow()
    offsets = np.asarray(every.offsets).astype(np.int64, copy=False)
    items = every.values.slice(offsets[0], offsets[-1] - offsets[0])
    key, value, kind = (pl.Series(pl.from_arrow(items.field(name))) for name in ("key", "value", "kind"))
    return _Lists(key, value, kind, offsets - offsets[0])


def _ranks(key: pl.Series, hashed: I64) -> I64:
    """The rank of each label's key in the order of the keys' text. Distinct keys are few."""
    first = first_of_each(hashed)
    order = key[first].arg_sort().to_numpy()
    distinct = hashed[first[order]]
    by_hash = np.argsort(distinct)
    return by_hash[np.searchsorted(distinct[by_hash], hashed)]


def _sorted(offsets: I64, rank: I64, label: I64, one: I64, other: I64) -> _Sorted:
    """Put two lists of each series together and sort them by key; of a key that both have the first one's stays."""
    both = np.stack([one, other], axis=1).ravel()
    taken, lengths = positions_of(offsets, both)
    rows = np.arange(len(rank))[taken] if isinstance(taken, slice) else taken
    owner, second = np.divmod(np.repeat(np.arange(len(both)), lengths), 2)
    order = np.lexsort((label[rows], second, rank[rows], owner))  # by content last: the lists' order is not to matter
    rows, owner, second = rows[order], owner[order], second[order]
    kept = np.ones(len(rows), bool)
    if second.any():
        group = owner * (int(rank.max(initial=0)) + 1) + rank[rows]
        kept[1:] = group[1:] != group[:-1]
    return _Sorted(rows[kept], offsets_of(np.bincount(owner[kept], minlength=len(one))))


def _column(lists: _Lists, chosen: _Sorted, series: I64) -> pl.Series:
    """The label lists of some series as a column of type ATTRIBUTES."""
    taken, lengths = positions_of(chosen.offsets, series)
    rows = chosen.rows[taken]
    parts = {"key": lists.key[rows], "value": lists.value[rows], "kind": lists.kind[rows]}
    items = pl.DataFrame(parts).to_struct("label").to_arrow()
    column = pa.LargeListArray.from_arrays(pa.array(offsets_of(lengths)), items)
    return pl.Series("labels", pl.from_arrow(column), dtype=ATTRIBUTES)
