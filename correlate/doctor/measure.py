"""From columns to figures. Columns only: what is looped over is the few distinct buckets, operations and series."""

from typing import Final

import polars as pl

from correlate.doctor.clocks import TOLERATED_NS
from correlate.doctor.figures import LabelFigures, OperationFigures, SampledOutFigures, SkewFigures, TraceFigures
from correlate.tables.schema import EVIDENCE_AMBIGUOUS

SAMPLE_COLUMNS: Final = (
    *("span", "trace_hi", "trace_lo", "evidence", "value", "weight", "time_ns", "duration_ns", "series", "stack"),
)
"""What is needed of SAMPLES."""

SPAN_COLUMNS: Final = ("trace_hi", "trace_lo", "span", "parent", "name", "start_ns", "duration_ns", "series")
"""What is needed of the SPANS of a service."""

MAX_OPERATIONS: Final = 100
"""No more operations than these can have a hundredth of the time; names that hold ids may be any number."""

_TRACE: Final = ["trace_hi", "trace_lo"]
SPAN: Final = [*_TRACE, "span"]
"""What identifies a span here: ids; that both sides of a call may share them does no harm."""

_ID_KEYS: Final = ("spanid", "traceid", "profileid", "localrootspanid")
_PROCESS_KEYS: Final = ("service.instance.id", "k8s.pod.name", "k8s.pod.uid", "pod", "container.id", "instance")
_HOST_KEYS: Final = ("host.name", "host.id", "hostname", "host")
_PID_KEYS: Final = ("process.pid", "pid", "process_id")


def marks(series: pl.DataFrame) -> pl.DataFrame:
    """What the labels of series (SERIES rows) tell about their samples.

    Returns:
        One row per series: series, key (a label that looks like an id and is none of those that are read, "": none),
        and sampled (whether it is marked as sampled out).
    """
    plain = pl.element().struct["key"].str.to_lowercase().str.replace_all(r"[ ._-]", "")
    marked = (pl.element().struct["key"] == "__sampled__") & (pl.element().struct["value"] == "true")
    return series.select(
        "series",
        key=pl.col("labels")
        .list.eval(pl.when(plain.is_in(_ID_KEYS)).then(pl.element().struct["key"]).drop_nulls())
        .list.first()
        .fill_null(""),
        sampled=pl.col("labels").list.eval(marked).list.any().fill_null(value=False),
    )


def identity(series: pl.DataFrame) -> frozenset[str]:
    """What tells the processes of some series (SERIES rows) apart, as ``key=value``; a pid counts with its host."""
    labels = series.select("series", pl.col("labels").list.unique()).explode("labels").unnest("labels")
    if labels.is_empty():
        return frozenset()
    own = labels.filter(pl.col("key").is_in(_PROCESS_KEYS)).select(said=pl.format("{}={}", "key", "value"))
    hosts = labels.filter(pl.col("key").is_in(_HOST_KEYS)).select("series", host="value")
    pids = labels.filter(pl.col("key").is_in(_PID_KEYS)).select("series", pid="value")
    both = hosts.join(pids, on="series").select(said=pl.format("host={} pid={}", "host", "pid"))
    return frozenset(pl.concat([own, both])["said"].unique().to_list())


def with_marks(samples: pl.DataFrame, marked: pl.DataFrame) -> pl.DataFrame:
    """Samples with the columns key and sampled of their series."""
    joined = samples.join(marked, on="series", how="left", maintain_order="left")
    return joined.with_columns(pl.col("key").fill_null(""), pl.col("sampled").fill_null(value=False))


def named(samples: pl.DataFrame, cutoff_ns: int) -> pl.DataFrame:
    """Samples (with `with_marks`) added up by what they name.

    Columns span, trace_hi, trace_lo, evidence, key, value, weight and pending: whether the last sample of that span
    is newer than `cutoff_ns`, so that the span may still be running or on its way.
    """
    last = (pl.col("time_ns") + pl.col("duration_ns")).max()
    sums = samples.group_by("span", *_TRACE, "evidence", "key").agg(
        pl.col("value").sum(), pl.col("weight").cast(pl.Int64).sum(), pending=last > cutoff_ns
    )
    return sums.with_columns(pl.col("pending").any().over("span", *_TRACE))


