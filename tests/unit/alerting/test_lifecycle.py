"""The life of one alert."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlate.alerting.lifecycle import acknowledge, advance, call_false_positive, expire
from correlate.errors import BadInput
from correlate.model.alert_policy import Policy
from correlate.model.alerts import Alert, AlertEvent, AlertStatus, EventKind, Severity
from correlate.model.verdicts import Tier
from tests.support.alerts import HOUR, MINUTE, QUICK, T0, judgement, verdict

WATCH, PAGE, NOTHING = Tier.WATCH, Tier.PAGE, None
STATUSES = {EventKind.WATCH, EventKind.FIRING, EventKind.RESOLVED}


def lived(
    said: Sequence[Tier | None], policy: Policy = QUICK, *, every_minutes: float = 5, deployed_ns: int = 0
) -> tuple[Alert | None, list[AlertEvent]]:
    """What becomes of an alert when this is said, one judgement after the other."""
    alert: Alert | None = None
    events: list[AlertEvent] = []
    for number, tier in enumerate(said):
        at = judgement(number * every_minutes, deployed_ns=deployed_ns)
        alert, happened = advance(alert, verdict(tier) if tier else None, at, policy)
        events += happened
    return alert, events


def kinds(events: Sequence[AlertEvent]) -> list[str]:
    """What happened."""
    return [event.kind.value for event in events]


def test_a_watch_is_shown_and_a_page_fires() -> None:
    """A watch that becomes a page is confirmed; until then it is only information."""
    watched, events = lived([WATCH, WATCH])
    assert watched is not None
    assert (watched.status, watched.severity, kinds(events)) == (AlertStatus.WATCH, Severity.INFO, ["watch"])
    fired, events = lived([WATCH, WATCH, PAGE])
    assert fired is not None
    assert (fired.status, fired.severity, kinds(events)) == (AlertStatus.FIRING, Severity.WARNING, ["watch", "firing"])
    assert (fired.started_ns, fired.confirmed_ns, fired.since_ns) == (T0, T0 + 10 * MINUTE, T0 + 10 * MINUTE)
    assert events[-1].text == "remember_session grows"


def test_nothing_comes_of_nothing() -> None:
    """Silence and clear verdicts make no alert."""
    assert lived([NOTHING, Tier.CLEAR]) == (None, [])


def test_confirming_can_take_several_pages_in_a_row() -> None:
    """A watch or silence in between begins the count anew."""
    policy = replace(QUICK, confirm_count=3)
    assert kinds(lived([PAGE, PAGE, WATCH, PAGE, PAGE], policy)[1]) == ["watch"]
    assert kinds(lived([PAGE, PAGE, NOTHING, PAGE, PAGE], policy)[1]) == ["watch"]
    assert kinds(lived([PAGE, PAGE, PAGE], policy)[1]) == ["watch", "firing"]


def test_a_watch_that_lasts_can_fire() -> None:
    """Where the policy says after how long."""
    policy = replace(QUICK, confirm_watch_after_ns=15 * MINUTE)
    assert kinds(lived([WATCH] * 3, policy)[1]) == ["watch"]
    assert kinds(lived([WATCH] * 4, policy)[1]) == ["watch", "firing"]


def test_a_deploy_is_given_time() -> None:
    """What is called a page shortly after it stays a watch, and fires once the time is over."""
    policy = replace(QUICK, suppress_after_deploy_ns=20 * MINUTE, confirm_watch_after_ns=5 * MINUTE)
    assert kinds(lived([PAGE] * 4, policy, deployed_ns=T0)[1]) == ["watch"]
    alert, events = lived([PAGE] * 5, policy, deployed_ns=T0)
    assert kinds(events) == ["watch", "firing"]
    assert alert is not None
    assert alert.confirmed_ns == T0 + 20 * MINUTE


def test_going_away_takes_silence_often_and_long_enough() -> None:
    """Both the count and the time are needed, and a watch keeps what fires firing."""
    assert kinds(lived([PAGE, NOTHING])[1]) == ["firing"]
    assert kinds(lived([PAGE, NOTHING, NOTHING])[1]) == ["firing", "resolved"]
    assert kinds(lived([PAGE, NOTHING, NOTHING], every_minutes=1)[1]) == ["firing"]
    assert kinds(lived([PAGE, NOTHING], every_minutes=60)[1]) == ["firing"]
    assert kinds(lived([PAGE, *[NOTHING, WATCH] * 5])[1]) == ["firing"]


def test_a_watch_goes_away_unconfirmed() -> None:
    """And says so."""
    alert, events = lived([WATCH, NOTHING, NOTHING])
    assert alert is not None
    assert (alert.resolved_ns, alert.confirmed_ns) == (T0 + 10 * MINUTE, 0)
    assert "before it was confirmed" in events[-1].text


def test_what_comes_back_soon_goes_on_and_later_begins_anew() -> None:
    """The same episode with its beginning, or the next one."""
    gone = [PAGE, NOTHING, NOTHING]
    soon, events = lived([*gone, *[NOTHING] * 11, WATCH, PAGE])
    assert soon is not None
    assert (soon.episode, soon.reopened_count, soon.started_ns, soon.resolved_ns) == (1, 1, T0, 0)
    assert kinds(events) == ["firing", "resolved", "watch", "firing"]
    assert events[2].text.startswith("is back")
    late, events = lived([*gone, *[NOTHING] * 12, PAGE])
    assert late is not None
    assert (late.episode, late.reopened_count, late.started_ns) == (2, 0, T0 + 75 * MINUTE)
    assert [event.episode for event in events] == [1, 1, 2]


def test_each_return_makes_going_away_slower() -> None:
    """Ten minutes of silence are enough the first time, twenty the second."""
    back = [PAGE, NOTHING, NOTHING, PAGE]
    assert kinds(lived([*back, NOTHING, NOTHING, NOTHING])[1]) == ["firing", "resolved", "firing"]
    assert kinds(lived([*back, NOTHING, NOTHING, NOTHING, NOTHING])[1]) == ["firing", "resolved", "firing", "resolved"]


def test_severity_rises_while_nobody_acts() -> None:
    """One step, and no further than critical; not while the alert is not seen."""
    alert, events = lived([PAGE] * 40)
    assert alert is not None
    assert (alert.severity, alert.escalated_ns, kinds(events)) == (
        Severity.CRITICAL,
        T0 + HOUR,
        ["firing", "escalated"],
    )
    slow = replace(QUICK, severity=Severity.INFO)
    assert kinds(lived([PAGE] * 40, slow)[1]) == ["firing", "escalated", "escalated"]
    assert kinds(lived([PAGE] * 40, replace(QUICK, escalate_after_ns=0))[1]) == ["firing"]


def test_what_somebody_took_on_does_not_escalate() -> None:
    """Said twice, the first one counts; what is over cannot be taken on."""
    alert, _ = lived([PAGE])
    assert alert is not None
    taken, events = acknowledge(alert, "ada", T0 + 5)
    assert (taken.acknowledged_by, taken.acknowledged_ns, kinds(events)) == ("ada", T0 + 5, ["acknowledged"])
    assert acknowledge(taken, "bob", T0 + 6) == (taken, [])
    later, events = advance(taken, verdict(), judgement(600), QUICK)
    assert later is not None
    assert (later.severity, later.acknowledged_by, events) == (Severity.WARNING, "ada", [])
    gone, _ = lived([PAGE, NOTHING, NOTHING])
    assert gone is not None
    with pytest.raises(BadInput, match="nothing to acknowledge"):
        acknowledge(gone, "ada", T0)


def test_what_was_called_wrong_stays_quiet_for_a_while() -> None:
    """Whatever is seen; afterwards it begins anew, so that a real leak is not hidden for ever."""
    alert, _ = lived([PAGE])
    assert alert is not None
    policy = replace(QUICK, feedback_ns=HOUR)
    called, events, said = call_false_positive(alert, "ada", "a cache", T0 + MINUTE, policy)
    assert (called.status, called.muted_until_ns, kinds(events)) == (
        AlertStatus.RESOLVED,
        T0 + HOUR + MINUTE,
        ["false_positive"],
    )
    (feedback,) = said
    assert (feedback.service, feedback.detector, feedback.expires_ns) == ("shop", "memory-leak", T0 + HOUR + MINUTE)
    assert call_false_positive(called, "bob", "", T0, policy) == (called, [], [])
    quiet, events = advance(called, verdict(), judgement(60), policy)
    assert quiet is not None
    assert (quiet.status, events, quiet.last_seen_ns) == (AlertStatus.RESOLVED, [], T0 + HOUR)
    again, events = advance(quiet, verdict(), judgement(65), policy)
    assert again is not None
    assert (again.episode, again.false_positive, kinds(events)) == (2, False, ["firing"])


def test_an_alert_without_data_expires() -> None:
    """Its end is when it was last judged, since nothing is known of later."""
    alert, _ = lived([PAGE])
    assert alert is not None
    day_ns = QUICK.expire_after_ns
    assert expire(alert, T0 + day_ns - 1, QUICK) == (alert, [])
    gone, events = expire(alert, T0 + day_ns, QUICK)
    assert (gone.status, gone.resolved_ns, kinds(events)) == (AlertStatus.RESOLVED, T0, ["resolved"])
    assert expire(gone, T0 + 2 * day_ns, QUICK) == (gone, [])


def test_an_alert_that_was_forgotten_goes_on_counting() -> None:
    """Its next episode is not its first one."""
    alert, _ = advance(None, verdict(), judgement(0), QUICK, last_episode=4)
    assert alert is not None
    assert alert.episode == 5


TIERS = st.lists(st.sampled_from([NOTHING, NOTHING, Tier.CLEAR, WATCH, PAGE]), max_size=60)
POLICIES = st.builds(
    Policy,
    confirm_count=st.integers(1, 3),
    confirm_watch_after_ns=st.sampled_from([0, 10 * MINUTE]),
    suppress_after_deploy_ns=st.sampled_from([0, 30 * MINUTE]),
    resolve_after_count=st.integers(1, 4),
    resolve_after_ns=st.sampled_from([0, 5 * MINUTE, 30 * MINUTE]),
    reopen_within_ns=st.sampled_from([0, 20 * MINUTE, HOUR]),
    escalate_after_ns=st.sampled_from([0, 5 * MINUTE, HOUR]),
)


@given(TIERS, POLICIES)
def test_every_life_makes_sense(said: list[Tier | None], policy: Policy) -> None:
    """One event at most for a judgement, statuses that follow from each other, times that do not run backwards."""
    alert: Alert | None = None
    status, episode = None, 0
    for number, tier in enumerate(said):
        at = judgement(number * 5, deployed_ns=T0)
        before = alert
        alert, events = advance(alert, verdict(tier) if tier else None, at, policy)
        assert len(events) <= 1
        assert (alert is None) == (before is None and tier in (NOTHING, Tier.CLEAR))
        for event in events:
            assert event.time_ns == at.judged_until_ns
            if event.kind is EventKind.RESOLVED:
                assert status in (EventKind.WATCH, EventKind.FIRING)
            if event.kind in STATUSES:
                assert event.kind is not status
                status = event.kind
            episode = max(episode, event.episode)
        if alert is not None:
            assert (alert.status.value, alert.episode) == (status and status.value, episode)
            assert T0 <= alert.started_ns <= alert.since_ns <= alert.judged_until_ns == at.judged_until_ns
            assert alert.started_ns <= alert.last_seen_ns <= alert.judged_until_ns
            assert alert.open == (alert.resolved_ns == 0)
            assert alert.confirmed_ns > 0 or alert.status is not AlertStatus.FIRING
            assert before is None or before.episode != alert.episode or before.severity.rank <= alert.severity.rank


@given(TIERS, POLICIES, st.data())
def test_judgements_that_come_again_or_late_change_nothing(
    said: list[Tier | None], policy: Policy, data: st.DataObject
) -> None:
    """A replay of any earlier judgement in between leaves everything as it is."""
    alert: Alert | None = None
    for number, tier in enumerate(said):
        alert, _ = advance(alert, verdict(tier) if tier else None, judgement(number * 5), policy)
        if alert is not None:
            earlier = data.draw(st.integers(0, number))
            assert advance(alert, verdict(), judgement(earlier * 5), policy) == (alert, [])
            assert advance(alert, None, judgement(earlier * 5), policy) == (alert, [])


def test_flapping_is_bounded() -> None:
    """In a day of the worst possible detector a finding with the usual policy is resolved a few times, not hundreds.

    It shows the finding once whenever it is resolved, and is silent until it is resolved again: after half an hour of
    silence, then one hour, two, four, and four from then on.
    """
    alert, ends = None, []
    for number in range(288):
        seen = alert is None or not alert.open
        alert, events = advance(alert, verdict() if seen else None, judgement(number * 5), Policy())
        ends += [event.time_ns for event in events if event.kind is EventKind.RESOLVED]
    waited = [(later - earlier) // (30 * MINUTE) for earlier, later in pairwise([T0, *ends])]
    assert len(ends) < 10
    assert waited == [1, 2, 4, *[8] * (len(ends) - 3)]
