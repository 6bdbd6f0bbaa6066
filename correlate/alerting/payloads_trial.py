"""An alert that says of itself that it is a test."""

from typing import Final

from correlate.alerting.fingerprint import fingerprint
from correlate.model.alerts import Alert, AlertStatus, Severity
from correlate.model.verdicts import Site, Tier, Verdict

DETECTOR: Final = "test"
SERVICE: Final = "correlate"


def trial_alert(receiver: str, now_ns: int, *, by: str = "", over: bool = False, began_ns: int = 0) -> Alert:
    """A firing alert that is only a test, or its end.

    Args:
        receiver: whom it tests.
        now_ns: the time.
        by: who asked for it.
        over: whether it is resolved already.
        began_ns: when it began; 0: now.
    """
    asked = f" {by} asked for it." if by else ""
    verdict = Verdict(
        detector=DETECTOR,
        service=SERVICE,
        subject=receiver,
        tier=Tier.PAGE,
        headline=f"TEST: this is a test alert of correlate for the receiver {receiver}; nothing is wrong.{asked}",
        figures={"growth_bytes_per_hour": 3.0 * (1 << 20), "limit_in_hours": 12.0},
        sites=(Site("no_function_at_all", "test.py", 1, 3.0 * (1 << 20), 1.0, operations=("GET /test",)),),
    )
    return Alert(
        fingerprint=fingerprint(*verdict.identity),
        episode=1,
        status=AlertStatus.RESOLVED if over else AlertStatus.FIRING,
        verdict=verdict,
        severity=Severity.INFO,
        started_ns=began_ns or now_ns,
        since_ns=now_ns,
        confirmed_ns=began_ns or now_ns,
        resolved_ns=now_ns if over else 0,
        last_seen_ns=now_ns,
        judged_until_ns=now_ns,
    )
