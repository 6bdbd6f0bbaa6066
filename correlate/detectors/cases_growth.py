"""Cases for the detectors of growth: observations become memory and counts over time, in all and by call site.

A service with several instances is judged as its usual instance (the mean), so that adding instances is no leak; an
instance that grows alone is judged by itself.
"""

from dataclasses import fields, replace
from typing import Final

import numpy as np
import polars as pl

from correlate.detectors import cases
from correlate.detectors.leak_options import MIB, LeakOptions
from correlate.detectors.leak_series import MemorySeries
from correlate.detectors.leak_sites import SiteSeries
from correlate.detectors.port import Case
from correlate.detectors.sensitivity import Sensitivity
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Site
from correlate.tables.schema import OBSERVED_SITE, OBSERVED_TOTAL

MOST_SITES: Final = 80
MEMORY_LIMIT: Final = "metric:memory_limit_bytes"
"""Type of observations that tell the memory limit of an instance."""

LEAST_RECENT_GROWTH: Final = {"inuse_space": 8 * MIB, "goroutine": 50}
"""Growth within minutes that makes it worth to look at single profiles, by alias."""

_FELL_RATIO: Final = 1 / 3
"""What falls below this part of what it was just before was started anew."""

_REGROUPED_RATIO: Final = 0.5


def options_for(case: Case, options: LeakOptions) -> LeakOptions:
    """The constants on the clock of a case, and as sensitive as its owner wants them."""
    scaled = options if case.pace_ratio == 1 else replace(options.scaled(case.pace_ratio), day_s=0.0)
    return adjusted(scaled, case.sensitivity)


def adjusted(options: LeakOptions, sensitivity: Sensitivity) -> LeakOptions:
    """The same for a service whose owner wants to hear less or more."""
    factors = {}
    for each in fields(options):
        if each.name.endswith("_p_ratio"):
            factors[each.name] = sensitivity.chance_factor
        elif "growth" in each.name:
            factors[each.name] = sensitivity.effect_factor
    return replace(options, **{name: getattr(options, name) * factor for name, factor in factors.items()})


def usual_instance(case: Case, alias: str, options: LeakOptions) -> SiteSeries | None:
    """What the usual instance of a service holds, by call site; None when that is not known."""
    rows = cases.of_type(_looked_at(case, options), alias)
    totals = cases.whole(rows).sort("time_ns")
    if totals.is_empty():
        return None
    instances = np.maximum(totals["instances"].to_numpy(), 1)
    floors = totals["floor"].to_numpy() / instances
    total = MemorySeries(
        service=case.service,
        instance="" if instances[-1] > 1 else _name(rows),
        time_ns=totals["time_ns"].to_numpy(),
        bytes=floors,
        requests=_requests(case, totals, instances),
        restarts_ns=_restarts(totals, floors, instances),
        deploys_ns=cases.deploys(case),
        limit_bytes=_limit(case),
    )
    return _by_site(case, cases.of_kind(rows, OBSERVED_SITE), total, instances)


def snapshots(case: Case, alias: str) -> SiteSeries | None:
    """What the process that grew most held at each of the last profiles; None when none grew."""
    rows = cases.of_type(case.snapshots, alias) if len(case.snapshots) else case.snapshots
    totals = cases.whole(rows).sort("time_ns")
    if totals.is_empty():
        return None
    total = MemorySeries(
        service=case.service,
        instance=_name(rows),
        time_ns=totals["time_ns"].to_numpy(),
        bytes=totals["value"].to_numpy().astype(np.float64),
        deploys_ns=cases.deploys(case),
        limit_bytes=_limit(case),
    )
    return _by_site(case, cases.of_kind(rows, OBSERVED_SITE), total, np.ones(len(totals), np.int64))


def lone_instances(case: Case, alias: str, options: LeakOptions, most: int = 3) -> list[MemorySeries]:
    """Instances that grew more than the others, most first; none where a service has only one."""
    rows = cases.of_type(_looked_at(case, options), alias)
    parts = rows.filter((pl.col("kind") == OBSERVED_TOTAL) & (pl.col("instance") != 0)).sort("time_ns")
    third = pl.len() // 3
    grown = (
        parts.group_by("instance")
        .agg(
            growth=pl.col("floor").tail(third).mean() - pl.col("floor").head(third).mean(),
            last_ns=pl.col("time_ns").last(),
        )
        .filter(pl.col("last_ns") >= case.until_ns - 2 * case.bucket_ns)
    )
    if len(grown) < 2:
        return []
    usual = float(np.median(grown["growth"].fill_null(0).to_numpy()))
    beyond = grown.filter(pl.col("growth") - usual >= options.least_growth / 3).top_k(most, by="growth")
    return [_instance(case, parts.filter(pl.col("instance") == each)) for each in beyond["instance"].to_list()]


