"""Pauses between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from connectors.retry import MAX_RETRY_AFTER_S, Backoff, retry_after_s


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_stays_below_its_bound(attempt: int, luck: float) -> None:
    """It grows with the attempts and never beyond the cap."""
    backoff = Backoff(base_s=0.5, cap_s=8.0)
    assert 0 <= backoff.pause_s(attempt, luck) <= min(8.0, 0.5 * 2 ** min(attempt, 10))


@given(st.integers(0, 20), st.floats(0, 1, exclude_max=True), st.floats(0, 300))
def test_nobody_comes_back_before_the_time(attempt: int, luck: float, wanted_s: float) -> None:
    """What the server asked for is the least, and not all come back in the same moment."""
    pause_s = Backoff().pause_s(attempt, luck, wanted_s)
    assert wanted_s <= pause_s <= wanted_s + Backoff().base_s


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_header_gives_a_sane_pause_or_none(text: str, date: str) -> None:
    """A lying server cannot stop us for ever, nor crash us."""
    pause_s = retry_after_s({"retry-after": text, "date": date})
    assert pause_s is None or 0 <= pause_s <= MAX_RETRY_AFTER_S


def test_a_date_without_a_date_to_compare_with_is_not_guessed() -> None:
    """Our clock may be wrong, so it is not used."""
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}) is None
