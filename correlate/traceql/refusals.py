"""What Tempo's language has and correlate does not evaluate. It is recognised, and refused by name."""

from collections.abc import Iterable, Iterator
from typing import Final, NoReturn

from lark import Token

from correlate.errors import BadQuery

_AGGREGATES: Final = ("count", "avg", "max", "min", "sum")
_METRICS: Final = (
    "rate",
    "count_over_time",
    "min_over_time",
    "max_over_time",
    "avg_over_time",
    "sum_over_time",
    "quantile_over_time",
    "histogram_over_time",
    "compare",
    "topk",
    "bottomk",
)
_STAGES: Final = ("by", "coalesce", "select")
_FUNCTIONS: Final = (*_AGGREGATES, *_METRICS, *_STAGES)

_NO_STAGES: Final = "a cohort is a set of spans, so leave out everything from here on"
_CONDITIONS: Final = "put further conditions into the braces, joined with &&"
_NO_EVENTS: Final = "events, links and instrumentation scopes of spans cannot be asked for"
_NO_SETS: Final = "relate spans with >, >>, <, << or ~; root spans are those with parent = nil"

_WORDS: Final = {
    "childCount": _NO_SETS,
    "span:childCount": _NO_SETS,
    "nestedSetLeft": _NO_SETS,
    "nestedSetRight": _NO_SETS,
    "nestedSetParent": _NO_SETS,
    "event:name": _NO_EVENTS,
    "event:timeSinceStart": _NO_EVENTS,
    "link:traceID": _NO_EVENTS,
    "link:spanID": _NO_EVENTS,
    "instrumentation:name": _NO_EVENTS,
    "instrumentation:version": _NO_EVENTS,
}
_SCOPES: Final = {
    "parent.": "relate the span to its parent instead: { … } > { … }",
    "event.": _NO_EVENTS,
    "link.": _NO_EVENTS,
    "instrumentation.": _NO_EVENTS,
}


class Refusals:
    """Stands between the lexer and the parser, and lets nothing pass that the grammar has no rule for."""

    always_accept = ("PIPE", "COMMA", "ARITHMETIC")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Pass tokens on.

        Raises:
            BadQuery: something was recognised that is not evaluated.
        """
        tokens = list(stream)
        for token, following in zip(tokens, [*tokens, None][1:], strict=True):
            if token.type == "PIPE":
                refuse_stage(token, following)
            if token.type == "ARITHMETIC":
                refuse_arithmetic(token)
            if following is not None and following.value == "(":
                refuse_function(token)
            yield token


def refuse(name: str, position: int, advice: str) -> NoReturn:
    """Say that something is TraceQL, but not evaluated here."""
    raise BadQuery(f"q, position {position + 1}: `{name}` is TraceQL that correlate does not evaluate: {advice}")


def refuse_stage(pipe: Token, following: Token | None) -> NoReturn:
    """Refuse a stage of a pipeline."""
    value = "" if following is None else str(following.value)
    if value in ("{", "("):
        refuse("| { … }", _at(pipe), _CONDITIONS)
    refuse(f"| {value}()" if value in _FUNCTIONS else f"| {value[:40]}".rstrip(), _at(pipe), _NO_STAGES)


def refuse_arithmetic(operator: Token) -> NoReturn:
    """Refuse calculations."""
    refuse(str(operator.value), _at(operator), "compare with a value that is calculated already")


def refuse_function(word: Token) -> None:
    """Refuse a call of a function."""
    if word.type == "WORD" and word.value == "with":
        refuse("with (…)", _at(word), "hints change how Tempo searches; leave them out")
    if word.type == "WORD" and word.value in _FUNCTIONS:
        refuse(f"{word.value}()", _at(word), _NO_STAGES)


def refuse_word(word: Token) -> None:
    """Refuse an intrinsic that is not stored."""
    if word.value in _WORDS:
        refuse(str(word.value), _at(word), _WORDS[word.value])


def refuse_scope(attribute: Token) -> None:
    """Refuse attributes of what is not stored."""
    for scope in _scopes_of(str(attribute.value)):
        refuse(scope, _at(attribute), _SCOPES[scope])


def _scopes_of(attribute: str) -> Iterable[str]:
    return (scope for scope in _SCOPES if attribute.startswith(scope))


def _at(token: Token) -> int:
    return token.start_pos or 0
