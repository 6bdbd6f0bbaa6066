"""When a group is told, and what."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from correlate.alerting.grouping import MAX_ALERTS
from correlate.alerting.planning import Scene, plan
from correlate.model.alert_changes import Group
from correlate.model.alert_policy import ReceiverRoute
from correlate.model.alerts import Alert, AlertStatus, Notification, Severity, Silence
from tests.support.alerts import HOUR, MINUTE, SECOND, SHOP, T0, alert

ROUTE = ReceiverRoute("hook")
OVER = AlertStatus.RESOLVED


@dataclass
class Post:
    """A receiver that is told at once; remembers what is remembered of its groups."""

    route: ReceiverRoute = ROUTE
    groups: dict[str, Group] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    waiting: bool = False

    def at(self, minutes: float, *alerts: Alert) -> list[Notification]:
        """What it is told at a time, when alerts are so."""
        waiting = {(self.route.name, key) for key in self.groups} if self.waiting else set()
        scene = Scene(alerts, list(self.groups.values()), self.silences, waiting)
        changes = plan(scene, [self.route], T0 + int(minutes * MINUTE))
        self.groups |= {group.key: group for group in changes.groups}
        for group in changes.closed:
            del self.groups[group.key]
        return list(changes.notifications)

    def told(self, minutes: float, *alerts: Alert) -> tuple[str, Sequence[str]] | None:
        """Why and about whom, of the one group there is."""
        said = self.at(minutes, *alerts)
        assert len(said) <= 1
        return (said[0].reason.value, sorted(each.verdict.subject for each in said[0].alerts)) if said else None


def over(subject: str) -> Alert:
    """An alert that is gone."""
    return alert(subject, status=OVER, resolved_ns=T0)


def test_the_first_notification_waits_for_company() -> None:
    """Half a minute; then all are told together."""
    post = Post()
    assert post.told(0, alert("a")) is None
    assert post.told(0.4, alert("a"), alert("b")) is None
    assert post.told(0.5, alert("a"), alert("b")) == ("first notification", ["a", "b"])
    assert post.told(1, alert("a"), alert("b")) is None


def test_what_is_gone_before_it_was_told_is_never_told() -> None:
    """And the group is forgotten."""
    post = Post()
    assert post.told(0, alert("a")) is None
    assert post.told(1, over("a")) is None
    assert post.groups == {}
    assert post.told(2, over("a")) is None


def test_changes_are_told_in_the_rhythm_of_the_group() -> None:
    """Five minutes after the last look at the earliest: added ones, then ended ones, then the end of all."""
    post = Post()
    post.at(0, alert("a"))
    assert post.told(0.5, alert("a")) == ("first notification", ["a"])
    assert post.told(3, alert("a"), alert("b")) is None
    assert post.told(5.5, alert("a"), alert("b")) == ("new alerts added", ["a", "b"])
    assert post.told(11, over("a"), alert("b")) == ("some alerts resolved", ["a", "b"])
    assert post.told(17, over("a"), over("b")) == ("all alerts resolved", ["b"])
    assert post.told(18, over("a"), over("b")) is None
    assert post.groups != {}
    assert post.told(25, over("a"), over("b")) is None
    assert post.groups == {}


def test_what_fires_again_within_the_interval_waits_for_it() -> None:
    """Coming and going does not get around the rhythm."""
    post = Post()
    post.at(0, alert("a"))
    post.at(1, alert("a"))
    assert post.told(6, over("a")) == ("all alerts resolved", ["a"])
    assert post.told(7, alert("a")) is None
    assert post.told(11, alert("a")) == ("first notification", ["a"])


def test_nothing_new_is_repeated_after_hours() -> None:
    """Unless somebody took all of it on, or the message before is still on its way."""
    post = Post()
    post.at(0, alert("a"))
    post.at(0.5, alert("a"))
    assert post.told(239, alert("a")) is None
    assert post.told(244, alert("a")) == ("repeat interval elapsed", ["a"])
    taken = alert("a", acknowledged_ns=1)
    assert post.told(600, taken) is None
    post.waiting = True
    assert post.told(700, alert("a")) is None
    assert post.told(710, alert("a"), alert("b")) == ("new alerts added", ["a", "b"])
    post.waiting = False
    assert post.told(1000, taken, alert("b")) == ("repeat interval elapsed", ["a", "b"])


def test_a_graver_alert_is_told() -> None:
    """Once, with its own reason."""
    post = Post()
    post.at(0, alert("a"))
    post.at(1, alert("a"))
    graver = alert("a", severity=Severity.CRITICAL)
    assert post.told(10, graver) == ("severity raised", ["a"])
    assert post.told(20, graver) is None


def test_an_alert_that_came_anew_unseen_is_told_again() -> None:
    """Its end was missed, its new episode is not."""
    post = Post()
    post.at(0, alert("a"))
    post.at(1, alert("a"))
    assert post.told(10, alert("a", episode=2)) == ("new alerts added", ["a"])


def test_watches_are_told_to_those_who_want_them() -> None:
    """And once more when they fire."""
    post = Post(replace(ROUTE, send_watch=True))
    watch = alert("a", status=AlertStatus.WATCH, severity=Severity.INFO)
    post.at(0, watch)
    assert post.told(1, watch) == ("first notification", ["a"])
    assert post.told(10, alert("a")) == ("new alerts added", ["a"])
    quiet = Post()
    assert (quiet.at(0, watch), quiet.groups) == ([], {})


def test_what_fired_and_came_back_as_a_watch_is_over_for_others() -> None:
    """They would believe for ever that it fires."""
    post = Post()
    post.at(0, alert("a"))
    post.at(1, alert("a"))
    (said,) = post.at(10, alert("a", status=AlertStatus.WATCH, since_ns=T0 + MINUTE))
    assert (said.reason.value, said.firing, said.alerts[0].resolved_ns) == ("all alerts resolved", False, T0 + MINUTE)


def test_ends_are_not_told_to_those_who_do_not_want_them() -> None:
    """What comes after such an end is the first again."""
    post = Post(replace(ROUTE, send_resolved=False))
    post.at(0, alert("a"))
    post.at(1, alert("a"))
    assert post.told(10, over("a")) is None
    post.at(20, alert("a"))
    assert post.told(21, alert("a")) == ("first notification", ["a"])


def test_silenced_alerts_are_not_told_and_their_end_is() -> None:
    """The end only of such as the receiver believes in; others join when the silence is over."""
    post = Post(silences=(Silence(1, {"subject": "a|b"}, T0 + 5 * MINUTE, T0 + HOUR, "", ""),))
    post.at(0, alert("a"))
    assert post.told(1, alert("a")) == ("first notification", ["a"])
    assert post.told(10, alert("a"), alert("b")) is None
    assert post.told(20, alert("a"), alert("b"), alert("c")) == ("new alerts added", ["c"])
    assert post.told(30, over("a"), alert("b"), alert("c")) == ("some alerts resolved", ["a", "c"])
    assert post.told(60, over("a"), alert("b"), alert("c")) == ("new alerts added", ["b", "c"])


def test_groups_are_told_apart_by_their_labels() -> None:
    """By default detector and service; receivers apart from each other anyway."""
    post = Post()
    every = (alert("a"), alert("b", service="other"), alert("c", detector="hotspot"))
    post.at(0, *every)
    said = post.at(1, *every)
    assert [each.group for each in said] == [
        '{}:{alertname="hotspot", service="shop"}',
        '{}:{alertname="memory-leak", service="other"}',
        '{}:{alertname="memory-leak", service="shop"}',
    ]
    assert said[0].group_labels == {"alertname": "hotspot", "service": SHOP}
    one = Post(replace(ROUTE, group_by=(), group_wait_ns=0))
    (together,) = one.at(0, *every)
    assert (len(together.alerts), together.labels) == (3, {"severity": "warning"})


def test_the_gravest_come_first_and_too_many_are_counted() -> None:
    """A notification stays of a size that can be read; all of its alerts count as told."""
    post = Post(replace(ROUTE, group_wait_ns=0))
    many = [alert(f"{n}") for n in range(MAX_ALERTS + 5)]
    (said,) = post.at(0, *many, alert("grave", severity=Severity.CRITICAL))
    assert (said.alerts[0].verdict.subject, len(said.alerts), said.truncated_count) == ("grave", MAX_ALERTS, 6)
    assert len(post.groups[said.group].told) == MAX_ALERTS + 6


def test_the_key_of_a_message_is_its_own() -> None:
    """The same whoever decides it at the same time; different for what is told later."""
    first, again = Post(), Post()
    for post in (first, again):
        post.at(0, alert("a"))
    (one,), (two,) = first.at(1, alert("a")), again.at(1, alert("a"))
    assert one == two
    (later,) = first.at(400, alert("a"))
    assert later.key != one.key


def test_groups_of_unknown_receivers_stay_as_they_are() -> None:
    """The receiver may be configured elsewhere, or again."""
    group = Group("gone", "{}:{}", next_ns=T0)
    assert not plan(Scene(groups=[group]), [ROUTE], T0 + HOUR + SECOND)
