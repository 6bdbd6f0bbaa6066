"""Recorded and made-up traffic as detectors see it."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from correlate.demo import traffic
from correlate.demo.loading import payload_of
from correlate.detectors.observe import SAMPLE_COLUMNS, SPAN_COLUMNS, Raw, reduce
from correlate.detectors.observe_roll import roll
from correlate.detectors.observe_stacks import stack_names
from correlate.detectors.port import Case
from correlate.formats import registry
from correlate.joins.instances import instances
from correlate.model.queries import TimeRange
from correlate.tables.symbols import Symbols
from correlate.tables.tables import Tables, concat

EVER = TimeRange(0, 1 << 62)
SECOND = 10**9


def read(requests: Iterable[traffic.Recorded]) -> Tables:
    """What some recorded requests carry."""
    return concat(registry.read(payload_of(request)) for request in requests)


def raw_of(tables: Tables) -> Raw:
    """What observing takes."""
    series = tables.series.unique("series")
    return Raw(
        tables.samples.select(SAMPLE_COLUMNS),
        tables.spans.select(SPAN_COLUMNS),
        series.select("series", "service_id", "service", "type").join(instances(series), on="series"),
        Symbols.build(tables.stacks, tables.frames),
    )


def case_of(tables: Tables, service: str, *, bucket_s: int = 300, step_s: int = 1800, pace_ratio: float = 1.0) -> Case:
    """A service at the end of its last bucket, single profiles of the last quarter of an hour included."""
    raw, bucket_ns, step_ns = raw_of(tables), bucket_s * SECOND, step_s * SECOND
    rows = reduce(raw, EVER, bucket_ns, 1)
    until_ns = int(rows["time_ns"].to_numpy().max()) + bucket_ns
    late = reduce(raw, TimeRange(until_ns - 900 * SECOND, until_ns), 1, 1)
    whole = rows.filter(pl.col("time_ns") < until_ns // step_ns * step_ns)
    stacks = np.concatenate([rows["stack"].to_numpy(), late["stack"].to_numpy()])
    return Case(
        service=service,
        until_ns=until_ns,
        bucket_ns=bucket_ns,
        rows=rows,
        step_ns=step_ns,
        history=roll(whole, step_ns, 1) if step_ns > bucket_ns else rows,
        snapshots=late.filter(pl.col("type").str.contains("inuse_space|goroutine")),
        stacks=stack_names(raw.symbols, stacks),
        pace_ratio=pace_ratio,
    )
