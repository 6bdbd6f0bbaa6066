"""The values of literals: Go's string syntax, durations with units, 64-bit numbers.

Source: the Go language specification, "String literals"; ``time.ParseDuration`` and Prometheus' durations, whose units
``d``, ``w`` and ``y`` (365 days) TraceQL has too.
"""

import math
import re
from fractions import Fraction
from typing import Final

from correlate.errors import BadQuery

INT64_MAX: Final = (1 << 63) - 1

_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 7 * 86_400_000_000_000,
    "y": 365 * 86_400_000_000_000,
}
_PART: Final = re.compile(r"([0-9.]+)([^0-9.]+)")
_ESCAPE: Final = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_PLAIN: Final = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))
_LONGEST_NUMBER: Final = 40


def text_of(quoted: str) -> str:
    """What a string in double quotes, or between backticks, says.

    Raises:
        BadQuery: an escape that Go does not know.
    """
    if quoted.startswith("`"):
        return quoted[1:-1]
    return _ESCAPE.sub(_unescaped, quoted[1:-1])


def quoted(text: str) -> str:
    """A text as a string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found[0]):02x}", escaped) + '"'


def key_of(written: str) -> str:
    """The name of an attribute, without the quotes that parts of it may stand in."""
    parts = re.findall(r'"((?:[^"\\]|\\["\\])*)"|([^"]+)', written)
    return "".join(plain or re.sub(r"\\(.)", r"\1", inside, flags=re.DOTALL) for inside, plain in parts)


def duration_ns(text: str) -> int:
    """A duration such as ``1h30m`` or ``1.5ms`` in nanoseconds, cut to whole ones.

    Raises:
        BadQuery: longer than 292 years.
    """
    if len(text) > 2 * _LONGEST_NUMBER:
        raise BadQuery("the duration has too many digits")
    total = int(sum(Fraction(_decimal(number)) * _UNITS_NS[unit] for number, unit in _PART.findall(text)))
    if total > INT64_MAX:
        raise BadQuery("the duration is longer than 292 years")
    return total


def duration_text(ns: int) -> str:
    """A duration in the largest unit that leaves a whole number."""
    for unit in ("h", "m", "s", "ms", "us"):
        if ns and ns % _UNITS_NS[unit] == 0:
            return f"{ns // _UNITS_NS[unit]}{unit}"
    return f"{ns}ns"


def integer(text: str) -> int:
    """A whole number of at most 64 bits.

    Raises:
        BadQuery: it has more.
    """
    if len(text) > _LONGEST_NUMBER or int(text) > INT64_MAX:
        raise BadQuery("the number has more than 64 bits")
    return int(text)


def decimal(text: str) -> float:
    """A decimal number.

    Raises:
        BadQuery: it is beyond what 64 bits can hold.
    """
    value = float(text)
    if math.isinf(value):
        raise BadQuery("the number has more than 64 bits")
    return value


def _decimal(number: str) -> str:
    return f"0{number}0" if "." in number else number


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    if len(code) == 1:
        if code not in _PLAIN:
            raise BadQuery(f"\\{code} is no escape of a string: write \\\\{code}, or put the string between backticks")
        return _PLAIN[code]
    value = int(code, 8) if code[0] in "01234567" else int(code[1:], 16)
    if value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
        raise BadQuery(f"\\{code} is no character")
    return chr(value)
