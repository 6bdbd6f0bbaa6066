"""Which thread a span and a sample ran on, in numbers that mean the same on both sides.

Most senders give thread ids, but not always of one kind: profilers know the operating system's, some SDKs the
runtime's (Java's ``thread.id``, Python's ``get_ident``). Names then agree where ids do not.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.tables import hashing

I64 = npt.NDArray[np.int64]

NAME_KEYS: Final = ("thread.name", "thread_name")
"""How spans and samples call a thread's name: the semantic convention, and what pprof and Pyroscope make of it."""


class ThreadKeys(NamedTuple):
    """Keys of threads: equal keys within a process mean one thread, 0 is unknown.

    Attributes:
        spans: one per span.
        samples: one per sample.
    """

    spans: I64
    samples: I64


def span_names(spans: pl.DataFrame) -> I64:
    """The hash of each span's attribute ``thread.name``, 0 without one. Needs the column attributes."""
    return _names(spans["attributes"])


def sample_names(samples: pl.DataFrame, series: pl.DataFrame) -> I64:
    """The hash of each sample's label ``thread_name``, 0 without one.

    Args:
        samples: needs the column series.
        series: the SERIES rows they point at, columns series and labels.
    """
    ids, names = series["series"].to_numpy(), _names(series["labels"])
    if not len(ids):
        return np.zeros(len(samples), np.int64)
    order = np.argsort(ids)
    wanted = samples["series"].to_numpy()
    at = order[np.minimum(np.searchsorted(ids[order], wanted), len(ids) - 1)]
    return np.where(ids[at] == wanted, names[at], 0)


def thread_keys(spans: pl.DataFrame, samples: pl.DataFrame, named_spans: I64, named_samples: I64) -> ThreadKeys:
    """Choose for each process what tells its threads apart: ids, or names where ids are of two kinds.

    Names are taken where both sides know some in common and the ids do not meet, or meet under other names (a Java
    thread 23 need not be the system's 23). Where neither meets, threads are unknown: 0 throughout. Hashes of names and
    ids share one space of numbers; within a process only one of them is used.

    Args:
        spans: columns process and thread.
        samples: columns process and thread.
        named_spans: `span_names`.
        named_samples: `sample_names`.
    """
    sides = [
        pl.DataFrame({"process": rows["process"], "id": rows["thread"], "name": names})
        for rows, names in ((spans, named_spans), (samples, named_samples))
    ]
    kind = _kinds(*(side.unique() for side in sides))
    return ThreadKeys(*(_chosen(side, kind) for side in sides))


def _names(labels: pl.Series) -> I64:
    """The hash of the thread's name in each list of labels, 0 without one."""
    items = labels.to_frame("labels").with_row_index("row").explode("labels").drop_nulls("labels").unnest("labels")
    named = items.filter(pl.col("key").is_in(NAME_KEYS))
    hashed = np.zeros(len(labels), np.int64)
    hashed[named["row"].to_numpy()] = hashing.hash_text(named["value"])
    return hashed


def _kinds(spans: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """What tells the threads of each process apart: columns process, ids and names, both boolean.

    Args:
        spans: the distinct process, id and name of spans.
        samples: those of samples.
    """
    ids = spans.join(samples, on=["process", "id"], suffix="_there").filter(pl.col("id") != 0)
    known = (pl.col("name") != 0) & (pl.col("name_there") != 0)
    contradicted = ids.group_by("process").agg(
        against=(known & (pl.col("name") != pl.col("name_there"))).sum(),
        agreed=(known & (pl.col("name") == pl.col("name_there"))).sum(),
    )
    names = spans.join(samples, on=["process", "name"]).filter(pl.col("name") != 0).select("process").unique()
    return (
        pl.concat([spans["process"], samples["process"]])
        .unique()
        .to_frame()
        .join(contradicted, on="process", how="left")
        .join(names.with_columns(named=True), on="process", how="left")
        .with_columns(ids=(pl.col("against") <= pl.col("agreed")).fill_null(False))
        .select("process", "ids", names=~pl.col("ids") & pl.col("named").fill_null(False))
    )


def _chosen(side: pl.DataFrame, kind: pl.DataFrame) -> I64:
    told = side.join(kind, on="process", how="left", maintain_order="left")
    key = pl.when("ids").then("id").when("names").then("name").otherwise(0)
    return told.select(key=key).to_series().to_numpy()
