"""The configuration of the pipeline on the way in and of forwarding on the way out."""

import re
from pathlib import Path

import pytest

from correlate.errors import ConfigError
from correlate.model.forward import CARRIED, ForwardSignal, TargetKind, WhenFull
from correlate.model.pipeline import Action, ActionKind, Condition, Matcher, Signal
from correlate.settings import Settings, load

GOOD = """
pipeline:
  - name: critical only
    signals: [profiles]
    include: {match_type: strict, resource_attributes: [{key: service.name, value: critical-service}]}
  - exclude: {match_type: regexp, attributes: [{key: service.name, value: ".*-test"}, {key: tier, value: 3}]}
  - name: names
    where: {attributes: [{key: service.name, value: shop}]}
    actions:
      - {action: insert, key: deployment.environment, value: production}
      - {action: rename, key: k8s.ns, to: namespace}
      - {action: delete, key: host.id}
forward:
  - {name: tempo, kind: otlp_grpc, url: "http://tempo:4317", signals: [traces], tenant: team-a}
  - name: pyroscope
    kind: pyroscope
    url: https://profiles.example/prefix
    basic_user: "1234"
    basic_password_file: SECRET
    when_full: refuse
    max_bytes: 1000000
"""

BAD = """
pipeline:
  - name: nothing
  - include: {match_type: regexp, attributes: [{key: a, value: "("}]}
  - exclude: {match_type: glob, attributes: []}
  - actions:
      - {action: rename, key: a}
      - {action: insert, key: a}
      - {action: delete, key: service.name}
      - {action: update, key: profile.type, value: x}
      - {action: upsert, key: service.name, value: ""}
forward:
  - {name: a b, kind: otlp_http, url: "tempo:4318"}
  - {name: x, kind: otlp_grpc, url: "http://tempo", hedaers: {}}
  - {name: y, kind: pyroscope, url: "http://p:4040", signals: [traces]}
retention_days: -1
"""


def written(folder: Path, text: str) -> Path:
    """A configuration file."""
    secret = folder / "secret"
    secret.write_text("s3cret\n")
    file = folder / "correlate.yaml"
    file.write_text(text.replace("SECRET", str(secret)))
    return file


def test_the_pipeline_is_read_from_the_file(tmp_path: Path) -> None:
    """Filters and actions in order, numbers as text, steps without a name called by their number."""
    first, second, third = load(written(tmp_path, GOOD)).steps
    assert first.signals == {Signal.PROFILES}
    assert first.include == Matcher((Condition("service.name", "critical-service"),))
    assert second.name == "2"
    assert second.exclude == Matcher((Condition("service.name", ".*-test"), Condition("tier", "3")), regexp=True)
    assert third.where == Matcher((Condition("service.name", "shop"),))
    assert third.actions == (
        Action(ActionKind.INSERT, "deployment.environment", "production"),
        Action(ActionKind.RENAME, "k8s.ns", to="namespace"),
        Action(ActionKind.DELETE, "host.id"),
    )


def test_targets_are_read_from_the_file(tmp_path: Path) -> None:
    """Secrets come from files; what is not said has a default that suits the kind."""
    tempo, pyroscope = (each.target() for each in load(written(tmp_path, GOOD)).forward)
    assert (tempo.name, tempo.kind, tempo.tenant) == ("tempo", TargetKind.OTLP_GRPC, "team-a")
    assert tempo.signals == {ForwardSignal.TRACES}
    assert tempo.when_full is WhenFull.DROP
    assert pyroscope.signals == CARRIED[TargetKind.PYROSCOPE]
    assert (pyroscope.basic_user, pyroscope.basic_password) == ("1234", "s3cret")
    assert (pyroscope.when_full, pyroscope.max_bytes) == (WhenFull.REFUSE, 1_000_000)


def test_the_documented_examples_are_read(tmp_path: Path) -> None:
    """What docs/forwarding.md shows is accepted as it stands."""
    text = (Path(__file__).parents[2] / "docs" / "forwarding.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    settings = load(written(tmp_path, "".join(blocks)))
    assert (len(settings.steps), len(settings.forward)) == (3, 2)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    """One run, all mistakes, each with its place."""
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, BAD))
    message = str(caught.value)
    for place in (
        "pipeline.0: Value error, a step needs include, exclude or actions",
        "pipeline.1.include: Value error, the pattern '(' is no regular expression",
        "pipeline.2.exclude.match_type",
        "pipeline.2.exclude.attributes",
        "pipeline.3.actions.0: Value error, rename needs 'to'",
        "pipeline.3.actions.1: Value error, insert, update and upsert need 'value'",
        "pipeline.3.actions.2: Value error, everything has a service",
        "pipeline.3.actions.3: Value error, profile.type can be matched",
        "pipeline.3.actions.4: Value error, the name of a service cannot be empty",
        "forward.0.name",
        "forward.0.url",
        "forward.1.hedaers",
        "forward.2: Value error, pyroscope does not carry traces",
        "retention_days",
    ):
        assert place in message


def test_names_of_targets_are_unique_because_queues_are_named_for_them(tmp_path: Path) -> None:
    """Two targets with one name would share a queue."""
    twice = "forward:\n" + '  - {name: a, kind: otlp_http, url: "http://a"}\n' * 2
    with pytest.raises(ConfigError, match="several targets are called a"):
        load(written(tmp_path, twice))


def test_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The message names the file."""
    text = 'forward: [{name: a, kind: otlp_http, url: "http://a", bearer_token_file: /nowhere/token}]'
    with pytest.raises(ConfigError, match="/nowhere/token"):
        load(written(tmp_path, text)).forward[0].target()


def test_secrets_are_not_shown() -> None:
    """Whoever prints or logs settings sees no token."""
    settings = Settings.model_validate(
        {"forward": [{"name": "a", "kind": "otlp_http", "url": "http://a", "bearer_token": "s3cret"}]}
    )
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in repr(settings.forward)
    assert settings.forward[0].target().bearer_token == "s3cret"
