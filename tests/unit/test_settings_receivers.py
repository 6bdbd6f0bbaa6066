"""Who is told about alerts, as the configuration says it."""

import re
from pathlib import Path

import pytest

from connectors.receivers import Means, build
from correlate.errors import ConfigError
from correlate.model.alert_policy import ReceiverRoute
from correlate.model.alerts import Severity
from correlate.settings import Settings, load
from tests.fakes.timing import FakeTime

DOCUMENT = Path(__file__).parents[2] / "docs" / "delivery.md"
S = 1_000_000_000


def settings(*receivers: dict[str, object]) -> Settings:
    """With some receivers."""
    return Settings.model_validate({"receivers": list(receivers)})


def test_what_a_receiver_is_told_is_read_apart_from_how_it_is_reached() -> None:
    """The route for those who decide, the rest for those who deliver."""
    (one,) = settings(
        {
            "name": "hook",
            "kind": "webhook",
            "url": "https://u:p@x.example:8443/secret?a=b",
            "secret": "s",
            "severity": "critical",
            "matchers": {"service": "shop|cart"},
            "send_watch": True,
            "group_by": [],
            "group_wait_s": 5,
            "repeat_interval_s": 3600,
        }
    ).receivers
    route = one.route()
    assert (route.name, route.kind, route.place) == ("hook", "webhook", "https://x.example:8443")
    assert (route.severity, route.matchers) == (Severity.CRITICAL, {"service": "shop|cart"})
    assert (route.group_by, route.send_watch, route.send_resolved) == ((), True, True)
    assert (route.group_wait_ns, route.group_interval_ns, route.repeat_interval_ns) == (5 * S, 300 * S, 3600 * S)
    assert one.delivery == {
        "name": "hook",
        "kind": "webhook",
        "url": "https://u:p@x.example:8443/secret?a=b",
        "secret": "s",
    }


def test_defaults_are_those_of_the_model_and_suit_the_kind() -> None:
    """An Alertmanager waits by itself; annotations wake nobody."""
    hook, peer, marks = settings(
        {"name": "a", "kind": "webhook"}, {"name": "b", "kind": "alertmanager"}, {"name": "c", "kind": "grafana"}
    ).receivers
    assert hook.route() == ReceiverRoute("a", "webhook")
    assert (peer.group_wait_s, peer.group_interval_s) == (0, 30)
    assert marks.group_wait_s == 0


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """With its place."""
    file = tmp_path / "c.yaml"
    file.write_text(
        "receivers:\n"
        "  - {name: a b, kind: slack}\n"
        "  - {name: b, kind: slack, severity: loud}\n"
        "  - {name: c, kind: slack, matchers: {colour: red}}\n"
        "  - {name: d, kind: slack, matchers: {service: '('}}\n"
        "  - {name: e, kind: slack, group_by: [colour], repeat_interval_s: 1}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(file)
    for place in (
        "receivers.0.name",
        "receivers.1.severity",
        "receivers.2.matchers",
        "receivers.3.matchers",
        "receivers.4.group_by",
        "receivers.4.repeat_interval_s",
    ):
        assert place in str(caught.value)


def test_names_are_unique() -> None:
    """Messages are addressed by name."""
    with pytest.raises(ValueError, match="several receivers are called a"):
        settings({"name": "a", "kind": "slack"}, {"name": "a", "kind": "webhook"})


def test_nothing_shows_a_secret() -> None:
    """Whoever prints or logs settings sees no address and no token."""
    read = settings({"name": "a", "kind": "slack", "url": "https://x/hush", "token": "hush"})
    for shown in (repr(read), repr(read.receivers), str(read.receivers[0])):
        assert "hush" not in shown


def test_the_documented_examples_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/delivery.md shows is accepted as it stands, by those who decide and by those who deliver."""
    for name in ("slack-url", "hook-secret", "grafana-token"):
        (tmp_path / name).write_text("https://hooks.slack.example/services/T/B/x")
    monkeypatch.setenv("ALERTMANAGER_PASSWORD", "p")
    text = DOCUMENT.read_text().replace("/run/secrets", str(tmp_path))
    examples = re.findall(r"^```yaml\n(receivers:\n.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert examples
    for example in examples:
        file = tmp_path / "c.yaml"
        file.write_text(example)
        read = load(file)
        for recipient in build([each.delivery for each in read.receivers], Means(FakeTime())):
            recipient.close()
