"""The life of one alert, as a pure state machine: one verdict (or its absence) moves it by at most one step.

::

    nothing ── watch verdict ──> WATCH ── page verdicts, or a watch that lasts ──> FIRING
                                   │                                                │  escalates while nobody acts
                                   └────────── silence, often and long enough ──────┴──> RESOLVED
    RESOLVED ── seen again soon ──> the same episode goes on    · later ──> a new episode

Time is that of the data that was judged, so replayed history takes the same way. A judgement that is not newer than
the last one changes nothing. Going away takes more than coming: several silent judgements and some time, doubled each
time that it came back, so an alert that comes and goes changes its status less and less often.
"""

from dataclasses import replace
from typing import Final

from correlate.alerting.fingerprint import fingerprint
from correlate.errors import BadInput
from correlate.model.alert_changes import Judgement
from correlate.model.alert_policy import Policy
from correlate.model.alerts import Alert, AlertEvent, AlertStatus, EventKind, Feedback, Severity
from correlate.model.verdicts import Tier, Verdict

Step = tuple[Alert, list[AlertEvent]]

_MAX_DOUBLINGS: Final = 3


def advance(
    alert: Alert | None, verdict: Verdict | None, at: Judgement, policy: Policy, *, last_episode: int = 0
) -> tuple[Alert | None, list[AlertEvent]]:
    """Move an alert by one judgement.

    Args:
        alert: as it was; None: not known.
        verdict: what the detector says about it now; None or clear: nothing.
        at: the judgement; its detector and service are those of the alert.
        policy: what the configuration says.
        last_episode: of an alert that is no longer known, if there was one.

    Returns:
        The alert as it is now, and what happened: at most one event.
    """
    if alert is not None and at.judged_until_ns <= alert.judged_until_ns:
        return alert, []
    if verdict is None or verdict.tier is Tier.CLEAR:
        return (None, []) if alert is None else _unseen(alert, at, policy)
    if alert is None:
        return _begin(verdict, at, policy, last_episode + 1)
    return _seen(alert, verdict, at, policy)


def expire(alert: Alert, now_ns: int, policy: Policy) -> Step:
    """Resolve an alert whose service was not judged for long: nobody knows whether it is still there.

    Its end is when it was last judged, not when that was noticed.
    """
    if not alert.open or now_ns - alert.judged_until_ns < policy.expire_after_ns:
        return alert, []
    return _resolved(alert, alert.judged_until_ns, "resolved for want of data: the service was not judged since")


def acknowledge(alert: Alert, by: str, now_ns: int) -> Step:
    """Somebody took it on: it is no longer repeated nor escalated in this episode. The first one counts.

    Raises:
        BadInput: there is nothing to take on, it is resolved.
    """
    if not alert.open:
        raise BadInput(f"alert {alert.fingerprint} is resolved: there is nothing to acknowledge")
    if alert.acknowledged_ns:
        return alert, []
    taken = replace(alert, acknowledged_ns=now_ns, acknowledged_by=by)
    return taken, [_event(taken, now_ns, EventKind.ACKNOWLEDGED, "acknowledged", by)]


def call_false_positive(
    alert: Alert, by: str, comment: str, now_ns: int, policy: Policy
) -> tuple[Alert, list[AlertEvent], list[Feedback]]:
    """Somebody said that it is wrong: it is resolved and stays quiet for a while, and its detector listens less.

    Said twice of the same episode it counts once.
    """
    if alert.false_positive:
        return alert, [], []
    until_ns = now_ns + policy.feedback_ns
    called = replace(alert, false_positive=True, muted_until_ns=until_ns)
    if called.open:
        called = _ended(called, max(now_ns, called.since_ns))
    feedback = Feedback(
        alert.fingerprint, alert.episode, alert.verdict.service, alert.verdict.detector, by, comment, now_ns, until_ns
    )
    text = f"called a false positive: {comment}" if comment else "called a false positive"
    return called, [_event(called, now_ns, EventKind.FALSE_POSITIVE, text, by)], [feedback]


def _begin(verdict: Verdict, at: Judgement, policy: Policy, episode: int, before: Alert | None = None) -> Step:
    now_ns = at.judged_until_ns
    alert = Alert(
        fingerprint=fingerprint(*verdict.identity),
        episode=episode,
        status=AlertStatus.WATCH,
        verdict=verdict,
        owner=policy.owner,
        started_ns=now_ns,
        since_ns=now_ns,
        last_seen_ns=now_ns,
        judged_until_ns=now_ns,
        loud_count=int(_loud(verdict, at, policy)),
        version=before.version if before else 0,
    )
    return _watched(alert, at, policy, begins=True)


