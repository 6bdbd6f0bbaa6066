"""Parameters that come beside a body: times, application names with labels, rates."""

import re
from collections.abc import Mapping
from typing import Final

from correlate.errors import Malformed

# The digits of a time tell its unit: seconds have 10 until the year 2286, milliseconds 13, microseconds 16.
_DIGITS_AND_FACTOR: Final = ((11, 1_000_000_000), (14, 1_000_000), (17, 1_000), (20, 1))

_APPLICATION: Final = re.compile(r"([^{]*)(?:\{(.*)\})?\s*", re.DOTALL)


def time_ns(params: Mapping[str, str], name: str) -> int:
    """A time since the Unix epoch given in seconds, milliseconds, microseconds or nanoseconds; 0: not given.

    Raises:
        Malformed: not a whole number, or with a sign or too many digits.
    """
    text = params.get(name, "").strip()
    if not text:
        return 0
    whole = text.partition(".")[0]
    if not whole.isascii() or not whole.isdigit() or len(whole) > 19:
        raise Malformed(f"{name}={text[:40]!r} is not a time: give seconds or nanoseconds since 1970, as digits")
    factor = next(factor for digits, factor in _DIGITS_AND_FACTOR if len(whole) <= digits)
    return min(int(whole) * factor, (1 << 63) - 1)


def positive_number(params: Mapping[str, str], name: str, default: int) -> int:
    """A whole number above 0.

    Raises:
        Malformed: it is not one.
    """
    text = params.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:20]) < 1 << 31:
        raise Malformed(f"{name}={text[:40]!r} is not a whole number above 0")
    return int(text)


def application(text: str) -> tuple[str, dict[str, str]]:
    """Read ``app{key=value,key=value}``, as Pyroscope's agents write it: the name and its labels, quotes optional.

    Raises:
        Malformed: the brackets or a label are incomplete.
    """
    found = _APPLICATION.fullmatch(text)
    if found is None:
        raise Malformed(f"name={text[:200]!r} is not of the form app{{key=value,key=value}}")
    labels = {}
    for pair in (found[2] or "").split(","):
        key, equals, value = pair.partition("=")
        if pair.strip() and not equals:
            raise Malformed(f"name={text[:200]!r} has the label {pair[:100]!r} without a value")
        if equals:
            labels[key.strip()] = value.strip().strip('"')
    return found[1].strip(), labels
