"""Passing on what came in."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from correlate.errors import Malformed, Overloaded
from correlate.model.forward import CARRIED, DELIVERED, Fate, Target, TargetKind, Verdict, WhenFull
from correlate.model.payload import PayloadKind, RawPayload
from correlate.ports import Receipt
from correlate.services.forward import Courier, Delivery, Forward, Lane, Outbox, Pauses
from correlate.services.forward_metrics import ForwardMetrics
from correlate.services.ingest import Accepted
from correlate.storage.outbox import DiskOutbox

OTLP = Target("tempo", TargetKind.OTLP_HTTP, "http://tempo:4318", CARRIED[TargetKind.OTLP_HTTP])
PYROSCOPE = Target("pyro", TargetKind.PYROSCOPE, "http://pyro:4040", CARRIED[TargetKind.PYROSCOPE])
QUICK = Pauses(0.001, 0.002)


def payload(number: int, kind: PayloadKind = PayloadKind.OTLP_TRACES) -> RawPayload:
    """Something that can be told from the others."""
    return RawPayload(kind, b"%d" % number, number)


class FakeIngest:
    """Takes everything but what says that it is bad."""

    def accept(self, payload: RawPayload) -> Accepted:
        if payload.body == b"bad":
            raise Malformed("bad")
        done: Future[Receipt] = Future()
        done.set_result(Receipt(1, 0, 0, 0))
        return Accepted(done, ())


class FakeCourier:
    """Answers as it is told, then with success."""

    def __init__(self, *verdicts: Verdict, then: Verdict = DELIVERED) -> None:
        self.verdicts = list(verdicts)
        self.then = then
        self.tried: list[bytes] = []
        self.taken: list[bytes] = []
        self.closed = threading.Event()

    def deliver(self, payload: RawPayload) -> Verdict:
        self.tried.append(payload.body)
        verdict = self.verdicts.pop(0) if self.verdicts else self.then
        if verdict.fate is Fate.DELIVERED:
            self.taken.append(payload.body)
        return verdict

    def close(self) -> None:
        self.closed.set()


def forward(folder: Path, *targets: Target) -> Forward:
    """The way in with queues in a folder."""

    def open_outbox(target: Target) -> Outbox:
        return DiskOutbox(folder / target.name, max_bytes=target.max_bytes, fsync=False)

    return Forward(FakeIngest(), targets, open_outbox)


@contextmanager
def delivering(lane: Lane, courier: Courier) -> Iterator[None]:
    """Deliver while the block lasts."""
    delivery = Delivery(lane, courier, QUICK, luck=lambda: 0.5)
    delivery.start()
    try:
        yield
    finally:
        delivery.stop()


def eventually(condition: object, timeout_s: float = 5.0) -> None:
    """Wait until something is so."""
    assert callable(condition)
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.002)


def test_each_target_gets_what_it_understands(tmp_path: Path) -> None:
    """Traces go to OTLP targets only, Pyroscope's pushes to Pyroscope only, OTLP profiles to both; files to nobody."""
    front = forward(tmp_path, OTLP, PYROSCOPE)
    kinds = (
        PayloadKind.OTLP_TRACES,
        PayloadKind.OTLP_PROFILES,
        PayloadKind.PYROSCOPE_PUSH,
        PayloadKind.PYROSCOPE_INGEST,
        PayloadKind.PPROF,
    )
    for kind in kinds:
        front.accept(payload(1, kind))
    assert [lane.waiting[0] for lane in front.lanes] == [2, 3]
    front.close()


def test_the_sender_is_answered_after_the_queue_has_it(tmp_path: Path) -> None:
    """When accept returns, the payload is on disk; without targets no queue is ever opened."""
    front = forward(tmp_path, OTLP)
    front.accept(payload(1))
    assert next((tmp_path / "tempo").glob("*.seg")).stat().st_size > 0
    front.close()
    assert forward(tmp_path / "none").accept(payload(1)).committed.done()
    assert not (tmp_path / "none").exists()


def test_what_is_refused_here_goes_nowhere_unless_asked_for(tmp_path: Path) -> None:
    """A payload that cannot be read is refused and not passed on; a target may ask for those too."""
    front = forward(tmp_path, OTLP, replace(OTLP, name="all", unreadable=True))
    with pytest.raises(Malformed):
        front.accept(RawPayload(PayloadKind.OTLP_TRACES, b"bad", 1))
    assert [lane.waiting[0] for lane in front.lanes] == [0, 1]
    front.close()


def test_a_full_queue_never_stops_ingest_by_default(tmp_path: Path) -> None:
    """What does not fit is stored here, not passed on, and counted."""
    front = forward(tmp_path, replace(OTLP, max_bytes=1))
    for number in range(4):
        front.accept(payload(number))
    assert (front.lanes[0].counters.queued, front.lanes[0].counters.dropped) == (1, 3)
    front.close()


