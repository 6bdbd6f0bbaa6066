"""From verdicts to what receivers believe: kill, retry, silence and feedback at any moment included."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from correlate.alerting.settle import Ruling
from correlate.errors import BadInput, NotFound, StoreError
from correlate.model.alert_changes import AlertFilter, Changes
from correlate.model.alert_policy import AlertConfig, Policies, ReceiverRoute
from correlate.model.alerts import Alert, AlertStatus, Notification, Silence
from correlate.model.verdicts import Tier
from correlate.ports import AlertBooks
from correlate.services.alert_flow import AlertFlow
from correlate.services.alerts import Alerts
from correlate.storage.state import open_state
from tests.fakes.ingest import FakeClock
from tests.support.alerts import (
    HOUR,
    MINUTE,
    QUICK,
    SHOP,
    T0,
    alert,
    books_in,
    books_of,
    in_the_course_of_a_day,
    judgement,
    ruling,
    verdict,
)

CONFIG = AlertConfig(Policies(QUICK), (ReceiverRoute("hook", group_wait_ns=0),))


@pytest.fixture
def clock() -> FakeClock:
    """The beginning of time."""
    return FakeClock(T0)


@pytest.fixture
def books(tmp_path: Path, clock: FakeClock) -> Iterator[AlertBooks]:
    """Empty books."""
    with books_in(tmp_path, clock) as books:
        yield books


def test_a_page_becomes_a_message_once(books: AlertBooks, clock: FakeClock) -> None:
    """However often it is judged and planned, by however many processes."""
    flows = [AlertFlow(books, CONFIG, clock) for _ in range(2)]
    for flow in flows:
        flow.judged(SHOP, [ruling(0, verdict())])
    said = [each for flow in flows for each in flow.plan()]
    assert [(each.reason.value, [one.verdict.subject for one in each.alerts]) for each in said] == [
        ("first notification", ["remember_session"])
    ]
    assert [each.key for each in books.outbox.claim("hook", 5, 30)] == [said[0].key]


def test_a_process_that_dies_after_judging_loses_nothing(books: AlertBooks, clock: FakeClock) -> None:
    """The next one sees the difference between how alerts are and what receivers believe."""
    AlertFlow(books, CONFIG, clock).judged(SHOP, [ruling(0, verdict())])
    (said,) = AlertFlow(books, CONFIG, clock).plan()
    assert said.alerts[0].version == 1


def test_of_two_who_plan_at_once_one_writes(books: AlertBooks, clock: FakeClock) -> None:
    """The other one decides nothing; nobody is told twice."""
    AlertFlow(books, CONFIG, clock).judged(SHOP, [ruling(0, verdict())])
    slow = _Interrupted(books.alerts, lambda: AlertFlow(books, CONFIG, clock).plan())
    assert AlertFlow(replace(books, alerts=slow), CONFIG, clock).plan() == ()
    assert len(books.outbox.claim("hook", 5, 30)) == 1


def test_who_was_overtaken_judges_anew(books: AlertBooks, clock: FakeClock) -> None:
    """An acknowledgement in between is kept; who is overtaken over and over gives up with an error."""
    flow = AlertFlow(books, CONFIG, clock)
    flow.judged(SHOP, [ruling(0, verdict())])
    alerts = Alerts(books, CONFIG, clock)
    slow = _Interrupted(books.alerts, lambda: alerts.acknowledge(alert().fingerprint, "ada"))
    AlertFlow(replace(books, alerts=slow), CONFIG, clock).judged(SHOP, [ruling(5, verdict())])
    (kept,) = books.alerts.open()
    assert (kept.acknowledged_by, kept.judged_until_ns) == ("ada", T0 + 5 * MINUTE)
    never = AlertFlow(replace(books, alerts=_Refusing(books.alerts)), CONFIG, clock)
    with pytest.raises(StoreError, match="all the time"):
        never.judged(SHOP, [ruling(10, verdict())])


def test_several_services_are_judged_at_once(books: AlertBooks, clock: FakeClock) -> None:
    """In one transaction; where somebody was faster with one of them, each by itself."""
    flow = AlertFlow(books, CONFIG, clock)

    def said(minutes: float) -> dict[str, list[Ruling]]:
        at = judgement(minutes)
        return {name: [Ruling(replace(at, service=name), (verdict(service=name),))] for name in ("x", "y")}

    assert len(flow.judged_many(said(0)).alerts) == 2
    assert not flow.judged_many(said(0))
    slow = _Interrupted(books.alerts, lambda: flow.judged("x", said(5)["x"]))
    overtaken = AlertFlow(replace(books, alerts=slow), CONFIG, clock).judged_many(said(5))
    assert [each.verdict.service for each in overtaken.alerts] == ["y"]
    assert {each.judged_until_ns for each in books.alerts.open()} == {T0 + 5 * MINUTE}


def test_addresses_are_made_when_they_are_worth_it(books: AlertBooks, clock: FakeClock) -> None:
    """When an alert begins, fires or speaks louder; not with every judgement."""
    asked: list[str] = []

    def evidence(seen: Alert) -> dict[str, str]:
        asked.append(seen.status.value)
        return {"flame_graph": f"http://x/{len(asked)}"}

    flow = AlertFlow(books, CONFIG, clock, evidence)
    for minutes, tier in ((0, Tier.WATCH), (5, Tier.WATCH), (10, Tier.PAGE), (15, Tier.PAGE)):
        flow.judged(SHOP, [ruling(minutes, verdict(tier))])
    flow.judged(SHOP, [ruling(100)])
    assert asked == ["watch", "firing"]
    assert books.alerts.open()[0].evidence == {"flame_graph": "http://x/2"}


def test_what_is_no_longer_judged_expires_and_what_is_old_goes(books: AlertBooks, clock: FakeClock) -> None:
    """Firing alerts of a service that went away do not fire for ever."""
    config = replace(CONFIG, keep_ns=48 * HOUR)
    flow = AlertFlow(books, config, clock)
    flow.judged(SHOP, [ruling(0, verdict())])
    clock.now += 24 * HOUR
    flow.tidy()
    (gone,) = books.alerts.find(AlertFilter())
    assert (gone.status, gone.resolved_ns) == (AlertStatus.RESOLVED, T0)
    clock.now += 25 * HOUR
    flow.tidy()
    assert books.alerts.find(AlertFilter()) == []
    assert len(books.alerts.history(alert().fingerprint)) == 2
    flow.judged(SHOP, [ruling(49 * 60, verdict())])
    assert books.alerts.open()[0].episode == 2


def test_feedback_lowers_the_sensitivity_of_its_detector(books: AlertBooks, clock: FakeClock) -> None:
    """For its service, and only as long as it counts."""
    in_the_course_of_a_day(books, clock)
    alerts = Alerts(books, CONFIG, clock)
    assert alerts.sensitivity(SHOP, "memory-leak") == "normal"
    alerts.false_positive(alert().fingerprint, "ada", "a cache")
    assert alerts.sensitivity(SHOP, "memory-leak") == "low"
    assert alerts.sensitivity(SHOP, "hotspot") == alerts.sensitivity("other", "memory-leak") == "normal"
    assert [each.comment for each in alerts.feedback()] == ["a cache"]
    clock.now += QUICK.feedback_ns
    assert alerts.sensitivity(SHOP, "memory-leak") == "normal"


def test_there_is_an_end_to_silences(books: AlertBooks, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs something with every look, so there can only be so many at a time."""
    monkeypatch.setattr("correlate.services.alerts._MAX_SILENCES", 3)
    for _ in range(3):
        books.silences.add(Silence(0, {"service": "x"}, 0, T0 + HOUR, "", ""))
    with pytest.raises(BadInput, match="3 silences"):
        Alerts(books, CONFIG, clock).silence(Silence(0, {"service": "x"}, 0, T0 + HOUR, "", ""))


