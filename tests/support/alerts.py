"""Verdicts, alerts and their books for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from correlate.alerting.fingerprint import fingerprint
from correlate.alerting.settle import Ruling
from correlate.model.alert_changes import Judgement
from correlate.model.alert_policy import AlertConfig, Policy
from correlate.model.alerts import Alert, AlertStatus, Notification, Reason, Severity
from correlate.model.verdicts import Guard, Site, Tier, Verdict
from correlate.ports import AlertBooks, Clock
from correlate.services.alert_flow import AlertFlow
from correlate.storage.state import State, open_state
from correlate.storage.state_alerts import SqlAlertBook
from correlate.storage.state_notifications import SqlNotificationOutbox
from correlate.storage.state_silences import SqlFeedback, SqlSilences

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
T0 = 1_700_000_000 * SECOND

LEAK, SHOP, SITE = "memory-leak", "shop", "remember_session"

QUICK = Policy(resolve_after_count=2, resolve_after_ns=10 * MINUTE, reopen_within_ns=HOUR, escalate_after_ns=HOUR)
"""A policy that shows everything within hours."""


def verdict(tier: Tier = Tier.PAGE, *, subject: str = SITE, service: str = SHOP, detector: str = LEAK) -> Verdict:
    """What a detector says, with one of everything."""
    return Verdict(
        detector=detector,
        service=service,
        subject=subject,
        tier=tier,
        headline=f"{subject} grows",
        figures={"growth_bytes_per_hour": 3e6},
        sites=(Site(subject, "shop.py", 7, 3e6, 0.9, ("main", subject), ("POST /checkout",)),),
        guards=(Guard("plateau", passed=True, reason="it did not level off"),),
    )


def judgement(minutes: float, **more: Any) -> Judgement:
    """A look at the shop for leaks, so many minutes after the beginning of time."""
    return Judgement(**{"service": SHOP, "detector": LEAK, "judged_until_ns": T0 + int(minutes * MINUTE)} | more)


def ruling(minutes: float, *verdicts: Verdict) -> Ruling:
    """What was said then."""
    return Ruling(judgement(minutes), verdicts)


def alert(subject: str = SITE, **more: Any) -> Alert:
    """An alert that began to fire at the beginning of time."""
    seen = verdict(subject=subject, service=more.pop("service", SHOP), detector=more.pop("detector", LEAK))
    given = {
        "fingerprint": fingerprint(*seen.identity),
        "episode": 1,
        "status": AlertStatus.FIRING,
        "verdict": seen,
        "severity": Severity.WARNING,
        **dict.fromkeys(("started_ns", "since_ns", "confirmed_ns", "last_seen_ns", "judged_until_ns"), T0),
    }
    return Alert(**given | more)


def notification(key: str, group: str = "{}:{}", receiver: str = "hook", **more: Any) -> Notification:
    """A message about one alert."""
    given = {"id": 0, "reason": Reason.FIRST, "alerts": (alert(),), "created_ns": T0, "due_ns": T0}
    return Notification(**given | {"key": key, "group": group, "receiver": receiver} | more)


def books_of(state: State, clock: Clock) -> AlertBooks:
    """The books in a state database."""
    return AlertBooks(SqlAlertBook(state), SqlSilences(state), SqlFeedback(state), SqlNotificationOutbox(state, clock))


@contextmanager
def books_in(folder: Path, clock: Clock) -> Iterator[AlertBooks]:
    """Empty books in SQLite."""
    with open_state(f"sqlite:///{folder}/state.db", clock=clock) as state:
        yield books_of(state, clock)


def in_the_course_of_a_day(books: AlertBooks, clock: Clock, config: AlertConfig | None = None) -> None:
    """A leak that fires, a hot spot that is watched, and a leak that is over."""
    flow = AlertFlow(books, config or AlertConfig(), clock)
    hot = verdict(Tier.WATCH, detector="hotspot", subject="rank_items")
    flow.judged(SHOP, [ruling(0, verdict(), verdict(subject="warm_cache"))])
    flow.judged(SHOP, [Ruling(judgement(0, detector="hotspot"), (hot,))])
    for minutes in (15, 30, 45):
        flow.judged(SHOP, [ruling(minutes, verdict())])
