"""Pulling: nothing lost, nothing twice, whatever happens on the way."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from correlate.errors import Overloaded, SourceTooSlow, SourceUnreachable, StoreError
from correlate.model.payload import RawPayload
from correlate.ports import Part, Receipt
from correlate.services.ingest import AcceptedTimes, Ingest
from correlate.services.letters import Replay
from correlate.services.pull import Pull
from correlate.services.pull_run import Means
from correlate.services.pulling import Books, Outcome, Plan
from correlate.storage.state import open_state
from correlate.storage.state_letters import SqlDeadLetters
from correlate.storage.state_pulls import SqlLeases, SqlWatermarks
from correlate.storage.state_sources import SqlSourceStatuses
from correlate.tables.tables import Tables
from tests.fakes.lake import FakeLake
from tests.fakes.source import FakeSource, Reader
from tests.support.rows import T0, spans, with_series
from tests.support.store import FixedClock, payload

S = 1_000_000_000
NOW = T0 + 600 * S


class Killed(BaseException):
    """The process ends here."""


@dataclass
class World:
    """Everything around a puller that outlives it.

    Attributes:
        fails: raised by the next submissions, one each; None: this one succeeds.
    """

    books: Books
    clock: FixedClock
    lake: FakeLake = field(default_factory=FakeLake)
    reader: Reader = field(default_factory=Reader)
    fails: list[Exception | None] = field(default_factory=list)

    def submit(self, tables: Tables) -> "Future[Receipt]":
        error = self.fails.pop(0) if self.fails else None
        if isinstance(error, Overloaded):
            raise error
        if error is not None:
            failed: Future[Receipt] = Future()
            failed.set_exception(error)
            return failed
        return self.lake.submit(tables)

    def ingest(self) -> Ingest:
        return Ingest(self, self.clock, AcceptedTimes(), self.reader)

    def puller(self, holder: str = "a", lease_s: float = 30.0) -> Pull:
        means = Means(self.ingest(), self.lake, self.books, self.clock, lambda _: None)
        return Pull(means, holder=holder, lease_s=lease_s, luck=lambda: 0.5)

    def stored(self) -> list[int]:
        return sorted(self.lake.tables.spans["span"].to_list())

    def source(self, count: int = 10) -> FakeSource:
        """An item every minute, each with one span and one profile."""
        items = []
        for number in range(1, count + 1):
            body = b"item %d" % number
            self.reader.known[body] = payload(number, at_ns=T0 + number * 50 * S)
            items.append((T0 + number * 50 * S, body))
        return FakeSource("fake", *items)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """With an empty lake and empty books."""
    clock = FixedClock(NOW)
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=clock) as state:
        books = Books(
            SqlWatermarks(state, clock),
            SqlLeases(state, clock),
            SqlSourceStatuses(state),
            SqlDeadLetters(state, clock),
        )
        yield World(books, clock)


def plan(source: FakeSource, step_s: float | None = 100.0) -> Plan:
    """Pull the last fifteen minutes in small steps."""
    return Plan(source, step_s=step_s, backfill_s=900.0, every_s=10.0, parts=lambda: [Part("x", ok=True, text="up")])


def test_everything_up_to_what_is_settled_is_stored_once(world: World) -> None:
    """Window after window; the next pull begins where the last one ended."""
    source = world.source()
    source.lag_s = 90.0
    report = world.puller().once(plan(source))
    assert (report.outcome, report.windows, report.payloads, report.spans, report.profiles) == ("done", 9, 10, 10, 10)
    assert world.stored() == list(range(1, 11))
    assert world.books.watermarks.until_ns("fake") == NOW - 90 * S
    world.clock.at_ns += 10 * S
    assert world.puller().once(plan(source)).spans == 0
    assert source.windows[-1].start_ns == NOW - 90 * S
    edges = [(window.start_ns, window.end_ns) for window in source.windows]
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(edges))


@pytest.mark.parametrize("at", range(10))
def test_a_restart_in_the_middle_loses_nothing_and_stores_nothing_twice(world: World, at: int) -> None:
    """The process dies while it fetches any of the payloads; the next one goes on when the lease is over."""
    source = world.source()

    def die(number: int) -> None:
        if number == at:
            raise Killed

    source.before = die
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.books.leases, "release", lambda *_, **__: None)
        with pytest.raises(Killed):
            world.puller("a").once(plan(source))
    source.before = lambda _: None
    assert world.puller("b").once(plan(source)).outcome == Outcome.HELD
    world.clock.at_ns += 31 * S
    world.puller("b").once(plan(source, step_s=70.0))
    assert world.stored() == list(range(1, 11))
    assert len(world.lake.tables.profiles) == 10


def test_a_crash_between_the_commit_and_the_watermark_stores_nothing_twice(world: World) -> None:
    """The worst moment: rows are stored, the watermark does not say so."""
    source = world.source()
    world.puller().once(plan(source))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.books.watermarks, "until_ns", lambda *_: None)
        patch.setattr(world.books.watermarks, "advance", lambda *_: True)
        report = world.puller().once(plan(source))
    assert (report.spans, report.profiles, report.duplicates) == (0, 0, 20)
    assert world.stored() == list(range(1, 11))


def test_late_spans_of_a_stored_trace_come_alone(world: World) -> None:
    """The trace comes again as other bytes; what is stored of it is not stored again, also within one batch."""
    early = spans(*({"span": n, "start_ns": T0 + n, "payload": 100} for n in (1, 2)))
    late = spans(*({"span": n, "start_ns": T0 + n, "payload": 200} for n in (1, 2, 3)))
    twin = spans({"span": 2, "start_ns": T0 + 2, "kind": 3, "service": "cart", "payload": 300})
    world.reader.known = {b"early": with_series(early), b"late": with_series(late), b"twin": with_series(twin)}
    source = FakeSource("fake", (T0, b"early"))
    world.puller().once(plan(source))
    source.items = [(NOW, b"late"), (NOW, b"late"), (NOW, b"twin")]
    world.clock.at_ns += 10 * S
    report = world.puller().once(plan(source))
    assert world.stored() == [1, 2, 2, 3]
    assert (report.spans, report.duplicates) == (2, 5)


@pytest.mark.parametrize("poison", [b"poison", b"panic"])
def test_a_poisoned_payload_holds_up_nobody_and_can_be_replayed(world: World, poison: bytes) -> None:
    """It becomes a dead letter with its reason; when the reader can read it, it is stored and gone."""
    source = world.source()
    source.items.insert(4, (source.items[4][0], poison))
    report = world.puller().once(plan(source))
    assert (report.outcome, report.dead, report.spans) == ("done", 1, 10)
    (letter,) = world.books.letters.list()
    assert (letter.source, letter.attempts) == ("fake", 1)
    assert ("Malformed" in letter.reason) or ("defect" in letter.reason)
    replay = Replay(world.ingest(), world.lake, world.books.letters)
    if poison == b"poison":
        assert (replay.all().failed, world.books.letters.list()[0].attempts) == (1, 2)
    world.reader.known[poison] = payload(77, at_ns=T0)
    world.reader.panics = False
    assert replay.all("fake").stored == 1
    assert world.stored() == [*range(1, 11), 77]
    assert world.books.letters.count() == 0


def test_a_source_that_fails_keeps_its_place_and_says_why(world: World) -> None:
    """What came before the error is stored; the next try waits, longer each time, and then goes on."""
    source = world.source()

    def down(number: int) -> None:
        if number >= 3:
            raise SourceUnreachable("fake: connection refused; is it running?")

    source.before = down
    report = world.puller().once(plan(source))
    assert (report.outcome, report.error) == (Outcome.FAILED, "fake: connection refused; is it running?")
    assert world.stored() == [1, 2, 3]
    status = world.books.statuses.get("fake")
    assert (status.ok, status.failures, status.spans, status.retry_at_ns) == (False, 1, 3, NOW + 10 * S)
    assert world.puller().once(plan(source)).outcome == Outcome.WAITING
    world.clock.at_ns += 10 * S
    world.puller().once(plan(source))
    assert world.books.statuses.get("fake").retry_at_ns == world.clock.at_ns + 20 * S
    source.before = lambda _: None
    world.clock.at_ns += 20 * S
    assert world.puller().once(plan(source)).outcome == Outcome.DONE
    assert world.stored() == list(range(1, 11))
    status = world.books.statuses.get("fake")
    assert (status.ok, status.failures, status.pulls, status.parts[0].text) == (True, 2, 1, "up")
    assert status.last_error.startswith("fake: connection")


def test_a_source_that_asks_for_time_gets_it(world: World) -> None:
    """Retry-After counts when it is longer than our own pause."""
    source = world.source()

    def slow(_number: int) -> None:
        raise SourceTooSlow("fake: too many requests", retry_after_s=77.0)

    source.before = slow
    world.puller().once(plan(source))
    assert world.books.statuses.get("fake").retry_at_ns == NOW + 77 * S


def test_a_defect_in_a_connector_is_a_failure_like_others(world: World) -> None:
    """It shows in the status and leaves the lease free."""
    source = world.source()

    def broken(_number: int) -> None:
        raise ZeroDivisionError

    source.before = broken
    assert "ZeroDivisionError" in world.puller().once(plan(source)).error
    assert world.books.leases.holder("pull fake") is None


def test_when_the_store_fails_the_watermark_stays(world: World) -> None:
    """And the same window is fetched again."""
    source = world.source()
    world.fails = [None, StoreError("disk full"), None]
    assert world.puller().once(plan(source)).outcome == Outcome.FAILED
    world.clock.at_ns += 60 * S
    world.puller().once(plan(source))
    assert world.stored() == list(range(1, 11))


def test_a_full_queue_is_waited_for(world: World) -> None:
    """It is no failure of the source."""
    source = world.source()
    world.fails = [Overloaded("full"), Overloaded("full"), None]
    assert world.puller().once(plan(source)).outcome == Outcome.DONE


def test_of_two_pullers_only_one_works(world: World) -> None:
    """The other is told who does."""
    source, inside, go = world.source(), threading.Event(), threading.Event()

    def wait(_number: int) -> None:
        inside.set()
        go.wait(10)

    source.before = wait
    thread = threading.Thread(target=world.puller("a").once, args=(plan(source),))
    thread.start()
    inside.wait(10)
    report = world.puller("b").once(plan(source))
    go.set()
    thread.join()
    assert (report.outcome, report.held_by) == (Outcome.HELD, "a")
    assert world.stored() == list(range(1, 11))


def test_a_puller_that_slept_too_long_does_not_move_the_watermark(world: World) -> None:
    """Another took over meanwhile; both stored, and nothing is there twice."""
    source = world.source()
    first, second = world.puller("a", lease_s=3000.0), world.puller("b")

    def sleep(number: int) -> None:
        source.before = lambda _: None
        world.clock.at_ns += 3001 * S
        assert second.once(plan(source)).outcome == Outcome.DONE

    source.before = sleep
    assert first.once(plan(source)).outcome == Outcome.HELD
    assert world.stored() == list(range(1, 11))
    assert len(world.lake.tables.profiles) == 10
    assert world.books.watermarks.until_ns("fake") == world.clock.at_ns


def test_two_pullers_at_once_without_any_lease_store_nothing_twice(world: World) -> None:
    """Even if clocks disagree so that a lease protects nobody, rows are recognised."""
    source = world.source()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.books.leases, "renew", lambda *_: True)
        holder = iter("abcdef")
        taken = world.books.leases.acquire
        patch.setattr(world.books.leases, "acquire", lambda name, _h, ttl: taken(name + next(holder), "x", ttl))
        world.puller("a").once(plan(source, step_s=None))
        patch.setattr(world.books.watermarks, "until_ns", lambda *_: None)
        report = world.puller("b").once(plan(source, step_s=None))
    assert report.spans == 0
    assert world.stored() == list(range(1, 11))


def test_nothing_is_due_twice_within_no_time(world: World) -> None:
    """A second task for the same moment fetches nothing."""
    source = world.source()
    world.puller().once(plan(source))
    count = len(source.windows)
    world.puller().once(plan(source))
    assert len(source.windows) == count


class Following:
    """A source that delivers what a test gives it."""

    def __init__(self) -> None:
        self.source = FakeSource("live")
        self.deliver: Callable[[RawPayload], object] | None = None
        self.ready = threading.Event()

    def run(self, deliver: Callable[[RawPayload], object], stop: threading.Event) -> None:
        self.deliver = deliver
        self.ready.set()
        stop.wait(30)

    def give(self, body: bytes) -> None:
        assert self.ready.wait(10)
        assert self.deliver is not None
        self.deliver(RawPayload(self.source.kind, body, NOW))


def eventually(probe: Callable[[], bool]) -> None:
    """Wait until it holds."""
    ends = time.monotonic() + 10
    while not probe():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_source_that_delivers_by_itself_is_followed_by_one_process(world: World) -> None:
    """What it gives is stored, poison included as a dead letter; another process waits for its end."""
    world.source()
    live, first, second = Following(), world.puller("a"), world.puller("b")
    following = replace(plan(live.source, None), follow=live.run)
    assert first.once(following).outcome == Outcome.DONE
    assert first.once(following).outcome == Outcome.DONE
    assert second.once(following).held_by == "a"
    live.give(b"item 1")
    live.give(b"poison")
    live.give(b"item 2")
    eventually(lambda: world.stored() == [1, 2])
    assert world.books.letters.count() == 1
    first.close()
    assert world.books.statuses.get("live").spans == 2
    assert world.books.leases.holder("pull live") is None
    assert second.once(following).outcome == Outcome.DONE
    second.close()


def test_what_a_followed_source_gave_waits_while_the_store_fails(world: World) -> None:
    """It cannot be asked for again."""
    world.source()
    live, puller = Following(), world.puller()
    world.fails = [StoreError("disk full"), StoreError("disk full")]
    puller.once(replace(plan(live.source, None), follow=live.run))
    live.give(b"item 1")
    eventually(lambda: world.books.statuses.get("live").last_error == "disk full")
    live.give(b"item 2")
    eventually(lambda: world.stored() == [1, 2])
    puller.close()
    assert world.books.statuses.get("live").ok


def test_a_followed_source_that_gives_up_says_why(world: World) -> None:
    """And is begun again when its time has come."""
    live, puller = Following(), world.puller()

    def broken(_deliver: object, _stop: object) -> None:
        raise SourceUnreachable("live: no target could be looked up")

    following = replace(plan(live.source, None), follow=broken)
    puller.once(following)
    eventually(lambda: world.books.leases.holder("pull live") is None)
    status = world.books.statuses.get("live")
    assert (status.ok, status.last_error) == (False, "live: no target could be looked up")
    assert puller.once(following).outcome == Outcome.WAITING
    puller.close()
