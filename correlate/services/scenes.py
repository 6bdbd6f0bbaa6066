"""What inferred joins look at: the samples and the spans of some services in a window, told apart by process."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.joins import process, skew, thread_time, threads
from correlate.joins.process import Processes
from correlate.joins.skew import Skew
from correlate.model.queries import SampleFilter, SpanFilter, TimeRange
from correlate.ports import Lake
from correlate.services.evidence import FETCHED
from correlate.tables.hashing import hash_one
from correlate.tables.schema import EVIDENCE_AMBIGUOUS, EVIDENCE_NONE

SPAN_COLUMNS = (
    *("trace_hi", "trace_lo", "span", "parent", "service", "name", "kind"),
    *("start_ns", "duration_ns", "thread", "series"),
)
SAMPLE_COLUMNS = (
    *("service", "series", "profile", "time_ns", "duration_ns", "thread"),
    *("trace_hi", "trace_lo", "span", "evidence", "stack", "value", "weight"),
)

I64 = npt.NDArray[np.int64]

_POSITIVE = (1 << 63) - 1
_ENOUGH = 200_000
_MORE_NS = 10_000_000_000
"""How much more is looked at on either side where samples have times of their own, to compare the clocks."""

_MOST_CALLERS = 500_000
"""Above so many spans nobody asks what they called: then a span that waits for another service counts as at work."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Samples of one profile type and all spans that ran meanwhile.

    Attributes:
        samples: SAMPLE_COLUMNS and process.
        spans: SPAN_COLUMNS and process; those of other services that were called have the process -1.
        processes: how spans and samples were matched.
        skews: how far the clocks of samples and spans were apart, by process; where that is sure the samples' times
            were corrected.
    """

    samples: pl.DataFrame
    spans: pl.DataFrame
    processes: Processes
    skews: list[Skew] = field(default_factory=list)

    @property
    def margin_ns(self) -> int:
        """How uncertain the samples' times are against those of the spans."""
        return thread_time.MARGIN_NS + max((each.uncertainty_ns or 0 for each in self.skews), default=0)

    @property
    def correction(self) -> str:
        """What was done about clocks, for reasons; "" where nothing was."""
        told = [each.reason for each in self.skews if each.significant and each.offset_ns]
        return "; ".join(told[:1])

    def within(self, window: TimeRange) -> "Scene":
        """The same with those samples only whose interval overlaps a window."""
        return replace(self, samples=self.samples.filter(_overlaps(window)))

    def values_within(self, window: TimeRange) -> I64:
        """The value of each sample, 0 for those whose interval does not overlap a window."""
        return self.samples.select(pl.col("value") * _overlaps(window)).to_series().to_numpy()

    def of_processes(self, chosen: npt.NDArray[np.bool_]) -> "Scene":
        """The same with the samples of those processes only in which some of the spans ran."""
        theirs = self.spans.filter(pl.Series(chosen))["process"].unique().implode()
        return replace(self, samples=self.samples.filter(pl.col("process").is_in(theirs)))

    def without_names(self) -> "Scene":
        """The same with those samples only that name neither a span nor a trace, or two of them."""
        unnamed = pl.col("evidence").is_in([EVIDENCE_NONE, EVIDENCE_AMBIGUOUS])
        return replace(self, samples=self.samples.filter(unnamed))


