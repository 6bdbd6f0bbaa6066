"""The main job: the profile of a span, of what is beneath it, or of its whole trace."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from correlate.errors import NoProfile
from correlate.joins import absence, coverage, scope
from correlate.joins.given import Refused
from correlate.joins.scope import InScope
from correlate.model.answers import Method, Reason, Scope, SpanInfo
from correlate.model.ids import TraceId, format_span_id
from correlate.model.profile_type import ProfileType
from correlate.model.queries import TimeRange
from correlate.ports import Lake
from correlate.services.answers import Profile
from correlate.services.evidence import ROWS, Found, told_of_snapshots
from correlate.services.exact_evidence import EXACT, ExactEvidence
from correlate.services.inferred import Inferred
from correlate.services.scenes import Scenes

_SPAN_COLUMNS = (
    "trace_hi",
    "trace_lo",
    "span",
    "parent",
    "service",
    "name",
    "kind",
    "status",
    "start_ns",
    "duration_ns",
    "thread",
    "profile_ref",
)
_TOTALS = ("type", "period", "total", "labelled")


class Explain:
    """Answers "which code ran for this span" by the strongest evidence there is."""

    def __init__(self, lake: Lake, *, skew_ns: int) -> None:
        self._lake = lake
        self._exact = ExactEvidence(lake, skew_ns=skew_ns)
        self._inferred = Inferred(Scenes(lake), self._exact)

    def trace(self, trace: TraceId) -> pl.DataFrame:
        """The SPANS rows of a trace by start time, with the profiler hits that name each (column samples).

        Raises:
            NoProfile: the trace is not stored.
        """
        spans = self._spans(trace)
        return with_samples(spans, self._exact.samples(scope.in_scope(trace, spans, 0, Scope.TRACE), []))

    def span(self, trace: TraceId, span: int) -> SpanInfo:
        """One stored span.

        Raises:
            NoProfile: it is not stored.
        """
        return _found(self._spans(trace), trace, span)

    def span_profile(
        self,
        trace: TraceId,
        span: int,
        *,
        wanted_type: str = "cpu",
        scope_wanted: Scope = Scope.SUBTREE,
        method: Method = Method.AUTO,
    ) -> Profile:
        """The profile of one span.

        Args:
            trace: its trace.
            span: its id; for `Scope.TRACE` 0 means the first span of the trace.
            wanted_type: an alias such as ``cpu``, or a five-part profile type id.
            scope_wanted: the span alone, with its descendants, the whole trace, or the whole process meanwhile.
            method: one join method, or the strongest there is.

        Raises:
            NoProfile: the span is unknown or has no samples; says which of the reasons it is.
            BadQuery: the profile type is neither an alias nor an id.
        """
        spans = self._spans(trace)
        root = _found(spans, trace, span or int(spans["span"][0]))
        of_process = scope_wanted is Scope.WINDOW
        asked = scope.in_scope(trace, spans, root.span, Scope.SPAN if of_process else scope_wanted)
        types = self._exact.types(asked.services, wanted_type)
        found = self._find(_Question(root, asked, spans, types, method), scope_wanted)
        if isinstance(found, Refused):
            raise self._absent(root, spans, types, wanted_type, method, found)
        return self._profile(root, asked, found, scope_wanted)

    def _spans(self, trace: TraceId) -> pl.DataFrame:
        spans = self._lake.spans_of_trace(trace, _SPAN_COLUMNS)
        if spans.is_empty():
            raise _unknown(
                f"trace {trace} is not stored: its spans were not sent here, or are older than the retention"
            )
        return spans

    def _find(self, question: "_Question", scope_wanted: Scope) -> Found | Refused:
        """By name where samples have one, else by what can be inferred."""
        if scope_wanted is Scope.WINDOW:
            return self._inferred.whole_process(question.asked, question.types)
        named = self._exact.of_trace(question.asked, question.types, question.method)
        if named is not None:
            return named
        if question.method in EXACT:
            return Refused(self._not_by(question))
        if question.method is Method.UNMIXED:
            return Refused("one span is too little to unmix: ask for its operation, GET /api/v1/cohorts/profile")
        return self._inferred.of_trace(question.root, question.asked, question.spans, question.types, question.method)

    def _not_by(self, question: "_Question") -> str:
        """What else names the spans, where the exact method asked for does not; "" where nothing does."""
        others = self._exact.of_trace(question.asked, question.types, Method.AUTO)
        if others is None:
            return ""
        why_not = f"no sample says by {question.method.value} that it belongs to these spans"
        return f"{why_not}, but some do by {' and '.join(others.evidence)}"

    def _profile(self, root: SpanInfo, asked: InScope, found: Found, scope_wanted: Scope) -> Profile:
        overlapping = self._lake.profiles(asked.services, asked.window, _TOTALS)
        mine = overlapping.filter(pl.col("type") == str(found.profile_type))
        return Profile(
            subject=root,
            profile_type=found.profile_type,
            scope=scope_wanted,
            method=found.method,
            confidence=told_of_snapshots(found.confidence, found.profile_type, mine),
            coverage=coverage.coverage(found.rows, asked.spans, mine, found.profile_type, found.unattributed),
            evidence=dict(found.evidence),
            rows=found.rows.select(ROWS),
            symbols=self._lake.symbols(np.unique(found.rows["service"].to_numpy()).tolist()),
            window=asked.window,
            span_count=len(asked.spans),
            also=found.also,
        )

    def _absent(
        self, root: SpanInfo, spans: pl.DataFrame, types: list[str], wanted: str, method: Method, refused: Refused
    ) -> NoProfile:
        known = self._lake.profile_types().filter(pl.col("service") == root.service)
        mine = known.filter(pl.col("type").is_in(types))
        overlapping = self._lake.profiles([root.service], TimeRange(root.start_ns, root.end_ns), _TOTALS)
        overlapping = overlapping.filter(pl.col("type").is_in(types))
        labelled_root = scope.local_root(spans, root.span)
        facts = absence.Facts(
            types=known["type"].to_list(),
            profile_type=ProfileType.parse(mine["type"][0]) if len(mine) else None,
            wanted=wanted,
            last_profile_end_ns=coverage.largest(mine["last_ns"]),
            overlapping=len(overlapping),
            period=coverage.largest(mine["period"]),
            labelled_root=labelled_root if self._has_samples(root, spans, types, labelled_root) else None,
            mostly_named=int(overlapping["labelled"].sum()) * 2 > int(overlapping["total"].sum()),
            refused=refused.reason,
            by_name=method is not Method.AUTO,
        )
        reason, advice = absence.explain(root, facts)
        details: dict[str, object] = {"span": format_span_id(root.span), "service": root.service}
        if facts.labelled_root is not None:
            details["local_root"] = format_span_id(facts.labelled_root)
        return NoProfile(f"{reason.value}: {advice}", reason=reason.value, details=details)

    def _has_samples(self, asked: SpanInfo, spans: pl.DataFrame, types: list[str], root: int | None) -> bool:
        if root is None or root == asked.span or not types:
            return False
        return bool(len(self._exact.samples(scope.in_scope(asked.trace, spans, root, Scope.SPAN), types)))


@dataclass(frozen=True, slots=True)
class _Question:
    """What was asked, looked up."""

    root: SpanInfo
    asked: InScope
    spans: pl.DataFrame
    types: list[str]
    method: Method


def with_samples(spans: pl.DataFrame, samples: pl.DataFrame) -> pl.DataFrame:
    """Add to SPANS rows how many profiler hits name each span, of the profile type with the most."""
    own = ["span", "trace_hi", "trace_lo"]
    named = samples.group_by(*own, "type").agg(samples=pl.col("weight").cast(pl.Int64).sum())
    theirs = (pl.col("trace_hi_named") == 0) & (pl.col("trace_lo_named") == 0)
    theirs |= (pl.col("trace_hi_named") == pl.col("trace_hi")) & (pl.col("trace_lo_named") == pl.col("trace_lo"))
    sums = (
        spans.select(own)
        .unique()
        .join(named, on="span", suffix="_named")
        .filter(theirs)
        .group_by(*own, "type")
        .agg(pl.col("samples").sum())
        .group_by(own)
        .agg(pl.col("samples").max())
    )
    return spans.join(sums, on=own, how="left", maintain_order="left").with_columns(pl.col("samples").fill_null(0))


def _found(spans: pl.DataFrame, trace: TraceId, span: int) -> SpanInfo:
    found = scope.find(spans, span)
    if found is None:
        raise _unknown(f"trace {trace} is stored, but has no span {format_span_id(span)}")
    return found


def _unknown(message: str) -> NoProfile:
    return NoProfile(f"{Reason.UNKNOWN_SPAN.value}: {message}", reason=Reason.UNKNOWN_SPAN.value)
