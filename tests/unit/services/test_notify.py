"""Telling receivers about alerts, whatever happens to them: they listen on real sockets, time is a fake."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from connectors.receivers import Means, build
from correlate.alerting.settle import Ruling
from correlate.errors import NotFound, SourceTooSlow, StoreError
from correlate.model.alert_changes import Changes, Judgement
from correlate.model.alert_policy import AlertConfig, ReceiverRoute
from correlate.model.alerts import Notification, Reason
from correlate.ports import AlertBooks
from correlate.ports.receivers import Recipient
from correlate.services.alert_flow import AlertFlow
from correlate.services.notify import Notify, NotifyBooks, NotifyReport
from correlate.services.notify_metrics import NotifyMetrics
from correlate.services.notify_pace import Pace, Pauses
from correlate.services.receivers import Receivers
from correlate.storage.state import State, open_state
from correlate.storage.state_pulls import SqlLeases
from tests.fakes.timing import FakeTime
from tests.support.alerts import books_of
from tests.support.notifications import (
    START_NS,
    Answer,
    Request,
    S,
    Told,
    alert,
    leak,
    notification,
    receiver_on_socket,
    resolved,
)
from tests.support.server import free_port

HOUR_S = 3600.0


class World:
    """One state database, one clock, any number of processes and receivers."""

    def __init__(self, state: State, time: FakeTime, stack: ExitStack) -> None:
        self.state = state
        self.time = time
        self.stack = stack
        self.books: AlertBooks = books_of(state, time)
        self.recipients: list[Recipient] = []
        self.receivers = Receivers([ReceiverRoute("hook")], self.books, state, time)
        self.notify = self.process("first")

    def process(self, holder: str) -> Notify:
        """One more process that delivers."""
        leases = SqlLeases(self.state, self.time)
        books = NotifyBooks(self.books.outbox, self.books.alerts, leases, self.receivers.note_test)
        made = Notify(books, self.time, holder=holder, luck=lambda: 0.5)
        self.stack.callback(made.close)
        return made

    def receiver(self, name: str = "hook", **entry: Any) -> Recipient:
        """Configure a receiver."""
        given = {"name": name, "kind": "webhook", "timeout_s": 1.0} | entry
        (made,) = build([given], Means(self.time, "https://correlate.example"))
        self.stack.callback(made.close)
        self.recipients.append(made)
        return made

    def decide(self, *told: Notification) -> None:
        """Put notifications into the outbox, with the time as key where they have none of their own."""
        assert self.books.alerts.apply(Changes(notifications=told))

    def turns(self, seconds: float, every_s: float = 10.0) -> NotifyReport:
        """Let time pass, with a turn now and then."""
        total = self.notify.due(self.recipients)
        for _ in range(int(seconds / every_s)):
            self.time.at_s += every_s
            total += self.notify.due(self.recipients)
        return total


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty one."""
    time = FakeTime(at_s=START_NS / 1e9 + 1000)
    with open_state(f"sqlite:///{tmp_path}/state.db", clock=time) as state, ExitStack() as stack:
        yield World(state, time, stack)


@pytest.fixture
def hook() -> Iterator[Told]:
    """A receiver that takes everything, until it is told otherwise."""
    with receiver_on_socket() as told:
        yield told


def message(world: World, key: str, group: str = "g", *, over: bool = False, **more: Any) -> Notification:
    """A notification, decided now."""
    one = alert(leak(subject=group))
    now_ns = world.time.now_ns()
    given = {"key": key, "group": group, "alerts": (resolved(one) if over else one,), "created_ns": now_ns}
    return notification(**given | {"due_ns": now_ns} | more)


def keys(requests: Sequence[Request]) -> list[str]:
    """Idempotency keys, in order."""
    return [each.key for each in requests]


