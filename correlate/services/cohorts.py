"""Cohorts: the spans that a query chooses."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from correlate.errors import BadQuery
from correlate.model.queries import TimeRange
from correlate.ports import Lake
from correlate.tables.hashing import mix
from correlate.tables.schema import SPANS
from correlate.traceql.evaluate import Mask
from correlate.traceql.operands import OF_TRACES, Rows
from correlate.traceql.parse import parse
from correlate.traceql.plan import NO_SERIES, Plan, Reach
from correlate.traceql.relations import Forest, needs_whole_traces, possible_traces, related, trace_numbers
from correlate.traceql.write import of_operation, write

DEFAULT_LIMIT: Final = 100_000
CHOSEN_COLUMNS: Final = (
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
    "series",
)

_TRACE: Final = ("trace_hi", "trace_lo")
_TREE: Final = (*_TRACE, "span", "parent")
_FACTS: Final = (*_TRACE, "span", "parent", "service", "name", "start_ns", "duration_ns")
_AROUND_NS: Final = 3_600_000_000_000
_ROWS_AT_ONCE: Final = 2_000_000
_ROWS_WITH_ATTRIBUTES_AT_ONCE: Final = 500_000
_MAX_RELATED: Final = 2_000_000
_MAX_SLICES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Chosen:
    """The spans of a cohort.

    Attributes:
        query: the query, in its usual form.
        window: what its spans overlap.
        spans: columns `CHOSEN_COLUMNS`, each span once, in no order.
        matched: how many spans the query matches.
        services: the services of all of those, sorted.
    """

    query: str
    window: TimeRange
    spans: pl.DataFrame
    matched: int
    services: tuple[str, ...]

    @property
    def cut(self) -> bool:
        """Whether more spans match than were chosen; then these are a sample by the hash of the span id."""
        return self.matched > len(self.spans)


def query_of_operation(service: str, name: str) -> str:
    """The query for all spans of an operation, whatever characters its names are made of."""
    return write(of_operation(service, name))


class Cohorts:
    """Chooses spans by a query in the documented subset of TraceQL.

    Args:
        lake: where the spans are.
        rows_at_once: about so many spans are looked at at a time, which bounds memory; None: as many as suit.
        max_related: the most spans that a query that relates spans to each other may have to look at.
    """

    def __init__(self, lake: Lake, *, rows_at_once: int | None = None, max_related: int = _MAX_RELATED) -> None:
        self._lake = lake
        self._rows_at_once = rows_at_once
        self._max_related = max_related

    def choose(self, q: str, window: TimeRange, limit: int = DEFAULT_LIMIT) -> Chosen:
        """The spans that a query matches and that overlap a window.

        When there are more than `limit`, every one of them has the same chance of being chosen, and the same question
        gets the same answer: the spans are those whose ids have the smallest hashes.

        Raises:
            BadQuery: the query cannot be read, or its relations concern too many spans.
        """
        plan = Plan.of(parse(q))
        matched = self._matched(plan, window) if len(plan.conditions) == 1 else self._related(plan, window)
        sample, count = pl.DataFrame(schema={name: SPANS[name] for name in CHOSEN_COLUMNS}), 0
        services: set[str] = set()
        for part in matched:
            count += len(part)
            services.update(part["service"].unique().to_list())
            sample = _smallest(pl.concat([sample, part.select(CHOSEN_COLUMNS)]), limit)
        return Chosen(write(plan.query), window, sample, count, tuple(sorted(services)))

    def _matched(self, plan: Plan, window: TimeRange) -> Iterator[pl.DataFrame]:
        """Part by part the spans that a ``{ … }`` matches, with a Boolean column for each, called by its number."""
        reach = plan.reach(self._lake.operations())
        columns = tuple(dict.fromkeys((*CHOSEN_COLUMNS, *sorted(plan.of_spans.columns))))
        if reach is None:
            return
        for part in _slices(reach, window, self._at_once(plan)):
            rows = self._lake.spans_where(reach.bounds.span_filter(part), columns)
            if part.start_ns > window.start_ns:  # the slice before has those that began earlier
                rows = rows.filter(pl.col("start_ns") >= part.start_ns)
            yield self._marked(plan, rows, window)

    def _at_once(self, plan: Plan) -> int:
        usual = _ROWS_WITH_ATTRIBUTES_AT_ONCE if "attributes" in plan.columns else _ROWS_AT_ONCE
        return self._rows_at_once or usual

    def _marked(self, plan: Plan, rows: pl.DataFrame, window: TimeRange) -> pl.DataFrame:
        """Those rows that a ``{ … }`` matches, with a Boolean column for each."""
        found = _mark(plan.of_spans, Rows(rows, self._series(plan, rows)))
        if not plan.columns.isdisjoint(OF_TRACES):
            rows = found.join(self._facts(found, window), on=_TRACE, how="left", maintain_order="left")
            found = _mark(plan, Rows(rows, self._series(plan, rows)))
        return found

    def _series(self, plan: Plan, rows: pl.DataFrame) -> pl.DataFrame:
        return self._lake.series(rows["series"].unique().to_list()) if "series" in plan.columns else NO_SERIES

    def _facts(self, rows: pl.DataFrame, window: TimeRange) -> pl.DataFrame:
        """What the traces of some spans are called, and how long they took."""
        spans = self._lake.spans_of_traces(rows.select(_TRACE).unique(), _around(window), _FACTS)
        lasted = spans.group_by(_TRACE).agg(
            trace_duration_ns=(pl.col("start_ns") + pl.col("duration_ns")).max() - pl.col("start_ns").min()
        )
        roots = (
            spans.filter(pl.col("parent") == 0)
            .sort("start_ns", "span")
            .unique(_TRACE, keep="first", maintain_order=True)
        )
        named = roots.select(*_TRACE, root_name="name", root_service="service")
        return lasted.join(named, on=_TRACE, how="left")

    def _related(self, plan: Plan, window: TimeRange) -> Iterator[pl.DataFrame]:
        """The spans that a query with several ``{ … }`` chooses, as one part."""
        rows = self._candidates(plan, window)
        if rows is None:
            return
        trace = trace_numbers(rows)
        rows = rows.filter(possible_traces(plan.query, _marks(plan, rows), trace)[trace])
        tree = rows.select(_TREE)
        if needs_whole_traces(plan.query) and len(rows):
            between = self._lake.spans_of_traces(rows.select(_TRACE).unique(), _around(window), _TREE)
            tree = pl.concat([tree, between])
        marks = [np.append(mark, np.zeros(len(tree) - len(rows), bool)) for mark in _marks(plan, rows)]
        yield rows.filter(related(plan.query, marks, Forest.of(tree))[: len(rows)])

    def _candidates(self, plan: Plan, window: TimeRange) -> pl.DataFrame | None:
        parts, count = [], 0
        for part in self._matched(plan, window):
            parts.append(part)
            count += len(part)
            if count > self._max_related:
                advice = "narrow the window, or ask for more in each { … }"
                raise BadQuery(f"q would relate more than {self._max_related} spans to each other: {advice}")
        return pl.concat(parts) if parts else None


def _mark(plan: Plan, rows: Rows) -> pl.DataFrame:
    marks = plan.marks(rows)
    marked = rows.spans.with_columns(pl.Series(str(number), mark) for number, mark in enumerate(marks))
    return marked.filter(np.logical_or.reduce(marks))


def _marks(plan: Plan, rows: pl.DataFrame) -> list[Mask]:
    return [rows[str(number)].to_numpy() for number in range(len(plan.conditions))]


def _slices(reach: Reach, window: TimeRange, rows_at_once: int) -> Iterator[TimeRange]:
    """A window as far as spans are stored in it, cut so that each piece holds about so many."""
    start_ns, end_ns = max(window.start_ns, reach.stored.start_ns), min(window.end_ns, reach.stored.end_ns)
    count = min(_MAX_SLICES, 1 + int(reach.expected(window) / rows_at_once))
    step_ns = -(-(end_ns - start_ns) // count)
    while start_ns < end_ns:
        yield TimeRange(start_ns, min(start_ns + step_ns, end_ns))
        start_ns += step_ns


def _around(window: TimeRange) -> TimeRange:
    """A window with room for spans of the same traces that lie outside of it."""
    return TimeRange(window.start_ns - _AROUND_NS, window.end_ns + _AROUND_NS)


def _smallest(spans: pl.DataFrame, limit: int) -> pl.DataFrame:
    """At most so many spans, those whose ids have the smallest hashes."""
    if len(spans) <= limit:
        return spans
    return spans[np.argpartition(mix(spans["span"].to_numpy()), limit)[:limit]]
