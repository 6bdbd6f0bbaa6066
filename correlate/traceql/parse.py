"""The text of a query, read."""

import functools
from typing import Final, NoReturn

from lark import Lark, Token
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from correlate.errors import BadQuery
from correlate.traceql.build import Builder
from correlate.traceql.checks import wrong
from correlate.traceql.refusals import Refusals, refuse_arithmetic
from correlate.traceql.syntax import All, Combined, Condition, Either, Not, Query, SpansWith

MAX_BYTES: Final = 8192
MAX_DEPTH: Final = 64
EXAMPLE: Final = '{ resource.service.name = "checkout" && duration > 100ms }'


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        BadQuery: it is no TraceQL, or TraceQL that is not evaluated here; the message says where and why.
    """
    _check_size(text)
    try:
        query: Query = _parser().parse(text)  # type: ignore[assignment]  # it is what the builder makes of the tree
    except VisitError as error:
        if isinstance(error.orig_exc, BadQuery):
            raise error.orig_exc from None
        raise
    except UnexpectedInput as error:
        _explain(text, error)
    if _depth(query) > MAX_DEPTH:
        raise BadQuery(f"q is nested deeper than {MAX_DEPTH} levels; ask for less at once")
    return query


@functools.cache
def _parser() -> Lark:
    return Lark.open(
        "grammar.lark", rel_to=__file__, parser="lalr", lexer="basic", postlex=Refusals(), transformer=Builder()
    )


def _check_size(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadQuery("q holds half of a surrogate pair, which is no character") from None
    if size > MAX_BYTES:
        raise BadQuery(f"q has {size} bytes, the limit is {MAX_BYTES}")
    if not text.strip():
        raise BadQuery(f"q is empty; write for example {EXAMPLE}")


def _explain(text: str, error: UnexpectedInput) -> NoReturn:
    """Say what is wrong with a query that is not TraceQL, and where."""
    token = error.token if isinstance(error, UnexpectedToken) else None
    if token is None:
        position = error.pos_in_stream or 0
        open_string = text[position : position + 1] in ('"', "`")
        wrong(
            position, "the string is not closed" if open_string else f"{text[position : position + 1]!r} means nothing"
        )
    if token.type == "$END":
        wrong(len(text), f"the query ends too early; write for example {EXAMPLE}")
    if token.type == "MINUS":
        refuse_arithmetic(token)
    _explain_token(token)


def _explain_token(token: Token) -> NoReturn:
    position = token.start_pos or 0
    if position == 0 and token.type != "LBRACE":
        wrong(position, f"a query begins with a brace; write for example {EXAMPLE}")
    wrong(position, f"`{token[:60]}` is not expected here; write for example {EXAMPLE}")


def _depth(query: Query) -> int:
    """How deep a query is nested, found without recursion."""
    deepest = 0
    waiting: list[tuple[Query | Condition, int]] = [(query, 1)]
    while waiting:
        part, depth = waiting.pop()
        deepest = max(deepest, depth)
        waiting += [(each, depth + 1) for each in _inside(part)]
    return deepest


def _inside(part: Query | Condition) -> tuple[Query | Condition, ...]:
    if isinstance(part, Combined):
        return part.left, part.right
    if isinstance(part, SpansWith):
        return (part.condition,)
    if isinstance(part, Not):
        return (part.part,)
    return part.parts if isinstance(part, All | Either) else ()
