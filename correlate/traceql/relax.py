"""Conditions made weaker, so that they can be checked with less at hand."""

from collections.abc import Set as AbstractSet

from correlate.traceql.operands import columns_of
from correlate.traceql.syntax import All, Condition, Constant, Either


def relaxed(condition: Condition, columns: AbstractSet[str]) -> Condition:
    """What a condition says of some columns alone: true of every span that the whole condition is true of."""
    if columns_of(condition) <= columns:
        return condition
    if isinstance(condition, All):
        kept = [part for part in (relaxed(part, columns) for part in condition.parts) if part != Constant(True)]
        return All(tuple(kept)) if len(kept) > 1 else next(iter(kept), Constant(True))
    if isinstance(condition, Either):
        parts = tuple(relaxed(part, columns) for part in condition.parts)
        return Constant(True) if Constant(True) in parts else Either(parts)
    return Constant(True)
