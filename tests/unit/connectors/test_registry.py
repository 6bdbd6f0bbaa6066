"""Sources as configuration: every mistake at once, secrets never shown."""

from pathlib import Path
from typing import Any

import pytest

from connectors.config import TempoConfig, expanded
from connectors.registry import KINDS, build, read_file
from correlate.errors import ConfigError
from tests.fakes.ingest import FakeClock

TEMPO = {"name": "t", "kind": "tempo", "url": "http://tempo:3200"}
PPROF = {"name": "go", "kind": "pprof", "targets": ["a:6060"], "service": "shop"}


def mistakes(*entries: Any) -> str:
    """What the error says."""
    with pytest.raises(ConfigError) as caught:
        build(entries, FakeClock())
    return str(caught.value)


def test_each_kind_is_made_from_little() -> None:
    """Defaults do; a scrape has no past and goes by itself."""
    entries = [
        TEMPO,
        {"name": "p", "kind": "pyroscope", "url": "http://p:4040/", "tenant": "a"},
        {"name": "e", "kind": "elastic", "url": "https://e:9200", "user": "u", "password": "secret"},
        PPROF,
        {"name": "f", "kind": "otlp-file", "paths": ["/var/otel/*.json"]},
    ]
    assert {entry["kind"] for entry in entries} == set(KINDS)
    sources = build(entries, FakeClock())
    assert [(each.name, each.kind, each.place) for each in sources] == [
        ("t", "tempo", "http://tempo:3200"),
        ("p", "pyroscope", "http://p:4040"),
        ("e", "elastic", "https://e:9200"),
        ("go", "pprof", "a:6060"),
        ("f", "otlp-file", "/var/otel/*.json"),
    ]
    assert [(each.step_s, each.follow is None) for each in sources] == [
        *[(300.0, True)] * 3,
        (None, False),
        (None, True),
    ]
    for each in sources:
        assert not each.parts()
        each.close()


def test_every_mistake_is_told_at_once() -> None:
    """With the entry, the setting and what is wrong with it."""
    text = mistakes(
        TEMPO | {"every_s": 0, "lagg_s": 3},
        {"name": "x", "kind": "tempoo"},
        "nonsense",
        TEMPO | {"name": "bad url", "url": "tempo:3200"},
        TEMPO | {"name": "u", "url": "tempo:3200"},
        PPROF | {"targets": []},
        PPROF | {"name": "go2", "targets": ["http://a:6060/"]},
        PPROF | {"name": "go3", "profiles": ["heep"]},
        TEMPO | {"name": "f", "token_file": "/does/not/exist"},
        TEMPO | {"name": "v", "token": "${CORRELATE_TEST_NOT_SET}"},
        TEMPO,
    )
    for part in (
        "12 mistake(s)",
        "sources[1] t every_s",
        "sources[1] t lagg_s: Extra inputs are not permitted",
        "sources[2] x: kind is 'tempoo'; known are tempo, pyroscope, pprof, elastic, otlp-file",
        "sources[3]: must be a mapping",
        "sources[4] bad url name",
        "sources[5] u: url 'tempo:3200' must look like",
        "sources[6] go: Value error, name some targets",
        "sources[7] go2: target 'http://a:6060/' must look like host:port",
        "profiles heep are not known",
        "token_file: /does/not/exist cannot be read: No such file",
        "the environment has no CORRELATE_TEST_NOT_SET",
        "the name 't' is given to 2 sources",
    ):
        assert part in text


def test_secrets_come_from_files_or_the_environment_and_are_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the configuration nor the endpoint made of it, nor an error, shows them."""
    (tmp_path / "token").write_text("s3cret-of-file\n")
    monkeypatch.setenv("TEMPO_TENANT", "acme")
    monkeypatch.setenv("TEMPO_KEY", "s3cret-of-env")
    config = TempoConfig.model_validate(
        expanded(
            TEMPO
            | {"tenant": "${TEMPO_TENANT}", "token_file": str(tmp_path / "token"), "headers": {"X-Key": "${TEMPO_KEY}"}}
        )
    )
    endpoint = config.endpoint(config.url)
    assert (endpoint.tenant, endpoint.bearer_token, endpoint.headers["X-Key"]) == (
        "acme",
        "s3cret-of-file",
        "s3cret-of-env",
    )
    assert "s3cret" not in repr(config) + str(config) + repr(endpoint)
    assert "s3cret" not in mistakes(TEMPO | {"token": "s3cret", "token_file": "x"}, TEMPO | {"passwort": "s3cret"})


@pytest.mark.parametrize("text", ["", "- a", "sources: 3", "sources: []\nmore: 1", "sources: [", "\xff"])
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str) -> None:
    """With the name of the file."""
    path = tmp_path / "sources.yml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"sources\.yml"):
        read_file(path)


def test_a_file_of_sources(tmp_path: Path) -> None:
    """Gives its entries as they are; one that is not there is named."""
    path = tmp_path / "sources.yml"
    path.write_text("sources:\n- {name: t, kind: tempo, url: 'http://t'}\n")
    assert read_file(path) == [{"name": "t", "kind": "tempo", "url": "http://t"}]
    with pytest.raises(ConfigError, match="No such file"):
        read_file(tmp_path / "gone.yml")


def test_the_example_of_the_documents_is_valid(tmp_path: Path) -> None:
    """Every kind is in it, and each entry can be made once the files with secrets are there."""
    text = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0].replace("/run/secrets", str(tmp_path))
    for name in ("tempo", "elastic"):
        (tmp_path / name).write_text("secret")
    (tmp_path / "sources.yml").write_text(example)
    sources = build(read_file(tmp_path / "sources.yml"), FakeClock())
    assert {each.kind for each in sources} == set(KINDS)
    for each in sources:
        each.close()
