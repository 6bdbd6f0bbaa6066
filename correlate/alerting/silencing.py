"""Silences: alerts that live on, are shown as silenced, and are told to nobody."""

from collections.abc import Sequence

from correlate.alerting.matching import labels_of, matcher_problem, matches_everything, matching
from correlate.model.alerts import Alert, Silence


def silence_problem(silence: Silence) -> str | None:
    """Why a silence cannot be used, one sentence; None when it can."""
    if problem := matcher_problem(silence.matchers):
        return problem
    if matches_everything(silence.matchers):
        return "the matchers would silence everything: at least one must not match the empty text"
    if silence.end_ns <= silence.start_ns:
        return "the silence ends before it starts"
    return None


def silenced_by(alerts: Sequence[Alert], silences: Sequence[Silence], now_ns: int) -> dict[str, tuple[int, ...]]:
    """By fingerprint, the ids of the silences that hold for an alert now; alerts without any are left out."""
    labels = [labels_of(alert) for alert in alerts]
    found: dict[str, tuple[int, ...]] = {}
    for silence in silences:
        if not silence.active(now_ns):
            continue
        for alert, hit in zip(alerts, matching(silence.matchers, labels), strict=True):
            if hit:
                found[alert.fingerprint] = (*found.get(alert.fingerprint, ()), silence.id)
    return found
