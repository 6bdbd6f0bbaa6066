"""The pipeline on the way in: rules at work on the tables of a payload.

Rules see series (resources and label sets), of which a payload has few; spans, samples, profiles and symbols follow
the series they belong to. What identifies content stays as it was received: ``spans.payload`` and the profile ids are
hashes of what the sender sent, not of what the rules made of it. A payload that is sent again is therefore known
again, also when the rules have changed meanwhile; changed rules hold for what comes from then on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.model.pipeline import Signal, Step
from correlate.tables import hashing
from correlate.tables.pipeline_series import KEPT, SeriesRows, run
from correlate.tables.schema import EVIDENCE_AMBIGUOUS, PROFILES, SERIES
from correlate.tables.series import identify_series
from correlate.tables.tables import Reject, Tables

I64 = npt.NDArray[np.int64]

_MAX_PATTERN_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a step left out of a payload.

    Attributes:
        step: its name.
        signal: spans or profiles.
        count: how many, wholly left out.
        sample_count: rows of samples left out, of profiles that went and of others that stayed.
    """

    step: str
    signal: Signal
    count: int
    sample_count: int = 0


def pattern_problem(pattern: str) -> str | None:
    """Why a regular expression cannot be used, None when it can.

    Patterns are run by an automaton without backtracking, in time linear to the text; what remains is their own size.
    """
    if len(pattern) > _MAX_PATTERN_CHARS:
        return f"the pattern is longer than {_MAX_PATTERN_CHARS} characters"
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError as exc:
        lines = [line.strip() for line in str(exc).splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("error:")), lines[0])
        return f"the pattern {pattern[:80]!r} is no regular expression: {said.removeprefix('error:').strip()}"
    return None


def apply(tables: Tables, steps: Sequence[Step]) -> tuple[Tables, tuple[Dropped, ...]]:
    """Take the rows of a payload through the steps of the pipeline.

    What is left out is told twice: as a value, for counting, and among the rejects as a warning, which counts nothing:
    the sender did nothing wrong.
    """
    if not steps or (tables.series.is_empty() and tables.profiles.is_empty()):
        return tables, ()
    before = _with_bare_profiles(tables)
    received = SeriesRows.of(before)
    rows = run(received, steps)
    if (rows.dropped_by == KEPT).all() and rows.is_like(received):
        return tables, ()
    ids, series = _identified(before, rows, received)
    moves = _moves(before, rows, ids)
    samples = _moved(tables.samples, moves)
    dropped = (*_dropped_spans(tables, moves, steps), *_dropped_profiles(tables, samples, moves, steps))
    left = _follow(tables, samples, series, moves)
    return replace(left, rejects=(*left.rejects, *map(_warning, dropped))), dropped


def _with_bare_profiles(tables: Tables) -> pl.DataFrame:
    """The series, and one without labels for each service and type of profiles that have no samples at all."""
    bare = tables.profiles.filter(pl.col("sample_rows") == 0).select("service", "type").unique()
    if bare.is_empty():
        return tables.series.unique("series", keep="first", maintain_order=True)
    labels = pl.Series([[]] * len(bare), dtype=SERIES["labels"])
    _, own = identify_series(bare.with_columns(labels.alias("labels")))
    return pl.concat([tables.series, own]).unique("series", keep="first", maintain_order=True)


def _identified(before: pl.DataFrame, rows: SeriesRows, received: SeriesRows) -> tuple[I64, pl.DataFrame]:
    return (before["series"].to_numpy(), before) if rows.is_like(received) else identify_series(rows.frame())


def _moves(before: pl.DataFrame, rows: SeriesRows, ids: I64) -> pl.DataFrame:
    """Where every series goes: its place after the rules beside the one before; `step` is the one that dropped it."""
    return pl.DataFrame(
        {
            "series": before["series"],
            "from_name": before["service"],
            "from_service": before["service_id"],
            "type": before["type"],
            "bare": before["labels"].list.len() == 0,
            "to_series": ids,
            "to_name": rows.service,
            "to_service": hashing.hash_text(rows.service),
            "step": rows.dropped_by,
            "kept": rows.dropped_by == KEPT,
        }
    )