def matched(sums: pl.DataFrame, stored: pl.DataFrame, service: str) -> pl.DataFrame:
    """Sums of `named` with the service of the stored span that each names, null where there is none.

    A span id without a trace is enough where the sample names no trace. Where the two sides of a call share an id,
    the span of `service` itself is meant.

    Args:
        sums: see `named`.
        stored: columns trace_hi, trace_lo, span, service of spans that are stored.
        service: whose samples they are.
    """
    own_first = stored.select(*_TRACE, "span", owner="service").sort(pl.col("owner") != service, maintain_order=True)
    by_both = own_first.unique(SPAN, keep="first", maintain_order=True)
    by_span = own_first.unique("span", keep="first", maintain_order=True).select("span", alone="owner")
    no_trace = (pl.col("trace_hi") == 0) & (pl.col("trace_lo") == 0)
    found = sums.join(by_both, on=SPAN, how="left").join(by_span, on="span", how="left")
    owner = pl.when(pl.col("span") != 0).then(pl.when(no_trace).then("alone").otherwise("owner"))
    return found.with_columns(owner=owner).drop("alone")


def whose(sums: pl.DataFrame, stored: pl.DataFrame) -> pl.DataFrame:
    """The stored spans (rows of `stored`, see `matched`) that `matched` sums name."""
    ids = sums.filter(pl.col("owner").is_not_null())["span"].unique()
    return stored.filter(pl.col("span").is_in(ids.implode()))


def missing(sums: pl.DataFrame) -> pl.DataFrame:
    """The spans (columns trace_hi, trace_lo, span) that `matched` sums name and that are not stored."""
    return sums.filter(pl.col("span") != 0, pl.col("owner").is_null()).select(SPAN).unique()


def labels(sums: pl.DataFrame, traces: pl.DataFrame, profile_type: str, unit: str) -> LabelFigures:
    """Where the value of samples went.

    Args:
        sums: see `matched`.
        traces: columns trace_hi, trace_lo and parent of stored spans of the traces that missing spans are named in.
        profile_type: for the answer.
        unit: for the answer.
    """
    judged = sums.with_columns(
        in_trace=pl.struct(*_TRACE).is_in(traces.select(pl.struct(*_TRACE)).to_series().unique().implode()),
        is_parent=pl.struct(*_TRACE, "span").is_in(
            traces.select(pl.struct(*_TRACE, pl.col("parent").alias("span"))).to_series().unique().implode()
        ),
    ).with_columns(part=_part())
    by_part = dict(judged.group_by("part").agg(pl.col("value").sum()).rows())
    owners = judged.filter(part="attributed").group_by("owner").agg(pl.col("value").sum()).sort("owner")
    parts = ("attributed", "orphaned", "misnamed", "trace_only", "unreadable", "ambiguous", "unlabelled", "pending")
    return LabelFigures(
        profile_type=profile_type,
        unit=unit,
        hits=int(sums["weight"].sum()),
        total=int(sums["value"].sum()),
        orphan_spans=judged.filter(part="orphaned")["span"].n_unique(),
        owners=dict(owners.rows()),
        unreadable_keys=tuple(judged.filter(part="unreadable")["key"].unique().sort().to_list()),
        **{part: int(by_part.get(part, 0)) for part in parts},
    )


def _part() -> pl.Expr:
    """The part of `LabelFigures` that each sum is."""
    names_span = pl.col("span") != 0
    in_stored_trace = pl.col("in_trace") & ~pl.col("is_parent")
    ways = (
        (pl.col("evidence") == EVIDENCE_AMBIGUOUS, "ambiguous"),
        (names_span & pl.col("owner").is_not_null(), "attributed"),
        (names_span & pl.col("pending"), "pending"),
        (names_span & in_stored_trace, "misnamed"),
        (names_span, "orphaned"),
        ((pl.col("trace_hi") != 0) | (pl.col("trace_lo") != 0), "trace_only"),
        (pl.col("key") != "", "unreadable"),
    )
    part = pl.lit("unlabelled")
    for condition, name in reversed(ways):
        part = pl.when(condition).then(pl.lit(name)).otherwise(part)
    return part


