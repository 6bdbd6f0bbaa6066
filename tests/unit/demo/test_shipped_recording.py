"""What the recording in the package holds, and that it holds nothing else."""

import gzip
from importlib.resources import files

import pytest

from correlate.demo.traffic import shipped
from tests.support.recordings import Truth, truth

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def recorded() -> Truth:
    """The shipped recording, read the slow way."""
    return truth(shipped())


def test_it_is_small() -> None:
    """It travels with every installation, so it stays below 300 kB."""
    assert len((files("correlate.demo") / "traffic.jsonl.gz").read_bytes()) < 300_000


def test_it_is_about_a_minute_of_both_kinds() -> None:
    """Spans and profiles, uploaded every few seconds for about a minute, oldest first."""
    requests = list(shipped())
    arrivals_s = [request.received_at_s for request in requests]
    assert arrivals_s == sorted(arrivals_s)
    assert 50 < arrivals_s[-1] - arrivals_s[0] < 90
    assert sum(request.carries_spans for request in requests) >= 10
    assert sum(request.carries_profiles for request in requests) >= 10


def test_every_operation_spent_cpu_time(recorded: Truth) -> None:
    """Each operation has seconds of labelled CPU time, and some belongs to no span."""
    spent_ns = recorded.cpu_ns_by_operation()
    assert set(spent_ns) == {"POST /checkout", "GET /items", "rules evaluate", ""}
    assert all(spent_ns[operation] > 4 * SECOND for operation in spent_ns if operation)
    assert 0 < spent_ns[""] < 0.05 * recorded.total_cpu_ns


def test_only_root_spans_are_labelled_and_none_is_missing(recorded: Truth) -> None:
    """As the client does it: children have no samples of their own, and every labelled span was exported."""
    labelled = set(recorded.cpu_ns_by_span()) - {""}
    assert {recorded.spans[span].parent for span in labelled} == {""}
    assert recorded.orphans() == set()
    assert {span.name for span in recorded.spans.values() if span.parent} == {"validate cart", "charge card"}


def test_some_items_are_ranked_afresh(recorded: Truth) -> None:
    """A few per cent of `GET /items` miss the cache, and only those spend time in `rank_items`."""
    items = [span for span in recorded.spans.values() if span.name == "GET /items"]
    missed = {span.span for span in items if span.attributes["cache.hit"] is False}
    assert 0.02 < len(missed) / len(items) < 0.15
    ranking = {
        span.span for span in items if any("rank_items" in stack for stack in recorded.cpu_ns_by_stack(span.span))
    }
    assert ranking
    assert ranking <= missed


def test_one_function_leaks(recorded: Truth) -> None:
    """What `remember_session` holds grows from window to window, tens of megabytes in the minute."""
    held: dict[int, int] = {}
    for sample in recorded.samples:
        if sample.profile == "memory" and "remember_session" in sample.stack:
            held[sample.time_ns] = held.get(sample.time_ns, 0) + sample.values["inuse_space/bytes"]
    by_time = [held[time_ns] for time_ns in sorted(held)]
    assert by_time == sorted(by_time)
    assert by_time[-1] - by_time[0] > 20_000_000


def test_nothing_of_the_machine_it_was_made_on_is_in_it() -> None:
    """Stacks name the paths of a tidy installation only."""
    requests = list(shipped())
    strings = {name for sample in truth(requests).samples for name in sample.stack}
    assert not [name for name in strings if name.startswith("/")]
    for request in requests:
        zipped = request.headers.get("content-encoding") == "gzip"
        raw = gzip.decompress(request.body) if zipped else request.body
        assert not [word for word in (b"/root", b"/home", b"/tmp", b"/work") if word in raw]