def _seen(alert: Alert, verdict: Verdict, at: Judgement, policy: Policy) -> Step:
    now_ns = at.judged_until_ns
    seen = replace(
        alert,
        verdict=verdict,
        owner=policy.owner,
        last_seen_ns=now_ns,
        judged_until_ns=now_ns,
        quiet_count=0,
        loud_count=alert.loud_count + 1 if _loud(verdict, at, policy) else 0,
    )
    if alert.status is AlertStatus.WATCH:
        return _watched(seen, at, policy)
    if alert.status is AlertStatus.FIRING:
        return _firing(seen, now_ns, policy)
    if now_ns < alert.muted_until_ns:
        return seen, []
    if alert.false_positive or now_ns - alert.resolved_ns > policy.reopen_within_ns:
        return _begin(verdict, at, policy, alert.episode + 1, alert)
    back = replace(
        seen,
        status=AlertStatus.WATCH,
        since_ns=now_ns,
        resolved_ns=0,
        reopened_count=alert.reopened_count + 1,
    )
    return _watched(back, at, policy, begins=True)


def _watched(alert: Alert, at: Judgement, policy: Policy, *, begins: bool = False) -> Step:
    """What becomes of a watch: it fires once it is confirmed."""
    now_ns = at.judged_until_ns
    again = "is back: " if alert.reopened_count and begins else ""
    if not _confirmed(alert, at, policy):
        text = f"{again}{alert.verdict.headline}"
        return alert, [_event(alert, now_ns, EventKind.WATCH, text)] if begins else []
    fires = replace(
        alert,
        status=AlertStatus.FIRING,
        since_ns=now_ns,
        confirmed_ns=alert.confirmed_ns or now_ns,
        severity=max(alert.severity, policy.severity, key=lambda severity: severity.rank),
    )
    return fires, [_event(fires, now_ns, EventKind.FIRING, f"{again}{alert.verdict.headline}")]


def _firing(alert: Alert, now_ns: int, policy: Policy) -> Step:
    """What becomes of an alert that fires and is still seen: its severity rises while nobody acts."""
    waited_ns = now_ns - max(alert.since_ns, alert.escalated_ns)
    ignored = not alert.acknowledged_ns and 0 < policy.escalate_after_ns <= waited_ns
    if not ignored or alert.severity is Severity.CRITICAL:
        return alert, []
    raised = replace(alert, severity=alert.severity.raised, escalated_ns=now_ns)
    text = f"{raised.severity.value}, since nobody acknowledged it for {waited_ns / 3.6e12:.3g} h"
    return raised, [_event(raised, now_ns, EventKind.ESCALATED, text)]


def _unseen(alert: Alert, at: Judgement, policy: Policy) -> Step:
    now_ns = at.judged_until_ns
    quiet = replace(alert, judged_until_ns=now_ns, quiet_count=alert.quiet_count + 1, loud_count=0)
    patience_ns = policy.resolve_after_ns << min(alert.reopened_count, _MAX_DOUBLINGS)
    enough = quiet.quiet_count >= policy.resolve_after_count and now_ns - alert.last_seen_ns >= patience_ns
    if not alert.open or not enough:
        return quiet, []
    never = "" if alert.confirmed_ns else ", before it was confirmed"
    return _resolved(quiet, now_ns, f"went away{never}: not seen in {quiet.quiet_count} judgements in a row")


def _resolved(alert: Alert, at_ns: int, text: str) -> Step:
    gone = _ended(alert, at_ns)
    return gone, [_event(gone, at_ns, EventKind.RESOLVED, text)]


def _ended(alert: Alert, at_ns: int) -> Alert:
    return replace(alert, status=AlertStatus.RESOLVED, since_ns=at_ns, resolved_ns=at_ns, loud_count=0)


def _loud(verdict: Verdict, at: Judgement, policy: Policy) -> bool:
    """Whether the verdict is a page, and not one that a deploy may explain."""
    return verdict.tier is Tier.PAGE and not _just_deployed(at, policy)


def _just_deployed(at: Judgement, policy: Policy) -> bool:
    return at.deployed_ns > 0 and at.judged_until_ns < at.deployed_ns + policy.suppress_after_deploy_ns


def _confirmed(alert: Alert, at: Judgement, policy: Policy) -> bool:
    if alert.loud_count >= max(1, policy.confirm_count):
        return True
    lasted_ns = at.judged_until_ns - alert.since_ns
    return not _just_deployed(at, policy) and 0 < policy.confirm_watch_after_ns <= lasted_ns


def _event(alert: Alert, time_ns: int, kind: EventKind, text: str, by: str = "") -> AlertEvent:
    return AlertEvent(alert.fingerprint, alert.episode, time_ns, kind, text, by)
