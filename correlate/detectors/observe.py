"""From samples and spans to observations: the few figures per bucket of time that detectors live on.

Whole columns are grouped, for many services at once. What a bucket has too much of is put together under key 0 and
the name ``other``, so that a service with a million functions costs no more than one with a hundred.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from correlate.detectors.observe_rows import UNIT, Role, alias_of, finished, largest, role_of
from correlate.detectors.observe_spans import with_roots
from correlate.detectors.observe_stacks import Described, functions, sites
from correlate.model.queries import TimeRange
from correlate.tables.hashing import hash_text
from correlate.tables.schema import OBSERVED_FUNCTION, OBSERVED_OPERATION, OBSERVED_SITE, OBSERVED_TOTAL
from correlate.tables.symbols import Symbols

SAMPLE_COLUMNS: Final = ("series", "time_ns", "span", "stack", "value", "weight")
SPAN_COLUMNS: Final = (
    *("trace_hi", "trace_lo", "span", "parent", "service", "name"),
    *("start_ns", "duration_ns", "series"),
)

MOST_INSTANCES: Final = 100
MOST_OPERATIONS: Final = 50
MOST_SITES: Final = 60
MOST_FUNCTIONS: Final = 100
MOST_FUNCTIONS_BESIDE: Final = 40
"""For profile types other than CPU."""

LEAST_SIBLINGS: Final = 4
"""From so many instances on they are compared with one another."""

MOST_COMPARED: Final = 15
"""Functions by which they are."""

_INCLUSIVE_RANK: Final = 0.05
"""Functions are chosen by what they do themselves; what they call counts this much: roots of all stacks call all."""


@dataclass(frozen=True, slots=True)
class Raw:
    """What was received of some services.

    Attributes:
        samples: SAMPLE_COLUMNS.
        spans: SPAN_COLUMNS; also those that began before what is observed and ran into it.
        series: columns series, service_id, service, type, instance, instance_name, version, each series once.
        symbols: stacks and frames of the services.
    """

    samples: pl.DataFrame
    spans: pl.DataFrame
    series: pl.DataFrame
    symbols: Symbols


def reduce(raw: Raw, window: TimeRange, bucket_ns: int, written_ns: int) -> pl.DataFrame:
    """Reduce samples and spans that begin in a window to OBSERVATIONS rows.

    Args:
        raw: what was received; spans outside of the window only help to understand what is inside.
        window: whole buckets.
        bucket_ns: their length; 1 for snapshots each at its own time.
        written_ns: when this is worked out.
    """
    spans = with_roots(raw.spans)
    samples = _within(raw.samples, "time_ns", window).join(_observed(raw.series), on="series", how="inner")
    samples = samples.with_columns(at_ns=pl.col("time_ns"), time_ns=pl.col("time_ns") // bucket_ns * bucket_ns)
    flows = samples.filter(pl.col("role") == Role.FLOW)
    held = samples.filter(pl.col("role") == Role.HELD)
    parts = _requests(_within(spans.filter("is_root"), "start_ns", window), raw.series, bucket_ns)
    if len(flows):
        parts += [*_totals(_processes(flows)), *_functions(flows, raw.symbols), _operations(flows, spans)]
    if len(held):
        parts += _snapshots(held, raw.symbols)
    return finished(parts, raw.series.select("service_id", "service").unique("service_id"), bucket_ns, written_ns)


def _within(rows: pl.DataFrame, time: str, window: TimeRange) -> pl.DataFrame:
    return rows.filter((pl.col(time) >= window.start_ns) & (pl.col(time) < window.end_ns))


def _observed(series: pl.DataFrame) -> pl.DataFrame:
    """The series that are observed, with their role. Types are few."""
    types = series["type"].unique()
    roles = pl.DataFrame({"type": types, "role": [int(role_of(text)) for text in types]}, schema_overrides=_ROLE)
    return series.drop("service").join(roles.filter(pl.col("role") != Role.NONE), on="type")


_ROLE: Final = {"role": pl.Int8}


def _requests(roots: pl.DataFrame, series: pl.DataFrame, bucket_ns: int) -> list[pl.DataFrame]:
    """Numbers and durations of requests: in all, of each process, of each operation."""
    if roots.is_empty():
        return []
    known = roots.join(series.select("series", "instance", "instance_name", "version"), on="series", how="left")
    known = known.with_columns(
        pl.col("instance").fill_null(pl.col("service_id") | 1),
        pl.col("instance_name", "version").fill_null(""),
        type=pl.lit(""),
        time_ns=pl.col("start_ns") // bucket_ns * bucket_ns,
    )
    counted = (pl.len().cast(pl.Int64).alias("spans"), pl.col("duration_ns").sum().alias("busy_ns"))
    by_process = known.group_by(*UNIT, "instance", "version").agg(*counted, pl.col("instance_name").first())
    by_operation = known.group_by(*UNIT, name="operation").agg(counted)
    ranked = _keyed(by_operation).with_columns(rank=pl.col("spans"))
    return [*_totals(by_process), _of_kind(largest(ranked, MOST_OPERATIONS), OBSERVED_OPERATION)]


def _keyed(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(key=pl.Series(hash_text(rows["name"]), dtype=pl.Int64))


def _of_kind(rows: pl.DataFrame, kind: int) -> pl.DataFrame:
    return rows.with_columns(kind=pl.lit(kind, pl.Int8))


def _processes(samples: pl.DataFrame) -> pl.DataFrame:
    """Value and hits of each process."""
    return samples.group_by(*UNIT, "instance", "version").agg(
        pl.col("value", "weight").cast(pl.Int64).sum(), pl.col("instance_name").first()
    )


def _totals(processes: pl.DataFrame) -> list[pl.DataFrame]:
    """Rows of processes, and of the services they belong to."""
    measures = [name for name in ("value", "floor", "weight", "spans", "busy_ns") if name in processes.columns]
    version = pl.when(pl.col("version").n_unique() == 1).then(pl.col("version").first()).otherwise(pl.lit(""))
    whole = processes.group_by(UNIT).agg(
        pl.col(measures).sum(), version.alias("version"), instances=pl.col("instance").n_unique().cast(pl.Int64)
    )
    order = "value" if "value" in measures else "spans"
    place = pl.col(order).rank("ordinal", descending=True).over(UNIT)
    parts = processes.filter(place <= MOST_INSTANCES).rename({"instance_name": "name"})
    return [
        _of_kind(whole, OBSERVED_TOTAL),
        _of_kind(parts.with_columns(instances=pl.lit(1, pl.Int64)), OBSERVED_TOTAL),
    ]


def _functions(flows: pl.DataFrame, symbols: Symbols) -> list[pl.DataFrame]:
    """Own and inclusive value of the largest functions; that of the others is their own."""
    sums = flows.group_by(*UNIT, "stack").agg(pl.col("value", "weight").cast(pl.Int64).sum())
    found = functions(symbols, sums["stack"].unique().to_numpy())
    inclusive = (
        sums.join(found.functions, on="stack")
        .group_by(*UNIT, "key")
        .agg(pl.col("value", "weight").sum(), stack=pl.col("stack").get(pl.col("value").arg_max()))
    )
    own = sums.join(found.own, on="stack").group_by(*UNIT, "key").agg(pl.col("value").sum().alias("self"))
    both = inclusive.join(own, on=[*UNIT, "key"], how="left").with_columns(pl.col("self").fill_null(0))
    named = both.join(found.names, on="key").with_columns(rank=pl.col("self") + pl.col("value") * _INCLUSIVE_RANK)
    main = pl.col("type").is_in([text for text in named["type"].unique() if alias_of(text) == "cpu"])
    cut = [largest(named.filter(main), MOST_FUNCTIONS), largest(named.filter(~main), MOST_FUNCTIONS_BESIDE)]
    value = pl.when(pl.col("key") == 0).then("self").otherwise("value").alias("value")
    whole = [_of_kind(each.with_columns(value), OBSERVED_FUNCTION) for each in cut if len(each)]
    return [*whole, *_of_instances(flows.filter(main), found, named.filter(main))]


def _of_instances(flows: pl.DataFrame, found: Described, named: pl.DataFrame) -> list[pl.DataFrame]:
    """What each of several instances spends in the functions that are largest in all of them together."""
    several = flows.group_by(UNIT).agg(count=pl.col("instance").n_unique()).filter(pl.col("count") >= LEAST_SIBLINGS)
    place = pl.col("self").rank("ordinal", descending=True).over(UNIT)
    chosen = named.filter(place <= MOST_COMPARED).join(several, on=UNIT, how="semi")
    if chosen.is_empty():
        return []
    own = flows.join(several, on=UNIT, how="semi").join(found.own, on="stack").group_by(*UNIT, "instance", "key")
    sums = own.agg(pl.col("value").cast(pl.Int64).sum().alias("self")).join(
        chosen.select(*UNIT, "key", "name", "file", "line"), on=[*UNIT, "key"]
    )
    return [_of_kind(sums.with_columns(value=pl.col("self")), OBSERVED_FUNCTION)]


def _operations(flows: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Value of the samples that name a span, by the operation whose request the span belongs to."""
    sums = flows.filter(pl.col("span") != 0).group_by(*UNIT, "span").agg(pl.col("value", "weight").cast(pl.Int64).sum())
    owners = spans.select("service_id", "span", name="operation").unique(["service_id", "span"])
    by_name = sums.join(owners, on=["service_id", "span"]).group_by(*UNIT, "name")
    ranked = _keyed(by_name.agg(pl.col("value", "weight").sum())).with_columns(rank=pl.col("value"))
    return _of_kind(largest(ranked, MOST_OPERATIONS), OBSERVED_OPERATION)