def skew(samples: pl.DataFrame, spans: pl.DataFrame) -> SkewFigures | None:
    """How samples lie to the spans they name; None when none of them names any.

    Args:
        samples: SAMPLES rows.
        spans: columns trace_hi, trace_lo, span, start_ns and duration_ns; each span once.
    """
    span_ns = spans.select(*_TRACE, "span", start_ns="start_ns", end_ns=pl.col("start_ns") + pl.col("duration_ns"))
    once = span_ns.unique("span", keep="none")  # an id that two traces use tells nothing
    rows = samples.filter(pl.col("span") != 0).join(once.drop(_TRACE), on="span")
    if rows.is_empty():
        return None
    until = pl.col("time_ns") + pl.col("duration_ns")
    outside = (pl.col("time_ns") > pl.col("end_ns") + TOLERATED_NS) | (until < pl.col("start_ns") - TOLERATED_NS)
    middle = (pl.col("time_ns") - pl.col("start_ns")) / 2 + (until - pl.col("end_ns")) / 2
    weight = pl.col("weight").cast(pl.Int64)
    hits, out, offset = rows.select(
        weight.sum().alias("hits"), weight.filter(outside).sum().alias("out"), middle.median().alias("offset")
    ).row(0)
    own_times = bool((rows["duration_ns"] == 0).mean() or 0.0)
    return SkewFigures(int(hits), int(out), round(offset), own_times)


def operations(spans: pl.DataFrame) -> tuple[OperationFigures, ...]:
    """Spans at which work enters the service, by name, the `MAX_OPERATIONS` with most time.

    These are spans whose parent is no span of the service. See `SPAN_COLUMNS`.
    """
    parents = spans.select(*_TRACE, parent="span").unique()
    entries = spans.join(parents, on=[*_TRACE, "parent"], how="anti")
    total = max(1, int(entries["duration_ns"].sum()))
    grouped = (
        entries.group_by("name")
        .agg(
            span_count=pl.len().cast(pl.Int64),
            median_duration_ns=pl.col("duration_ns").median(),
            time_ratio=pl.col("duration_ns").sum() / total,
        )
        .sort("time_ratio", "name", descending=[True, False])
        .head(MAX_OPERATIONS)
    )
    return tuple(OperationFigures(*row) for row in grouped.rows())


def parents(spans: pl.DataFrame, cutoff_ns: int) -> pl.DataFrame:
    """The parents (columns trace_hi, trace_lo, span) of spans that ended before a time, one row per child."""
    old = pl.col("start_ns") + pl.col("duration_ns") <= cutoff_ns
    return spans.filter(old, pl.col("parent") != 0).select(*_TRACE, span="parent")


def traces(children: pl.DataFrame, stored: pl.DataFrame) -> TraceFigures:
    """How many `parents` of children are not among the stored spans (columns trace_hi, trace_lo, span)."""
    lost = children.join(stored.select(SPAN).unique(), on=SPAN, how="anti")
    return TraceFigures(len(children), len(lost))


def sampled_out(samples: pl.DataFrame, profiles: pl.DataFrame) -> SampledOutFigures:
    """How much of some samples (with `with_marks`) and profiles (PROFILES rows) lost its stacks."""
    total, marked, stackless = samples.select(
        pl.col("value").sum().alias("total"),
        pl.col("value").filter(pl.col("sampled")).sum().alias("marked"),
        pl.col("value").filter(pl.col("sampled") | (pl.col("stack") == 0)).sum().alias("stackless"),
    ).row(0)
    bare = profiles.filter(pl.col("sample_rows") == 0, pl.col("total") > 0)
    return SampledOutFigures(len(profiles), len(bare), int(total), int(marked), int(stackless))