def test_a_full_queue_may_push_back(tmp_path: Path) -> None:
    """With when_full: refuse the sender comes again later, and nothing is lost."""
    front = forward(tmp_path, replace(OTLP, max_bytes=1, when_full=WhenFull.REFUSE))
    front.accept(payload(1))
    with pytest.raises(Overloaded, match="tempo"):
        front.accept(payload(2))
    assert front.lanes[0].counters.dropped == 0
    front.close()


def test_a_queue_that_cannot_be_written_is_no_reason_to_lose_data_here(tmp_path: Path) -> None:
    """A disk error of the queue is counted; the sender has its answer."""
    (tmp_path / "tempo").write_text("in the way")
    front = forward(tmp_path, OTLP)
    front.accept(payload(1))
    assert front.lanes[0].counters.dropped == 1
    assert "cannot be opened" in front.lanes[0].counters.problem


def test_order_is_kept_through_failures(tmp_path: Path) -> None:
    """Nothing overtakes a payload that has to wait; each is delivered once when nothing breaks."""
    front = forward(tmp_path, OTLP)
    for number in range(10):
        front.accept(payload(number))
    courier = FakeCourier(Verdict(Fate.LATER, "down"), DELIVERED, Verdict(Fate.LATER, "busy", 0.01))
    with delivering(front.lanes[0], courier):
        eventually(lambda: front.lanes[0].waiting[0] == 0)
    assert courier.taken == [b"%d" % number for number in range(10)]
    assert front.lanes[0].counters.retries == 2
    assert front.lanes[0].counters.problem == ""
    assert courier.closed.is_set()
    front.close()


def test_poison_is_put_aside(tmp_path: Path) -> None:
    """A payload that the target will never take does not stop those behind it, and can be looked at."""
    front = forward(tmp_path, OTLP)
    for number in range(3):
        front.accept(payload(number))
    courier = FakeCourier(DELIVERED, Verdict(Fate.REFUSED, "no good"))
    with delivering(front.lanes[0], courier):
        eventually(lambda: front.lanes[0].waiting[0] == 0)
    assert courier.taken == [b"0", b"2"]
    assert front.lanes[0].counters.refused == 1
    assert b'"reason":"no good"' in (tmp_path / "tempo" / "refused.jsonl").read_bytes()
    front.close()


def test_doubt_ends_after_a_few_attempts(tmp_path: Path) -> None:
    """An internal error that comes again and again for one payload is taken for a refusal."""
    front = forward(tmp_path, OTLP)
    front.accept(payload(0))
    front.accept(payload(1))
    courier = FakeCourier(*[Verdict(Fate.DOUBTFUL, "500")] * 6)
    with delivering(front.lanes[0], courier):
        eventually(lambda: front.lanes[0].waiting[0] == 0)
    assert courier.tried.count(b"0") == 6
    assert courier.taken == [b"1"]
    front.close()


def test_stopping_keeps_what_waits(tmp_path: Path) -> None:
    """A target that is down holds nobody up at the end, and gets everything after the next start."""
    front = forward(tmp_path, OTLP)
    for number in range(5):
        front.accept(payload(number))
    with delivering(front.lanes[0], FakeCourier(then=Verdict(Fate.LATER, "down"))):
        time.sleep(0.02)
    front.close()
    again = forward(tmp_path, OTLP)
    courier = FakeCourier()
    with delivering(again.lanes[0], courier):
        eventually(lambda: len(courier.taken) == 5)
    assert courier.taken == [b"%d" % number for number in range(5)]
    again.close()


def test_a_courier_that_breaks_does_not_end_the_thread(tmp_path: Path) -> None:
    """A defect in a courier is logged and tried again."""

    class Broken(FakeCourier):
        def deliver(self, payload: RawPayload) -> Verdict:
            if not self.tried:
                self.tried.append(payload.body)
                raise ValueError("a defect")
            return super().deliver(payload)

    front = forward(tmp_path, OTLP)
    front.accept(payload(0))
    courier = Broken()
    with delivering(front.lanes[0], courier):
        eventually(lambda: courier.taken == [b"0"])
    front.close()


def test_pauses_grow_and_keep_what_was_asked_for() -> None:
    """They double up to a cap, never all at once, and never come earlier than the target asked."""
    pauses = Pauses(0.5, 30.0)
    assert [pauses.pause_s(attempt, 1.0, None) for attempt in (0, 1, 2, 10)] == [0.5, 1.0, 2.0, 30.0]
    assert pauses.pause_s(0, 0.0, None) == 0.25
    assert pauses.pause_s(0, 0.0, 7.0) == 7.0
    assert pauses.pause_s(1000, 0.0, 7.0) == 15.0


def test_metrics_are_by_target(tmp_path: Path) -> None:
    """Counters and gauges can be scraped."""
    front = forward(tmp_path, OTLP, PYROSCOPE)
    front.accept(payload(1))
    registry = CollectorRegistry()
    registry.register(ForwardMetrics(front.lanes))
    text = generate_latest(registry).decode()
    assert 'correlate_forward_queued_total{target="tempo"} 1.0' in text
    assert 'correlate_forward_waiting{target="pyro"} 0.0' in text
    assert 'correlate_forward_failing{target="tempo"} 0.0' in text
    front.close()