def _snapshots(held: pl.DataFrame, symbols: Symbols) -> list[pl.DataFrame]:
    """What processes and call sites hold: the mean over the snapshots of a process, added up over processes."""
    process = [*UNIT, "instance", "version"]
    every = held.group_by(*process, "at_ns").agg(pl.col("value").sum(), pl.col("instance_name").first())
    processes = every.group_by(process).agg(
        value=_mean(pl.len()), floor=pl.col("value").min(), weight=pl.len().cast(pl.Int64), name=_FIRST_NAME
    )
    found = sites(symbols, held["stack"].unique().to_numpy())
    placed = held.join(found.own, on="stack", how="left").with_columns(pl.col("key").fill_null(0))
    example = pl.col("stack").get(pl.col("value").arg_max())
    moments = placed.group_by(*process, "key", "at_ns").agg(example, value=pl.col("value").sum())
    counted = moments.join(processes.select(*process, taken="weight"), on=process)
    lowest = pl.when(pl.len() == pl.col("taken").first()).then(pl.col("value").min()).otherwise(0)
    of_process = counted.group_by(*process, "key").agg(example, value=_mean(pl.col("taken").first()), floor=lowest)
    of_site = of_process.group_by(*UNIT, "key").agg(example, pl.col("value", "floor").sum())
    named = of_site.join(found.names, on="key", how="left").with_columns(rank=pl.col("value"))
    return [
        *_totals(processes.rename({"name": "instance_name"})),
        _of_kind(largest(named, MOST_SITES), OBSERVED_SITE),
    ]


_FIRST_NAME: Final = pl.col("instance_name").first()


def _mean(count: pl.Expr) -> pl.Expr:
    return (pl.col("value").sum() / count).round().cast(pl.Int64)
