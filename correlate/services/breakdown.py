"""Where the wall time of a span went: loads what the lake has of the span, and explains its time by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import polars as pl

from correlate.errors import NoProfile
from correlate.flame.focus import Kept, Lens, look
from correlate.joins.breakdown import Breakdown, Kind, Seen, breakdown, children_of, times
from correlate.joins.scope import descends_from, find
from correlate.model.answers import Confidence, Method, Reason, Scope, SpanInfo
from correlate.model.ids import TraceId, format_span_id
from correlate.model.profile_type import ProfileType, choose
from correlate.ports import Lake
from correlate.services.answers import Profile
from correlate.units import to_base

_EXACT: Final = frozenset({Method.LINK, Method.LABEL, Method.PROFILE_ID})
_CHILDREN: Final = 100
_NEVER_HIT: Final = frozenset({Reason.TOO_SHORT.value})
"""Reasons that mean: the profiler ran, and the span was too short for it."""

_TYPES: Final = ("cpu", "off_cpu", "block", "mutex", "wall")

_COLLECTORS: Final = Lens(
    focus=r"^runtime\.(gc[A-Z]\w*|GC|bgsweep|bgscavenge)$"  # Go: assists, sweeping, runtime.GC()
    r"|^(_?PyGC_|_PyObject_GC_|gc_collect|gc_alloc|collect_generations)"  # CPython
    r"|GCTaskThread|^(G1|PS|Z|Shenandoah)\w*(Task|Collect|Mark|Evac)"  # HotSpot
    r"|^v8::internal::(Heap::CollectGarbage|MarkCompact|Scavenger)|^\(?garbage collect(or|ion)\)?$"  # V8, Ruby
    r"|^(WKS|SVR)::gc_heap",  # .NET
)


class Explains(Protocol):
    """What can be asked about single spans: `Explain`, or `Fetching`, which asks other systems for what is missing."""

    def trace(self, trace: TraceId) -> pl.DataFrame:
        """The SPANS rows of a trace with a column samples; see `Explain.trace`."""
        ...

    def span_profile(
        self,
        trace: TraceId,
        span: int,
        *,
        wanted_type: str = "cpu",
        scope_wanted: Scope = Scope.SUBTREE,
        method: Method = Method.AUTO,
    ) -> Profile:
        """The profile of one span; see `Explain.span_profile`."""
        ...


@dataclass(frozen=True, slots=True)
class Used:
    """One profile that the breakdown rests on.

    Attributes:
        alias: ``cpu``, ``off_cpu``, ``block``, ``mutex`` or ``wall``.
        time_ns: what it adds up to for the span, before anything is split or scaled.
        samples: hits of the profiler.
        covers_children: whether the work of unlabelled descendants is among them.
    """

    alias: str
    profile_type: ProfileType
    method: Method
    confidence: Confidence
    time_ns: int
    samples: int
    covers_children: bool


@dataclass(frozen=True, slots=True)
class SpanBreakdown:
    """Where the time of a span went, and how that is known.

    Attributes:
        used: the profiles it rests on.
        missing: for each profile type that gave nothing, why.
        children: the longest children, see `joins.breakdown.children_of`.
        children_count: how many children there are.
    """

    span: SpanInfo
    found: Breakdown
    used: tuple[Used, ...]
    missing: Mapping[str, str]
    children: pl.DataFrame
    children_count: int


@dataclass
class _Gathered:
    """What the profile types say, as it is loaded: see `SpanBreakdown`, and what of it explains time."""

    used: list[Used] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    seen: dict[Kind, Seen] = field(default_factory=dict)


class Breakdowns:
    """Answers "what did this span spend its time on"."""

    def __init__(self, lake: Lake, explain: Explains) -> None:
        self._lake = lake
        self._explain = explain

    def of_span(self, trace: TraceId, span: int) -> SpanBreakdown:
        """Where the wall time of a span went.

        Raises:
            NoProfile: the span is not stored, and nobody could give it.
        """
        spans = self._explain.trace(trace)
        root = find(spans, span)
        if root is None:
            raise NoProfile(
                f"{Reason.UNKNOWN_SPAN.value}: trace {trace} is stored, but has no span {format_span_id(span)}",
                reason=Reason.UNKNOWN_SPAN.value,
            )
        gathered = _Gathered()
        for alias in _TYPES:
            self._take(alias, root, spans, gathered)
        return SpanBreakdown(
            root,
            breakdown(times(root, spans), gathered.seen),
            tuple(gathered.used),
            gathered.missing,
            children_of(root, spans, _CHILDREN),
            int(((spans["parent"] == span) & (spans["span"] != span)).sum()),
        )

    def _take(self, alias: str, root: SpanInfo, spans: pl.DataFrame, gathered: _Gathered) -> None:
        """Gather what one profile type says, or why it says nothing."""
        # Of a type that the service never sent, sources are not asked: five questions would wait for them in turn.
        if alias != "cpu" and not self._types(root.service, alias):
            gathered.missing[alias] = f"service {root.service!r} has sent no profile of this type"
            return
        try:
            profile = self._explain.span_profile(
                root.trace, root.span, wanted_type=alias, scope_wanted=Scope.SPAN, method=Method.AUTO
            )
        except NoProfile as exc:
            gathered.missing[alias] = str(exc)
            if alias == "cpu" and exc.reason in _NEVER_HIT:
                gathered.seen[Kind.CPU] = Seen(0.0, 0, self._period_ns(root.service, alias))
            return
        problem = _unusable(alias, profile)
        if problem:
            gathered.missing[alias] = problem
            return
        gathered.used.append(_used(alias, profile, covers_children=_covers_children(profile, root, spans)))
        _see(gathered.used[-1], profile, gathered.seen)

    def _types(self, service: str, alias: str) -> list[str]:
        known = self._lake.profile_types().filter(pl.col("service") == service)
        return choose(alias, known["type"].sort().to_list())

    def _period_ns(self, service: str, alias: str) -> int:
        """The sampling period of the service's first profile type that an alias means, 0 when that is not a time."""
        types = self._types(service, alias)
        mine = self._lake.profile_types().filter((pl.col("service") == service) & pl.col("type").is_in(types[:1]))
        unit, factor = to_base(ProfileType.parse(types[0]).period_unit) if types else ("", 0)
        return int(mine["period"][0]) * factor if unit == "nanoseconds" and len(mine) else 0


