"""Answers that carry columns; plain values are in ``model.answers``."""

from dataclasses import dataclass, field

import polars as pl

from correlate.model.answers import Confidence, Coverage, Method, Scope, SpanInfo
from correlate.model.profile_type import ProfileType
from correlate.model.queries import TimeRange
from correlate.tables.symbols import Symbols


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a span, of a part of a trace, or of a whole trace.

    Attributes:
        root: the span that was asked for; for a whole trace its first span.
        profile_type: what the values measure.
        evidence: value by method, for the methods that contributed.
        rows: columns stack, value, weight, span, trace_hi, trace_lo.
        symbols: stacks and frames for `rows`.
        window: first start and last end of the spans in scope.
        span_count: how many spans are in scope.
        also: other profile types that have samples for the same spans.
    """

    root: SpanInfo
    profile_type: ProfileType
    scope: Scope
    method: Method
    confidence: Confidence
    coverage: Coverage
    evidence: dict[str, int]
    rows: pl.DataFrame
    symbols: Symbols
    window: TimeRange
    span_count: int
    also: list[str] = field(default_factory=list)
