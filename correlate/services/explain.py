"""The main job: the profile of a span, of what is beneath it, or of its whole trace."""

import numpy as np
import polars as pl

from correlate.errors import NoProfile
from correlate.joins import absence, coverage, exact, scope
from correlate.joins.exact import Attribution
from correlate.joins.scope import InScope
from correlate.model.answers import Confidence, Method, Reason, Scope, SpanInfo
from correlate.model.ids import TraceId, format_span_id
from correlate.model.profile_type import ProfileType, choose
from correlate.model.queries import SampleFilter, TimeRange
from correlate.ports import Lake
from correlate.services.answers import Profile
from correlate.tables.hashing import hash_one

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
    "profile_ref",
)
_SAMPLE_COLUMNS = ("service", "type", "profile", "trace_hi", "trace_lo", "span", "evidence", "stack", "value", "weight")
_ROWS = ["stack", "value", "weight", "span", "trace_hi", "trace_lo"]


class Explain:
    """Answers "which code ran for this span" from exact evidence."""

    def __init__(self, lake: Lake, *, skew_ns: int) -> None:
        self._lake = lake
        self._skew_ns = skew_ns

    def trace(self, trace: TraceId) -> pl.DataFrame:
        """The SPANS rows of a trace by start time, with the profiler hits that name each (column samples).

        Raises:
            NoProfile: the trace is not stored.
        """
        spans = self._spans(trace)
        everything = scope.in_scope(trace, spans, 0, Scope.TRACE)
        rows = self._samples(everything, (), [])
        return with_samples(spans, rows)

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
            scope_wanted: the span alone, with its descendants, or the whole trace.
            method: one join method, or the strongest there is.

        Raises:
            NoProfile: the span is unknown or has no samples; says which of the reasons it is.
            BadQuery: the profile type is neither an alias nor an id.
        """
        spans = self._spans(trace)
        root = scope.find(spans, span or int(spans["span"][0]))
        if root is None:
            raise _unknown(f"trace {trace} is stored, but has no span {format_span_id(span)}")
        asked = scope.in_scope(trace, spans, root.span, scope_wanted)
        types = self._types(asked.services, wanted_type)
        referred = self._referred_profiles(asked)
        found = self._attribute(asked, types, referred, method) if types else None
        if found is None:
            raise self._absent(root, spans, types, wanted_type)
        chosen, attributed, also = found
        return self._profile(root, asked, chosen, attributed, scope_wanted, also)

    def _spans(self, trace: TraceId) -> pl.DataFrame:
        spans = self._lake.spans_of_trace(trace, _SPAN_COLUMNS)
        if spans.is_empty():
            raise _unknown(
                f"trace {trace} is not stored: its spans were not sent here, or are older than the retention"
            )
        return spans

    def _types(self, services: list[str], wanted: str) -> list[str]:
        known = self._lake.profile_types()
        pairs = list(zip(known["service"].to_list(), known["type"].to_list(), strict=True))  # few
        present = {text for service, text in pairs if service in services}
        return choose(wanted, sorted(present or {text for _, text in pairs}))

    def _referred_profiles(self, asked: InScope) -> list[int]:
        """Content hashes of the profiles whose 16-byte ids the spans name."""
        if not len(asked.referred_profiles):
            return []
        ids = pl.DataFrame(asked.referred_profiles, schema=["profile_hi", "profile_lo"])
        rows = self._lake.profiles([], self._padded(asked.window), ("profile", "profile_hi", "profile_lo"))
        return rows.join(ids, on=["profile_hi", "profile_lo"], how="semi")["profile"].to_list()

    def _samples(self, asked: InScope, type_ids: tuple[int, ...], profiles: list[int]) -> pl.DataFrame:
        """Samples that may belong; where the services' own profiles have none, those of any service are searched."""
        window = self._padded(asked.window)
        wanted = SampleFilter(
            service_ids=tuple(hash_one(service) for service in asked.services),
            type_ids=type_ids,
            start_ns=window.start_ns,
            end_ns=window.end_ns,
            spans=tuple(asked.ids.tolist() + asked.referred_ids.tolist()),
            trace=asked.trace if asked.whole_trace else None,
            profiles=tuple(profiles),
        )
        rows = self._lake.samples(wanted, _SAMPLE_COLUMNS)
        if len(rows):
            return rows
        return self._lake.samples(
            SampleFilter((), type_ids, window.start_ns, window.end_ns, wanted.spans, wanted.trace, wanted.profiles),
            _SAMPLE_COLUMNS,
        )

    def _attribute(
        self, asked: InScope, types: list[str], profiles: list[int], method: Method
    ) -> tuple[ProfileType, Attribution, list[str]] | None:
        """Attribute samples of the one profile type that says most: two profilers of a process are never added up."""
        by_id = {hash_one(text): text for text in types}
        rows = self._samples(asked, tuple(by_id), profiles)
        found = {
            by_id[key]: attributed
            for key, group in _by_type(rows)
            if (attributed := exact.attribute(group, asked, profiles, method)) is not None
        }
        if not found:
            return None
        ranked = sorted(found, key=lambda text: (_strength(found[text]), -len(found[text].rows), text))
        return ProfileType.parse(ranked[0]), found[ranked[0]], ranked[1:]

    def _profile(
        self,
        root: SpanInfo,
        asked: InScope,
        chosen: ProfileType,
        found: Attribution,
        scope_wanted: Scope,
        also: list[str],
    ) -> Profile:
        rows = found.rows
        overlapping = self._lake.profiles(asked.services, asked.window, ("type", "period", "total", "labelled"))
        return Profile(
            root=root,
            profile_type=chosen,
            scope=scope_wanted,
            method=found.method,
            confidence=_confidence(found, asked),
            coverage=coverage.coverage(found, asked, overlapping.filter(pl.col("type") == str(chosen)), chosen),
            evidence=found.evidence,
            rows=rows.select(_ROWS),
            symbols=self._lake.symbols(np.unique(rows["service"].to_numpy()).tolist()),
            window=asked.window,
            span_count=len(asked.spans),
            also=also,
        )

    def _absent(self, root: SpanInfo, spans: pl.DataFrame, types: list[str], wanted: str) -> NoProfile:
        known = self._lake.profile_types().filter(pl.col("service") == root.service)
        mine = known.filter(pl.col("type").is_in(types))
        overlapping = self._lake.profiles([root.service], TimeRange(root.start_ns, root.end_ns), ("type",))
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
        )
        reason, advice = absence.explain(root, facts)
        details: dict[str, object] = {"span": format_span_id(root.span), "service": root.service}
        if facts.labelled_root is not None:
            details["local_root"] = format_span_id(facts.labelled_root)
        return NoProfile(f"{reason.value}: {advice}", reason=reason.value, details=details)

    def _has_samples(self, asked: SpanInfo, spans: pl.DataFrame, types: list[str], root: int | None) -> bool:
        if root is None or root == asked.span or not types:
            return False
        at_root = scope.in_scope(asked.trace, spans, root, Scope.SPAN)
        return bool(len(self._samples(at_root, tuple(hash_one(text) for text in types), [])))

    def _padded(self, window: TimeRange) -> TimeRange:
        return TimeRange(window.start_ns - self._skew_ns, window.end_ns + self._skew_ns)


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


def _by_type(rows: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
    """Samples by the hash of their profile type; those of a single type, the usual case, as they are."""
    types = np.unique(rows["type"].to_numpy()).tolist()
    return [(key, rows if len(types) == 1 else rows.filter(pl.col("type") == key)) for key in types]


def _strength(found: Attribution) -> int:
    return exact.STRONGEST_FIRST.index(found.method)


def _unknown(message: str) -> NoProfile:
    return NoProfile(f"{Reason.UNKNOWN_SPAN.value}: {message}", reason=Reason.UNKNOWN_SPAN.value)


def _confidence(found: Attribution, asked: InScope) -> Confidence:
    spans_named = len(np.unique(found.rows["span"].to_numpy()))
    how = {
        Method.LINK: "each sample carries an OTLP link to its span",
        Method.LABEL: "each sample carries the id of its span",
        Method.PROFILE_ID: "the span names the profile or label that holds its samples",
    }[found.method]
    if len(asked.spans) > 1 and spans_named == 1:
        how += "; only one span in scope is labelled, and it covers the work of its children on the same thread"
    return Confidence("exact", how, 0.0)
