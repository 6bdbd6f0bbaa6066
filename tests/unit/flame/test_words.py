"""What a comparison says in sentences."""

import re

from correlate.flame.significance import compare
from correlate.flame.words import sentences
from tests.support.cohorts import NORMAL, SLOW, STACKS, cohort

MS = 1_000_000


def ms(spans: list[dict[int, int]]) -> list[dict[int, int]]:
    """Spans whose values are milliseconds, in nanoseconds."""
    return [{stack: value * MS for stack, value in span.items()} for span in spans]


def test_it_says_what_the_slow_ones_do_differently() -> None:
    """How much more, where, within which limits, and how much of the difference that is."""
    found = compare(cohort(STACKS, ms(NORMAL)), cohort(STACKS, ms(SLOW)))
    total, cause, rest = sentences(found, "nanoseconds", "normal", "slow")
    assert re.fullmatch(
        r"slow spends 32\.\d ms more per span than normal \(40\.\d ms against 7\.\d+ ms; "
        r"95 % interval 3\d\.\d ms to 3\d\.\d ms\)\.",
        total,
    )
    assert re.fullmatch(
        r"slow spends 32\.\d ms more per span in (rank|sort) \(32\.\d ms against 0 ns; "
        r"95 % interval 3\d\.\d ms to 3\d\.\d ms; 100 % of the difference\)\.",
        cause,
    )
    assert rest == "4 more frames differ along with it."


def test_sides_may_be_the_other_way_around() -> None:
    """The side that spends more is the subject, whichever is the baseline."""
    found = compare(cohort(STACKS, SLOW), cohort(STACKS, NORMAL))
    for line in sentences(found, "count", "before", "after")[:2]:
        assert re.match(r"before spends 32\.\d more per span", line)
    assert not any("-" in line for line in sentences(found, "count", "before", "after"))


def test_by_share_it_speaks_of_parts() -> None:
    """A frame is so much of one side and so much of the other."""
    found = compare(cohort(STACKS, NORMAL), cohort(STACKS, SLOW), basis="share")
    said = " ".join(sentences(found, "count", "normal", "slow"))
    assert re.search(r"(rank|sort) is 8\d\.\d % of slow and 0\.0 % of normal \(8\d\.\d points more", said)


def test_too_little_evidence_is_said_with_what_is_missing() -> None:
    """Under-powered, and how many more samples it takes."""
    found = compare(*(cohort(STACKS, [{1: n + more} for n in (2, 9, 14, 30, 7, 11)]) for more in (0, 3)))
    said = sentences(found, "count", "left", "right")
    assert said[0] == "right spends 15.2 per span, left 12.2: chance explains the difference."
    assert re.match(r"Under-powered: .* 3 in \w+, is less than the .* needs [\d,]+ more samples", said[1])


def test_nothing_differs_is_said_with_what_would_have_been_seen() -> None:
    """Enough evidence of no difference is an answer too."""
    found = compare(cohort(STACKS, NORMAL * 10), cohort(STACKS, NORMAL * 10))
    said = sentences(found, "count", "left", "right")[1]
    assert re.fullmatch(r"No frame differs significantly\. A change of 0\.\d+ in handle would have been seen\.", said)


def test_a_single_span_is_named_as_such() -> None:
    """It has no limits, and the sentence says why."""
    found = compare(cohort(STACKS, NORMAL), cohort(STACKS, SLOW[:1]))
    assert "this one is a single span" in sentences(found, "count", "its operation", "this one")[-1]


def test_names_cannot_smuggle_control_characters() -> None:
    """Whatever functions and cohorts are called."""
    hostile = [stack.replace("rank", "\x1b[31m").replace("sort", "\u202e") for stack in STACKS]
    found = compare(cohort(hostile, NORMAL), cohort(hostile, SLOW))
    assert all(line.isprintable() for line in sentences(found, "count", "a\nb", "c\x00"))