def leaked(case: Case) -> tuple[F64, tuple[Site, ...]]:
    """Counts and stacks of the last `goroutineleak` profiles: k counts and k sites."""
    rows = cases.of_kind(cases.of_type(case.rows, "goroutineleak"), OBSERVED_SITE)
    last = rows.filter(pl.col("time_ns") >= case.until_ns - case.bucket_ns)
    keyed = cases.keyed(case, last)
    counts = np.bincount(keyed.columns, weights=last["value"].to_numpy(), minlength=len(keyed.sites))
    return np.asarray(counts, dtype=np.float64), keyed.sites


def _looked_at(case: Case, options: LeakOptions) -> pl.DataFrame:
    """Rows of what is judged, and of the day before it."""
    reach_s = options.lookback_s + options.day_s + options.warm_up_s + options.confirm_s
    return case.rows.filter(pl.col("time_ns") >= case.until_ns - int(reach_s * 1e9))


def _by_site(case: Case, rows: pl.DataFrame, total: MemorySeries, instances: I64) -> SiteSeries:
    column = "value" if total.bytes.size and rows.is_empty() else "floor"
    found = cases.strongest(rows, pl.col("value").cast(pl.Float64), MOST_SITES)
    keyed = cases.keyed(case, found)
    places = np.searchsorted(total.time_ns, found["time_ns"].to_numpy())
    flat = keyed.columns * total.time_ns.size + places
    sums = np.bincount(flat, weights=found[column].to_numpy(), minlength=len(keyed.sites) * total.time_ns.size)
    by_site = np.asarray(sums, dtype=np.float64).reshape(len(keyed.sites), total.time_ns.size) / instances
    return SiteSeries(total, by_site, keyed.sites)


def _instance(case: Case, rows: pl.DataFrame) -> MemorySeries:
    floors = rows["floor"].to_numpy().astype(np.float64)
    return MemorySeries(
        service=case.service,
        instance=_name(rows),
        time_ns=rows["time_ns"].to_numpy(),
        bytes=floors,
        requests=_requests(case, rows, np.ones(len(rows), np.int64), int(rows["instance"][0])),
        restarts_ns=_restarts(rows, floors, np.ones(len(rows), np.int64)),
        deploys_ns=cases.deploys(case),
        limit_bytes=_limit(case),
    )


def _requests(case: Case, totals: pl.DataFrame, instances: I64, instance: int = 0) -> F64 | None:
    """Requests of each bucket that one instance served; None where no spans tell."""
    spans = cases.requests(case.rows).filter((pl.col("kind") == OBSERVED_TOTAL) & (pl.col("instance") == instance))
    counted = spans.select("time_ns", count="spans").unique("time_ns")
    found = totals.select("time_ns").join(counted, on="time_ns", how="left", maintain_order="left")["count"]
    if found.null_count() == len(found):
        return None
    return np.asarray(found.fill_null(0).to_numpy() / instances, dtype=np.float64)


def _restarts(totals: pl.DataFrame, floors: F64, instances: I64) -> I64:
    """Buckets in which the memory was all new: it fell to a third, or most instances came or went."""
    fell = floors[1:] < floors[:-1] * _FELL_RATIO
    regrouped = np.abs(np.diff(instances)) > _REGROUPED_RATIO * instances[:-1]
    return totals["time_ns"].to_numpy()[1:][fell | regrouped]


def _limit(case: Case) -> float | None:
    told = case.rows.filter(pl.col("type") == MEMORY_LIMIT)
    return float(told.sort("time_ns")["value"][-1]) if len(told) else None


def _name(rows: pl.DataFrame) -> str:
    named = rows.filter((pl.col("kind") == OBSERVED_TOTAL) & (pl.col("instance") != 0))
    return str(named.sort("time_ns")["name"][-1]) if len(named) else ""
