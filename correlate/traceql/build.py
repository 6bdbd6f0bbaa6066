"""From what the parser found to the syntax tree. Called by the parser for every rule, innermost first."""

from collections.abc import Callable
from typing import Final, TypeVar

from lark import Token, Transformer, v_args

from correlate.errors import BadQuery
from correlate.traceql import literals
from correlate.traceql.checks import Part, comparison, condition_of, wrong
from correlate.traceql.refusals import refuse_arithmetic, refuse_scope, refuse_word
from correlate.traceql.syntax import (
    KINDS,
    STATUSES,
    All,
    Attribute,
    Combined,
    Compare,
    Constant,
    Either,
    Exists,
    Intrinsic,
    Literal,
    Not,
    Operand,
    Query,
    SpansWith,
    Type,
    Where,
)

_T = TypeVar("_T", str, int, float)

_WORDS: Final[dict[str, Operand]] = {
    **{name: Literal(Type.STATUS, code) for name, code in STATUSES.items()},
    **{name: Literal(Type.KIND, code) for name, code in KINDS.items()},
    **{intrinsic.value: intrinsic for intrinsic in Intrinsic},
    "span:name": Intrinsic.NAME,
    "span:duration": Intrinsic.DURATION,
    "span:status": Intrinsic.STATUS,
    "span:statusMessage": Intrinsic.STATUS_MESSAGE,
    "span:kind": Intrinsic.KIND,
    "trace:rootName": Intrinsic.ROOT_NAME,
    "trace:rootService": Intrinsic.ROOT_SERVICE,
    "trace:duration": Intrinsic.TRACE_DURATION,
    "true": Literal(Type.BOOLEAN, True),
    "false": Literal(Type.BOOLEAN, False),
    "nil": Literal(Type.NIL, ""),
    "minInt": Literal(Type.INTEGER, -literals.INT64_MAX - 1),
    "maxInt": Literal(Type.INTEGER, literals.INT64_MAX),
}


@v_args(inline=True)
class Builder(Transformer[Token, Query]):
    """Makes the syntax tree."""

    def start(self, query: Query) -> Query:
        """The whole query."""
        return query

    def every_span(self) -> SpansWith:
        """``{}``."""
        return SpansWith(Constant(True))

    def spans_with(self, condition: Part) -> SpansWith:
        """``{ … }``."""
        return SpansWith(condition_of(condition))

    def combined(self, left: Query, op: Token, right: Query) -> Combined:
        """Spans by how they are related."""
        return Combined(str(op), left, right)

    def joined(self, left: Part, op: Token, right: Part) -> Part:
        """Several conditions; a row of the same operator becomes one flat node."""
        kind = All if op == "&&" else Either
        first, second = condition_of(left), condition_of(right)
        parts = first.parts if isinstance(first, kind) else (first,)
        return Part(kind((*parts, second)), left.at)

    def compared(self, left: Part, op: Token, right: Part) -> Part:
        """A comparison."""
        return Part(comparison(left, str(op), right), left.at)

    def negated(self, sign: Token, part: Part) -> Part:
        """``!``; of an attribute it asks for false, which a missing one is not."""
        if isinstance(part.value, Attribute):
            return Part(Compare("=", part.value, Literal(Type.BOOLEAN, False)), _at(sign))
        return Part(Not(condition_of(part)), _at(sign))

    def negative(self, sign: Token, part: Part) -> Part:
        """A negative number."""
        number = part.value
        if not isinstance(number, Literal) or not isinstance(number.value, int | float):
            refuse_arithmetic(sign)
        if number.type not in (Type.INTEGER, Type.DECIMAL, Type.DURATION):
            wrong(part.at, "only a number can be negative")
        return Part(Literal(number.type, -number.value), _at(sign))

    def string(self, token: Token) -> Part:
        """A text."""
        return _literal(Type.STRING, literals.text_of, token)

    def duration(self, token: Token) -> Part:
        """A duration."""
        return _literal(Type.DURATION, literals.duration_ns, token)

    def decimal(self, token: Token) -> Part:
        """A decimal number."""
        return _literal(Type.DECIMAL, literals.decimal, token)

    def integer(self, token: Token) -> Part:
        """A whole number."""
        return _literal(Type.INTEGER, literals.integer, token)

    def attribute(self, token: Token) -> Part:
        """An attribute."""
        refuse_scope(token)
        where, _, key = str(token).partition(".")
        return Part(Attribute(Where(where), literals.key_of(key)), _at(token))

    def root(self, token: Token) -> Part:
        """A root span, as Grafana asks for it."""
        return Part(Not(Exists(Intrinsic.PARENT)), _at(token))

    def word(self, token: Token) -> Part:
        """An intrinsic, or the name of a value."""
        refuse_word(token)
        known = _WORDS.get(str(token))
        if known is None:
            advice = "write an attribute with its dot, as .name or span.name, and text in quotes"
            wrong(_at(token), f"`{token[:60]}` is nothing that every span has: {advice}")
        return Part(known, _at(token))


def _literal(kind: Type, read: Callable[[str], _T], token: Token) -> Part:
    try:
        return Part(Literal(kind, read(str(token))), _at(token))
    except BadQuery as error:
        wrong(_at(token), str(error))


def _at(token: Token) -> int:
    return token.start_pos or 0
