"""Two sets of spans compared: slow with normal, before with after, one span with its operation."""

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.errors import BadQuery, NoProfile
from correlate.flame import diff, significance, spent, words
from correlate.flame.diff import DiffTree
from correlate.flame.focus import Lens, look
from correlate.flame.significance import Basis, Comparison
from correlate.model.answers import CohortInfo, Method, Reason, Scope, SpanInfo
from correlate.model.ids import format_span_id
from correlate.model.profile_type import ProfileType
from correlate.model.queries import TimeRange
from correlate.services.cohort_profiles import CohortProfiles, Gathered, clustered
from correlate.services.cohorts import Chosen, query_of_operation
from correlate.tables.symbols import Symbols

LEAST_SLOW_SPANS = 5
"""Fewer slow spans than this say nothing about what slow spans have in common; the quantile is lowered for them."""

_SPAN = ["trace_hi", "trace_lo", "span", "service", "kind", "start_ns"]
_AROUND_NS = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two sets of spans.

    Attributes:
        name: what sentences call it.
        cohort: the spans.
        gathered: their samples.
    """

    name: str
    cohort: CohortInfo
    gathered: Gathered


@dataclass(frozen=True)
class Compared:
    """What differs between two sets of spans.

    Attributes:
        left: the baseline.
        right: what is compared with it.
        profile_type: what the values measure.
        comparison: the figures by function.
        sentences: the same in words.
        tree: both flame graphs as one.
        threshold_ns: of slow spans, the duration from which on they count as slow; None for other comparisons.
    """

    left: Side
    right: Side
    profile_type: ProfileType
    comparison: Comparison
    sentences: list[str]
    tree: DiffTree
    threshold_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is compared, and how.

    Attributes:
        wanted_type: an alias such as ``cpu``, or a five-part profile type id.
        scope: the spans alone, or with their descendants.
        method: one join method, or the strongest there is; it must tell spans apart.
        basis: whether cost per span or share of the whole decides.
        fdr: the part of the significant functions that may be wrong.
        lens: which part of the stacks to look at.
    """

    wanted_type: str = "cpu"
    scope: Scope = Scope.SUBTREE
    method: Method = Method.AUTO
    basis: Basis = "cost"
    fdr: float = 0.05
    lens: Lens = field(default_factory=Lens)


