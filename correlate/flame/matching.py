"""Which functions a query means: a regular expression, an exact name, or not that.

Regular expressions are those of Rust's ``regex`` crate, run by Polars: time linear in the text, and what would take
too much memory is refused.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from correlate.errors import BadQuery

MAX_PATTERN_CHARS: Final = 1024
_OPERATORS: Final = ("=~", "!~", "!=", "=", "~")  # "~" is what is left of =~ in a URL: function=~"Handler"


@dataclass(frozen=True, slots=True)
class Matcher:
    """What a function's name has to be.

    Attributes:
        parameter: the query parameter it came from, for messages.
        pattern: a regular expression that is looked for anywhere in the name, or the name.
        exact: whether `pattern` is the name.
        negated: whether what matches is unwanted; `where` marks the matches all the same.
    """

    parameter: str
    pattern: str
    exact: bool = False
    negated: bool = False


def regex(parameter: str, text: str) -> Matcher:
    """Read a bare regular expression.

    Raises:
        BadQuery: it is not one, or too long.
    """
    return _checked(Matcher(parameter, text))


def named(parameter: str, text: str, *, bare_is_exact: bool = False, may_negate: bool = True) -> Matcher:
    """Read a condition on a function: an operator ``=~`` ``!~`` ``=`` ``!=`` and a text, which may be quoted.

    Args:
        parameter: the query parameter, for messages.
        text: what it says; without an operator, a text in quotes is an exact name.
        bare_is_exact: whether a text without operator and quotes is an exact name rather than a regular expression.
        may_negate: whether ``!~`` and ``!=`` mean something here.

    Raises:
        BadQuery: no text, a bad regular expression, or a negation that means nothing.
    """
    stripped = text.strip()
    operator = next((each for each in _OPERATORS if stripped.startswith(each)), "")
    value = stripped[len(operator) :].strip()
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'`"
    exact = operator in ("=", "!=") or (not operator and (quoted or bare_is_exact))
    matcher = Matcher(parameter, _unquoted(value) if quoted else value, exact, operator.startswith("!"))
    if matcher.negated and not may_negate:
        raise BadQuery(f'{parameter}: {operator} means nothing here; write {parameter}=~"Handler" or a name')
    return _checked(matcher)


def where(names: pl.Series, matcher: Matcher) -> npt.NDArray[np.bool_]:
    """Which names match; each distinct one is looked at once."""
    if matcher.exact:
        return (names == matcher.pattern).to_numpy()
    distinct = names.unique()
    hits = distinct.filter(distinct.str.contains(matcher.pattern))
    return names.is_in(hits.implode()).to_numpy()


def _checked(matcher: Matcher) -> Matcher:
    if not matcher.pattern:
        raise BadQuery(f"{matcher.parameter}: there is no function's name or regular expression in it")
    if len(matcher.pattern) > MAX_PATTERN_CHARS:
        raise BadQuery(f"{matcher.parameter}: longer than {MAX_PATTERN_CHARS} characters")
    if not matcher.exact:
        _compile(matcher)
    return matcher


def _compile(matcher: Matcher) -> None:
    try:
        pl.Series([""]).str.contains(matcher.pattern)
    except pl.exceptions.ComputeError as error:
        lines = [line.strip() for line in str(error).partition("\n\nThis error")[0].splitlines()]
        reason = lines[-1].removeprefix("error: ")
        raise BadQuery(
            f"{matcher.parameter}: {matcher.pattern[:200]!r} is not a regular expression that can be used: {reason}"
        ) from error


def _unquoted(value: str) -> str:
    r"""What is inside quotes; between double ones ``\"`` is a quote and ``\\`` a backslash."""
    inside = value[1:-1]
    return inside.replace(r"\"", '"').replace("\\\\", "\\") if value[0] == '"' else inside
