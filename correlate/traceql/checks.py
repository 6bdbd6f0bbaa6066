"""What may be compared with what: a comparison that could never be true is a mistake, and said to be one.

Source: Tempo's validation of types. Stricter in one point: an attribute has no unit, so none compares with a duration.
"""

from dataclasses import dataclass
from typing import Final, NoReturn

import polars as pl

from correlate.errors import BadQuery
from correlate.traceql.syntax import (
    KINDS,
    SERVICE,
    STATUSES,
    Attribute,
    Compare,
    Condition,
    Constant,
    Exists,
    Intrinsic,
    Literal,
    Not,
    Operand,
    Truth,
    Type,
    type_of,
)

NUMBERS: Final = frozenset({Type.INTEGER, Type.DECIMAL, Type.DURATION})

_EQUALITY: Final = ("=", "!=")
_ORDER: Final = (*_EQUALITY, "<", "<=", ">", ">=")
_REGEX: Final = ("=~", "!~")
_OPERATORS: Final = {
    Type.ANY: (*_ORDER, *_REGEX),
    Type.STRING: (*_ORDER, *_REGEX),
    **dict.fromkeys(NUMBERS, _ORDER),
    **dict.fromkeys((Type.BOOLEAN, Type.STATUS, Type.KIND), _EQUALITY),
}
_WITH_ATTRIBUTES: Final = frozenset({Type.ANY, Type.STRING, Type.BOOLEAN, *NUMBERS})
_WORDS: Final = {
    Type.STATUS: f"status = {' or '.join(STATUSES)}",
    Type.KIND: f"kind = {' or '.join(KINDS)}",
    Type.DURATION: "a duration with its unit, as 100ms",
}
_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_LONGEST_REGEX: Final = 1024


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a query, and where it begins."""

    value: Operand | Condition
    at: int


def wrong(position: int, sentence: str) -> NoReturn:
    """Say what is wrong, and where.

    Raises:
        BadQuery: always.
    """
    raise BadQuery(f"q, position {position + 1}: {sentence}")


def condition_of(part: Part) -> Condition:
    """A piece as a condition.

    Raises:
        BadQuery: it is a value.
    """
    value = part.value
    if isinstance(value, Attribute):
        return Truth(value)
    if isinstance(value, Literal) and isinstance(value.value, bool):
        return Constant(value.value)
    if isinstance(value, Literal | Intrinsic):
        wrong(part.at, f"{_article(type_of(value))} alone is no condition: compare it, as in duration > 100ms")
    return value


def comparison(left: Part, op: str, right: Part) -> Condition:
    """Two values compared; the field comes first, for whoever reads the tree.

    Raises:
        BadQuery: they cannot be compared that way.
    """
    one, other = _operand(left), _operand(right)
    if Literal(Type.NIL, "") in (one, other):
        return _presence(left if other == Literal(Type.NIL, "") else right, op)
    if op in _REGEX:
        _check_regex(right, op)
    elif isinstance(one, Literal) and not isinstance(other, Literal):
        return comparison(right, _FLIPPED.get(op, op), left)
    if type_of(one) is Type.ANY and isinstance(other, Literal) and other.type is Type.DURATION:
        wrong(right.at, "attributes have no unit, so none compares with a duration: write the number that it has")
    _check_types(left.at, type_of(one), op, type_of(other))
    return Compare(op, one, other)


def _presence(field: Part, op: str) -> Condition:
    value = field.value
    if op not in _EQUALITY:
        wrong(field.at, f"nil has no order: only = nil and != nil ask whether something is there, not {op}")
    if value == SERVICE or not (isinstance(value, Attribute) or value is Intrinsic.PARENT):
        wrong(field.at, "only attributes and parent can be nil: every span has the rest")
    return Exists(value) if op == "!=" else Not(Exists(value))


def _check_regex(pattern: Part, op: str) -> None:
    """The pattern must be one, by itself and inside of what anchors it."""
    value = pattern.value
    if not isinstance(value, Literal) or not isinstance(value.value, str) or value.type is not Type.STRING:
        wrong(pattern.at, f"on the right of {op} stands a regular expression in quotes")
    if len(value.value) > _LONGEST_REGEX:
        wrong(pattern.at, f"the regular expression is longer than {_LONGEST_REGEX} characters")
    for each in (value.value, anchored(value.value)):
        try:
            pl.Series([""]).str.contains(each)
        except pl.exceptions.ComputeError as error:
            wrong(pattern.at, f"the regular expression cannot be used: {_reason(error)}")


def _reason(error: Exception) -> str:
    """The line in which the regex engine says what it does not like."""
    lines = [line for line in str(error).splitlines() if "error: " in line or "exceeds" in line]
    return lines[-1].rpartition("error: ")[2][:200] if lines else "it is none"


def anchored(pattern: str) -> str:
    """The pattern for whole texts, in which a dot stands for any character, as Tempo has it."""
    return rf"\A(?s:{pattern})\z"


def _check_types(position: int, first: Type, op: str, second: Type) -> None:
    if not (_comparable({first, second}) and op in _OPERATORS.get(first, ()) and op in _OPERATORS.get(second, ())):
        words = next((f"; write {_WORDS[each]}" for each in (first, second) if each in _WORDS), "")
        wrong(position, f"{_article(first)} {op} {_article(second)} can never be true{words}")


def _comparable(types: set[Type]) -> bool:
    return len(types) == 1 or types <= NUMBERS or (Type.ANY in types and types <= _WITH_ATTRIBUTES)


def _operand(part: Part) -> Operand:
    if not isinstance(part.value, Literal | Intrinsic | Attribute):
        wrong(part.at, "a condition cannot be compared: join conditions with && and ||")
    return part.value


def _article(kind: Type) -> str:
    return f"{'an' if kind.value[0] in 'aeiou' else 'a'} {kind.value}"
