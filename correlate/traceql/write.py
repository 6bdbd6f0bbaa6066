"""Queries as text: what `parse` reads back as the same."""

import re
from typing import Final

from correlate.traceql import literals
from correlate.traceql.syntax import (
    KINDS,
    SERVICE,
    STATUSES,
    All,
    Attribute,
    Combined,
    Compare,
    Condition,
    Constant,
    Either,
    Exists,
    Intrinsic,
    Literal,
    Not,
    Operand,
    Query,
    SpansWith,
    Truth,
    Type,
)

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][\w.:/-]*")
_CODES: Final = {
    Type.STATUS: {code: word for word, code in STATUSES.items()},
    Type.KIND: {code: word for word, code in KINDS.items()},
}


def of_operation(service: str, name: str) -> Query:
    """All spans of one operation."""
    return SpansWith(All((_is(SERVICE, service), _is(Intrinsic.NAME, name))))


def of_service(service: str) -> Query:
    """All spans of one service."""
    return SpansWith(_is(SERVICE, service))


def operation_of(query: Query) -> tuple[str, str] | None:
    """The service and the span name, if a query asks for one operation and nothing else."""
    if not isinstance(query, SpansWith) or not isinstance(query.condition, All):
        return None
    wanted = {part.left: part.right.value for part in query.condition.parts if _is_text(part)}  # type: ignore[union-attr]
    if len(query.condition.parts) != 2 or set(wanted) != {SERVICE, Intrinsic.NAME}:
        return None
    return str(wanted[SERVICE]), str(wanted[Intrinsic.NAME])


def write(query: Query) -> str:
    """A query as text."""
    if isinstance(query, SpansWith):
        return "{}" if query.condition == Constant(True) else f"{{ {_condition(query.condition)} }}"
    return f"{_side(query.left)} {query.op} {_side(query.right)}"


def _side(query: Query) -> str:
    return f"({write(query)})" if isinstance(query, Combined) else write(query)


def _condition(condition: Condition) -> str:
    if isinstance(condition, Compare):
        return f"{_operand(condition.left)} {condition.op} {_operand(condition.right)}"
    if isinstance(condition, Constant):
        return "true" if condition.value else "false"
    if isinstance(condition, Exists):
        return f"{_operand(condition.field)} != nil"
    if isinstance(condition, Truth):
        return _operand(condition.attribute)
    if isinstance(condition, Not):
        return _negation(condition.part)
    sign = " && " if isinstance(condition, All) else " || "
    return sign.join(_inside(part) for part in condition.parts)


def _negation(part: Condition) -> str:
    return f"{_operand(part.field)} = nil" if isinstance(part, Exists) else f"!({_condition(part)})"


def _inside(part: Condition) -> str:
    return f"({_condition(part)})" if isinstance(part, All | Either) else _condition(part)


def _operand(operand: Operand) -> str:
    if isinstance(operand, Literal):
        return _literal(operand)
    if isinstance(operand, Intrinsic):
        return operand.value
    return f"{operand.where.value}.{_key(operand.key)}"


def _key(key: str) -> str:
    if _PLAIN_KEY.fullmatch(key):
        return key
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _literal(literal: Literal) -> str:
    value = literal.value
    if isinstance(value, str):
        return literals.quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if literal.type is Type.DURATION:
        return f"{'-' if value < 0 else ''}{literals.duration_text(abs(value))}"
    if literal.type in _CODES:
        return _CODES[literal.type][value]
    return "minInt" if value < -literals.INT64_MAX else str(value)


def _is(field: Intrinsic | Attribute, text: str) -> Compare:
    return Compare("=", field, Literal(Type.STRING, text))


def _is_text(part: Condition) -> bool:
    return isinstance(part, Compare) and part.op == "=" and isinstance(part.right, Literal)
