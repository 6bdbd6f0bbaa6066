"""Alerts, groups, messages, silences and feedback, on SQLite and PostgreSQL."""

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from correlate.model.alert_changes import AlertFilter, Changes, Group, Judged, Standing, Told
from correlate.model.alerts import AlertEvent, AlertStatus, EventKind, Feedback, Severity, Silence
from correlate.ports import AlertBooks
from correlate.storage.state import State, metadata, open_state
from tests.support.alerts import HOUR, LEAK, SECOND, SHOP, T0, alert, books_of, notification
from tests.support.postgres import postgres
from tests.support.store import FixedClock


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """One server for the module."""
    with postgres() as url:
        yield url


@pytest.fixture
def clock() -> FixedClock:
    """Any time."""
    return FixedClock(T0)


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path, clock: FixedClock) -> Iterator[State]:
    """An empty state database."""
    url = f"sqlite:///{tmp_path}/state.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with open_state(url, clock=clock) as state:
        with state.transaction() as connection:
            for table in metadata.sorted_tables:
                connection.execute(sa.delete(table))
        yield state


@pytest.fixture
def books(state: State, clock: FixedClock) -> AlertBooks:
    """Empty books."""
    return books_of(state, clock)


def event(kind: EventKind = EventKind.FIRING, *, episode: int = 1, text: str = "it grows") -> AlertEvent:
    """Something that happened to the usual alert."""
    return AlertEvent(alert().fingerprint, episode, T0, kind, text)


def test_the_tables_are_those_of_the_migrations(state: State) -> None:
    """Columns, which of them may be null, and indexes."""
    with state.transaction() as connection:
        found = sa.inspect(connection)
        for table in metadata.sorted_tables:
            columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
            assert columns == {column.name: bool(column.nullable) for column in table.columns}
            indexes = {index["name"] for index in found.get_indexes(table.name) if not index["unique"]}
            assert indexes == {index.name for index in table.indexes}


def test_an_alert_comes_back_as_it_was(books: AlertBooks) -> None:
    """With its verdict, sites, guards and addresses; its version counts."""
    kept = alert(evidence={"flame_graph": "http://x"}, acknowledged_by="zero \0 byte")
    assert books.alerts.apply(Changes(alerts=(kept,), events=(event(),)))
    assert books.alerts.get(kept.fingerprint) == replace(kept, version=1)
    assert books.alerts.get("0" * 16) is None
    assert books.alerts.history(kept.fingerprint) == [event()]


def test_figures_that_are_no_numbers_are_kept_as_such(books: AlertBooks) -> None:
    """JSON has no word for infinity and for what is not a number; both come back as not a number."""
    seen = replace(alert().verdict, figures={"a_ratio": math.inf, "b_ratio": math.nan, "c_ratio": 1.0})
    books.alerts.apply(Changes(alerts=(alert(verdict=seen),)))
    (kept,) = books.alerts.open()
    assert [math.isnan(value) for value in kept.verdict.figures.values()] == [True, True, False]


def test_an_alert_is_changed_only_as_it_was_read(books: AlertBooks) -> None:
    """Of two changes of the same version one is made; a change that fails takes everything beside it along."""
    assert books.alerts.apply(Changes(alerts=(alert(),)))
    assert not books.alerts.apply(Changes(alerts=(alert(),)))
    (kept,) = books.alerts.open()
    assert books.alerts.apply(Changes(alerts=(replace(kept, acknowledged_by="a"),)))
    stale = Changes(
        judged=(Judged(SHOP, LEAK, None, 5),),
        alerts=(replace(kept, acknowledged_by="b"),),
        events=(event(),),
        groups=(Group("hook", "g"),),
        notifications=(notification("k"),),
    )
    assert not books.alerts.apply(stale)
    assert books.alerts.open()[0].acknowledged_by == "a"
    assert books.alerts.standing(SHOP).judged_until_ns == {}
    assert (books.alerts.history(kept.fingerprint), books.alerts.groups(), books.outbox.waiting()) == ([], [], set())


