"""What the verdicts on one service change about its alerts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from correlate.alerting.fingerprint import fingerprint
from correlate.alerting.lifecycle import advance
from correlate.model.alert_changes import Changes, Judged, Judgement, Standing
from correlate.model.alert_policy import Policies
from correlate.model.alerts import Alert, AlertEvent
from correlate.model.verdicts import Tier, Verdict


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one detector said about one service.

    Attributes:
        at: which, and until when it looked.
        verdicts: everything it found; a finding that is not among them is not there.
    """

    at: Judgement
    verdicts: tuple[Verdict, ...] = ()


def fingerprints(rulings: Sequence[Ruling]) -> list[str]:
    """Which alerts are spoken about."""
    return sorted({fingerprint(*verdict.identity) for ruling in rulings for verdict in ruling.verdicts})


def settle(standing: Standing, rulings: Sequence[Ruling], policies: Policies) -> Changes:
    """Move all alerts of a service by what its detectors said.

    A ruling that is not newer than the last one of its detector is ignored: it came twice, or too late.

    Args:
        standing: what is known of the service, with the alerts that `fingerprints` names.
        rulings: at most one of each detector.
        policies: what the configuration says.
    """
    changes = Changes()
    for ruling in rulings:
        before_ns = standing.judged_until_ns.get(ruling.at.detector)
        if before_ns is None or ruling.at.judged_until_ns > before_ns:
            changes += _settle_one(standing, ruling, policies, before_ns)
    return changes


def after(standing: Standing, changes: Changes) -> Standing:
    """What is known once changes are made; for those who replay history without a store."""
    alerts = {alert.fingerprint: alert for alert in (*standing.alerts, *changes.alerts)}
    marks = {each.detector: each.until_ns for each in changes.judged}
    return Standing({**standing.judged_until_ns, **marks}, tuple(alerts.values()), standing.episodes)


def _settle_one(standing: Standing, ruling: Ruling, policies: Policies, before_ns: int | None) -> Changes:
    at = ruling.at
    policy = policies.of(at.service, at.detector)
    known = {alert.fingerprint: alert for alert in standing.alerts if alert.verdict.detector == at.detector}
    alerts: list[Alert] = []
    events: list[AlertEvent] = []
    for key, verdict in _pairs(known, ruling):
        alert, happened = advance(known.get(key), verdict, at, policy, last_episode=standing.episodes.get(key, 0))
        if alert is not None and alert is not known.get(key):
            alerts.append(alert)
        events.extend(happened)
    judged = Judged(at.service, at.detector, before_ns, at.judged_until_ns)
    return Changes(judged=(judged,), alerts=tuple(alerts), events=tuple(events))


def _pairs(known: Mapping[str, Alert], ruling: Ruling) -> Iterator[tuple[str, Verdict | None]]:
    """Every alert that is there or spoken about, with what is said: the loudest, if several verdicts are about it."""
    said: dict[str, Verdict] = {}
    for verdict in ruling.verdicts:
        key = fingerprint(*verdict.identity)
        if verdict.tier is not Tier.CLEAR and (key not in said or verdict.tier.rank > said[key].tier.rank):
            said[key] = verdict
    for key in sorted(known.keys() | said.keys()):
        if key in said or known[key].open:
            yield key, said.get(key)
