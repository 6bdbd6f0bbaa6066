"""What a condition implies of the columns that the store can select by: every span it is true of lies within."""

import functools
import math
import operator
from dataclasses import dataclass
from typing import Final, TypeVar

from correlate.model.queries import SpanFilter, TimeRange
from correlate.traceql.literals import INT64_MAX
from correlate.traceql.syntax import (
    SERVICE,
    All,
    Compare,
    Condition,
    Constant,
    Either,
    Field,
    Intrinsic,
    Literal,
)

T = TypeVar("T", str, int)

_SETS: Final[dict[Field, str]] = {
    SERVICE: "services",
    Intrinsic.NAME: "names",
    Intrinsic.KIND: "kinds",
    Intrinsic.STATUS: "statuses",
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """The spans that can match; None: any value can.

    Attributes:
        services: their services; empty, as for the other sets: no span can match.
        names: their names.
        kinds: their OTLP SpanKinds.
        statuses: their OTLP StatusCodes.
        shortest_ns: the shortest duration.
        longest_ns: the longest.
    """

    services: frozenset[str] | None = None
    names: frozenset[str] | None = None
    kinds: frozenset[int] | None = None
    statuses: frozenset[int] | None = None
    shortest_ns: int = 0
    longest_ns: int = INT64_MAX

    def __and__(self, other: "Bounds") -> "Bounds":
        sets = {name: _both(getattr(self, name), getattr(other, name)) for name in _SETS.values()}
        shortest, longest = max(self.shortest_ns, other.shortest_ns), min(self.longest_ns, other.longest_ns)
        return Bounds(**sets, shortest_ns=shortest, longest_ns=longest)

    def __or__(self, other: "Bounds") -> "Bounds":
        if self.empty or other.empty:
            return other if self.empty else self
        sets = {name: _any(getattr(self, name), getattr(other, name)) for name in _SETS.values()}
        shortest, longest = min(self.shortest_ns, other.shortest_ns), max(self.longest_ns, other.longest_ns)
        return Bounds(**sets, shortest_ns=shortest, longest_ns=longest)

    @property
    def empty(self) -> bool:
        """Whether no span can match."""
        no_value = any(getattr(self, name) == frozenset() for name in _SETS.values())
        return no_value or self.shortest_ns > self.longest_ns

    def span_filter(self, window: TimeRange) -> SpanFilter:
        """The same for the store, for spans that overlap a window."""
        return SpanFilter(
            window.start_ns,
            window.end_ns,
            services=tuple(sorted(self.services or ())),
            names=tuple(sorted(self.names or ())),
            min_duration_ns=self.shortest_ns,
            max_duration_ns=None if self.longest_ns == INT64_MAX else self.longest_ns,
            kinds=tuple(sorted(self.kinds or ())),
            statuses=tuple(sorted(self.statuses or ())),
        )


def _both(one: frozenset[T] | None, other: frozenset[T] | None) -> frozenset[T] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other


def _any(one: frozenset[T] | None, other: frozenset[T] | None) -> frozenset[T] | None:
    return None if one is None or other is None else one | other


NOTHING: Final = Bounds(services=frozenset())


def bounds_of(condition: Condition) -> Bounds:
    """What a condition implies. What is negated implies nothing."""
    if isinstance(condition, All):
        return functools.reduce(operator.and_, map(bounds_of, condition.parts))
    if isinstance(condition, Either):
        return functools.reduce(operator.or_, map(bounds_of, condition.parts))
    if isinstance(condition, Compare):
        return _of_comparison(condition)
    return NOTHING if condition == Constant(False) else Bounds()


def _of_comparison(compare: Compare) -> Bounds:
    field, wanted = compare.left, compare.right
    if isinstance(field, Literal) or not isinstance(wanted, Literal):
        return Bounds()
    if field is Intrinsic.DURATION and isinstance(wanted.value, int | float):
        return _of_duration(compare.op, wanted.value)
    if compare.op == "=" and field in _SETS:
        return Bounds(**{_SETS[field]: frozenset([wanted.value])})  # type: ignore[arg-type]  # types were checked
    return Bounds()


def _of_duration(op: str, limit: float) -> Bounds:
    """Whole nanoseconds around a limit that may be a decimal number; what lies on it is decided later."""
    low = max(0, min(math.floor(limit), INT64_MAX)) if op in ("=", ">", ">=") else 0
    high = max(-1, min(math.ceil(limit), INT64_MAX)) if op in ("=", "<", "<=") else INT64_MAX
    return Bounds(shortest_ns=low, longest_ns=high)