def test_a_detector_comes_on_from_where_it_was_seen(books: AlertBooks) -> None:
    """Of two that judged the same, one writes."""
    assert books.alerts.apply(Changes(judged=(Judged(SHOP, LEAK, None, 10), Judged(SHOP, "hotspot", None, 10))))
    assert not books.alerts.apply(Changes(judged=(Judged(SHOP, LEAK, None, 20),)))
    assert not books.alerts.apply(Changes(judged=(Judged(SHOP, "hotspot", 10, 20), Judged(SHOP, LEAK, 5, 20))))
    assert books.alerts.apply(Changes(judged=(Judged(SHOP, LEAK, 10, 20),)))
    assert books.alerts.standing(SHOP).judged_until_ns == {LEAK: 20, "hotspot": 10}


def test_one_of_many_who_judge_writes(books: AlertBooks) -> None:
    """Threads that compete for each step: exactly one wins, none waits for ever, every step has one event."""
    won: list[int] = []

    def run() -> None:
        for step in range(5):
            judged = Judged(SHOP, LEAK, step - 1 if step else None, step)
            if books.alerts.apply(Changes(judged=(judged,), events=(event(text=str(step)),))):
                won.append(step)

    threads = [threading.Thread(target=run) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(won) == [0, 1, 2, 3, 4]
    assert sorted(each.text for each in books.alerts.history(event().fingerprint)) == ["0", "1", "2", "3", "4"]


def test_what_is_known_of_a_service(books: AlertBooks) -> None:
    """Its open alerts, those asked for whatever their status, and the last episode of those that were forgotten."""
    there, gone = alert("a"), alert("b", status=AlertStatus.RESOLVED)
    elsewhere, old = alert("c", service="other"), alert("d")
    happened = (replace(event(episode=3), fingerprint=old.fingerprint),)
    books.alerts.apply(Changes(alerts=(there, gone, elsewhere), events=happened))
    assert [each.verdict.subject for each in books.alerts.standing(SHOP).alerts] == ["a"]
    asked = books.alerts.standing(SHOP, [there.fingerprint, gone.fingerprint, old.fingerprint])
    assert sorted(each.verdict.subject for each in asked.alerts) == ["a", "b"]
    assert asked.episodes == {old.fingerprint: 3}
    assert books.alerts.standing("nobody") == Standing()


def test_alerts_are_found_by_what_they_are(books: AlertBooks) -> None:
    """Firing ones first, then watches, then what is over; the last changed first."""
    books.alerts.apply(
        Changes(
            alerts=(
                alert("over", status=AlertStatus.RESOLVED),
                alert("watch", status=AlertStatus.WATCH, severity=Severity.INFO),
                alert("older"),
                alert("newer", since_ns=T0 + 1, severity=Severity.CRITICAL),
                alert("else", service="x\0y", detector="hotspot"),
            )
        )
    )

    def found(**wanted: object) -> list[str]:
        return [each.verdict.subject for each in books.alerts.find(AlertFilter(**wanted))]  # type: ignore[arg-type]

    assert found(service=SHOP) == ["newer", "older", "watch", "over"]
    assert found(limit=1) == ["newer"]
    assert found(statuses=(AlertStatus.WATCH, AlertStatus.RESOLVED)) == ["watch", "over"]
    assert found(severities=(Severity.CRITICAL,)) == ["newer"]
    assert found(detector="hotspot") == found(service="x\0y") == ["else"]


def test_names_that_are_too_long_are_still_names(books: AlertBooks) -> None:
    """What differs only after hundreds of characters is told apart."""
    one, two = "s" * 3000 + "1", "s" * 3000 + "2"
    books.alerts.apply(Changes(alerts=(alert("a", service=one), alert("b", service=two))))
    assert [each.verdict.subject for each in books.alerts.standing(two).alerts] == ["b"]
    assert books.alerts.find(AlertFilter(service=one))[0].verdict.service == one


def test_what_receivers_believe_is_changed_only_as_it_was_read(books: AlertBooks) -> None:
    """Written, changed, closed; each from the version that was read."""
    told = {"f": Told(2, AlertStatus.FIRING, Severity.WARNING)}
    group = Group("hook", "{}:{\0}", {"service": SHOP}, next_ns=5, told_ns=4, told=told)
    assert books.alerts.apply(Changes(groups=(group,)))
    assert not books.alerts.apply(Changes(groups=(group,)))
    (kept,) = books.alerts.groups()
    assert kept == replace(group, version=1)
    assert books.alerts.apply(Changes(groups=(replace(kept, told={}),)))
    assert not books.alerts.apply(Changes(closed=(kept,)))
    assert books.alerts.apply(Changes(closed=tuple(books.alerts.groups())))
    assert books.alerts.groups() == []


def test_a_receiver_hears_of_a_group_in_order(books: AlertBooks, clock: FixedClock) -> None:
    """Only the oldest of each group is handed out; a message that must wait holds back its group and nobody else."""
    books.alerts.apply(Changes(notifications=(notification("1", "a"), notification("2", "a"), notification("3", "b"))))
    books.alerts.apply(Changes(notifications=(notification("4", "a", receiver="other"),)))
    first, other = books.outbox.claim("hook", 10, 30)
    assert (first.key, other.key, first.attempts, first.alerts) == ("1", "3", 1, notification("1").alerts)
    assert books.outbox.claim("hook", 10, 30) == []
    assert books.outbox.retry(first, T0 + 60 * SECOND, "500")
    assert books.outbox.done(other)
    assert books.outbox.claim("hook", 10, 30) == []
    clock.at_ns += 60 * SECOND
    (again,) = books.outbox.claim("hook", 10, 30)
    assert (again.key, again.attempts) == ("1", 2)
    assert books.outbox.done(again)
    assert [each.key for each in books.outbox.claim("hook", 10, 30)] == ["2"]
    assert books.outbox.waiting() == {("hook", "a"), ("other", "a")}


def test_a_message_of_a_dead_sender_goes_to_the_next(books: AlertBooks, clock: FixedClock) -> None:
    """Once its lease is over; the sender that comes back late changes nothing."""
    books.alerts.apply(Changes(notifications=(notification("1"),)))
    (lost,) = books.outbox.claim("hook", 1, 30)
    clock.at_ns += 30 * SECOND
    (taken,) = books.outbox.claim("hook", 1, 30)
    assert (taken.key, taken.attempts) == (lost.key, 2)
    assert not books.outbox.done(lost)
    assert not books.outbox.retry(lost, T0, "late")
    assert not books.outbox.give_up(lost, "late")
    assert books.outbox.done(taken)
    assert not books.outbox.done(taken)


def test_a_message_is_handed_out_once(books: AlertBooks) -> None:
    """Threads that compete for many groups share them."""
    keys = [f"{n}" for n in range(20)]
    books.alerts.apply(Changes(notifications=tuple(notification(key, key) for key in keys)))
    taken: list[str] = []

    def run() -> None:
        while claimed := books.outbox.claim("hook", 2, 30):
            taken.extend(each.key for each in claimed)

    threads = [threading.Thread(target=run) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(taken) == sorted(keys)


def test_what_is_given_up_stays_visible(books: AlertBooks, clock: FixedClock) -> None:
    """With its reason, until it is forgotten or tried again; its group goes on meanwhile."""
    books.alerts.apply(Changes(notifications=(notification("1"), notification("2"))))
    (first,) = books.outbox.claim("hook", 1, 30)
    clock.at_ns += SECOND
    assert books.outbox.give_up(first, "404 not \0 found")
    (dead,) = books.outbox.dead("hook")
    assert (dead.notification.key, dead.error, dead.given_up_ns) == ("1", "404 not \ufffd found", T0 + SECOND)
    assert books.outbox.dead("other") == []
    (second,) = books.outbox.claim("hook", 5, 30)
    assert second.key == "2"
    assert books.outbox.done(second)
    (queue,) = books.outbox.queues()
    assert (queue.waiting_count, queue.sent_count, queue.dead_count) == (0, 1, 1)
    assert (queue.last_sent_ns, queue.last_error, queue.last_error_ns) == (
        T0 + SECOND,
        "404 not \ufffd found",
        T0 + SECOND,
    )
    assert books.outbox.revive(dead.notification.id)
    assert not books.outbox.revive(dead.notification.id)
    assert [each.key for each in books.outbox.claim("hook", 5, 30)] == ["1"]


def test_the_same_message_is_queued_once(books: AlertBooks) -> None:
    """The idempotency key says that it is the same."""
    for _ in range(2):
        assert books.alerts.apply(Changes(notifications=(notification("1"),)))
    (queue,) = books.outbox.queues()
    assert (queue.waiting_count, queue.oldest_ns) == (1, T0)


def test_silences(books: AlertBooks) -> None:
    """Numbered, ended early, listed with the newest first; a number is never given twice."""
    one = books.silences.add(Silence(0, {"service": "a|b\0"}, 10, 100, "why", "me"))
    two = books.silences.add(Silence(0, {"severity": ".*"}, 10, 20, "", "\0"))
    assert books.silences.get(one.id) == one
    assert one.matchers == {"service": "a|b\0"}
    assert [each.id for each in books.silences.list()] == [two.id, one.id]
    assert [each.id for each in books.silences.list(ending_after_ns=50)] == [one.id]
    ended = books.silences.end(one.id, 50)
    assert ended == replace(one, end_ns=50)
    assert books.silences.end(one.id, 60) == ended
    assert books.silences.end(10**15, 60) is None
    assert books.silences.get(10**15) is None
    assert books.silences.prune(60) == 2
    assert books.silences.add(one).id > two.id


def test_feedback_counts_once_for_an_episode_and_not_for_ever(books: AlertBooks) -> None:
    """Steps by detector, of the service, until they expire."""
    said = Feedback("f" * 16, 1, SHOP, LEAK, "me", "no\0leak", T0, T0 + HOUR)
    for each in (said, said, replace(said, episode=2, expires_ns=T0 + 2 * HOUR), replace(said, episode=3, service="x")):
        books.alerts.apply(Changes(feedback=(each,)))
    assert books.feedback.steps(SHOP, T0) == {LEAK: 2}
    assert books.feedback.steps(SHOP, T0 + HOUR) == {LEAK: 1}
    assert books.feedback.steps(SHOP, T0 + 2 * HOUR) == {}
    assert len(books.feedback.list()) == 3
    assert books.feedback.list()[0] == replace(said, comment="no\ufffdleak")


def test_what_is_old_is_forgotten_and_events_are_not(books: AlertBooks, clock: FixedClock) -> None:
    """Resolved alerts, groups nobody looks at, settled messages; never what is there or on its way."""
    over = alert("over", status=AlertStatus.RESOLVED, since_ns=T0)
    books.alerts.apply(
        Changes(
            alerts=(over, alert("there")),
            events=(replace(event(), fingerprint=over.fingerprint),),
            groups=(Group("hook", "old", next_ns=T0), Group("hook", "new", next_ns=T0 + HOUR)),
            notifications=(notification("sent", "a"), notification("waits", "b")),
        )
    )
    books.outbox.done(books.outbox.claim("hook", 1, 30)[0])
    assert books.alerts.prune(T0) == books.outbox.prune(T0) == 0
    assert books.alerts.prune(T0 + 1) == books.outbox.prune(T0 + 1) == 1
    assert [each.verdict.subject for each in books.alerts.find(AlertFilter())] == ["there"]
    assert [each.key for each in books.alerts.groups()] == ["new"]
    assert books.outbox.waiting() == {("hook", "b")}
    assert len(books.alerts.history(over.fingerprint)) == 1
