"""Units as people read them."""

import pytest

from correlate.units import human, to_base


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "nanoseconds", "0 ns"),
        (999, "nanoseconds", "999 ns"),
        (1_250_000_000, "nanoseconds", "1.25 s"),
        (91_870_000_000, "nanoseconds", "1.53 min"),
        (340 * 1024, "bytes", "340 KiB"),
        (12, "count", "12"),
        (12_345, "count", "12.3 k"),
        (3, "goroutines", "3 goroutines"),
        (-1_500_000, "nanoseconds", "-1.50 ms"),
    ],
)
def test_a_value_is_written_with_three_digits_and_a_fitting_unit(value: float, unit: str, text: str) -> None:
    """Nanoseconds, bytes and counts are scaled; unknown units are kept as they are."""
    assert human(value, unit) == text


def test_units_of_time_have_a_common_base() -> None:
    """Microseconds are a thousand nanoseconds, and an unknown unit is its own base."""
    assert to_base("microseconds") == ("nanoseconds", 1000)
    assert to_base("widgets") == ("widgets", 1)
