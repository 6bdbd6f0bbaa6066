"""Matchers, silences and routes."""

import time
from dataclasses import replace

import pytest

from correlate.alerting.matching import labels_of, matcher_problem, matches_everything, matching
from correlate.alerting.routing import group_key, wanted
from correlate.alerting.silencing import silence_problem, silenced_by
from correlate.model.alert_policy import ReceiverRoute
from correlate.model.alerts import AlertStatus, Severity, Silence
from tests.support.alerts import LEAK, SHOP, alert

SILENCE = Silence(1, {"service": SHOP}, 10, 20, "why", "me")


@pytest.mark.parametrize(
    ("pattern", "value", "hit"),
    [
        ("shop", "shop", True),
        ("shop", "shop-2", False),
        ("sho", "shop", False),
        ("shop|cart", "cart", True),
        ("shop.*", "shop\n2", True),
        ("(?i)SHOP", "shop", True),
        ("", "", True),
        ("", "shop", False),
        ("a.b", "a.b", True),
        ("a.b", "axb", True),
        ("two-words_and more", "two-words_and more", True),
    ],
)
def test_the_whole_value_has_to_match(pattern: str, value: str, hit: bool) -> None:
    """As in Alertmanager."""
    assert matching({"service": pattern}, [{"service": value}]) == [hit]


def test_all_matchers_have_to_match_and_a_missing_label_is_empty() -> None:
    """Of several label sets at once."""
    sets = [{"service": "a", "owner": "x"}, {"service": "a"}, {"owner": "x"}]
    assert matching({"service": "a", "owner": "x|y"}, sets) == [True, False, False]
    assert matching({"owner": ""}, sets) == [False, True, False]
    assert matching({}, sets) == [True, True, True]


@pytest.mark.parametrize(
    ("matchers", "word"),
    [
        ({"servcie": "x"}, "no label 'servcie'"),
        ({"service": "("}, "service"),
        ({"service": "a)|(?:b"}, "service"),
        ({"service": "(?x)a # b"}, "service"),
        ({"service": "a{1000}{1000}"}, "service"),
        ({"service": "x" * 501}, "longer than 500"),
        ({"service": r"(a)\1"}, "service"),
    ],
)
def test_an_expression_of_no_use_is_refused(matchers: dict[str, str], word: str) -> None:
    """Also one that is only well-formed inside of what anchors it, or too large to be built."""
    assert word in (matcher_problem(matchers) or "")


def test_no_expression_takes_for_ever() -> None:
    """What makes a backtracking engine explode is answered at once."""
    assert matcher_problem({"service": "(a+)+$"}) is None
    began = time.perf_counter()
    assert matching({"service": "(a+)+$"}, [{"service": "a" * 5000 + "!"}]) == [False]
    assert time.perf_counter() - began < 1


def test_the_labels_of_an_alert() -> None:
    """All that can be matched, the empty ones too."""
    seen = labels_of(alert(status=AlertStatus.WATCH))
    assert (seen["detector"], seen["alertname"], seen["owner"], seen["status"]) == (LEAK, LEAK, "", "watch")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"matchers": {"nope": "x"}}, "no label"),
        ({"matchers": {}}, "everything"),
        ({"matchers": {"service": ".*", "owner": ""}}, "everything"),
        ({"end_ns": 10}, "ends before it starts"),
    ],
)
def test_a_silence_of_no_use_is_refused(change: dict[str, object], word: str) -> None:
    """With a sentence; a good one has none."""
    assert silence_problem(SILENCE) is None
    assert word in (silence_problem(replace(SILENCE, **change)) or "")  # type: ignore[arg-type]
    assert not matches_everything({"service": ".*", "owner": "x"})


def test_a_silence_holds_for_its_time_and_its_alerts() -> None:
    """From its start until before its end; an alert may be silenced twice."""
    shop, other = alert(), alert(service="other")
    twice = [SILENCE, replace(SILENCE, id=2, matchers={"detector": LEAK})]
    assert silenced_by([shop, other], twice, 10) == {shop.fingerprint: (1, 2), other.fingerprint: (2,)}
    assert silenced_by([shop], twice, 9) == silenced_by([shop], twice, 20) == {}


def test_a_receiver_hears_what_it_asked_for() -> None:
    """By severity and labels; of watches only if it wants them, and then whatever their severity."""
    watch = alert("w", status=AlertStatus.WATCH, severity=Severity.INFO)
    warning, critical = alert("a"), alert("b", severity=Severity.CRITICAL, owner="team")
    every = [watch, warning, critical]
    assert wanted(ReceiverRoute("r"), every) == [warning, critical]
    assert wanted(ReceiverRoute("r", severity=Severity.CRITICAL), every) == [critical]
    assert wanted(ReceiverRoute("r", send_watch=True), every) == every
    assert wanted(ReceiverRoute("r", matchers={"owner": "team"}), every) == [critical]


def test_groups_are_named_as_alertmanager_names_them() -> None:
    """Sorted labels, quoted values; labels that are empty are left out."""
    key = group_key(ReceiverRoute("r"), alert(service='a "shop"\n'))
    assert key.text == '{}:{alertname="memory-leak", service="a \\"shop\\"\\n"}'
    assert key.labels == {"alertname": LEAK, "service": 'a "shop"\n'}
    assert group_key(ReceiverRoute("r", group_by=()), alert()).text == "{}:{}"
    assert group_key(ReceiverRoute("r", group_by=("owner",)), alert()).text == "{}:{}"
