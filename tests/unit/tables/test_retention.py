"""What is too old, or from a future no clock skew explains."""

import pytest

from correlate.model.queries import TimeRange
from correlate.tables.retention import within
from correlate.tables.tables import Tables, concat
from tests.support.rows import SECOND, T0, profile, spans, with_series

ALLOWED = TimeRange(T0, T0 + 100 * SECOND)
LARGEST = (1 << 63) - 1


def kept(tables: Tables) -> tuple[list[int], list[int], int]:
    """The spans, the values of the profiles' samples, and how many of both were refused."""
    left = within(tables, ALLOWED, "advice")
    assert set(left.samples["profile"]) == set(left.profiles["profile"])
    refused = sum(reject.count for reject in left.rejects)
    return left.spans["span"].to_list(), left.samples["value"].to_list(), refused


@pytest.mark.parametrize(
    ("start_ns", "duration_ns", "stays"),
    [
        (T0, 0, True),
        (T0, 100 * SECOND, True),
        (T0 - 1, SECOND, False),
        (T0 + 99 * SECOND, 2 * SECOND, False),
        (T0 + 100 * SECOND, 0, False),
        (T0 + SECOND, LARGEST, False),
        (T0 + SECOND, 1 << 62, False),
        (0, SECOND, False),
    ],
)
def test_spans_and_profiles_lie_in_the_range(start_ns: int, duration_ns: int, stays: bool) -> None:
    """From start to end, also where the sum of both does not fit into 64 bits; the neighbours stay."""
    rows = spans({"span": 1}, {"span": 2, "start_ns": start_ns, "duration_ns": duration_ns})
    good = profile([{"value": 1}])
    odd = profile([{"value": 2}], time_ns=start_ns, duration_ns=duration_ns)
    assert kept(concat([with_series(rows), good, odd])) == ([1, 2], [1, 2], 0) if stays else ([1], [1], 2)


def test_a_profile_with_one_sample_outside_goes_as_a_whole() -> None:
    """Half a profile would be a wrong one."""
    both = profile([{"value": 1, "time_ns": T0}, {"value": 2, "time_ns": T0 + 101 * SECOND}])
    assert kept(concat([profile([{"value": 3}]), both])) == ([], [3], 1)


def test_the_refusal_gives_the_advice_once_for_each_signal() -> None:
    """With a count."""
    rows = with_series(spans({"span": 1, "start_ns": 5}, {"span": 2, "start_ns": 5}))
    rejects = within(concat([rows, profile([{"value": 1}], time_ns=5)]), ALLOWED, "look here").rejects
    assert [(reject.signal, reject.count) for reject in rejects] == [("spans", 2), ("profiles", 1)]
    assert all("retention" in reject.reason and reject.reason.endswith("look here") for reject in rejects)