def _used(alias: str, profile: Profile, *, covers_children: bool) -> Used:
    return Used(
        alias,
        profile.profile_type,
        profile.method,
        profile.confidence,
        _time_ns(profile) or 0,
        profile.coverage.samples,
        covers_children,
    )


def _unusable(alias: str, profile: Profile) -> str:
    """Why a profile says nothing about the span's own time; "" when it does."""
    if _time_ns(profile) is None:
        return f"{profile.profile_type} does not say what a sample is worth in time"
    if alias == "mutex" and profile.method not in _EXACT:
        return "samples of contended locks that name no span count what others waited for, not the span"
    return ""


def _see(used: Used, profile: Profile, seen: dict[Kind, Seen]) -> None:
    """Add what a profile says to the kinds of evidence; locks are what two profile types say together."""
    kind = {"block": Kind.LOCK, "mutex": Kind.LOCK}.get(used.alias) or Kind(used.alias)
    before = seen.get(kind, Seen(0.0, 0))
    seen[kind] = Seen(
        before.time_ns + used.time_ns, before.samples + used.samples, covers_children=used.covers_children
    )
    if kind is Kind.CPU:
        _, collecting = look(profile.symbols, profile.rows, _COLLECTORS)
        part = Kept.between(profile.rows, collecting).share or 0.0
        seen[Kind.GC] = Seen(used.time_ns * part, round(used.samples * part), covers_children=used.covers_children)


def _time_ns(profile: Profile) -> int | None:
    """What the samples add up to, nanoseconds; None where they do not measure time."""
    found = profile.coverage
    if found.sampled_ns is not None:
        return found.sampled_ns
    unit, factor = to_base(profile.profile_type.period_unit)
    return found.samples * found.period * factor if unit == "nanoseconds" and found.period else None


def _covers_children(profile: Profile, root: SpanInfo, spans: pl.DataFrame) -> bool:
    """Whether samples that name the span were also taken while it worked inside its descendants' spans.

    So it is where the SDK labels local roots only: no descendant in the service has samples of its own. Joins without
    labels give a span its own time only.
    """
    if profile.method not in _EXACT:
        return False
    beneath = spans.filter(pl.Series(descends_from(spans, root.span)) & (spans["span"] != root.span))
    return not (beneath.filter(pl.col("service") == root.service)["samples"] > 0).any()
