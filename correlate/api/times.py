"""Points in time as people write them in a query."""

import re
from datetime import datetime

from correlate.errors import BadQuery
from correlate.model.queries import TimeRange
from correlate.ports import Clock

_UNITS_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9, "w": 7 * 86400 * 10**9}
_RELATIVE = re.compile(r"now(?:-(\d{1,6})([smhdw]))?", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}", re.ASCII)
_DIGITS_TO_FACTOR = ((11, 10**9), (14, 10**6), (17, 10**3))
_FOREVER = TimeRange.everything()


def parse_time(text: str, clock: Clock) -> int:
    """Read a time: ``now``, ``now-15m``, RFC 3339 with an offset, or seconds, ms, µs or ns since the epoch by size.

    Returns:
        Nanoseconds since the Unix epoch.

    Raises:
        BadQuery: none of these.
    """
    relative = _RELATIVE.fullmatch(text)
    if relative:
        back = int(relative[1]) * _UNITS_NS[relative[2]] if relative[1] else 0
        return max(_FOREVER.start_ns, clock.now_ns() - back)
    if _NUMBER.fullmatch(text):
        factor = next((factor for digits, factor in _DIGITS_TO_FACTOR if len(text) <= digits), 1)
        return min(int(text) * factor, _FOREVER.end_ns)
    return _parse_rfc3339(text)


def parse_range(start: str | None, end: str | None, clock: Clock) -> TimeRange:
    """Read a pair of optional times; what is missing is unbounded.

    Raises:
        BadQuery: a time cannot be read, or the end is before the start.
    """
    window = TimeRange(
        parse_time(start, clock) if start else _FOREVER.start_ns,
        parse_time(end, clock) if end else _FOREVER.end_ns,
    )
    if window.end_ns < window.start_ns:
        raise BadQuery(f"the end of the range, {end!r}, is before its start, {start!r}")
    return window


def _parse_rfc3339(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadQuery(
            f"time {text[:64]!r} is not understood: write now-15m, 2026-01-31T12:00:00Z (with its offset), "
            "or seconds, milliseconds or nanoseconds since 1970"
        )
    return max(0, int(moment.timestamp() * 1e6) * 1000)
