"""What a query needs of the store before anything is read: which columns, and which spans can match at all."""

import functools
import operator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from correlate.model.queries import TimeRange
from correlate.tables.schema import SERIES, SPANS
from correlate.traceql.bounds import NOTHING, Bounds, bounds_of
from correlate.traceql.evaluate import Mask, matching
from correlate.traceql.operands import Rows, columns_of
from correlate.traceql.relax import relaxed
from correlate.traceql.syntax import STATUSES, Condition, Query, filters

NO_SERIES: Final = pl.DataFrame(schema=SERIES)

_OF_SPANS: Final = frozenset(SPANS)
_OF_OPERATIONS: Final = frozenset({"service", "name", "kind"})
_MAX_VALUES: Final = 200


@dataclass(frozen=True, slots=True)
class Reach:
    """Where matching spans can be.

    Attributes:
        bounds: what they are like.
        span_count: how many spans (or failed ones, if only those can match) their operations have, at any time.
        stored: from the first start to the last end of those.
    """

    bounds: Bounds
    span_count: int
    stored: TimeRange

    def expected(self, window: TimeRange) -> float:
        """About how many spans of those operations a window holds, if they came evenly."""
        start_ns, end_ns = max(window.start_ns, self.stored.start_ns), min(window.end_ns, self.stored.end_ns)
        return self.span_count * max(0, end_ns - start_ns) / max(1, self.stored.end_ns - self.stored.start_ns)


@dataclass(frozen=True, slots=True)
class Plan:
    """A query and what it needs.

    Attributes:
        query: the query.
        conditions: those of its ``{ … }``, from left to right.
        columns: what they look at: columns of SPANS, and some of `operands.OF_TRACES`.
    """

    query: Query
    conditions: tuple[Condition, ...]
    columns: frozenset[str]

    @classmethod
    def of(cls, query: Query) -> "Plan":
        """The plan for a query."""
        conditions = tuple(each.condition for each in filters(query))
        return cls(query, conditions, frozenset().union(*map(columns_of, conditions)))

    @property
    def of_spans(self) -> "Plan":
        """The same, as far as a span alone can tell without the rest of its trace; it matches at least as much."""
        weaker = tuple(relaxed(each, _OF_SPANS) for each in self.conditions)
        return Plan(self.query, weaker, self.columns & _OF_SPANS)

    def marks(self, rows: Rows) -> list[Mask]:
        """Which rows each ``{ … }`` matches."""
        return [matching(each, rows) for each in self.conditions]

    def reach(self, operations: pl.DataFrame) -> Reach | None:
        """Where matching spans can be; None: nowhere.

        Args:
            operations: as `ports.Lake.operations` gives them.
        """
        weaker = [relaxed(each, _OF_OPERATIONS) for each in self.conditions]
        able = np.logical_or.reduce([matching(each, Rows(operations, NO_SERIES)) for each in weaker])
        found = operations.filter(pl.Series(able, dtype=pl.Boolean))
        bounds = functools.reduce(operator.or_, map(bounds_of, self.conditions), NOTHING)
        if bounds.empty or found.is_empty():
            return None
        named = bounds if able.all() else bounds & Bounds(services=_few(found, "service"), names=_few(found, "name"))
        stored = TimeRange(int(found["first_ns"].to_numpy().min()), int(found["last_ns"].to_numpy().max()) + 1)
        counted = "error_count" if bounds.statuses == frozenset([STATUSES["error"]]) else "span_count"
        return Reach(named, int(found[counted].to_numpy().sum()), stored)


def _few(operations: pl.DataFrame, column: str) -> frozenset[str] | None:
    values = operations[column].unique()
    return frozenset(values.to_list()) if len(values) <= _MAX_VALUES else None
