"""Observations as arrays over time: what the cases of all detectors have in common."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from correlate.detectors.observe_rows import alias_of
from correlate.detectors.port import Case
from correlate.detectors.trend import F64, I64
from correlate.model.verdicts import Site
from correlate.tables.schema import OBSERVED_TOTAL

_WHOLE: Final = pl.col("instance") == 0


@dataclass(frozen=True, slots=True)
class Axis:
    """Buckets of a service, without gaps.

    Attributes:
        time_ns: n begins of buckets.
        bucket_ns: their length.
    """

    time_ns: I64
    bucket_ns: int

    def places(self, times: pl.Series) -> I64:
        """The bucket of each of some times, which must be on the axis."""
        return np.asarray((times.to_numpy() - self.time_ns[0]) // self.bucket_ns, dtype=np.int64)

    def lay(self, rows: pl.DataFrame, column: str) -> F64:
        """A column over time, at most one row per bucket; 0 where there is none."""
        return self.matrix(rows, np.zeros(len(rows), np.int64), column, 1)[:, 0]

    def matrix(self, rows: pl.DataFrame, columns: I64, value: str, width: int) -> F64:
        """An n x width matrix of sums."""
        flat = self.places(rows["time_ns"]) * width + columns
        size = self.time_ns.size * width
        found = np.bincount(flat, weights=rows[value].to_numpy(), minlength=size)
        return np.asarray(found, dtype=np.float64).reshape(self.time_ns.size, width)


def axis_of(case: Case, rows: pl.DataFrame, lookback_s: float) -> Axis | None:
    """The buckets from the first of some rows to now, none older than a time; None without rows."""
    recent = rows.filter(pl.col("time_ns") >= case.until_ns - int(lookback_s * 1e9))
    if recent.is_empty():
        return None
    first = int(recent["time_ns"].to_numpy().min())
    return Axis(np.arange(first, case.until_ns, case.bucket_ns), case.bucket_ns)


def on(axis: Axis, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that are on an axis."""
    return rows.filter((pl.col("time_ns") >= int(axis.time_ns[0])) & (pl.col("time_ns") <= int(axis.time_ns[-1])))


def of_type(rows: pl.DataFrame, alias: str) -> pl.DataFrame:
    """The rows of a profile type by its alias; of several ids that with most hits: two profilers are not added up."""
    ids = [text for text in rows["type"].unique() if alias_of(text) == alias]
    if len(ids) < 2:
        return rows.filter(pl.col("type") == ids[0]) if ids else rows.clear()
    totals = whole(rows.filter(pl.col("type").is_in(ids))).group_by("type").agg(pl.col("weight").sum())
    best = totals.sort("weight", "type", descending=[True, False])["type"]
    return rows.filter(pl.col("type") == best[0]) if len(best) else rows.clear()


def requests(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of spans."""
    return rows.filter(pl.col("type") == "")


def whole(rows: pl.DataFrame) -> pl.DataFrame:
    """Totals of the service as a whole."""
    return rows.filter(_WHOLE & (pl.col("kind") == OBSERVED_TOTAL))


def of_kind(rows: pl.DataFrame, kind: int) -> pl.DataFrame:
    """Rows of a kind about something that has a name, of the service as a whole."""
    return rows.filter(_WHOLE & (pl.col("kind") == kind) & (pl.col("key") != 0))


def versions(case: Case, axis: Axis) -> tuple[str, ...]:
    """The release in each bucket, from whatever tells it; "" where nothing does, or several ran."""
    known = on(axis, whole(case.rows).filter(pl.col("version") != ""))
    alone = known.group_by("time_ns").agg(pl.col("version").first(), count=pl.col("version").n_unique())
    found = np.full(axis.time_ns.size, "", dtype=object)
    alone = alone.filter(pl.col("count") == 1)
    found[axis.places(alone["time_ns"])] = alone["version"].to_numpy()
    return tuple(found.tolist())


def deploys(case: Case) -> I64:
    """Begins of buckets in which another release than before was first seen alone."""
    known = whole(case.rows).filter(pl.col("version") != "").sort("time_ns").unique("time_ns", maintain_order=True)
    changed = known.filter(pl.col("version").ne_missing(pl.col("version").shift()))
    return changed["time_ns"].to_numpy()[1:]


@dataclass(frozen=True, slots=True)
class Keyed:
    """What some rows are about.

    Attributes:
        keys: k keys.
        sites: k places in the code.
        columns: for every row, which key it has.
    """

    keys: I64
    sites: tuple[Site, ...]
    columns: I64


def keyed(case: Case, rows: pl.DataFrame) -> Keyed:
    """Number the keys of some rows; name, place and example are those of each key's last row."""
    last = rows.sort("time_ns").unique("key", keep="last").sort("key")
    keys = last["key"].to_numpy()
    sites = tuple(
        Site(name, file, line, stack=case.stacks.get(stack, ()))
        for name, file, line, stack in last.select("name", "file", "line", "stack").iter_rows()
    )
    return Keyed(keys, sites, np.searchsorted(keys, rows["key"].to_numpy()))


def strongest(rows: pl.DataFrame, rank: pl.Expr, most: int) -> pl.DataFrame:
    """The rows of the keys with the largest sum of something."""
    sums = rows.group_by("key").agg(rank.sum().alias("rank")).top_k(most, by="rank")
    return rows.join(sums, on="key", how="semi")
