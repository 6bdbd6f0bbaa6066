"""Figures of one service: what aggregates say of it, and what its newest samples and spans say."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from correlate.doctor import measure
from correlate.doctor.figures import ArrivalFigures, ServiceFigures, SkewFigures
from correlate.model.profile_type import ProfileType, choose
from correlate.model.queries import TimeRange
from correlate.ports import Lake
from correlate.services import doctor_reading as reading
from correlate.services.doctor_reading import Budget
from correlate.tables.schema import SPANS
from correlate.units import to_base

_PREFERRED: Final = ("cpu", "wall", "off_cpu")
_SURE_HITS: Final = 1_000  # of a thousand hits even one in twenty is fifty


@dataclass(frozen=True, slots=True)
class Known:
    """What aggregates say of a service.

    Attributes:
        service: its name.
        operations: rows of `ports.Lake.operations`, None without spans.
        types: rows of `ports.Lake.profile_types`, None without profiles.
        arrival: the same in sums.
    """

    service: str
    operations: pl.DataFrame | None
    types: pl.DataFrame | None
    arrival: ArrivalFigures

    @classmethod
    def of(cls, service: str, operations: pl.DataFrame | None, types: pl.DataFrame | None, now_ns: int) -> "Known":
        """Add up."""
        arrival = ArrivalFigures(
            span_count=_sum(operations, "span_count"),
            profile_count=_sum(types, "profile_count"),
            last_span_ns=_largest(operations, "last_ns"),
            last_profile_ns=_largest(types, "last_ns"),
            longest_profile_ns=_largest(types, "max_duration_ns"),
            profiles_ahead_ns=0,
            now_ns=now_ns,
        )
        return cls(service, operations, types, arrival)


def gather(lake: Lake, known: Known, budget: Budget) -> ServiceFigures:
    """Measure a service.

    Raises:
        StoreError: the lake cannot be read.
    """
    bare = ServiceFigures(known.service, known.arrival)
    spans = _spans(lake, known)
    return _of_profiles(lake, _of_spans(lake, bare, spans, budget), _Asked(known, budget, spans))


def _spans(lake: Lake, known: Known) -> pl.DataFrame:
    if known.operations is None:
        return pl.DataFrame(schema={name: SPANS[name] for name in measure.SPAN_COLUMNS})
    return reading.spans(lake, known.service, known.operations)


def _of_spans(lake: Lake, figures: ServiceFigures, spans: pl.DataFrame, budget: Budget) -> ServiceFigures:
    if spans.is_empty():
        return figures
    window = _window(spans)
    children = measure.parents(spans, budget.cutoff_ns)
    elsewhere = children.join(spans, on=measure.SPAN, how="anti")
    every = pl.concat([spans.select(measure.SPAN), reading.stored(lake, elsewhere, window).select(measure.SPAN)])
    return replace(
        figures,
        start_ns=window.start_ns,
        end_ns=window.end_ns,
        span_rows=len(spans),
        operations=measure.operations(spans),
        traces=measure.traces(children, every),
        identity=measure.identity(reading.series(lake, spans["series"])),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A service, how much of it may be read, and the newest of its spans."""

    known: Known
    budget: Budget
    spans: pl.DataFrame


def _of_profiles(lake: Lake, figures: ServiceFigures, asked: _Asked) -> ServiceFigures:
    if asked.known.types is None:
        return figures
    wanted = _type(asked.known.types)
    newest = reading.profiles(lake, figures.service, wanted["last_ns"].item())
    mine = newest.filter(type=wanted["type"].item())
    if mine.is_empty():  # retention was quicker
        return figures
    window = reading.sample_window(mine, asked.budget)
    samples = reading.samples(lake, figures.service, wanted["type"].item(), window)
    return _of_samples(lake, figures, _Read(wanted, newest, window, samples), asked)


@dataclass(frozen=True, slots=True)
class _Read:
    """The profile type that is looked at (a row of `profile_types`), the newest profiles, and its newest samples."""

    type: pl.DataFrame
    profiles: pl.DataFrame
    window: TimeRange
    samples: pl.DataFrame


def _of_samples(lake: Lake, figures: ServiceFigures, read: _Read, asked: _Asked) -> ServiceFigures:
    profile_type = ProfileType.parse(read.type["type"].item())
    series = reading.series(lake, read.samples["series"])
    samples = measure.with_marks(read.samples, measure.marks(series))
    sums = measure.named(samples, asked.budget.cutoff_ns)
    stored = reading.stored(lake, sums.filter(pl.col("span") != 0), read.window)
    found = measure.matched(sums, stored, figures.service)
    relatives = reading.relatives(lake, measure.missing(found), read.window)
    return replace(
        figures,
        arrival=replace(figures.arrival, profiles_ahead_ns=_ahead_ns(read.profiles)),
        start_ns=read.window.start_ns,
        end_ns=read.window.end_ns,
        sample_rows=len(samples),
        labels=measure.labels(found, relatives, str(profile_type), profile_type.sample_unit),
        skew=_skew(lake, read.samples, asked.spans, measure.whose(found, stored)),
        period_ns=_period_ns(profile_type, read.type["period"].item()),
        sampled_out=measure.sampled_out(samples, read.profiles),
        identity=figures.identity | measure.identity(series),
    )


def _skew(lake: Lake, samples: pl.DataFrame, spans: pl.DataFrame, named: pl.DataFrame) -> SkewFigures | None:
    """From the spans that were read anyway, unless few of them are named: then from some of those that are."""
    figures = measure.skew(samples, spans)
    if figures is not None and figures.hits >= _SURE_HITS:
        return figures
    return measure.skew(samples, reading.times(lake, named))


def _type(types: pl.DataFrame) -> pl.DataFrame:
    """The row of the profile type that is looked at: of the CPU or else of time, with labels, with most samples."""
    present = types["type"].to_list()
    ids = next((found for alias in _PREFERRED if (found := choose(alias, present))), present)
    ranked = types.filter(pl.col("type").is_in(ids)).sort("labelled", "sample_count", "type", descending=True)
    return ranked.head(1)


def _period_ns(profile_type: ProfileType, period: int) -> int | None:
    unit, factor = to_base(profile_type.period_unit)
    return period * factor if unit == "nanoseconds" and period > 0 else None


def _ahead_ns(profiles: pl.DataFrame) -> int:
    """How far profiles usually end after they were received; 0 where nobody knows when that was."""
    known = profiles.filter(pl.col("received_ns") > 0)
    ahead_ns = known["time_ns"] + known["duration_ns"] - known["received_ns"]
    return round(float(np.median(ahead_ns.to_numpy()))) if len(known) else 0


def _window(spans: pl.DataFrame) -> TimeRange:
    starts, ends = spans["start_ns"].to_numpy(), (spans["start_ns"] + spans["duration_ns"]).to_numpy()
    return TimeRange(int(starts.min()), int(ends.max()) + 1)


def _sum(rows: pl.DataFrame | None, column: str) -> int:
    return 0 if rows is None else int(rows[column].sum())


def _largest(rows: pl.DataFrame | None, column: str) -> int:
    return 0 if rows is None else int(rows[column].to_numpy().max(initial=0))