def test_a_receiver_that_was_down_for_an_hour_gets_everything_in_order(world: World) -> None:
    """Once each, firing before resolved, within minutes after it is back."""
    port = free_port()
    world.receiver(url=f"http://127.0.0.1:{port}/hook", timeout_s=0.5)
    for group in "abc":
        world.decide(message(world, f"{group}1", group), message(world, f"{group}2", group, over=True))
    done = world.turns(HOUR_S, every_s=60)
    assert (done.sent, done.given_up) == (0, 0)
    assert done.failed > 20
    with receiver_on_socket(port) as told:
        assert world.turns(600).sent == 6
    assert Counter(keys(told.taken)) == Counter(["a1", "a2", "b1", "b2", "c1", "c2"])
    for group in "abc":
        of_group = [each for each in told.taken if each.key.startswith(group)]
        assert [each.json()["status"] for each in of_group] == ["firing", "resolved"]
    assert world.books.outbox.queues()[0].waiting_count == 0


def test_attempts_that_fail_carry_the_same_key_and_body(world: World, hook: Told) -> None:
    """A receiver that stored it and failed to say so can tell that it is the same."""
    world.receiver(url=hook.url, secret="s")
    moods = iter([500, 502, 503, 200])
    hook.behave = lambda _: Answer(next(moods))
    world.decide(message(world, "k"))
    done = world.turns(60)
    assert (done.failed, done.sent) == (3, 1)
    assert keys(hook.asked) == ["k"] * 4
    assert len({each.body for each in hook.asked}) == 1
    assert len({each.headers["x-correlate-timestamp"] for each in hook.asked}) == 4
    assert len({each.headers["x-correlate-signature"] for each in hook.asked}) == 4


def test_an_answer_that_comes_too_late_makes_a_repeat_not_a_loss(world: World, hook: Told) -> None:
    """It took the first and hung; the second has the same key."""
    world.receiver(url=hook.url, timeout_s=0.2)
    pauses = iter([0.5])
    hook.behave = lambda _: Answer(pause_s=next(pauses, 0.0))
    world.decide(message(world, "k"), message(world, "l", over=True))
    world.turns(30)
    assert keys(hook.taken)[0] == "k"
    assert keys(hook.taken)[-1] == "l"
    assert list(dict.fromkeys(keys(hook.asked))) == ["k", "l"]


def test_retry_after_is_honoured_for_the_whole_receiver(world: World, hook: Told) -> None:
    """Nobody asks before; then all groups are told."""
    world.receiver(url=hook.url)
    moods = iter([Answer(429, b"", {"retry-after": "120"})])
    hook.behave = lambda _: next(moods, Answer())
    world.decide(message(world, "a", "a"))
    world.turns(0)
    world.decide(message(world, "b", "b"))
    world.turns(110)
    assert len(hook.asked) == 1
    world.turns(20)
    assert Counter(keys(hook.taken)) == Counter(["a", "b"])


def test_a_receiver_that_hangs_delays_nobody_else(world: World, hook: Told) -> None:
    """The other one is told while it hangs."""
    with receiver_on_socket() as slow:
        there = threading.Event()
        slow.behave = lambda _: Answer(pause_s=1.2)
        hook.behave = lambda _: there.set() or Answer()
        world.receiver("slow", url=slow.url, timeout_s=1.0)
        world.receiver(url=hook.url)
        world.decide(message(world, "s", receiver="slow"), message(world, "h"))
        turn = threading.Thread(target=world.notify.due, args=(world.recipients,))
        turn.start()
        assert there.wait(0.5)
        world.decide(message(world, "i", "other"))
        world.process("second").due(world.recipients[1:])  # by this turn or by the first, while that one still waits
        while len(hook.taken) < 2:
            assert turn.is_alive()
        assert turn.is_alive()
        turn.join()
    assert keys(hook.taken) == ["h", "i"]


def test_a_group_that_is_stuck_delays_only_itself(world: World, hook: Told) -> None:
    """What is wrong with one notification is not wrong with others; its own group waits for it."""
    world.receiver(url=hook.url, at_once=1)
    hook.behave = lambda request: Answer(500 if request.key == "a1" else 200)
    world.decide(message(world, "a1", "a"), message(world, "a2", "a", over=True))
    world.decide(*(message(world, f"b{number}", "b") for number in range(5)))
    world.turns(120, every_s=2)
    assert keys(hook.taken) == [f"b{number}" for number in range(5)]


