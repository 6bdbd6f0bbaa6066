"""Answers that carry columns; plain values are in ``model.answers``."""

from dataclasses import dataclass, field, replace

import polars as pl

from correlate.flame.focus import Kept, Lens, look
from correlate.model.answers import Confidence, Coverage, Method, Scope, Subject
from correlate.model.profile_type import ProfileType
from correlate.model.queries import TimeRange
from correlate.tables.symbols import Symbols


@dataclass(frozen=True, slots=True)
class Profile:
    """The profile of a span, of a part of a trace, of a whole trace, or of a cohort.

    Attributes:
        subject: the span that was asked for, for a whole trace its first span; or the cohort.
        profile_type: what the values measure.
        evidence: value by method, for the methods that contributed.
        rows: columns stack, value, weight, span, trace_hi, trace_lo; span is 0 where only all spans together are known.
        symbols: stacks and frames for `rows`.
        window: first start and last end of the spans in scope.
        span_count: how many spans are in scope.
        also: other profile types that have samples for the same spans.
        frames: of cohorts, the largest functions with 95 % limits: name, place, share, share_low, share_high and, where
            spans are told apart, cost (value per span) with its limits, spans and samples.
        kept: how much of it a lens left, None where none was used.
    """

    subject: Subject
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
    frames: pl.DataFrame | None = None
    kept: Kept | None = None

    def through(self, lens: Lens) -> "Profile":
        """The same, looked at through a lens.

        Raises:
            BadQuery: the lens has a regular expression that cannot be read.
        """
        if lens.is_plain:
            return self
        symbols, rows = look(self.symbols, self.rows, lens)
        return replace(self, symbols=symbols, rows=rows, kept=Kept.between(self.rows, rows))
