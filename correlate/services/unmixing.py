"""From scenes to the system that is unmixed: windows, what was seen in each, and when each operation was at work."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins.inherit import local_root_rows
from correlate.services.members import IDS, Members
from correlate.services.scenes import Scene
from correlate.tables import hashing

I64 = npt.NDArray[np.int64]

BIN_NS: Final = 10_000_000_000
"""Samples that have times of their own are put into windows of this length."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """What `joins.unmix` takes.

    Attributes:
        counts: window, stack, value and weight, each pair once.
        windows: window, process, start_ns and end_ns.
        spans: SPANS rows with process and operation.
        wanted: the operations that the question is about.
        names: what people call the operations, by code.
        services: service and stack.
    """

    counts: pl.DataFrame
    windows: pl.DataFrame
    spans: pl.DataFrame
    wanted: I64
    names: Mapping[int, str]
    services: pl.DataFrame

    @classmethod
    def of(cls, scenes: Iterator[Scene], members: Members) -> "Mixture | None":
        """Add up scenes; None without any."""
        cells, spans = [], []
        for scene in scenes:
            cells.append(_cells(scene.samples))
            spans.append(scene.spans)
        if not cells:
            return None
        cell = pl.concat(cells)
        coded, names = _with_operations(pl.concat(spans).unique([*IDS, "start_ns"], keep="any"), members)
        return cls(
            counts=cell.group_by("window", "stack").agg(pl.col("value", "weight").sum()),
            windows=cell.select("window", "process", "start_ns", "end_ns").unique(),
            spans=coded,
            wanted=coded.filter("mine")["operation"].unique().sort().to_numpy(),
            names=names,
            services=cell.select("stack", "service").unique("stack", keep="any"),
        )


def _cells(samples: pl.DataFrame) -> pl.DataFrame:
    """Samples added up by window and stack; a window is a profile's time, or a bin for samples with their own."""
    timed = pl.col("duration_ns") == 0
    start = pl.when(timed).then(pl.col("time_ns") // BIN_NS * BIN_NS).otherwise(pl.col("time_ns"))
    length = pl.when(timed).then(BIN_NS).otherwise(pl.col("duration_ns"))
    keys = ["process", "start_ns", "end_ns"]
    sums = (
        samples.lazy()
        .select("process", "service", "stack", "value", "weight", start_ns=start, end_ns=start + length)
        .group_by(*keys, "service", "stack")
        .agg(pl.col("value", "weight").cast(pl.Int64).sum())
        .collect()
    )
    return sums.with_columns(window=pl.Series(hashing.combine([sums[name].to_numpy() for name in keys])))


def _with_operations(spans: pl.DataFrame, members: Members) -> tuple[pl.DataFrame, dict[int, str]]:
    """Number the operations, those of the members apart: columns operation and mine, and names by number.

    Spans beneath a local root count for its operation: they come and go with it, so nothing tells them apart.
    """
    keys = ["service", "entry", "mine"]
    entry = spans["name"][local_root_rows(spans)].alias("entry")
    marked = spans.with_columns(entry, mine=pl.Series(members.among(spans)))
    operations = marked.select(keys).unique().sort(keys).with_row_index("operation")
    operations = operations.with_columns(pl.col("operation").cast(pl.Int64))
    names = dict(operations.select("operation", "entry").iter_rows())  # few: operations of some services
    return marked.join(operations, on=keys, maintain_order="left"), names