class _Interrupted:
    """A book that something happens to just before it is written the first time."""

    def __init__(self, book: Any, before: Any) -> None:
        self._book, self._before = book, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)

    def apply(self, changes: Changes) -> bool:
        before, self._before = self._before, lambda: None
        before()
        return bool(self._book.apply(changes))


class _Refusing(_Interrupted):
    """A book in which somebody else is always faster."""

    def __init__(self, book: Any) -> None:
        super().__init__(book, lambda: None)

    def apply(self, changes: Changes) -> bool:
        return False


SUBJECTS = ("a", "b", "c")


class Lives(RuleBasedStateMachine):
    """Detectors, people, processes that die, and a receiver that fails; what it believes becomes what is true."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.clock = FakeClock(T0)
        state = self.stack.enter_context(open_state("sqlite://", clock=self.clock))
        self.books = books_of(state, self.clock)
        self.flow = AlertFlow(self.books, CONFIG, self.clock)
        self.people = Alerts(self.books, CONFIG, self.clock)
        self.last = ruling(0)
        self.believed: dict[str, bool] = {}
        self.received: dict[str, int] = {}
        self.newest: dict[str, int] = {}

    @initialize()
    def begin(self) -> None:
        """Nothing is known."""
        assert self.flow.plan() == ()

    @rule(tiers=st.lists(st.sampled_from([None, Tier.WATCH, Tier.PAGE]), min_size=3, max_size=3), twice=st.booleans())
    def judge(self, tiers: list[Tier | None], twice: bool) -> None:
        """Five minutes later a detector looks again; its task may run twice."""
        self.clock.now += 5 * MINUTE
        minutes = (self.clock.now - T0) / MINUTE
        said = (verdict(tier, subject=name) for name, tier in zip(SUBJECTS, tiers, strict=True) if tier)
        self.last = ruling(minutes, *said)
        self.flow.judged(SHOP, [self.last])
        if twice:
            assert not self.flow.judged(SHOP, [self.last])

    @rule()
    def judge_late(self) -> None:
        """A judgement that comes late changes nothing."""
        late = Ruling(judgement(-5), (verdict(subject="late"),))
        if self.last.at.judged_until_ns > T0:
            assert not self.flow.judged(SHOP, [late])

    @rule(minutes=st.integers(1, 400))
    def wait(self, minutes: int) -> None:
        """Nobody judges for a while."""
        self.clock.now += minutes * MINUTE

    @rule()
    def plan(self) -> None:
        """Somebody decides who is told."""
        self.flow.plan()

    @rule(fate=st.sampled_from(["taken", "taken", "died before", "died after", "failed"]))
    def deliver(self, fate: str) -> None:
        """A sender takes what is due; it may die before or after the receiver heard it."""
        for told in self.books.outbox.claim("hook", 2, 60):
            if fate in ("taken", "died after"):
                self.hear(told)
            if fate == "taken":
                assert self.books.outbox.done(told)
            if fate == "failed":
                assert self.books.outbox.retry(told, self.clock.now + MINUTE, "500")

    @precondition(lambda self: self.books.alerts.open())
    @rule(data=st.data(), what=st.sampled_from(["takes it on", "calls it wrong", "silences it"]))
    def somebody(self, data: st.DataObject, what: str) -> None:
        """People do what they do."""
        one = data.draw(st.sampled_from(self.books.alerts.open()))
        if what == "takes it on":
            self.people.acknowledge(one.fingerprint, "ada")
        elif what == "calls it wrong":
            self.people.false_positive(one.fingerprint, "ada")
        else:
            matchers, now_ns = {"fingerprint": one.fingerprint}, self.clock.now
            self.people.silence(Silence(0, matchers, now_ns, now_ns + 30 * MINUTE, "", "ada"))

    def hear(self, told: Notification) -> None:
        """The receiver hears a message: one that it knows, or the next of its group."""
        if told.key in self.received:
            assert self.received[told.key] == told.id
            return
        assert told.id > self.newest.get(told.group, 0)
        self.received[told.key] = self.newest[told.group] = told.id
        for each in told.alerts:
            assert each.open or self.believed.get(each.fingerprint), "an end without a beginning"
            self.believed[each.fingerprint] = each.open

    def teardown(self) -> None:
        """Silences end, everybody lives, the receiver is well: then it believes what is so."""
        for _ in range(6):
            self.clock.now += 10 * MINUTE
            self.flow.plan()
            while self.books.outbox.waiting():
                self.deliver("taken")
                self.clock.now += MINUTE
        fires = {each.fingerprint for each in self.books.alerts.open() if each.status is AlertStatus.FIRING}
        assert {name for name, there in self.believed.items() if there} == fires
        self.stack.close()


def test_receivers_come_to_believe_what_is_so() -> None:
    """Whatever happens on the way, in any order."""
    quick = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Lives, settings=quick)


def test_people_are_told_what_is_not_there(books: AlertBooks, clock: FakeClock) -> None:
    """An alert or a silence that nobody knows."""
    alerts = Alerts(books, CONFIG, clock)
    for call in (lambda: alerts.get("0" * 16), lambda: alerts.acknowledge("0" * 16, "x"), lambda: alerts.unsilence(1)):
        with pytest.raises(NotFound):
            call()
