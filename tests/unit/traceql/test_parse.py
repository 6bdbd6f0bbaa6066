"""Reading queries."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from correlate.errors import BadQuery
from correlate.traceql.parse import MAX_BYTES, MAX_DEPTH, parse
from correlate.traceql.syntax import (
    SERVICE,
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
    SpansWith,
    Truth,
    Type,
    Where,
)

A = Attribute(Where.EITHER, "a")
TEXT = Literal(Type.STRING, "x")


def condition(text: str) -> Condition:
    """What stands in the braces of a query."""
    query = parse(f"{{ {text} }}")
    assert isinstance(query, SpansWith)
    return query.condition


def operand(text: str) -> object:
    """The right side of a comparison."""
    compare = condition(text)
    assert isinstance(compare, Compare)
    return compare.right


def test_the_empty_braces_mean_every_span() -> None:
    """``{}`` and ``{ true }`` are the same."""
    assert parse("{}") == parse("{ true }") == SpansWith(Constant(True))


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ("name", Intrinsic.NAME),
        ("span:name", Intrinsic.NAME),
        ("statusMessage", Intrinsic.STATUS_MESSAGE),
        ("rootName", Intrinsic.ROOT_NAME),
        ("trace:rootName", Intrinsic.ROOT_NAME),
        ("trace:rootService", Intrinsic.ROOT_SERVICE),
        ("span:id", Intrinsic.SPAN_ID),
        ("span:parentID", Intrinsic.PARENT_ID),
        ("trace:id", Intrinsic.TRACE_ID),
        (".a", A),
        ("span.a.b-c/d", Attribute(Where.SPAN, "a.b-c/d")),
        ("resource.service.name", SERVICE),
        ('."a \\"b\\" c"', Attribute(Where.EITHER, 'a "b" c')),
        ('span.http."status code"', Attribute(Where.SPAN, "http.status code")),
    ],
)
def test_fields_are_named_as_in_tempo(written: str, field: object) -> None:
    """Intrinsics with and without their scope, attributes in three scopes, quoted names."""
    assert condition(f'{written} = "x"') == Compare("=", field, TEXT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('name = "a\\tb\\x41\\u00e9"', Literal(Type.STRING, "a\tbAé")),
        ("name = `a\\d\n`", Literal(Type.STRING, "a\\d\n")),
        (".a = 12", Literal(Type.INTEGER, 12)),
        (".a = -12", Literal(Type.INTEGER, -12)),
        (".a = minInt", Literal(Type.INTEGER, -(2**63))),
        (".a = -1.5e3", Literal(Type.DECIMAL, -1500.0)),
        (".a = .5", Literal(Type.DECIMAL, 0.5)),
        (".a = true", Literal(Type.BOOLEAN, True)),
        ("duration > 1h30m", Literal(Type.DURATION, 5400 * 10**9)),
        ("duration > 1.5ms", Literal(Type.DURATION, 1_500_000)),
        ("duration > 0.1us", Literal(Type.DURATION, 100)),
        ("duration > 2µs", Literal(Type.DURATION, 2000)),
        ("duration > 1d", Literal(Type.DURATION, 86_400 * 10**9)),
        ("status = error", Literal(Type.STATUS, 2)),
        ("kind = server", Literal(Type.KIND, 2)),
    ],
)
def test_literals(written: str, value: Literal) -> None:
    """Strings as in Go, 64-bit numbers, durations in nanoseconds, names of codes."""
    assert operand(written) == value


def test_a_field_comes_first_however_it_is_written() -> None:
    """``100ms < duration`` is ``duration > 100ms``."""
    assert condition("100ms < duration") == condition("duration > 100ms")


def test_nil_asks_whether_something_is_there() -> None:
    """On either side; of attributes, and of the parent."""
    assert condition(".a != nil") == condition("nil != .a") == Exists(A)
    assert condition(".a = nil") == Not(Exists(A))
    assert condition("parent = nil") == condition("nestedSetParent<0") == Not(Exists(Intrinsic.PARENT))


def test_a_boolean_attribute_is_a_condition_by_itself() -> None:
    """And negated it asks for false, which a missing attribute is not."""
    assert condition(".a") == Truth(A)
    assert condition("!.a") == condition(".a = false")


def test_and_and_or_bind_equally_from_left_to_right() -> None:
    """As in Tempo; parentheses change it. A row of the same operator is one flat node."""
    one, two, three = (Compare("=", A, Literal(Type.INTEGER, n)) for n in (1, 2, 3))
    assert condition(".a = 1 || .a = 2 && .a = 3") == All((Either((one, two)), three))
    assert condition(".a = 1 || (.a = 2 && .a = 3)") == Either((one, All((two, three))))
    assert condition(".a = 1 && .a = 2 && .a = 3") == All((one, two, three))
    assert condition("!(.a = 1) && .a = 2") == All((Not(one), two))


def test_relations_bind_more_strongly_than_and_and_or() -> None:
    """From left to right among themselves."""
    every, none = SpansWith(Constant(True)), SpansWith(Constant(False))
    assert parse("{} || {false} >> {}") == Combined("||", every, Combined(">>", none, every))
    assert parse("{} > {false} !~ {}") == Combined("!~", Combined(">", every, none), every)
    assert parse("{} > ({false} &<< {})") == Combined(">", every, Combined("&<<", none, every))


def test_comments_and_line_breaks_mean_nothing() -> None:
    """As in Go."""
    assert parse("{ // why\n .a = 1 /* because\n */ }") == parse("{.a=1}")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("{ .a = 1 } | rate()", "| rate()"),
        ("{ .a = 1 } | rate() by (span.b)", "| rate()"),
        ("{ .a = 1 } | count() > 2", "| count()"),
        ("({ .a = 1 } | avg(duration)) > 1s", "| avg()"),
        ("{ .a = 1 } | by(name)", "| by()"),
        ("{ .a = 1 } | coalesce()", "| coalesce()"),
        ("{ .a = 1 } | select(.b)", "| select()"),
        ("{ .a = 1 } | quantile_over_time(duration, .9)", "| quantile_over_time()"),
        ("{ .a = 1 } | topk(5)", "| topk()"),
        ("{ .a = 1 } | { .b = 1 }", "| { … }"),
        ("count() > 3", "count()"),
        ("{ .a = 1 } with (most_recent=true)", "with (…)"),
        ("{ .a + 1 = 2 }", "+"),
        ("{ .a = 2 - 1 }", "-"),
        ("{ -.a = 2 }", "-"),
        ("{ .a ^ 2 = 4 }", "^"),
        ("{ parent.a = 1 }", "parent."),
        ("{ parent.span.a = 1 }", "parent."),
        ("{ event.a = 1 }", "event."),
        ('{ event:name = "x" }', "event:name"),
        ("{ event:timeSinceStart > 1s }", "event:timeSinceStart"),
        ("{ link.a = 1 }", "link."),
        ('{ link:traceID = "1" }', "link:traceID"),
        ("{ instrumentation.a = 1 }", "instrumentation."),
        ('{ instrumentation:version = "1" }', "instrumentation:version"),
        ("{ childCount > 2 }", "childCount"),
        ("{ span:childCount > 2 }", "span:childCount"),
        ("{ nestedSetLeft > 2 }", "nestedSetLeft"),
        ("{ nestedSetParent = 2 }", "nestedSetParent"),
    ],
)
def test_what_is_traceql_but_not_evaluated_is_refused_by_name(query: str, name: str) -> None:
    """Never ignored: the message names it."""
    with pytest.raises(BadQuery) as refused:
        parse(query)
    assert f"`{name}` is TraceQL that correlate does not evaluate: " in str(refused.value)


@pytest.mark.parametrize(
    ("query", "position", "words"),
    [
        ("{ foo = 1 }", 3, "`foo` is nothing that every span has"),
        ("{ .a = ", 8, "ends too early"),
        ('{ .a = "x }', 8, "the string is not closed"),
        ("{ .a = 1 } }", 12, "`}` is not expected here"),
        ("foo", 1, "a query begins with a brace"),
        ("{ .a = ; }", 8, "';' means nothing"),
        ("{ .a = 9223372036854775808 }", 8, "more than 64 bits"),
        ("{ .a = 1e999 }", 8, "more than 64 bits"),
        ("{ duration > 999999999h }", 14, "longer than 292 years"),
        ('{ name = "\\d" }', 10, "\\d is no escape of a string"),
        ('{ name = "\\ud800" }', 10, "is no character"),
        ('{ name =~ "(" }', 11, "regular expression cannot be used: unclosed group"),
        ('{ name =~ "a)(b" }', 11, "regular expression cannot be used"),
        ('{ name =~ "a{1000}{1000}{1000}" }', 11, "regular expression cannot be used"),
        ("{ name =~ .a }", 11, "regular expression in quotes"),
        ('{ status = "error" }', 3, "write status = unset or ok or error"),
        ("{ kind = 3 }", 3, "write kind = unspecified"),
        ("{ name > 3 }", 3, "a string > an integer can never be true"),
        ("{ .a = 1 && status > ok }", 13, "can never be true"),
        ("{ .a < true }", 3, "can never be true"),
        ("{ .a > 100ms }", 8, "attributes have no unit"),
        ("{ name = nil }", 3, "every span has the rest"),
        ("{ resource.service.name = nil }", 3, "every span has the rest"),
        ("{ .a < nil }", 3, "nil has no order"),
        ("{ duration }", 3, "a duration alone is no condition"),
        ("{ -true }", 4, "only a number can be negative"),
        ("{ (.a = 1) = true }", 4, "a condition cannot be compared"),
    ],
)
def test_mistakes_are_told_with_their_place_and_the_fix(query: str, position: int, words: str) -> None:
    """One sentence that helps."""
    with pytest.raises(BadQuery) as mistake:
        parse(query)
    assert str(mistake.value).startswith(f"q, position {position}: ")
    assert words in str(mistake.value)


def test_queries_are_bounded() -> None:
    """In length and in depth; emptiness is told too."""
    long = "{ .a = 1 " + "|| .a = 1 " * 600 + "}"
    assert len(parse(long).condition.parts) == 601  # type: ignore[union-attr]
    with pytest.raises(BadQuery, match="the limit is 8192"):
        parse("{ .a = 1 }".ljust(MAX_BYTES + 1))
    for deep in ("{ " + "!(" * MAX_DEPTH + "true" + ")" * MAX_DEPTH + " }", "{ true " + "|| true && true " * 400 + "}"):
        with pytest.raises(BadQuery, match="nested deeper"):
            parse(deep)
    with pytest.raises(BadQuery, match="q is empty"):
        parse(" ")
    with pytest.raises(BadQuery, match="surrogate"):
        parse("{ name = '\ud800' }")


TOKENS = [*'{}()=!<>|&~.,-+"`\\ \n/0', "&&", "||", ">>", "!~", "=~", "name", ".a", "span.", "duration", "1ms", "1.5"]
TOKENS += [
    '"x"',
    '"("',
    "nil",
    "true",
    "error",
    "server",
    "count",
    "rate()",
    "| ",
    "with",
    "span:id",
    "parent",
    "9" * 30,
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TOKENS), max_size=25).map("".join)))
@example("//")
@example("{ " + "(" * 4000)
@example("{ .a = " + "9" * 5000 + "}")
@example("{ duration > " + "9" * 5000 + "h}")
@example('{ name =~ "' + "(" * 2000 + '" }')
@example('{ name = "' + "\\" * 3001 + '" }')
def test_nothing_but_bad_query_comes_of_any_text(text: str) -> None:
    """Whatever is sent is either a query or a mistake that is told."""
    with contextlib.suppress(BadQuery):
        parse(text)


DOCUMENT = (Path(__file__).parents[3] / "docs" / "traceql.md").read_text()


def examples(language: str) -> list[str]:
    """The lines of the document's examples in a language."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("query", examples("traceql"))
def test_the_documented_examples_are_understood(query: str) -> None:
    """What the document shows works."""
    parse(query)


@pytest.mark.parametrize("query", examples("traceql-refused"))
def test_what_the_document_says_is_refused_is_refused(query: str) -> None:
    """With its name."""
    with pytest.raises(BadQuery, match="is TraceQL that correlate does not evaluate"):
        parse(query)