def _moved(rows: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    """Spans or samples beside where their series goes; those of a series that nobody described stay."""
    there = moves.select("series", "to_series", "to_name", "to_service", "step", "kept")
    own = pl.col("service")
    stay = (
        pl.col("to_name").fill_null(own) if rows.schema["service"] == pl.String else pl.col("to_service").fill_null(own)
    )
    return rows.join(there, on="series", how="left", maintain_order="left").with_columns(
        stay, pl.col("to_series").fill_null(pl.col("series")), pl.col("kept").fill_null(value=True)
    )


def _follow(tables: Tables, samples: pl.DataFrame, series: pl.DataFrame, moves: pl.DataFrame) -> Tables:
    spans = _moved(tables.spans, moves).filter("kept")
    kept = samples.filter("kept")
    used = pl.concat([spans["to_series"], kept["to_series"]]).unique().implode()
    services = kept.select("service", "to_service").unique()
    return Tables(
        spans=spans.with_columns(series="to_series", service="to_name").select(tables.spans.columns),
        samples=kept.with_columns(series="to_series", service="to_service").select(tables.samples.columns),
        stacks=_symbols(tables.stacks, services),
        frames=_symbols(tables.frames, services),
        series=series.filter(pl.col("series").is_in(used)),
        profiles=_profiles(tables, samples, moves),
        rejects=tables.rejects,
    )


def _symbols(rows: pl.DataFrame, services: pl.DataFrame) -> pl.DataFrame:
    """Stacks or frames under the services that use them now; of one service that became two, under both."""
    if rows.is_empty():
        return rows
    moved = rows.join(services, on="service", how="inner", maintain_order="left")
    return moved.with_columns(service="to_service").select(rows.columns)


def _profiles(tables: Tables, samples: pl.DataFrame, moves: pl.DataFrame) -> pl.DataFrame:
    """Profiles that have samples left, or never had any and are wanted by their service and type alone.

    A profile whose samples end in several services is listed under that of its first one.
    """
    if tables.profiles.is_empty():
        return tables.profiles
    left = samples.group_by("profile").agg(
        torn=~pl.col("kept").all(),
        has_left=pl.col("kept").any(),
        by_samples=pl.col("to_name").filter("kept").first(),
        **_sums(),
    )
    bare = moves.filter("bare").select("type", "kept", service="from_name", by_itself="to_name")
    joined = tables.profiles.join(left, on="profile", how="left", maintain_order="left", suffix="_left").join(
        bare, on=["service", "type"], how="left", maintain_order="left"
    )
    sums = {name: pl.when("torn").then(f"{name}_left").otherwise(name) for name in _sums()}
    return (
        joined.filter(pl.coalesce("has_left", "kept").fill_null(value=True))
        .with_columns(**sums, service=pl.coalesce("by_samples", "by_itself", "service"))
        .select(pl.col(name).cast(kind) for name, kind in PROFILES.items())
    )


def _sums() -> dict[str, pl.Expr]:
    """The sums of PROFILES over the samples of a profile that are left."""
    named = (pl.col("span") != 0) | (pl.col("trace_hi") != 0) | (pl.col("trace_lo") != 0)
    summed = {
        "sample_rows": pl.lit(1, pl.Int64),
        "sample_count": pl.col("weight").cast(pl.Int64),
        "total": pl.col("value"),
        "labelled": pl.col("value") * named,
        "ambiguous": pl.col("value") * (pl.col("evidence") == EVIDENCE_AMBIGUOUS),
    }
    return {name: (each * pl.col("kept")).sum() for name, each in summed.items()}


def _dropped_spans(tables: Tables, moves: pl.DataFrame, steps: Sequence[Step]) -> Iterator[Dropped]:
    if moves["kept"].all():
        return
    gone = tables.spans.select("series").join(moves.filter(~pl.col("kept")), on="series")
    for step, count in zip(*gone["step"].value_counts(sort=True).get_columns(), strict=True):
        yield Dropped(steps[step].name, Signal.SPANS, count)


def _dropped_profiles(
    tables: Tables, samples: pl.DataFrame, moves: pl.DataFrame, steps: Sequence[Step]
) -> Iterator[Dropped]:
    """By the last step that took samples of a profile; profiles without samples by their service and type."""
    if tables.profiles.is_empty() or moves["kept"].all():
        return
    ends = samples.group_by("profile").agg(gone=~pl.col("kept").any(), last_step=pl.col("step").max())
    bare = moves.filter("bare").select("type", "step", service="from_name", bare_gone=~pl.col("kept"))
    gone = (
        tables.profiles.select("profile", "service", "type")
        .join(ends, on="profile", how="left")
        .join(bare, on=["service", "type"], how="left")
        .filter(pl.coalesce("gone", "bare_gone"))
        .select(pl.coalesce("last_step", "step"))
        .to_series()
    )
    for number, step in enumerate(steps):  # a handful, as written in the configuration
        count, sample_count = int((gone == number).sum()), int((samples["step"] == number).sum())
        if count or sample_count:
            yield Dropped(step.name, Signal.PROFILES, count, sample_count)


def _warning(dropped: Dropped) -> Reject:
    what = f"{dropped.count} {dropped.signal.value}"
    parts = f" ({dropped.sample_count} sample rows)" if dropped.sample_count else ""
    return Reject(dropped.signal.value, 0, f"{what}{parts} left out by step {dropped.step!r} of the pipeline")
