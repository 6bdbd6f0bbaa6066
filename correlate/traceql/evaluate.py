"""Which of many spans a condition is true of, column by column."""

import operator
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.traceql.attributes import Typed, Values
from correlate.traceql.checks import anchored
from correlate.traceql.operands import Rows, attribute_values, columns_of, same_form, typed
from correlate.traceql.syntax import (
    All,
    Attribute,
    Compare,
    Condition,
    Constant,
    Either,
    Exists,
    Literal,
    Not,
    Truth,
    Type,
)

Mask = npt.NDArray[np.bool_]

_NUMBERS: Final = frozenset({Type.INTEGER, Type.DECIMAL})
_NOT: Final = ("!=", "!~")
_OPERATORS: Final[dict[str, Callable[[pl.Series, pl.Series], pl.Series]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def matching(condition: Condition, rows: Rows) -> Mask:
    """Which rows a condition is true of, shape (n,)."""
    if isinstance(condition, Constant):
        return np.full(len(rows), condition.value)
    if isinstance(condition, Not):
        return ~matching(condition.part, rows)
    if isinstance(condition, All):
        return ~_first_of(condition.parts, rows, wanted=False)
    if isinstance(condition, Either):
        return _first_of(condition.parts, rows, wanted=True)
    return _matching_alone(condition, rows)


def _first_of(parts: Sequence[Condition], rows: Rows, *, wanted: bool) -> Mask:
    """Which rows at least one part is true of (or false of); a row that is decided is not looked at again."""
    found = np.zeros(len(rows), bool)
    for part in sorted(parts, key=_cost):
        undecided = np.flatnonzero(~found)
        if not len(undecided):
            break
        rest = rows if len(undecided) == len(rows) else rows.take(undecided)
        found[undecided] = matching(part, rest) == wanted
    return found


def _cost(condition: Condition) -> int:
    columns = columns_of(condition)
    return 2 * ("attributes" in columns) + ("series" in columns)


def _matching_alone(condition: Compare | Exists | Truth, rows: Rows) -> Mask:
    if isinstance(condition, Compare):
        return _compared(condition, rows)
    if isinstance(condition, Truth):
        return _as_mask(typed(condition.attribute, rows)[Type.BOOLEAN], len(rows))
    if isinstance(condition.field, Attribute):
        return attribute_values(condition.field, rows).present
    return np.asarray((rows.column("parent") != 0).to_numpy())


def _compared(compare: Compare, rows: Rows) -> Mask:
    right = typed(same_form(compare.left, compare.right), rows)
    if not isinstance(compare.left, Attribute):
        return _compare(compare.op, typed(compare.left, rows), right, len(rows))
    values = attribute_values(compare.left, rows)
    found = _compare(compare.op, values.typed(), right, len(rows))
    return found | _members(compare.op, values, right) if isinstance(compare.right, Literal) else found


def _members(op: str, values: Values, limit: Typed) -> Mask:
    """Arrays compared with a literal: one member is enough, but with ``!=`` and ``!~`` it takes all of them."""
    owner, members = values.members()
    count = len(values.kind)
    if not len(owner):
        return np.zeros(count, bool)
    hit = _compare(op, members.typed(), limit, len(owner))
    hits, sizes = np.bincount(owner[hit], minlength=count), np.bincount(owner, minlength=count)
    return np.asarray((hits == sizes) & (sizes > 0) if op in _NOT else hits > 0)


def _compare(op: str, left: Typed, right: Typed, count: int) -> Mask:
    """Compare values of one type with each other, and numbers with numbers."""
    found = np.zeros(count, bool)
    for one, values in left.items():
        for other, limits in right.items():
            if _comparable(op, one, other):
                found |= _as_mask(_apply(op, values, limits), count)
    return found


def _comparable(op: str, one: Type, other: Type) -> bool:
    if one is Type.BOOLEAN:
        return one is other and op in ("=", "!=")
    return one is other or {one, other} <= _NUMBERS


def _apply(op: str, values: pl.Series, limits: pl.Series) -> pl.Series:
    if op in _OPERATORS:
        return _OPERATORS[op](values, limits)
    found = values.str.contains(anchored(limits[0]))
    return found if op == "=~" else ~found


def _as_mask(found: pl.Series, count: int) -> Mask:
    """Null is false; one answer may stand for all rows."""
    return np.broadcast_to(found.fill_null(value=False).to_numpy(), count)
