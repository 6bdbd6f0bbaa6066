"""The order of rows in files of samples, found with one sort of one integer column."""

from typing import Final

import numpy as np
import polars as pl

from correlate.tables.hashing import I64, mix

SLICE_NS: Final = 1_000_000_000
"""Samples of a service and type are stored in slices of one second: longer than most spans, so that few are cut, and
short enough for time to prune row groups. (Samples without a time of their own share that of their profile.)"""

_RANK_BITS, _TRACE_BITS, _SPAN_BITS = 23, 22, 18


def by_service_and_trace(samples: pl.DataFrame) -> pl.DataFrame:
    """Sort by service, type and slice of time; inside a slice rows of one trace, then span and thread, stay together.

    The order of traces inside a slice means nothing; that equal ids are neighbours is what makes files small, and what
    keeps a span's rows in one row group. Rows of one span keep the order they have, which is that of time.
    """
    rank = _rank(samples)
    if len(rank) and int(rank.max()) >> _RANK_BITS:
        return samples.sort("service", "type", pl.col("time_ns") // SLICE_NS, "trace_hi", "trace_lo", "span", "thread")
    trace = mix(samples["trace_hi"].to_numpy() ^ samples["trace_lo"].to_numpy())
    span = mix(samples["span"].to_numpy() ^ samples["thread"].to_numpy())
    low = ((trace >> np.uint64(64 - _TRACE_BITS)) << np.uint64(_SPAN_BITS)) | (span >> np.uint64(64 - _SPAN_BITS))
    key = (rank << (_TRACE_BITS + _SPAN_BITS)) | low.view(np.int64)
    return samples[np.argsort(key, kind="stable")]


def _rank(samples: pl.DataFrame) -> I64:
    """The place of each row's service, type and slice of time among all that occur."""
    keys = ["service", "type", "slice"]
    slices = samples.select("service", "type", slice=pl.col("time_ns") // SLICE_NS)
    places = slices.unique().sort(keys).with_row_index("rank")
    return slices.join(places, on=keys, how="left", maintain_order="left")["rank"].cast(pl.Int64).to_numpy()
