"""Cases for the detector of thresholds: levels from profiles where they tell, from Prometheus series where not."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from correlate.detectors import cases
from correlate.detectors.contention import profiling_share
from correlate.detectors.port import RECENT_S, Case
from correlate.detectors.shares import FunctionSeries
from correlate.detectors.threshold import LIMITS, LevelSeries, Quantity
from correlate.tables.schema import OBSERVED_TOTAL

LOOKBACK_S: Final = RECENT_S
MILLIONTHS: Final = 1e6
"""Ratios are observed in millionths, for observations are whole numbers."""


def metric(quantity: Quantity) -> str:
    """The type of observations of a Prometheus series that tells a quantity."""
    return f"metric:{quantity.value}"


def levels(case: Case, cpu: FunctionSeries | None) -> Iterator[LevelSeries]:
    """Every level that is known of a service.

    Args:
        case: what was observed.
        cpu: its CPU time by function.
    """
    recent = case.rows.filter(
        (pl.col("time_ns") >= case.until_ns - int(LOOKBACK_S * 1e9)) & (pl.col("kind") == OBSERVED_TOTAL)
    )
    for quantity in Quantity:
        factor = 1 / MILLIONTHS if LIMITS[quantity].unit == "ratio" else 1.0
        yield from _of_instances(case, recent.filter(pl.col("type") == metric(quantity)), quantity, factor)
    if recent.filter(pl.col("type") == metric(Quantity.GOROUTINES)).is_empty():
        yield from _of_instances(case, cases.of_type(recent, "goroutine"), Quantity.GOROUTINES, 1.0)
    if cpu is not None:
        share = profiling_share(cpu)
        yield LevelSeries(case.service, "", Quantity.PROFILING, cpu.time_ns, share, case.bucket_ns)


def _of_instances(case: Case, rows: pl.DataFrame, quantity: Quantity, factor: float) -> Iterator[LevelSeries]:
    """One level per instance, of at most a hundred."""
    parts = rows.filter(pl.col("instance") != 0).sort("time_ns").partition_by("instance")
    for part in parts or ([rows.sort("time_ns")] if len(rows) else []):
        values = part["value"].to_numpy() * factor
        yield LevelSeries(
            case.service,
            str(part["name"][-1]),
            quantity,
            part["time_ns"].to_numpy(),
            np.asarray(values, dtype=np.float64),
            case.bucket_ns,
        )
