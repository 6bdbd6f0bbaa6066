"""How services are watched, as the configuration says it."""

from pathlib import Path

import pytest

from correlate.errors import ConfigError
from correlate.model.alerts import Severity
from correlate.settings import load
from correlate.settings_detectors import QuerySettings

GOOD = """
detectors:
  bucket_s: 60
  pace: 0.5
  sensitivity: low
  rules:
    - {service: "checkout*", owner: team-shop, sensitivity: high, severity: critical}
    - {service: batch, detector: hotspot, enable: false}
    - {service: batch, suppress_after_deploy_s: 3600, confirm_watch_after_s: 60, resolve_after_count: 2}
"""


def test_rules_become_policies(tmp_path: Path) -> None:
    """In order; durations become nanoseconds; what no rule says is the default."""
    file = tmp_path / "correlate.yaml"
    file.write_text(GOOD)
    chosen = load(file).detectors
    assert (chosen.enable, chosen.bucket_s, chosen.settle_s, chosen.pace) == (True, 60, 120.0, 0.5)
    shop = chosen.policies.of("checkout-eu", "memory-leak")
    assert (shop.owner, shop.sensitivity, shop.severity) == ("team-shop", "high", Severity.CRITICAL)
    assert not chosen.policies.of("batch", "hotspot").enabled
    batch = chosen.policies.of("batch", "regression")
    assert (batch.enabled, batch.sensitivity, batch.resolve_after_count) == (True, "low", 2)
    assert (batch.suppress_after_deploy_ns, batch.confirm_watch_after_ns) == (3600 * 10**9, 60 * 10**9)
    assert chosen.policies.of("other", "regression").suppress_after_deploy_ns == 900 * 10**9


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"detector": "hotspots", "enable": False}, "there is no detector 'hotspots'"),
        ({"service": "a"}, "something that it changes"),
        ({"sensitivity": "huge"}, "sensitivity"),
        ({"enable": True, "treshold": 3}, "treshold"),
    ],
)
def test_mistakes_are_named(rule: dict[str, object], problem: str) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigError, match=problem):
        load(detectors={"rules": [rule]})
    assert load(detectors={"rules": [{"detector": "*leak", "enable": False}]}).detectors.rules[0].detector == "*leak"


def test_the_environment_sets_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `grafana` it is a section."""
    monkeypatch.setenv("CORRELATE_DETECTORS__ENABLE", "false")
    assert load().detectors.enable is False


def test_a_prometheus_has_queries_of_its_own_or_the_usual_ones(tmp_path: Path) -> None:
    """What is left out keeps its default; empty is not asked for."""
    assert load().detectors.prometheus is None
    file = tmp_path / "correlate.yaml"
    file.write_text("detectors: {prometheus: {url: 'http://p:9090', queries: {cpu: my_cpu, memory: ''}}}")
    chosen = load(file).detectors.prometheus
    assert chosen is not None
    assert (chosen.service_label, chosen.queries.cpu, chosen.queries.memory) == ("job", "my_cpu", "")
    assert "go_goroutines" in chosen.queries.goroutines


@pytest.mark.parametrize(
    ("prometheus", "problem"),
    [
        ({}, "url"),
        ({"url": "p:9090"}, "url"),
        ({"url": "http://p", "service_label": "a-b"}, "service_label"),
        ({"url": "http://p", "queries": {"disk": "x"}}, "disk"),
        (
            {
                "url": "http://p",
                "queries": dict.fromkeys(("cpu", "memory", "goroutines", "gc_pause", "memory_limit_bytes"), ""),
            },
            "all queries are empty",
        ),
    ],
)
def test_mistakes_about_prometheus_are_named(prometheus: dict[str, object], problem: str) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigError, match=problem):
        load(detectors={"prometheus": prometheus})


def test_the_queries_in_the_document_are_the_defaults() -> None:
    """Each in its row."""
    document = (Path(__file__).parents[2] / "docs" / "detectors.md").read_text()
    for quantity, expression in QuerySettings.model_validate({}).given.items():
        assert f"| `{quantity}` | `{expression}` |" in document
