"""The ground truth that acceptance tests lean on, against figures established by other means."""

from pathlib import Path

import pytest

from correlate.demo.traffic import read
from tests.support.recordings import Truth, truth


@pytest.fixture
def checkout(shared_data: Path) -> Truth:
    """Two minutes of a real service."""
    return truth(read(shared_data / "recorded-clients" / "checkout.jsonl.gz"))


def test_cpu_time_by_operation(checkout: Truth) -> None:
    """The sums agree with the figures published with the recording, to a hundredth of a second."""
    seconds = {operation: round(spent_ns / 1e9, 2) for operation, spent_ns in checkout.cpu_ns_by_operation().items()}
    assert seconds == {"POST /checkout": 33.86, "GET /items": 32.10, "rules evaluate": 24.90, "": 1.01}
    assert round(checkout.total_cpu_ns / 1e9, 2) == 91.87


def test_sums_by_span_trace_and_stack_add_up(checkout: Truth) -> None:
    """Every nanosecond is in each of the groupings once."""
    by_span = checkout.cpu_ns_by_span()
    assert sum(by_span.values()) == sum(checkout.cpu_ns_by_trace().values()) == checkout.total_cpu_ns
    busiest = max(by_span, key=lambda span: by_span[span] if span else 0)
    assert sum(checkout.cpu_ns_by_stack(busiest).values()) == by_span[busiest]


def test_leaving_spans_out_makes_orphans(checkout: Truth) -> None:
    """Every labelled span arrived; those declared missing are orphans, with their CPU time."""
    assert checkout.orphans() == set()
    by_span = checkout.cpu_ns_by_span()
    labelled = sorted(span for span in by_span if span)[:3]
    unlabelled = next(span for span in checkout.spans if span not in by_span)
    assert checkout.orphans({*labelled, unlabelled}) == set(labelled)
    assert checkout.orphaned_cpu_ns(labelled) == sum(by_span[span] for span in labelled)