class Scenes:
    """Loads scenes from a lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def load(self, services: Sequence[str], type_id: int, window: TimeRange, *, waits: bool = True) -> Scene:
        """The samples of a type whose intervals overlap a window, and the spans that overlap those intervals.

        A profile that covers ten seconds is shared by everything that ran in them, so spans are looked for in all of
        its time, not only in the window.

        Args:
            services: their names.
            type_id: hash of the profile type id.
            window: when.
            waits: whether it matters what the spans waited for in other services.
        """
        return self._around(self._seen(services, type_id, window), services, window, waits=waits)

    def _seen(self, services: Sequence[str], type_id: int, window: TimeRange) -> pl.DataFrame:
        """The samples of a window; where they have times of their own, some before and after it too."""
        samples = self._samples(services, type_id, window)
        if len(samples) and not int(samples["duration_ns"].to_numpy().min()):  # clocks show only in the long run
            return self._samples(services, type_id, TimeRange(window.start_ns - _MORE_NS, window.end_ns + _MORE_NS))
        return samples

    def _long(self, services: Sequence[str], type_id: int, window: TimeRange) -> pl.DataFrame:
        """The same in one reading: of a long time a little more costs less than to read it twice."""
        samples = self._samples(services, type_id, TimeRange(window.start_ns - _MORE_NS, window.end_ns + _MORE_NS))
        timed = len(samples) and not int(samples["duration_ns"].to_numpy().min())
        return samples if timed else samples.filter(_overlaps(window))

    def _around(self, samples: pl.DataFrame, services: Sequence[str], window: TimeRange, *, waits: bool) -> Scene:
        """Samples, in their order, with what ran meanwhile."""
        hull = _hull(samples, window)
        spans = self._lake.spans_where(SpanFilter(hull.start_ns, hull.end_ns, tuple(services)), SPAN_COLUMNS)
        return self._told_apart(samples, spans, self._waited_for(spans, hull) if waits else spans.clear())

    def _samples(self, services: Sequence[str], type_id: int, window: TimeRange) -> pl.DataFrame:
        wanted = SampleFilter(tuple(map(hash_one, services)), (type_id,), window.start_ns, window.end_ns)
        rows = self._lake.samples(wanted, SAMPLE_COLUMNS)
        fetched = self._series(rows).filter(
            pl.col("labels").list.eval(pl.element().struct["key"] == FETCHED).list.any()
        )
        return rows.filter(~pl.col("series").is_in(fetched["series"].implode())) if len(fetched) else rows

    def slices(
        self, services: Sequence[str], type_id: int, window: TimeRange, length_ns: int, *, waits: bool = True
    ) -> Iterator[Scene]:
        """The same in pieces of some length, each sample in one of them: that in which its interval begins.

        Where it begins is what its own clock says: pieces may disagree about how far that is off.
        """
        for start_ns in range(window.start_ns, window.end_ns, length_ns):
            piece = TimeRange(start_ns, min(start_ns + length_ns, window.end_ns))
            samples = self._long(services, type_id, piece)
            first, last = start_ns == window.start_ns, piece.end_ns == window.end_ns
            mine = samples.select(
                (pl.lit(first) | (pl.col("time_ns") >= start_ns)) & (pl.lit(last) | (pl.col("time_ns") < piece.end_ns))
            ).to_series()
            if mine.any():
                scene = self._around(samples, services, piece, waits=waits)
                yield replace(scene, samples=scene.samples.filter(mine))

    def _waited_for(self, spans: pl.DataFrame, hull: TimeRange) -> pl.DataFrame:
        """Spans of other services that these spans called: what they wait for."""
        if len(spans) > _MOST_CALLERS:
            return spans.clear()
        trace = ["trace_hi", "trace_lo"]
        others = self._lake.spans_of_traces(spans.select(trace).unique(), hull, SPAN_COLUMNS)
        callers = spans.select(*trace, parent="span")
        mine = spans["service"].unique().implode()
        return others.filter(~pl.col("service").is_in(mine)).join(callers, on=[*trace, "parent"], how="semi")

    def _told_apart(self, samples: pl.DataFrame, spans: pl.DataFrame, others: pl.DataFrame) -> Scene:
        series = self._series(samples)
        found = process.identify(self._series(spans), series)
        of_samples, of_spans = _lasting(found)
        known = spans.join(of_spans, on="series", how="left", maintain_order="left").with_columns(_known())
        seen = samples.join(of_samples, on="series", how="left", maintain_order="left").with_columns(_known())
        known, seen = self._with_threads(known, seen, threads.sample_names(samples, series))
        skews = skew.estimate(_thinned(seen), known) if (seen["duration_ns"] == 0).any() else []
        everything = pl.concat([known, others.with_columns(process=pl.lit(-1, pl.Int64))])
        return Scene(skew.apply(seen, skews), everything, found, skews)

    def _with_threads(
        self, spans: pl.DataFrame, samples: pl.DataFrame, names: I64
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Where samples say their thread's name, tell threads apart by what both sides agree on: ids or names."""
        if not names.any() or spans.is_empty():
            return spans, samples
        starts = spans["start_ns"]
        bounds = SpanFilter(int(starts.to_numpy().min()), int(starts.to_numpy().max()) + 1, _services(spans))
        keys = ["trace_hi", "trace_lo", "span", "start_ns"]
        texts = self._lake.spans_where(bounds, (*keys, "attributes"))
        named = (
            texts.select(keys).with_columns(thread_name=pl.Series(threads.span_names(texts))).unique(keys, keep="any")
        )
        told = spans.join(named, on=keys, how="left", maintain_order="left")["thread_name"].fill_null(0).to_numpy()
        found = threads.thread_keys(spans, samples, told, names)
        return spans.with_columns(thread=pl.Series(found.spans)), samples.with_columns(thread=pl.Series(found.samples))

    def _series(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self._lake.series(rows["series"].unique().to_list())


def _overlaps(window: TimeRange) -> pl.Expr:
    return (pl.col("time_ns") < window.end_ns) & (pl.col("duration_ns") >= window.start_ns - pl.col("time_ns"))


def _thinned(samples: pl.DataFrame) -> pl.DataFrame:
    """Samples enough to compare clocks by."""
    return samples.gather_every(max(1, len(samples) // _ENOUGH))


def _services(spans: pl.DataFrame) -> tuple[str, ...]:
    return tuple(spans["service"].unique().to_list())


def _lasting(found: Processes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The processes of samples and spans under codes that are the same in every slice: one of their spans' series."""
    codes = found.spans.group_by("process").agg(code=pl.col("series").min() & _POSITIVE)
    named = [
        side.join(codes, on="process", how="left").select(
            "series", process=pl.col("code").fill_null(pl.col("series") & _POSITIVE)
        )
        for side in (found.samples, found.spans)
    ]
    return named[0], named[1]


def _known() -> pl.Expr:
    return pl.col("process").fill_null(-1)


def _hull(samples: pl.DataFrame, window: TimeRange) -> TimeRange:
    """The window and all intervals of some samples."""
    if samples.is_empty():
        return window
    times = samples.select(first=pl.col("time_ns").min(), last=(pl.col("time_ns") + pl.col("duration_ns")).max()).row(0)
    return TimeRange(min(window.start_ns, times[0]), max(window.end_ns, times[1] + 1))
