"""What the verdicts on a service change."""

from dataclasses import replace

from correlate.alerting.settle import Ruling, after, fingerprints, settle
from correlate.model.alert_changes import Changes, Judged, Standing
from correlate.model.alert_policy import Policies, Policy, PolicyRule, lowered
from correlate.model.alerts import AlertStatus, Severity
from correlate.model.verdicts import Tier
from tests.support.alerts import LEAK, QUICK, SHOP, T0, alert, judgement, ruling, verdict

POLICIES = Policies(QUICK)


def test_every_finding_has_its_alert() -> None:
    """New ones begin, those no longer spoken of grow quiet, those of other detectors are left alone."""
    other = alert("hot", detector="hotspot")
    standing = Standing({LEAK: T0 - 1}, (alert("old", judged_until_ns=T0 - 1), other))
    changes = settle(standing, [ruling(5, verdict(subject="new"))], POLICIES)
    assert {each.verdict.subject: (each.status.value, each.quiet_count) for each in changes.alerts} == {
        "new": ("firing", 0),
        "old": ("firing", 1),
    }
    assert changes.judged == (Judged(SHOP, LEAK, T0 - 1, judgement(5).judged_until_ns),)
    assert [event.kind.value for event in changes.events] == ["firing"]


def test_what_was_judged_before_is_ignored() -> None:
    """The same once more, or something older, changes nothing at all, not even how far the detector has come."""
    standing = after(Standing(), settle(Standing(), [ruling(5, verdict())], POLICIES))
    assert settle(standing, [ruling(5, verdict())], POLICIES) == Changes()
    assert settle(standing, [ruling(0, verdict(subject="late"))], POLICIES) == Changes()
    assert not Changes()


def test_of_several_verdicts_on_one_subject_the_loudest_counts() -> None:
    """And those that are clear count as silence."""
    said = [verdict(Tier.WATCH), verdict(Tier.PAGE), verdict(Tier.CLEAR), verdict(Tier.CLEAR, subject="x")]
    (one,) = settle(Standing(), [ruling(0, *said)], POLICIES).alerts
    assert one.status is AlertStatus.FIRING
    assert len(fingerprints([ruling(0, *said)])) == 2


def test_resolved_alerts_rest_until_they_are_spoken_of() -> None:
    """So that history does not cost anything."""
    standing = Standing({}, (alert(status=AlertStatus.RESOLVED),))
    assert settle(standing, [ruling(5)], POLICIES).alerts == ()
    forgotten = Standing({}, (), {alert().fingerprint: 7})
    assert settle(forgotten, [ruling(5, verdict())], POLICIES).alerts[0].episode == 8


def test_a_policy_can_differ_by_service_and_detector() -> None:
    """Later rules win, each only for what it names."""
    policies = Policies(
        Policy(owner="all"),
        (
            PolicyRule("shop*", "*", {"owner": "shop team", "severity": Severity.CRITICAL}),
            PolicyRule("shop", LEAK, {"enabled": False}),
        ),
    )
    assert policies.of("cart", LEAK) == Policy(owner="all")
    assert policies.of("shop-2", LEAK) == Policy(owner="shop team", severity=Severity.CRITICAL)
    assert not policies.of(SHOP, LEAK).enabled
    changes = settle(
        Standing(), [Ruling(replace(judgement(0), service="shop-2"), (verdict(service="shop-2"),))], policies
    )
    assert (changes.alerts[0].owner, changes.alerts[0].severity) == ("shop team", Severity.CRITICAL)


def test_feedback_lowers_to_the_lowest_and_never_to_nothing() -> None:
    """High, normal, low."""
    assert [lowered("high", steps) for steps in range(4)] == ["high", "normal", "low", "low"]
