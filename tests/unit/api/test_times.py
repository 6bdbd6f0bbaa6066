"""Times as people write them."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.api.times import parse_range, parse_time
from correlate.errors import BadQuery
from correlate.model.queries import TimeRange
from tests.fakes.ingest import FakeClock

NOW = 1_795_000_000_000_000_000
CLOCK = FakeClock(NOW)
SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("now", NOW),
        ("now-15m", NOW - 900 * SECOND),
        ("now-2w", NOW - 14 * 86_400 * SECOND),
        ("now-999999w", 0),
        ("0", 0),
        ("1795000000", NOW),
        ("1795000000000", NOW),
        ("1795000000000000", NOW),
        ("1795000000000000000", NOW),
        ("9999999999999999999", 1 << 62),
        ("2026-11-18T11:06:40Z", NOW),
        ("2026-11-18T12:06:40+01:00", NOW),
        ("2026-11-18T12:06:40 01:00", NOW),
        ("0001-01-01T00:00:00Z", 0),
    ],
)
def test_what_is_understood(text: str, time_ns: int) -> None:
    """Relative times, numbers by their size, and RFC 3339 (a plus sign in an address arrives as a space)."""
    assert parse_time(text, CLOCK) == time_ns


@pytest.mark.parametrize(
    "text", ["", "yesterday", "now+1h", "now-1y", "-5", "1e9", "2026-11-18T11:06:40", "\uff11\uff12"]
)
def test_what_is_not_understood(text: str) -> None:
    """The message shows what would be; a time without an offset is ambiguous and refused."""
    with pytest.raises(BadQuery, match=r"now-15m"):
        parse_time(text, CLOCK)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_bad_query(text: str) -> None:
    """No other error comes out, and times stay in the representable range."""
    with suppress(BadQuery):
        assert 0 <= parse_time(text, CLOCK) <= TimeRange.everything().end_ns


def test_ranges_are_open_where_nothing_is_said() -> None:
    """And their end is not before their start."""
    assert parse_range(None, None, CLOCK) == TimeRange.everything()
    assert parse_range("now-1s", "now", CLOCK) == TimeRange(NOW - SECOND, NOW)
    with pytest.raises(BadQuery, match="before its start"):
        parse_range("now", "now-1s", CLOCK)