class Compare:
    """Compares cohorts."""

    def __init__(self, cohorts: CohortProfiles) -> None:
        self._cohorts = cohorts

    def queries(self, left: tuple[str, TimeRange], right: tuple[str, TimeRange], asked: Asked) -> Compared:
        """Two queries, each with its own time. Spans that both choose are on the right side only.

        Raises:
            NoProfile: a side has no spans, no samples that tell its spans apart, or right chooses all of left.
            BadQuery: a query, the profile type or the lens cannot be read.
        """
        baseline, other = (self._cohorts.choose(query, window) for query, window in (left, right))
        apart = baseline.spans.join(other.spans, on=_SPAN, how="anti")
        common = len(baseline.spans) - len(apart)
        if apart.is_empty():
            text = "right chooses every span that left chooses: a span cannot be compared with itself"
            raise NoProfile(f"{Reason.TOO_WEAK.value}: {text}", reason=Reason.TOO_WEAK.value)
        alone = replace(baseline, spans=apart, matched=baseline.matched - common) if common else baseline
        found = self._compared(alone, other, ("left", "right"), asked)
        note = f"The {common:,} spans that both queries choose count for the right side only."
        return replace(found, sentences=[*found.sentences, note]) if common else found

    def slow(self, service: str, operation: str, window: TimeRange, quantile: float, asked: Asked) -> Compared:
        """The slowest spans of an operation with all others of it.

        Args:
            service: where it runs.
            operation: the spans' name.
            window: when.
            quantile: of the durations; spans that lasted longer are slow. Where these are fewer than
                `LEAST_SLOW_SPANS`, the slowest so many are taken.
            asked: how they are compared.

        Raises:
            NoProfile: there are not twice as many spans, or no samples that tell them apart.
            BadQuery: the profile type or the lens cannot be read.
        """
        chosen = self._cohorts.choose(query_of_operation(service, operation), window)
        count = len(chosen.spans)
        if count < 2 * LEAST_SLOW_SPANS:
            text = f"{Reason.TOO_WEAK.value}: {count} spans of {operation!r} are too few to tell slow from normal"
            raise NoProfile(f"{text}: widen the time", reason=Reason.TOO_WEAK.value, details={"query": chosen.query})
        threshold = _threshold(chosen.spans["duration_ns"].to_numpy(), quantile)
        is_slow = pl.col("duration_ns") >= threshold
        normal, slow = _part(chosen, ~is_slow, f"< {threshold}ns"), _part(chosen, is_slow, f">= {threshold}ns")
        if len(slow.spans) > count // 2:
            text = f"{Reason.TOO_WEAK.value}: most spans of {operation!r} took equally long: none of them is slow"
            raise NoProfile(text, reason=Reason.TOO_WEAK.value, details={"query": chosen.query})
        return replace(self._compared(normal, slow, ("normal", "slow"), asked), threshold_ns=threshold)

    def with_operation(self, span: SpanInfo, asked: Asked) -> Compared:
        """One span with all others of its operation, from an hour before it to an hour after.

        Raises:
            NoProfile: it or they have no samples that tell them apart.
            BadQuery: the profile type or the lens cannot be read.
        """
        window = TimeRange(span.start_ns - _AROUND_NS, span.end_ns + _AROUND_NS)
        everything = self._cohorts.choose(query_of_operation(span.service, span.name), window)
        is_it = (pl.col("span") == span.span) & (pl.col("trace_lo") == span.trace.lo)
        is_it &= pl.col("trace_hi") == span.trace.hi
        alone = self._cohorts.choose(query_of_span(span), window)
        others = replace(everything, spans=everything.spans.filter(~is_it))
        if others.spans.is_empty():
            text = f"{Reason.TOO_WEAK.value}: within an hour there is no other span of {span.name!r}"
            raise NoProfile(text, reason=Reason.TOO_WEAK.value)
        return self._compared(others, alone, ("usual", "chosen"), asked)

    def _compared(self, left: Chosen, right: Chosen, names: tuple[str, str], asked: Asked) -> Compared:
        gathered = [self._cohorts.gather(side, asked.wanted_type, asked.scope, asked.method) for side in (left, right)]
        kind = gathered[0].found.profile_type
        if gathered[1].found.profile_type != kind:
            raise BadQuery(f"the sides have profiles of different types, {kind} and {gathered[1].found.profile_type}")
        symbols = [self._cohorts.symbols(each.found) for each in gathered]
        both = symbols[0] if _same(symbols) else _united(symbols)
        rows = [_told_apart(each, name) for each, name in zip(gathered, names, strict=True)]
        looked = [look(both, side, asked.lens) for side in rows]
        tables = [
            spent.by_function(seen, each.members.count, shown)
            for (shown, seen), each in zip(looked, gathered, strict=True)
        ]
        found = significance.compare(tables[0], tables[1], fdr=asked.fdr, basis=asked.basis)
        shown = looked[0][0] if _same([symbols for symbols, _ in looked]) else _united([each for each, _ in looked])
        return Compared(
            Side(names[0], gathered[0].info, gathered[0]),
            Side(names[1], gathered[1].info, gathered[1]),
            kind,
            found,
            [
                _capital(line)
                for line in words.sentences(found, kind.sample_unit, *(f"the {name} side" for name in names))
            ],
            diff.build(shown, looked[0][1], looked[1][1]),
        )


def _threshold(durations_ns: npt.NDArray[np.int64], quantile: float) -> int:
    """From which duration on a span is slow: never so that `LEAST_SLOW_SPANS` are not left on either side.

    Where that duration is the usual one (clocks that tick in milliseconds), only longer spans are slow.
    """
    count = len(durations_ns)
    wanted = min(max(LEAST_SLOW_SPANS, round(count * (1 - quantile))), count - LEAST_SLOW_SPANS)
    durations = np.sort(durations_ns)
    threshold = int(durations[count - wanted])
    above = np.searchsorted(durations, threshold, side="right")
    crowded = count - int(np.searchsorted(durations, threshold)) > max(2 * wanted, count // 2)
    return int(durations[above]) if crowded and above < count else threshold


def query_of_span(span: SpanInfo) -> str:
    """The query for one span."""
    return f'{{ trace:id = "{span.trace}" && span:id = "{format_span_id(span.span)}" }}'


def _part(chosen: Chosen, wanted: pl.Expr, condition: str) -> Chosen:
    """The spans of a cohort that fulfil one more condition on their duration."""
    spans = chosen.spans.filter(wanted)
    query = f"{chosen.query.rstrip(' }')} && duration {condition} }}"
    return Chosen(query, chosen.window, spans, round(chosen.matched * len(spans) / len(chosen.spans)), chosen.services)


def _told_apart(gathered: Gathered, name: str) -> pl.DataFrame:
    rows = clustered(gathered)
    if rows is None:
        text = (
            f"{Reason.TOO_WEAK.value}: the {name} spans have samples by {gathered.found.method.value} only, which "
            "does not tell one span from another; a comparison needs samples that name spans or their threads"
        )
        raise NoProfile(text, reason=Reason.TOO_WEAK.value, details={"query": gathered.chosen.query})
    return rows


def _capital(line: str) -> str:
    return line[:1].upper() + line[1:]


def _same(symbols: list[Symbols]) -> bool:
    return symbols[0] is symbols[1]


def _united(symbols: list[Symbols]) -> Symbols:
    """The stacks and frames of both."""
    stacks, frames = zip(*(each.as_tables() for each in symbols), strict=True)
    return Symbols.build(pl.concat(stacks), pl.concat(frames))
