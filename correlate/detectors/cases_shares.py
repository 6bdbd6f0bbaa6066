"""Cases for the detectors of CPU and waiting: observations become values by function, operation and instance."""

from typing import Final

import numpy as np
import polars as pl

from correlate.detectors import cases
from correlate.detectors.cases import Axis
from correlate.detectors.port import Case
from correlate.detectors.shares import FunctionSeries, InstanceShares, OperationSeries, usual_callers
from correlate.detectors.trend import F64, I64
from correlate.tables.schema import OBSERVED_FUNCTION, OBSERVED_OPERATION, OBSERVED_TOTAL

MOST_FUNCTIONS: Final = 120
_RANK: Final = pl.col("self") + pl.col("value") * 0.05


def function_series(case: Case, alias: str, lookback_s: float) -> FunctionSeries | None:
    """A profile type's value by function; None when the service has no such profiles, or no stack is known."""
    rows = cases.of_type(case.rows, alias)
    totals = cases.whole(rows)
    axis = cases.axis_of(case, totals, lookback_s)
    if axis is None:
        return None
    totals = cases.on(axis, totals)
    functions = cases.strongest(cases.on(axis, cases.of_kind(rows, OBSERVED_FUNCTION)), _RANK, MOST_FUNCTIONS)
    if functions.is_empty():
        return None
    keyed = cases.keyed(case, functions)
    width = len(keyed.sites)
    asked = cases.on(axis, cases.whole(cases.requests(case.rows)))
    names = [site.function for site in keyed.sites]
    return FunctionSeries(
        service=case.service,
        time_ns=axis.time_ns,
        bucket_ns=axis.bucket_ns,
        sites=keyed.sites,
        own=axis.matrix(functions, keyed.columns, "self", width),
        total=axis.matrix(functions, keyed.columns, "value", width),
        whole=axis.lay(totals, "value"),
        hits=axis.lay(totals, "weight"),
        requests=axis.lay(asked, "spans") if len(asked) else None,
        versions=cases.versions(case, axis),
        parents=usual_callers([site.stack for site in keyed.sites], names),
        unit="bytes" if alias.endswith("space") else "nanoseconds",
    )


def operation_series(case: Case, alias: str, series: FunctionSeries) -> OperationSeries | None:
    """The same by operation, on the same buckets; None without traces.

    Operations whose samples nobody named have zeros; None for CPU when none has any: then there is nothing to compare.
    """
    axis = Axis(series.time_ns, series.bucket_ns)
    asked = cases.on(axis, cases.of_kind(cases.requests(case.rows), OBSERVED_OPERATION))
    spent = cases.on(axis, cases.of_kind(cases.of_type(case.rows, alias), OBSERVED_OPERATION))
    spent = spent.join(asked, on="key", how="semi")
    if asked.is_empty() or (alias == "cpu" and spent.is_empty()):
        return None
    keyed = cases.keyed(case, asked)
    width = len(keyed.sites)
    return OperationSeries(
        names=tuple(site.function for site in keyed.sites),
        values=axis.matrix(spent, np.searchsorted(keyed.keys, spent["key"].to_numpy()), "value", width),
        requests=axis.matrix(asked, keyed.columns, "spans", width),
        busy_ns=axis.matrix(asked, keyed.columns, "busy_ns", width),
    )


def instance_shares(case: Case, lookback_s: float) -> InstanceShares | None:
    """What each instance spent its CPU on lately; None when fewer than two are known."""
    recent = case.rows.filter(
        (pl.col("time_ns") >= case.until_ns - max(int(lookback_s * 1e9), case.bucket_ns)) & (pl.col("instance") != 0)
    )
    rows = cases.of_type(recent, "cpu") if len(recent) else recent
    totals = (
        rows.filter(pl.col("kind") == OBSERVED_TOTAL)
        .group_by("instance")
        .agg(pl.col("value", "weight").sum(), pl.col("name").last())
        .sort("instance")
    )
    functions = rows.filter((pl.col("kind") == OBSERVED_FUNCTION) & (pl.col("key") != 0))
    functions = functions.join(totals, on="instance", how="semi")
    if len(totals) < 2 or functions.is_empty():
        return None
    instances = totals["instance"].to_numpy()
    keyed = cases.keyed(case, functions)
    width = len(keyed.sites)
    places = np.searchsorted(instances, functions["instance"].to_numpy()) * width + keyed.columns
    own = np.bincount(places, weights=functions["self"].to_numpy(), minlength=instances.size * width)
    return InstanceShares(
        service=case.service,
        instances=tuple(totals["name"].to_list()),
        names=tuple(site.function for site in keyed.sites),
        own=np.asarray(own, dtype=np.float64).reshape(-1, width),
        whole=totals["value"].to_numpy().astype(np.float64),
        hits=totals["weight"].to_numpy().astype(np.float64),
        requests=_requests(recent, instances),
    )


def _requests(recent: pl.DataFrame, instances: I64) -> F64 | None:
    """Requests of each instance; None unless spans and profiles name all instances alike."""
    served = cases.requests(recent).group_by("instance").agg(pl.col("spans").sum())
    found = pl.DataFrame({"instance": instances}).join(served, on="instance", how="left", maintain_order="left")
    return None if found["spans"].null_count() else found["spans"].to_numpy().astype(np.float64)
