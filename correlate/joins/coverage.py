"""How much of what happened the samples saw, and where all the value went."""

import polars as pl

from correlate.joins.scope import wall_ns
from correlate.model.answers import Accounting, Coverage
from correlate.model.profile_type import ProfileType
from correlate.model.queries import TimeRange
from correlate.tables.schema import EVIDENCE_AMBIGUOUS
from correlate.units import to_base


def coverage(
    rows: pl.DataFrame,
    spans: pl.DataFrame,
    profiles: pl.DataFrame,
    profile_type: ProfileType,
    unattributed: int | None = None,
) -> Coverage:
    """Samples found against samples expected.

    Expected are those of one thread on the CPU for the whole wall time of the spans: an upper bound for work that
    waits, a lower one for work on several threads.

    Args:
        rows: the samples given to the spans, columns value and weight.
        spans: their SPANS rows.
        profiles: PROFILES rows of this type that overlap the spans.
        profile_type: the type, for its units.
        unattributed: value that no span was given; None: that of the samples without a name.
    """
    total = int(rows["value"].sum())
    wall = wall_ns(spans)
    period = largest(profiles["period"])
    unit, factor = to_base(profile_type.sample_unit)
    return Coverage(
        samples=int(rows["weight"].cast(pl.Int64).sum()),
        total=total,
        sampled_ns=total * factor if unit == "nanoseconds" else None,
        wall_ns=wall,
        expected_samples=expected_samples(wall, period, profile_type),
        period=period,
        unattributed=int((profiles["total"] - profiles["labelled"]).sum()) if unattributed is None else unattributed,
    )


def largest(column: pl.Series) -> int:
    """The maximum of an integer column, 0 when it is empty."""
    return int(column.fill_null(0).to_numpy().max(initial=0))


def expected_samples(wall: int, period: int, profile_type: ProfileType) -> float | None:
    """Hits of a thread that is busy for `wall` nanoseconds; None for types that are not sampled by time."""
    unit, factor = to_base(profile_type.period_unit)
    return wall / (period * factor) if unit == "nanoseconds" and period > 0 else None


def account(
    samples: pl.DataFrame, stored: pl.DataFrame, service: str, profile_type: ProfileType, window: TimeRange
) -> Accounting:
    """Say where all the value of a service went; the parts add up to the total.

    Args:
        samples: all SAMPLES rows of the service and type in the window.
        stored: the spans that exist, columns span, trace_hi and trace_lo.
        service: for the answer.
        profile_type: for the answer.
        window: for the answer.
    """
    sums = (
        samples.group_by("span", "trace_hi", "trace_lo", "evidence")
        .agg(pl.col("value").sum())
        .with_columns(known=_is_stored(stored), bucket=pl.lit(""))
        .with_columns(bucket=_bucket())
    )
    by_bucket = dict(sums.group_by("bucket").agg(pl.col("value").sum()).rows())
    parts = ("attributed", "orphaned", "trace_only", "ambiguous", "unlabelled")
    return Accounting(
        service=service,
        profile_type=profile_type,
        window=window,
        total=int(samples["value"].sum()),
        orphan_spans=sums.filter(pl.col("bucket") == "orphaned")["span"].n_unique(),
        **{part: int(by_bucket.get(part, 0)) for part in parts},
    )


def _is_stored(stored: pl.DataFrame) -> pl.Expr:
    """Whether the named span exists, in the named trace where one is named."""
    ids = stored["span"].unique().implode()
    pairs = stored.select(pl.struct("span", "trace_hi", "trace_lo")).to_series().unique().implode()
    no_trace = (pl.col("trace_hi") == 0) & (pl.col("trace_lo") == 0)
    in_trace = pl.struct("span", "trace_hi", "trace_lo").is_in(pairs)
    return pl.when(no_trace).then(pl.col("span").is_in(ids)).otherwise(in_trace)


def _bucket() -> pl.Expr:
    names_span = pl.col("span") != 0
    return (
        pl.when(pl.col("evidence") == EVIDENCE_AMBIGUOUS)
        .then(pl.lit("ambiguous"))
        .when(names_span & pl.col("known"))
        .then(pl.lit("attributed"))
        .when(names_span)
        .then(pl.lit("orphaned"))
        .when((pl.col("trace_hi") != 0) | (pl.col("trace_lo") != 0))
        .then(pl.lit("trace_only"))
        .otherwise(pl.lit("unlabelled"))
    )