def test_what_is_refused_is_dead_and_visible_and_its_group_goes_on(
    world: World, hook: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be sent again when its alerts are still there; others would be believed for ever."""
    world.receiver(url=hook.url)
    hook.behave = lambda request: Answer(400 if request.key in "ac" else 200, b"cannot read that")
    there = alert(leak(subject="there"))
    world.books.alerts.apply(Changes(alerts=(there,)))
    world.decide(
        message(world, "a", alerts=(there,)),
        message(world, "b", over=True),
        message(world, "c", "over", alerts=(alert(leak(subject="gone")),)),
    )
    with caplog.at_level(logging.ERROR):
        done = world.turns(10)
    assert (done.sent, done.given_up, done.failed) == (1, 2, 0)
    assert "correlate alerts resend hook" in caplog.text
    queue = world.receivers.all()[0].queue
    assert (queue.dead_count, queue.waiting_count) == (2, 0)
    assert "400" in queue.last_error
    assert {each.notification.key for each in world.receivers.dead("hook")} == {"a", "c"}
    hook.behave = lambda _: Answer()
    again = world.receivers.resend()
    assert (again.revived, again.over) == (1, 1)
    world.turns(10)
    assert keys(hook.taken) == ["b", "a"]


def test_it_is_given_up_after_days_and_not_before(world: World, hook: Told) -> None:
    """Three, unless the configuration says otherwise."""
    world.receiver(url=hook.url)
    hook.behave = lambda _: Answer(503)
    world.decide(message(world, "k"))
    world.turns(2.9 * 86_400, every_s=HOUR_S)
    assert world.books.outbox.queues()[0].waiting_count == 1
    world.turns(0.2 * 86_400, every_s=HOUR_S)
    assert world.books.outbox.queues()[0].dead_count == 1


def test_a_defect_of_ours_loses_nothing(world: World, hook: Told, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its place, and tried again."""
    recipient = world.receiver(url=hook.url)
    real: Callable[[Notification], None] = recipient.receiver.deliver
    moods = iter([ZeroDivisionError("oops")])

    def stumbling(told: Notification) -> None:
        for error in moods:
            raise error
        real(told)

    recipient.receiver.deliver = stumbling  # type: ignore[method-assign]
    world.decide(message(world, "k"))
    assert world.turns(20).sent == 1
    assert "ZeroDivisionError" in caplog.text


def test_the_pace_is_kept(world: World, hook: Told) -> None:
    """Slack takes one a second; a burst is small."""
    world.receiver(url=hook.url, kind="slack")
    world.decide(*(message(world, str(number), str(number)) for number in range(30)))
    world.turns(0)
    assert len(hook.taken) == 2
    world.turns(10, every_s=1)
    assert len(hook.taken) == 12
    world.turns(30, every_s=2)
    assert len(hook.taken) == 30


def test_two_processes_share_the_work(world: World, hook: Told) -> None:
    """Each notification is told by one of them, each group in order."""
    world.receiver(url=hook.url, rate_per_s=1000)
    other = world.process("second")
    world.decide(*(message(world, f"{group}{number:02}", group) for group in "abcd" for number in range(10)))
    turns = [threading.Thread(target=each.due, args=(world.recipients,)) for each in (world.notify, other) * 2]
    for turn in turns:
        turn.start()
    for turn in turns:
        turn.join()
    world.turns(0)
    assert len(hook.taken) == 40
    for group in "abcd":
        told = [key for key in keys(hook.taken) if key.startswith(group)]
        assert told == sorted(told)


def test_what_a_dead_process_had_in_hand_is_told_by_the_next(world: World, hook: Told) -> None:
    """After its lease: at least once, with the same key."""
    recipient = world.receiver(url=hook.url)
    world.decide(message(world, "k"), message(world, "l"))
    taken = world.books.outbox.claim("hook", 10, recipient.lease_s)  # and then it died
    assert [each.key for each in taken] == ["k"]
    assert world.turns(0).sent == 0
    world.time.at_s += recipient.lease_s
    assert world.turns(0).sent == 2
    assert keys(hook.taken) == ["k", "l"]


def alertmanager_told(world: World, told: Told) -> AlertFlow:
    """An Alertmanager that was told about one alert."""
    world.receiver("am", kind="alertmanager", urls=[told.url], every_s=60)
    route = ReceiverRoute("am", "alertmanager", group_wait_ns=0, group_interval_ns=0)
    flow = AlertFlow(world.books, AlertConfig(receivers=(route,)), world.time)
    judge(world, flow, gone=False)
    flow.plan()
    return flow


def judge(world: World, flow: AlertFlow, *, gone: bool) -> None:
    """A detector sees the leak, or not any more; data is as late as the clock."""
    for _ in range(3 if gone else 1):
        world.time.at_s += HOUR_S if gone else 0.0
        at = Judgement("checkout", "memory-leak", world.time.now_ns())
        flow.judged("checkout", [Ruling(at, () if gone else (leak(),))])


def ends(told: Told) -> list[bool]:
    """For each push whether the alert fires, by the end that it was given; the clock stood still since."""
    return [each.json()[0]["endsAt"] > each.json()[0]["startsAt"] for each in told.taken]


def test_an_alertmanager_that_answers_200_and_stores_nothing_is_told_again(world: World, hook: Told) -> None:
    """Every minute, with an end that moves ahead; by one of two processes."""
    alertmanager_told(world, hook)
    other = world.process("second")
    world.turns(0)
    pushes = len(hook.taken)
    for _ in range(60):
        world.time.at_s += 10
        world.notify.due(world.recipients)
        other.due(world.recipients)
    assert 9 <= len(hook.taken) - pushes <= 11
    until = [each.json()[0]["endsAt"] for each in hook.taken]
    assert until == sorted(until)
    assert len({str(each.json()[0]["labels"]) for each in hook.taken}) == 1


def test_an_alertmanager_is_told_for_minutes_that_something_is_over(world: World, hook: Told) -> None:
    """And then no more; an Alertmanager that was down when it ended hears of it when it is back."""
    flow = alertmanager_told(world, hook)
    world.turns(0)
    hook.behave = lambda _: Answer(500)
    judge(world, flow, gone=True)
    flow.plan()
    world.turns(300)
    hook.taken.clear()
    hook.behave = lambda _: Answer()
    world.turns(600)
    flow.plan()
    ended = [each.json()[0] for each in hook.taken]
    assert 4 <= len(ended) <= 12
    assert len({each["endsAt"] for each in ended}) == 1
    hook.taken.clear()
    world.turns(600)
    assert hook.taken == []


def test_a_failed_round_is_no_matter(world: World, hook: Told) -> None:
    """The next one comes in a minute."""
    alertmanager_told(world, hook)
    world.turns(0)
    hook.behave = lambda _: Answer(500)
    assert world.turns(120).failed > 0
    hook.behave = lambda _: Answer()
    assert world.turns(120).repeated == 2


def test_a_test_alert_is_marked_and_remembered(world: World, hook: Told) -> None:
    """Sent at once; what happened is told; taken ones are noted for the checklist."""
    recipient = world.receiver(url=hook.url)
    hook.behave = lambda _: Answer(403)
    refused = world.receivers.test(recipient)
    assert not refused.ok
    assert "403" in refused.text
    assert world.receivers.tested_ns("hook") == 0
    hook.behave = lambda _: Answer()
    assert world.receivers.test(recipient, end=True).ok
    firing, over = (each.json() for each in hook.taken)
    assert firing["notification_reason"] == "test"
    assert firing["alerts"][0]["labels"]["alertname"] == "test"
    assert "nothing is wrong" in firing["alerts"][0]["annotations"]["summary"]
    assert (firing["status"], over["status"]) == ("firing", "resolved")
    assert firing["alerts"][0]["startsAt"] == over["alerts"][0]["startsAt"]
    assert world.receivers.tested_ns("hook") == world.time.now_ns()


def test_a_test_alert_can_go_through_the_queue(world: World, hook: Told) -> None:
    """For processes that do not deliver; it is noted when it is taken."""
    world.receiver(url=hook.url)
    told = world.receivers.test_later("hook", by="me")
    assert world.receivers.tested_ns("hook") == 0
    world.turns(0)
    assert keys(hook.taken) == [told.key]
    assert hook.taken[0].json()["notification_reason"] == Reason.TEST
    assert world.receivers.all()[0].tested_ns == world.time.now_ns()
    with pytest.raises(NotFound, match="there are hook"):
        world.receivers.test_later("nobody")


def test_receivers_that_are_gone_are_still_shown(world: World) -> None:
    """While messages for them are kept."""
    world.decide(message(world, "k", receiver="old"))
    assert [(view.name, view.route is None) for view in world.receivers.all()] == [("hook", False), ("old", True)]


def test_metrics_count_what_happened_and_what_waits(world: World, hook: Told) -> None:
    """By receiver."""
    world.receiver(url=hook.url)
    registry = CollectorRegistry()
    registry.register(NotifyMetrics(world.notify, world.books.outbox, world.time))
    moods = iter([503, 200, 400])
    hook.behave = lambda _: Answer(next(moods, 503))
    world.decide(*(message(world, key) for key in "abc"))
    world.turns(20)
    text = generate_latest(registry).decode()
    for line in (
        'correlate_notifications_sent_total{receiver="hook"} 1.0',
        'correlate_notifications_given_up_total{receiver="hook"} 1.0',
        'correlate_notifications_pending{receiver="hook"} 1.0',
        'correlate_notifications_dead{receiver="hook"} 1.0',
        'correlate_notifications_oldest_seconds{receiver="hook"} 20.0',
    ):
        assert line in text


def test_without_a_state_database_counters_are_still_told(world: World) -> None:
    """Only the queues are not known."""

    class Broken:
        def queues(self) -> list[Any]:
            raise StoreError("gone")

    registry = CollectorRegistry()
    registry.register(NotifyMetrics(world.notify, Broken(), world.time))  # type: ignore[arg-type]
    assert "correlate_notifications_sent" in generate_latest(registry).decode()


def test_nothing_begins_after_the_stop(world: World, hook: Told) -> None:
    """What waits is for the next start."""
    world.receiver(url=hook.url)
    world.decide(message(world, "k"))
    world.notify.stop()
    assert world.turns(10) == NotifyReport()
    assert world.process("next").due(world.recipients).sent == 1


def test_pauses_grow_to_a_minute_and_after_an_hour_to_minutes() -> None:
    """With luck up and down by half; never shorter than what was asked for."""
    pauses = Pauses()
    assert [round(pauses.pause_s(n, 0.5, 0), 2) for n in (1, 2, 3)] == [0.5, 0.75, 1.12]
    assert pauses.pause_s(1, 0.0, 0) == 0.25
    assert pauses.pause_s(1000, 0.999, 10) < 90
    assert pauses.pause_s(1000, 0.5, 7200) == 300
    assert pauses.pause_s(1, 0.5, 0, 200.0) >= 200
    assert SourceTooSlow("x", retry_after_s=3).retry_after_s == 3


def test_a_bucket_fills_with_time_and_never_overflows() -> None:
    """Nor does a clock that goes back empty it."""
    pace = Pace(2.0, 4, 0)
    assert pace.room(0) == 4
    pace.take(4)
    assert (pace.room(S // 4), pace.room(S), pace.room(0), pace.room(100 * S)) == (0, 2, 2, 4)


def test_the_same_notification_cannot_be_told_by_two_turns_of_one_process(world: World, hook: Told) -> None:
    """A turn that is still at it is left alone."""
    recipient = world.receiver(url=hook.url, timeout_s=5)
    hook.behave = lambda _: Answer(pause_s=0.3)
    world.decide(*(message(world, str(number), str(number)) for number in range(4)))
    turn = threading.Thread(target=world.notify.due, args=([recipient],))
    turn.start()
    while not hook.asked:
        pass
    assert world.notify.due([replace(recipient)]) == NotifyReport()
    turn.join()
    assert len(hook.asked) == 4
